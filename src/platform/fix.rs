//! Text to paste that sets variables: commands for a POSIX shell, or lines of a file.

use super::Place;

/// Commands or lines that set variables.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// The tool or the place to use, without the colon that follows it.
    pub title: String,
    /// The variables that it sets.
    pub variables: Vec<String>,
    /// Each may have several lines.
    pub commands: Vec<String>,
}

impl Fix {
    /// Creates a fix. Its commands may use the shell function `ask`, which is defined here.
    pub fn new(title: impl Into<String>, wanted: &[Wanted], commands: Vec<String>) -> Self {
        let commands = commands.into_iter().map(|each| asking(&each, ""));
        Self {
            title: title.into(),
            variables: wanted.iter().map(|each| each.name.clone()).collect(),
            commands: commands.collect(),
        }
    }
}

/// How to bring values that exist elsewhere: the template of a fix.
#[derive(Debug)]
pub struct Bring {
    pub title: &'static str,
    /// A command that shows which names are set where; empty if an earlier fix has it.
    pub look: &'static str,
    /// A command. `{}` is replaced with the items, and `{part}` with a part of the deployment, such as `{service}`.
    pub set: &'static str,
    /// The text for each variable, in which `NAME` is the name. A comma or a `|` at its end separates the items. Empty if
    /// the command sets nothing.
    pub item: &'static str,
}

impl Bring {
    /// The fix that brings these variables to a place.
    pub fn fix(&self, wanted: &[Wanted], place: Option<&Place>) -> Fix {
        let item = |each: &Wanted| self.item.replace("NAME", &each.name);
        let mut items: Vec<String> = wanted.iter().map(item).collect();
        if self.item.ends_with([',', '|']) {
            items = vec![items.concat().trim_end_matches([',', '|']).to_owned()];
        }
        let commands = [self.look, self.set]
            .into_iter()
            .filter(|text| !text.is_empty());
        let commands = commands.filter_map(|command| filled(command, items.clone(), place));
        // Without an item, the commands only show something.
        let wanted = if self.item.is_empty() { &[] } else { wanted };
        Fix::new(self.title, wanted, commands.collect())
    }
}

/// A command in which `{}` is replaced with the items, as words if a space comes before it, and `{part}` with the name
/// of a part of the deployment. `None` if there are no items.
pub fn filled(template: &str, items: Vec<String>, place: Option<&Place>) -> Option<String> {
    let filled = |text: &str| place.map_or_else(|| text.to_owned(), |place| place.filled(text));
    (!items.is_empty()).then(|| match template.split_once(" {}") {
        Some((before, after)) => command(&filled(before), items) + &filled(after),
        None => filled(&template.replace("{}", &items.concat())),
    })
}

/// A variable to set.
#[derive(Clone)]
pub struct Wanted {
    pub name: String,
    pub is_secret: bool,
    pub content: Content,
}

/// The value to set, as far as it is known.
#[derive(Clone)]
pub enum Content {
    /// The only value that the manifest admits, or a Railway reference.
    Known(String),
    /// A gap for the user to fill in, such as `<url>`.
    Gap(String),
    /// The command that prints a new secret.
    Generated(String),
    /// A secret that the command prompts for.
    Asked,
}

impl Wanted {
    /// The value, if a command may contain it; `None` if it is generated or prompted for.
    pub fn open_value(&self) -> Option<&str> {
        match &self.content {
            Content::Known(text) | Content::Gap(text) => Some(text),
            Content::Generated(_) | Content::Asked => None,
        }
    }

    /// The shell command that prints the value of a secret: its generator, or `ask`, which `Fix::new` defines.
    pub fn source(&self) -> String {
        match &self.content {
            Content::Generated(generator) => generator.clone(),
            _ => format!("ask {}", self.name),
        }
    }

    /// `NAME=value` as one word of a shell command. It may use `ask`, which `Fix::new` defines.
    pub fn word(&self) -> String {
        match self.open_value() {
            Some(value) => quoted(&format!("{}={value}", self.name)),
            None => format!("{}=\"$({})\"", self.name, self.source()),
        }
    }
}

/// Creates a fix with one command that sets all variables. `{}` in it is replaced with `NAME=value` for each.
pub fn set_at_once(title: &str, template: &str, wanted: &[Wanted], place: &Place) -> Fix {
    let words = wanted.iter().map(Wanted::word).collect();
    let command = filled(template, words, Some(place));
    Fix::new(title, wanted, command.into_iter().collect())
}

/// Whether shells accept an assignment to a variable with this name.
pub fn is_shell_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_part) && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// The text as one word of a shell command, in single quotes if necessary.
pub fn quoted(text: &str) -> String {
    let is_plain = |other: char| other.is_ascii_alphanumeric() || "_-./:@=+,".contains(other);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Joins a command and its words. Lines longer than 120 characters are broken between words.
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

/// Prepends the definition of the shell function `ask` to a command that uses it. `ask NAME` reads a secret from the
/// terminal without echo, and prints it. It works in every POSIX shell (`read -s` does not), and without a terminal.
/// The answer is piped through `filter`, such as ` | sed s/a/b/`, or printed unchanged if `filter` is empty.
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
    serde_json::to_string(text).expect("strings can always be serialized")
}

#[cfg(test)]
mod tests {
    use super::{command, quoted};

    #[test]
    fn words_with_special_characters_of_a_shell_are_quoted() {
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
