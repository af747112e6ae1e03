//! The forms in which programs write a text in JSON.

/// The ways of most languages, of Python, PHP, Go, .NET, and Java's Gson to write texts in JSON: the characters that are
/// written as `\u` and four digits, besides control characters; whether characters that are not ASCII are, too; whether
/// these digits are in upper case; and whether a slash gets a backslash.
const STYLES: [(&str, bool, bool, bool); 6] = [
    ("", false, false, false),
    ("\u{7f}", true, false, false),
    ("", true, false, true),
    ("<>&\u{2028}\u{2029}", false, false, false),
    ("\"&'+<>`\u{7f}", true, true, false),
    ("<>&='\u{2028}\u{2029}", false, false, false),
];

/// The forms of a text that differ from the text itself, without quotes: once in JSON, and in JSON that is itself a
/// text in JSON. Some may be the same.
pub fn forms(text: &str) -> impl Iterator<Item = String> {
    let forms = STYLES
        .iter()
        .flat_map(|&(encoded, is_ascii, is_upper, escapes_slash)| {
            let form = |text: &str| form(text, encoded, is_ascii, is_upper, escapes_slash);
            let once = form(text);
            [form(&once), once]
        });
    forms.filter(move |form| form != text)
}

fn form(text: &str, encoded: &str, is_ascii: bool, is_upper: bool, escapes_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for each in text.chars() {
        let short = match each {
            _ if encoded.contains(each) => None,
            '"' | '\\' => Some(each),
            '/' if escapes_slash => Some(each),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            ..' ' => None,
            _ if each.is_ascii() || !is_ascii => {
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
            out += &if is_upper {
                format!("\\u{unit:04X}")
            } else {
                format!("\\u{unit:04x}")
            };
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
            // json.dumps of a text that json.dumps has made
            r#"p\\u00e4\\\"s/\\\\w<+\\ud83d\\udd11"#,
        ] {
            assert!(all.iter().any(|each| each == form), "{form} in {all:?}");
        }
        assert_eq!(forms("plain-text_1").count(), 0);
    }

    proptest! {
        #[test]
        fn every_form_is_json_for_the_text(text in any::<String>()) {
            for form in forms(&text) {
                let read = |form: &str| -> String {
                    serde_json::from_str(&format!("\"{form}\"")).expect("it is JSON")
                };
                let once = read(&form);
                prop_assert!(once == text || read(&once) == text);
            }
        }
    }
}
