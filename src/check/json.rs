//! The forms in which programs write a text in JSON.

/// A way to write texts in JSON.
struct Style {
    /// The characters that are written as `\u` and four digits, besides control characters.
    encoded: &'static str,
    /// Whether these digits are in upper case.
    is_upper: bool,
    /// Whether characters that are not ASCII are written like that.
    is_ascii: bool,
    /// Whether a slash gets a backslash.
    escapes_slash: bool,
}

/// The styles of most languages, of Python, PHP, Go, .NET, and Java's Gson.
const STYLES: [Style; 6] = [
    style("", false, false, false),
    style("\u{7f}", false, true, false),
    style("", false, true, true),
    style("<>&\u{2028}\u{2029}", false, false, false),
    style("\"&'+<>`\u{7f}", true, true, false),
    style("<>&='\u{2028}\u{2029}", false, false, false),
];

const fn style(
    encoded: &'static str,
    is_upper: bool,
    is_ascii: bool,
    escapes_slash: bool,
) -> Style {
    Style {
        encoded,
        is_upper,
        is_ascii,
        escapes_slash,
    }
}

/// The forms of a text that differ from the text itself, without quotes. Some may be the same.
pub fn forms(text: &str) -> impl Iterator<Item = String> {
    let forms = STYLES.iter().map(|style| form(text, style));
    forms.filter(move |form| form != text)
}

fn form(text: &str, style: &Style) -> String {
    let mut out = String::with_capacity(text.len());
    for each in text.chars() {
        let short = match each {
            _ if style.encoded.contains(each) => None,
            '"' | '\\' => Some(each),
            '/' if style.escapes_slash => Some(each),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            ..' ' => None,
            _ if each.is_ascii() || !style.is_ascii => {
                out.push(each);
                continue;
            }
            _ => None,
        };
        if let Some(letter) = short {
            out.extend(['\\', letter]);
            continue;
        }
        for unit in each.encode_utf16(&mut [0; 2]) {
            let digits = format!("{unit:04x}");
            let digits = if style.is_upper {
                digits.to_ascii_uppercase()
            } else {
                digits
            };
            out += &format!("\\u{digits}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::forms;

    #[test]
    fn a_text_has_the_forms_that_programs_write() {
        let all: Vec<String> = forms("pä\"s/\\w<+\u{1f511}").collect();
        for form in [
            // JSON.stringify
            r#"pä\"s/\\w<+🔑"#,
            // json.dumps
            r#"p\u00e4\"s/\\w<+\ud83d\udd11"#,
            // json_encode
            r#"p\u00e4\"s\/\\w<+\ud83d\udd11"#,
            // json.Marshal
            r#"pä\"s/\\w\u003c+🔑"#,
            // System.Text.Json
            r"p\u00E4\u0022s/\\w\u003C\u002B\uD83D\uDD11",
        ] {
            assert!(all.iter().any(|each| each == form), "{form} in {all:?}");
        }
        assert_eq!(forms("plain-text_1").count(), 0);
    }

    proptest! {
        #[test]
        fn every_form_is_json_for_the_text(text in any::<String>()) {
            for form in forms(&text) {
                let read: String = serde_json::from_str(&format!("\"{form}\"")).expect("it is JSON");
                prop_assert_eq!(&read, &text);
            }
        }
    }
}
