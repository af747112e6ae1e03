//! Words for a shell.

/// Lines of a command are broken before they get longer, in characters.
const WIDTH: usize = 120;

/// A word that the shell takes as it is.
pub fn quoted(word: &str) -> String {
    let is_plain = |other: char| {
        other.is_ascii_alphanumeric()
            || matches!(other, '_' | '-' | '.' | '/' | ':' | '@' | '=' | '+' | ',')
    };
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Words of one command, with lines broken where they would get too long.
pub fn command(words: &[String]) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in words {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            text.push_str(" \\\n    ");
            width = 4;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text
}

/// The command with `ask` defined before it, where it asks for something: `ask NAME` asks for a secret on the
/// terminal, and shows nothing of what is typed. It is for every POSIX shell (whose `read` has no `-s`), and
/// does without a terminal. `filter` is what the answer is piped through, if anything.
pub fn with_ask(command: String, filter: &str) -> String {
    if !command.contains("$(ask ") {
        return command;
    }
    let pipe = if filter.is_empty() { "" } else { " | " };
    format!(
        r#"ask() {{ printf '%s: ' "$1" >&2; stty -echo 2>/dev/null; IFS= read -r v; stty echo 2>/dev/null; echo >&2; printf '%s\n' "$v"{pipe}{filter}; }}
{command}"#
    )
}

#[cfg(test)]
mod tests {
    use super::{command, quoted};

    #[test]
    fn words_are_quoted_where_a_shell_would_do_something_with_them() {
        for (word, text) in [
            ("backend", "backend"),
            ("my api", "'my api'"),
            ("A=${{Postgres.URL}}", "'A=${{Postgres.URL}}'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$(rm -rf /)", "'$(rm -rf /)'"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }

    #[test]
    fn long_commands_are_broken_between_words() {
        let words: Vec<String> = (0..9)
            .map(|number| format!("A_LONG_NAME_{number}=value"))
            .collect();
        let text = command(&words);
        assert!(
            text.lines().count() > 1 && text.lines().all(|line| line.len() <= 122),
            "{text}"
        );
        assert_eq!(text.replace(" \\\n    ", " "), words.join(" "));
    }
}
