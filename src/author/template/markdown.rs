//! The template as a table in Markdown (GitHub's dialect).

use super::words;
use crate::manifest::{Level, Manifest, Variable};

/// The levels in the order of the table.
const LEVELS: [Level; 3] = [Level::Critical, Level::Required, Level::Optional];

/// The longest default that is shown, in bytes.
const MAX_VALUE: usize = 200;

/// The manifest's variables as a table.
pub fn template(manifest: &Manifest) -> String {
    let mut table = "| variable | level | rule | default | description |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for level in LEVELS {
        let variables = manifest.variables.iter();
        for variable in variables.filter(|each| words::level(each) == level) {
            let cells = [
                code(&variable.name),
                escaped(&words::level_with_conditions(variable, manifest)),
                escaped(&words::rule(variable)),
                default(variable),
                description(variable),
            ];
            table += &format!("| {} |\n", cells.join(" | "));
        }
    }
    table
}

fn default(variable: &Variable) -> String {
    match &variable.default {
        None => match words::parts(variable) {
            Some(parts) => escaped(&format!("composed of {parts}")),
            None => String::new(),
        },
        Some(default) if variable.secret || default.len() > MAX_VALUE => {
            "in the manifest".to_owned()
        }
        Some(default) => code(default),
    }
}

/// The description, the hint, the example, the link to the documentation, and how to get a value.
fn description(variable: &Variable) -> String {
    let texts = [&variable.description, &variable.hint]
        .into_iter()
        .flatten();
    let mut sentences: Vec<String> = texts.map(|text| escaped(&sentence(text))).collect();
    let example = variable.example.as_ref();
    let example = example.filter(|text| !variable.secret && text.len() <= MAX_VALUE);
    sentences.extend(example.map(|text| format!("Example: {}.", code(text))));
    sentences.extend(
        variable
            .docs
            .as_ref()
            .map(|docs| format!("See {}.", link(docs))),
    );
    if variable.shared {
        sentences.push("Other services have the same value.".to_owned());
    } else if variable.generate.is_some() {
        let command = format!("startup-guard generate {}", variable.name);
        sentences.push(format!("Generate one: {}.", code(&command)));
    }
    sentences.join(" ")
}

/// The text with a full stop, if it ends with a letter or digit.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let is_open = text.ends_with(char::is_alphanumeric);
    format!("{text}{}", if is_open { "." } else { "" })
}

/// The text as code, or escaped if code cannot contain it in a table.
fn code(text: &str) -> String {
    let is_outside = |other: char| other.is_control() || matches!(other, '`' | '|');
    if text.contains(is_outside) || text.trim() != text || text.is_empty() {
        escaped(text)
    } else {
        format!("`{text}`")
    }
}

/// The address as a link, or escaped if it is none.
fn link(text: &str) -> String {
    let is_outside =
        |other: char| other.is_whitespace() || other.is_control() || "<>|\\".contains(other);
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    if is_address && !text.contains(is_outside) {
        format!("<{text}>")
    } else {
        escaped(text)
    }
}

/// The text on one line, with every character escaped that would format it or end the cell.
fn escaped(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|other: char| other.is_whitespace() || other.is_control())
        .collect();
    let words = words.into_iter().filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut escaped = String::with_capacity(line.len());
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        // An underscore within a word has no meaning.
        let is_inside = character == '_'
            && before.is_alphanumeric()
            && line[at + 1..].starts_with(char::is_alphanumeric);
        if "\\`*_[]<>|~$&".contains(character) && !is_inside {
            escaped.push('\\');
        }
        escaped.push(character);
        before = character;
    }
    escaped
}
