//! Writes the new manifest.

use std::net::Ipv4Addr;

use super::draft::{Draft, Drafts, Group};
use super::parts;
use super::start::{Command, Start};
use crate::rule::{List, Type};
use crate::text::names;

/// The first lines. The schema is a file beside the manifest, because it then fits the installed program and needs no
/// network.
const HEAD: &str = "\
# yaml-language-server: $schema=./required-vars.schema.json
# A first manifest by `startup-guard init`. Correct what the code does not tell: levels, rules and descriptions.
# Make the schema of the first line, with which editors check this file: startup-guard schema > required-vars.schema.json
version: 1
";

/// The lines in place of a server that was not found.
const NO_SERVER: &str = "
# The command of the server was not found. Fill it in here, or write it after `startup-guard run --`.
# server:
#   command: [uvicorn, app.main:app, --host, 0.0.0.0, --port, \"${PORT:-8000}\"]
";

/// The line before a server that cannot be read for certain.
const UNCERTAIN: &str = "
# The command of the server needs more than is written here. Complete it, and remove the signs of the comments.
";

/// The lines before several processes.
const PROCESSES: &str = "\
# Each container chooses its process with STARTUP_GUARD_PROCESS or --process. What only some of them need can be limited
# to them: `processes: [web]`.
";

/// Words that YAML does not read as texts.
const NO_TEXTS: [&str; 10] = [
    "y", "n", "true", "false", "null", "yes", "no", "on", "off", "~",
];

/// What the service runs and has.
pub struct Service<'a> {
    pub drafts: &'a Drafts,
    /// The template of the database's URL, if that is composed of other variables.
    pub url: Option<&'a str>,
    pub start: &'a Start,
    /// Whether alembic's configuration is in the folder.
    pub has_alembic: bool,
    /// Whether Python code was found.
    pub has_code: bool,
}

/// The manifest as a text.
pub fn manifest(service: &Service<'_>) -> String {
    let composed = service.url.map(|_| parts::NAME);
    let database = database(&service.drafts.variables).or(composed);
    let mut text = HEAD.to_owned();
    text += &variables(service);
    if let Some(database) = database {
        text += &format!("\nwait_for:\n  - postgres: {}\n", scalar(database));
    }
    text += &steps(service, database);
    text += &server(service.start);
    text
}

/// The variable that holds the URL of the service's `PostgreSQL` database: the only one, or `DATABASE_URL`.
fn database(variables: &[Draft]) -> Option<&str> {
    let found = variables.iter().filter(|draft| draft.is_postgres);
    let found: Vec<&str> = found.map(|draft| draft.name.as_str()).collect();
    let main = found.iter().find(|name| **name == "DATABASE_URL");
    let only = found.first().filter(|_| found.len() == 1);
    // A build without the client refuses its keys.
    main.or(only)
        .copied()
        .filter(|_| cfg!(feature = "postgres"))
}

fn variables(service: &Service<'_>) -> String {
    let groups = [
        (
            Group::Required,
            "Required: the code does not work without them.",
        ),
        (
            Group::Optional,
            "Optional: the code has a default, or works without them.",
        ),
        (
            Group::Listed,
            "Optional: they are only listed, and no code that was read here reads them.",
        ),
    ];
    let mut text = "\nvariables:\n".to_owned();
    for (group, title) in groups {
        let title = if service.has_code {
            title
        } else {
            "Required: they are listed, and there is no Python code that shows which of them are optional."
        };
        let drafts = service.drafts.variables.iter();
        let drafts: Vec<String> = drafts
            .filter(|draft| draft.group == group)
            .map(variable)
            .collect();
        if !drafts.is_empty() {
            text += &format!("  # {title}\n{}", drafts.concat());
        }
    }
    if let Some(url) = service.url {
        text += &format!(
            "  # Composed of its parts for the wait and the lock below: no code reads it.\n  {}:\n    type: url\n    secret: true\n    value: {}\n",
            parts::NAME,
            scalar(url)
        );
    }
    if !service.drafts.injected.is_empty() {
        text += &format!(
            "  # Left out, because a platform, an image or Python has them: {}.\n",
            comment(&service.drafts.injected.join(", "))
        );
    }
    text
}

fn variable(draft: &Draft) -> String {
    let name = |known: &[(&'static str, Type)]| {
        let mut known = known.iter().filter(|(_, value)| *value == draft.value_type);
        known.next().map_or("string", |(name, _)| *name)
    };
    let mut keys = Vec::new();
    if draft.group != Group::Required {
        keys.push("level: optional".to_owned());
    }
    if draft.value_type != Type::String {
        keys.push(format!("type: {}", name(&Type::NAMES)));
    }
    match draft.list {
        Some(List::Csv) => keys.push("list: csv".to_owned()),
        Some(List::Json) => keys.push("list: json".to_owned()),
        Some(List::Space) => keys.push("list: space".to_owned()),
        None => {}
    }
    if draft.is_secret {
        keys.push("secret: true".to_owned());
    }
    if draft.excludes_file {
        keys.push("file: false".to_owned());
    }
    if draft.is_generated {
        keys.push("generate: {bytes: 32, format: base64}".to_owned());
    }
    let texts = [
        ("description", &draft.description),
        ("example", &draft.example),
    ];
    for (key, text) in texts {
        keys.extend(text.as_ref().map(|text| format!("{key}: {}", scalar(text))));
    }
    let place = comment(&names(&draft.places));
    let name = scalar(&draft.name);
    if keys.is_empty() {
        format!("  {name}: {{}}  # {place}\n")
    } else {
        format!("  {name}:  # {place}\n    {}\n", keys.join("\n    "))
    }
}

fn steps(service: &Service<'_>, database: Option<&str>) -> String {
    let start = service.start;
    let is_certain = start.doubts.is_empty();
    let mut commands: Vec<&Command> = start.before.iter().filter(|_| is_certain).collect();
    let alembic = Command {
        words: ["alembic", "upgrade", "head"].map(str::to_owned).to_vec(),
        place: "alembic.ini".to_owned(),
    };
    if service.has_alembic && !commands.iter().any(|command| command.is_alembic()) {
        commands.insert(0, &alembic);
    }
    let mut used = Vec::new();
    let mut text = String::new();
    for command in commands {
        let mut name = command.step();
        for number in 2.. {
            if !used.contains(&name) {
                break;
            }
            name = format!("{}-{number}", command.step());
        }
        text += &format!(
            "  - name: {}  # {}\n    command: {}\n",
            scalar(&name),
            comment(&command.place),
            list(&command.words)
        );
        used.push(name);
        if let Some(database) = database.map(scalar).filter(|_| command.is_migration()) {
            if command.is_alembic() {
                text += &format!("    up_to_date: {{alembic: {database}}}\n");
            }
            text += &format!("    lock: {{postgres: {database}}}\n");
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\nsteps:\n{text}")
    }
}

fn server(start: &Start) -> String {
    let mut doubts = String::new();
    for doubt in &start.doubts {
        doubts += &format!("# {}.\n", comment(doubt));
    }
    let Some(server) = &start.server else {
        let gap = if doubts.is_empty() { "" } else { "\n" };
        return format!("{gap}{doubts}{NO_SERVER}");
    };
    let words = list(&server.words);
    let place = comment(&server.place);
    if doubts.is_empty() && start.others.is_empty() {
        return format!("\nserver:\n  command: {words}  # {place}\n");
    }
    if doubts.is_empty() {
        let mut text =
            format!("\n{PROCESSES}processes:\n  web:\n    command: {words}  # {place}\n");
        for (name, found) in &start.others {
            let name = scalar(name);
            text += &match found {
                Ok(Command { words, place }) => {
                    let (words, place) = (list(words), comment(place));
                    format!("  {name}:\n    command: {words}  # {place}\n")
                }
                Err(doubt) => format!("  {name}: {{}}  # {}; write its command\n", comment(doubt)),
            };
        }
        return text;
    }
    for command in &start.before {
        doubts += &format!("# It is preceded by: {}\n", list(&command.words));
    }
    format!("{UNCERTAIN}{doubts}# server:\n#   command: {words}  # {place}\n")
}

/// A list of words in YAML.
fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| scalar(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A text as a scalar of YAML, in double quotes unless every parser reads it unchanged without them.
fn scalar(text: &str) -> String {
    let is_plain = |other: char| other.is_ascii_alphanumeric() || "_./@+-".contains(other);
    // Words such as `app.main:app`, and prose.
    let is_inner = |other: char| is_plain(other) || other == ':' || other == ' ';
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(is_inner)
        && text.ends_with(is_plain)
        && !text.contains(": ");
    let is_option = text.starts_with("--")
        && text[2..].starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_plain);
    let is_other = NO_TEXTS.contains(&text.to_ascii_lowercase().as_str());
    let is_address = text.parse::<Ipv4Addr>().is_ok();
    if (is_word || is_option || is_address) && !is_other {
        text.to_owned()
    } else {
        serde_json::to_string(text).expect("strings can always be serialized")
    }
}

/// A text for a comment, without control characters.
fn comment(text: &str) -> String {
    text.replace(
        |other: char| other.is_control() || matches!(other, '\u{2028}' | '\u{2029}'),
        "\u{fffd}",
    )
}
