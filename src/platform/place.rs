//! The types that describe a platform, where on it this process runs, and commands that set variables there.

use super::shell::quoted;

/// A platform that starts containers.
#[derive(Debug)]
pub struct Platform {
    /// The stable name, as it stands in reports.
    pub code: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// The variables any of which shows that this platform runs the process, separated by spaces.
    pub marks: &'static str,
    /// The parts of a deployment (`project`, `service`…) and the variables with their names, in the order in
    /// which a sentence lists them.
    pub parts: &'static [(&'static str, &'static str)],
    /// Further parts, which only the JSON report has.
    pub more_parts: &'static [(&'static str, &'static str)],
    /// The names of all variables that it injects, separated by spaces. `*` at the end stands for any text.
    pub injected: &'static str,
    /// Where the variables may be when none of them is set in this container.
    pub elsewhere: &'static str,
    /// Whether containers beside this one listen at the same localhost.
    pub shares_localhost: bool,
    /// Commands, or lines of its own file, that set variables.
    pub fix: fn(&[Wanted], &Place) -> Fix,
}

/// Where this process runs.
#[derive(Clone, Debug)]
pub struct Place {
    pub platform: &'static Platform,
    /// For people: `on Railway: project "x", service "y"`.
    pub description: String,
    /// What the platform calls the parts of a deployment, and their names here: `service`, `replica`…
    pub details: Vec<(&'static str, String)>,
}

impl Place {
    /// The name of a part, such as `service`. None if it has control characters: the name becomes part of
    /// commands, which a line break would end.
    pub fn detail(&self, part: &str) -> Option<&str> {
        let (_, name) = self.details.iter().find(|(known, _)| *known == part)?;
        (!name.contains(char::is_control)).then_some(name)
    }

    /// The name of a part, or the gap `<part>` for a person to fill in.
    pub fn detail_or_gap(&self, part: &str) -> String {
        self.detail(part)
            .map_or_else(|| format!("<{part}>"), str::to_owned)
    }

    /// Whether the platform is this one.
    pub fn is_on(&self, platform: &Platform) -> bool {
        self.platform.code == platform.code
    }
}

/// What to paste, and where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// The tool or place that it is for: the beginning of a sentence, without its colon.
    pub title: String,
    /// The variables that it sets.
    pub variables: Vec<String>,
    /// Each may have several lines.
    pub commands: Vec<String>,
}

impl Fix {
    pub fn new(title: impl Into<String>, wanted: &[Wanted], commands: Vec<String>) -> Self {
        Self {
            title: title.into(),
            variables: wanted.iter().map(|each| each.name.clone()).collect(),
            commands,
        }
    }
}

/// A variable to set.
pub struct Wanted {
    pub name: String,
    pub is_secret: bool,
    pub content: Content,
}

/// What is known of the value to set.
pub enum Content {
    /// The only value that the manifest admits, or a Railway reference to one.
    Known(String),
    /// A word for a value that only a person knows, such as `<url>`.
    Gap(String),
    /// The command that prints a new secret.
    Generated(String),
    /// A secret that only a person knows.
    Asked,
}

impl Wanted {
    /// The value where a command may show it; none for what is generated or asked for.
    pub fn open_value(&self) -> Option<&str> {
        match &self.content {
            Content::Known(text) | Content::Gap(text) => Some(text),
            Content::Generated(_) | Content::Asked => None,
        }
    }

    /// The command that prints the value of a secret: its generator, or `ask`, which `asking` defines.
    pub fn source(&self) -> String {
        match &self.content {
            Content::Generated(generator) => generator.clone(),
            _ => format!("ask {}", self.name),
        }
    }

    /// `NAME=value` as a word of the shell. The command must be passed through `asking`.
    pub fn word(&self) -> String {
        match self.open_value() {
            Some(value) => quoted(&format!("{}={value}", self.name)),
            None => format!("{}=\"$({})\"", self.name, self.source()),
        }
    }
}
