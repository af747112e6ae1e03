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

/// The width of a line, in characters. Logs are shown in 80 to 120 columns.
const WIDTH: usize = 110;

/// Breaks lines longer than `WIDTH` between words. Each line except the first begins with `indent`. Existing line
/// breaks are kept.
pub fn wrapped(text: &str, indent: &str) -> String {
    wrapped_at(text, indent, WIDTH)
}

/// Like `wrapped`, for lines of at most `max` characters.
pub fn wrapped_at(text: &str, indent: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut width = 0;
    for (index, line) in text.lines().enumerate() {
        for (position, word) in line.split(' ').enumerate() {
            let length = word.chars().count();
            let is_first = position == 0;
            if is_first && index > 0 || !is_first && width + 1 + length > max {
                out += "\n";
                out += indent;
                width = indent.len();
            } else if !is_first {
                out += " ";
                width += 1;
            }
            out += word;
            width += length;
        }
    }
    out
}

/// Whether the text fits on one line.
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
