//! Prose in lines of one width, whatever the terminal's: a report is the same in every log.

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
