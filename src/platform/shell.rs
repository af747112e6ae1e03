//! Commands for a POSIX shell.

/// The text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |other: char| other.is_ascii_alphanumeric() || "_-./:@=+,".contains(other);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A command with its words. Lines that would be longer than 120 characters are broken.
pub fn command(name: &str, words: impl IntoIterator<Item = String>) -> String {
    const WIDTH: usize = 120;
    let mut text = name.to_owned();
    for word in words {
        let line = text.rsplit('\n').next().unwrap_or_default();
        let is_full = line.chars().count() + 1 + word.chars().count() > WIDTH;
        text.push_str(if is_full { " \\\n    " } else { " " });
        text.push_str(&word);
    }
    text
}

/// Defines the shell function `ask` before a command that uses it. `ask NAME` reads a secret from the terminal
/// without echo. It works in every POSIX shell (whose `read` has no `-s`), and without a terminal. The answer is
/// piped through `filter`, such as ` | sed s/a/b/`, or printed as it is if `filter` is empty.
pub fn asking(command: &str, filter: &str) -> String {
    if !command.contains("$(ask ") {
        return command.to_owned();
    }
    format!(
        r#"ask() {{ printf '%s: ' "$1" >&2; stty -echo 2>/dev/null; IFS= read -r v; stty echo 2>/dev/null; echo >&2; printf '%s\n' "$v"{filter}; }}
{command}"#
    )
}

/// The text in double quotes, for JSON and YAML alike.
pub fn json(text: &str) -> String {
    serde_json::to_string(text).expect("every text can be written as JSON")
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
        let text = command("set", words.clone());
        assert!(
            text.lines().count() > 1 && text.lines().all(|line| line.len() <= 122),
            "{text}"
        );
        assert_eq!(
            text.replace(" \\\n    ", " "),
            format!("set {}", words.join(" "))
        );
    }
}
