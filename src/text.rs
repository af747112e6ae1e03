//! Helpers for messages: lists of names, plurals, the most similar word, and line wrapping.

/// `1 error`, `2 errors`.
pub fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `A`, `A and B`, `A, B and C`, `A, B, C, D, E and 7 more`.
pub fn names<T: AsRef<str>>(names: &[T]) -> String {
    first(names, 5)
}

/// The first `max` items, and the number of those that are left out.
pub fn first<T: AsRef<str>>(items: &[T], max: usize) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.len().saturating_sub(max) {
        0 => joined(&items, "and"),
        more => format!("{} and {more} more", items[..max].join(", ")),
    }
}

/// `A`, `A or B`, `A, B or C`. All names are listed.
pub fn either(names: &[&str]) -> String {
    joined(names, "or")
}

fn joined(names: &[&str], word: &str) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} {word} {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// The known word with the smallest edit distance from `word`, if that is at most 2. Case is ignored.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // At most half of the letters of a short word may differ.
    let limit = (word.chars().count() / 2).min(2);
    let distance = |other: &str| strsim::osa_distance(&word.to_lowercase(), &other.to_lowercase());
    known
        .filter(|other| distance(other) <= limit)
        .min_by_key(|other| distance(other))
}

/// `; did you mean X?`, or an empty string if no known word is similar.
pub fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(word, known);
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// The width of a line that is not for a terminal, in columns. Logs are shown in 80 to 120 columns.
pub const WIDTH: usize = 110;

/// Breaks lines longer than `max` columns between words. Each line except the first begins with `indent`. Existing line
/// breaks are kept. A word that is longer is not broken.
pub fn wrapped(text: &str, indent: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut width = 0;
    for (index, line) in text.lines().enumerate() {
        let mut is_blank = true;
        for (position, word) in line.split(' ').enumerate() {
            let length = columns(word);
            let is_first = position == 0;
            if is_first && index > 0 || !is_blank && width + 1 + length > max {
                out += "\n";
                out += indent;
                width = indent.len();
            } else if !is_first {
                out += " ";
                width += 1;
            }
            out += word;
            width += length;
            is_blank &= word.is_empty();
        }
    }
    out
}

/// Whether the text fits on one line of `max` columns.
pub fn fits(text: &str, max: usize) -> bool {
    columns(text) <= max && !text.contains('\n')
}

/// The number of columns that a text takes in a terminal: two for emoji and the characters of East Asia, and none for
/// marks that are drawn over the character before them.
fn columns(text: &str) -> usize {
    let columns = text.chars().map(|each| match each {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}'
        | '✅'
        | '❌' => 2,
        // This includes U+FE0F, which turns a character of one column into an emoji of two.
        _ => 1,
    });
    columns.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{WIDTH, columns, fits, wrapped};

    #[test]
    fn prose_is_broken_between_words_and_nothing_is_lost() {
        let text = "word ".repeat(60);
        let lines = wrapped(text.trim_end(), "   ", WIDTH);
        assert!(
            lines
                .lines()
                .skip(1)
                .all(|line| line.starts_with("   word")),
            "{lines}"
        );
        assert_eq!(lines.lines().count(), 3, "{lines}");
        let long = "x".repeat(300);
        assert_eq!(wrapped(&long, "  ", WIDTH), long);
        assert_eq!(wrapped("  a b", "   ", WIDTH), "  a b");
        let indented = format!("   {long}");
        assert_eq!(wrapped(&indented, "   ", WIDTH), indented);
    }

    #[test]
    fn emoji_have_two_columns_and_accents_none() {
        for (text, count) in [
            ("❌", 2),
            ("⚠️", 2),
            ("🚀x", 3),
            ("e\u{301}é", 2),
            ("日本", 4),
        ] {
            assert_eq!(columns(text), count, "{text}");
        }
        assert!(fits("❌ a", 4) && !fits("❌ a", 3));
    }

    proptest! {
        #[test]
        fn every_text_fits_into_its_width_and_keeps_its_words(
            text in "([a-zé❌⚠️日`.,=-]{0,12}[ \n]{0,2}){0,60}",
            indent in " {0,6}",
            max in 60_usize..=120,
        ) {
            let lines = wrapped(&text, &indent, max);
            let words = |text: &str| -> Vec<String> {
                text.split_whitespace().map(str::to_owned).collect()
            };
            prop_assert_eq!(words(&lines), words(&text));
            // Spaces at the end of a line and words that are too long remain.
            let is_long = |line: &&str| columns(line.trim_end()) > max && words(line).len() > 1;
            prop_assert_eq!(lines.lines().find(is_long), None);
        }
    }
}
