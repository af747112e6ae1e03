//! Words in sentences: lists of names, plurals, the nearest word, and line wrapping.

/// So many names are told; of more, how many.
const SHOWN: usize = 5;

/// `A`, `A and B`, `A, B and C`, `A, B, C, D, E and 7 more`.
pub fn names<T: AsRef<str>>(names: &[T]) -> String {
    let all: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match all.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] if all.len() <= SHOWN => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", all[..SHOWN].join(", "), all.len() - SHOWN),
    }
}

/// `is` for one, `are` for several.
pub fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// The singular's form of a verb for one, the plural's for several.
pub fn verb(count: usize, one: &'static str, several: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

/// The nearest of the known words, for `did you mean`.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Two edits, but never so many that nothing of a short word is left.
    let limit = (word.chars().count() / 2).min(2);
    let distance = |other: &str| strsim::osa_distance(&word.to_lowercase(), &other.to_lowercase());
    known
        .filter(|other| distance(other) <= limit)
        .min_by_key(|other| distance(other))
}

/// `; did you mean X?`, where there is a near word.
pub fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known)
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Logs are 80 to 120 columns wide, in characters.
const WIDTH: usize = 110;

/// Breaks a text between its words; lines from the second on begin with `indent`. A line break in the text
/// stays one.
pub fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
            out.push_str(indent);
        }
        let mut width = if index > 0 { indent.len() } else { 0 };
        let beginning = line.len() - line.trim_start().len();
        out.push_str(&line[..beginning]);
        width += beginning;
        for (position, word) in line[beginning..].split(' ').enumerate() {
            let length = word.chars().count();
            if position > 0 && width + 1 + length > WIDTH {
                out.push('\n');
                out.push_str(indent);
                width = indent.len();
            } else if position > 0 {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += length;
        }
    }
    out
}

/// Whether a text stays within one line.
pub fn fits(text: &str) -> bool {
    text.chars().count() <= WIDTH && !text.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, wrapped};

    #[test]
    fn prose_is_broken_between_words_and_nothing_is_lost() {
        let text = "word ".repeat(60);
        let lines = wrapped(text.trim_end(), "   ");
        assert!(
            lines.lines().all(|line| line.chars().count() <= WIDTH),
            "{lines}"
        );
        assert!(
            lines
                .lines()
                .skip(1)
                .all(|line| line.starts_with("   word")),
            "{lines}"
        );
        assert_eq!(lines.split_whitespace().count(), 60);
        let long = "x".repeat(300);
        assert_eq!(wrapped(&long, "  "), long);
        assert_eq!(wrapped("  a b", "   "), "  a b");
    }
}
