//! Commands that set what is missing, with the names of this service in them.
//!
//! They never hold a value that somebody chose: only what the manifest admits alone, a reference, a generator, or
//! a gap such as `<url>`, which counts as a placeholder if it is pasted as it is. Secrets are read from a
//! generator or from the terminal, so that no shell's history gets one.

use std::collections::{HashMap, HashSet};

use super::facts::{EnvFileReader, Facts};
use super::scope::Database;
use super::values::Reference;
use crate::manifest::{Generate, GenerateFormat, Variable};
use crate::platform::{Content, Fix, RAILWAY, Wanted, asking, command, quoted};
use crate::report::{Code, Finding};
use crate::rule::Type;

/// The fix for everything that a command can set.
pub fn fixes(facts: &Facts<'_>) -> Vec<Fix> {
    let wanted = wanted(facts);
    if wanted.is_empty() {
        return Vec::new();
    }
    let circumstances = facts.circumstances;
    let fix = match circumstances.place {
        Some(place) => (place.platform.fix)(&wanted, place),
        None => env_file(&wanted, circumstances.only_file, circumstances.reader),
    };
    vec![fix]
}

fn wanted(facts: &Facts<'_>) -> Vec<Wanted> {
    let others = facts.other_names.iter();
    let others: HashMap<&str, &str> = others.map(|pair| (pair.missing, pair.other)).collect();
    let (mut seen, mut wanted) = (HashSet::new(), Vec::new());
    for finding in facts.errors() {
        let name = finding.variable.as_str();
        let variable = facts.declared.get(name).copied();
        // An empty secret file is filled where it comes from.
        let has_file = variable.is_some_and(|variable| facts.has_file(variable));
        let is_of_file = finding.code == Code::Missing && has_file;
        if is_of_file || !seen.insert(name) {
            continue;
        }
        let content = match others.get(name) {
            // Railway can refer to the other name. Elsewhere only a person can rename it.
            Some(other) => facts.is_on(&RAILWAY).then(|| reference(other)),
            None => content(finding, variable, facts),
        };
        wanted.extend(content.map(|content| Wanted {
            name: name.to_owned(),
            is_secret: variable.is_some_and(|variable| variable.secret),
            content,
        }));
    }
    wanted
}

/// What to set a variable to. None where no command can know it.
fn content(finding: &Finding, variable: Option<&Variable>, facts: &Facts<'_>) -> Option<Content> {
    let is_absent = matches!(
        finding.code,
        Code::Missing | Code::Placeholder | Code::UnsetReference
    );
    let Some(variable) = variable else {
        return is_absent.then(|| gap("value"));
    };
    let generated = variable.generate.map(generator);
    if !is_absent {
        let is_weak = matches!(finding.code, Code::TooShort | Code::SameSecret);
        return generated.filter(|_| is_weak);
    }
    if let [only] = variable.rule.one_of.as_slice() {
        return is_one_line(only).then(|| Content::Known(only.clone()));
    }
    let by_hand = || {
        if variable.secret {
            Content::Asked
        } else {
            gap(&what(variable))
        }
    };
    let known = reference_for(variable, facts).filter(|inside| is_one_line(inside));
    let known = known.map(|inside| reference(&inside));
    Some(known.or(generated).unwrap_or_else(by_hand))
}

fn generator(generate: Generate) -> Content {
    let flag = match generate.format {
        GenerateFormat::Base64 => "-base64",
        GenerateFormat::Hex => "-hex",
    };
    // openssl breaks the lines of base64 after 64 characters, which encode 48 bytes.
    let has_lines = generate.format == GenerateFormat::Base64 && generate.bytes > 48;
    let one_line = if has_lines { " | tr -d '\\n'" } else { "" };
    Content::Generated(format!("openssl rand {flag} {}{one_line}", generate.bytes))
}

/// Whether a text can be pasted: a line break ends a line of a file, and a terminal takes other control
/// characters for keys. YAML has further line breaks, and readers skip a byte-order mark.
fn is_one_line(text: &str) -> bool {
    let is_other = |other: char| matches!(other, '\u{2028}' | '\u{2029}' | '\u{feff}');
    !text.contains(|other: char| other.is_control() || is_other(other))
}

fn gap(what: &str) -> Content {
    Content::Gap(format!("<{what}>"))
}

/// A reference that Railway replaces.
fn reference(inside: &str) -> Content {
    Content::Known(format!("${{{{{inside}}}}}"))
}

/// Words for a value that only a person knows.
fn what(variable: &Variable) -> String {
    /// The longest list of values that is shown, in bytes.
    const MAX_CHOICE: usize = 80;
    let choice = variable.rule.one_of.join(" or ");
    let is_part = |other: char| other.is_alphanumeric() || " _-./:+@".contains(other);
    if !choice.is_empty() && choice.len() <= MAX_CHOICE && choice.chars().all(is_part) {
        return choice;
    }
    let what = match variable.rule.value_type {
        Type::String => "value",
        Type::Integer => "whole number",
        Type::Number => "number",
        Type::Boolean => "true or false",
        Type::Port => "port",
        Type::Url => "url",
        Type::Origin => "origin",
        Type::Email => "mailbox",
        Type::Json => "json",
        Type::Path => "path",
        Type::Duration => "duration",
    };
    let plural = if variable.rule.list.is_some() {
        "s"
    } else {
        ""
    };
    format!("{what}{plural}")
}

/// Railway's reference to the URL of a database, which the manifest's hint or the URL's scheme tells.
fn reference_for(variable: &Variable, facts: &Facts<'_>) -> Option<String> {
    if !facts.is_on(&RAILWAY) {
        return None;
    }
    let hinted = variable.hint.as_deref().and_then(|hint| {
        let (inside, _) = hint.split_once("${{")?.1.split_once("}}")?;
        inside.trim().split_once('.')
    });
    let by_scheme = || Database::of(variable).map(|database| database.on_railway);
    let (service, name) = hinted.or_else(by_scheme)?;
    // Railway did not find the service that the value already refers to.
    let value = facts.environment.text(&variable.name);
    let is_tried = matches!(
        value.and_then(Reference::of),
        Some(Reference::Railway { service: Some(tried), .. }) if tried == service
    );
    let service = if is_tried { "<service>" } else { service };
    Some(format!("{service}.{name}"))
}

/// The command that appends the variables to `only_file`, or to a new `.env`.
fn env_file(wanted: &[Wanted], only_file: Option<&str>, reader: EnvFileReader) -> Fix {
    let file = only_file.filter(|name| *name != "-").unwrap_or(".env");
    // An empty line comes first, because the file may end without a line break.
    let lines = wanted.iter().map(|each| line(each, reader));
    let words = lines.chain([format!(">> {}", quoted(file))]);
    let command = command("printf '%s\\n' ''", words);
    let title = if only_file.is_some() {
        format!("add to {}", file.escape_debug())
    } else if wanted.iter().all(is_plain) {
        format!(
            "write {file}, and name it as env_file in compose, with --env-file for docker run or check"
        )
    } else {
        format!(
            "write {file}, and name it as env_file in compose or with --env-file for check (docker run keeps the quotes)"
        )
    };
    Fix::new(title, wanted, vec![asking(&command, reader.filter())])
}

/// A line of the file as a word of the shell.
fn line(wanted: &Wanted, reader: EnvFileReader) -> String {
    match wanted.open_value() {
        None => wanted.word(),
        Some(value) => quoted(&format!("{}={}", wanted.name, reader.written(value))),
    }
}

/// Whether all readers understand the line in the same way.
fn is_plain(wanted: &Wanted) -> bool {
    match &wanted.content {
        Content::Asked => false,
        Content::Generated(_) => true,
        _ => is_plain_value(wanted.open_value().unwrap_or_default()),
    }
}

fn is_plain_value(value: &str) -> bool {
    value.trim() == value && !value.contains(['$', '\\', '"', '\'', '#'])
}

impl EnvFileReader {
    /// The value as it must be written to be read unchanged. It has no control characters.
    fn written(self, value: &str) -> String {
        if self == EnvFileReader::Raw || is_plain_value(value) {
            return value.to_owned();
        }
        let mut escaped = String::new();
        for character in value.chars() {
            let is_escaped = matches!(character, '"' | '\\')
                || character == '$' && self == EnvFileReader::Compose;
            escaped.extend(is_escaped.then_some('\\'));
            escaped.push(character);
        }
        if self == EnvFileReader::PythonDotenv {
            // python-dotenv has no escape for `${`. So it becomes the default of a variable without a name, which
            // cannot be set.
            escaped = escaped.replace("${", "${:-${}");
        }
        format!("\"{escaped}\"")
    }

    /// The shell's counterpart of `written`, as `asking` takes it, for a value that only the shell gets.
    fn filter(self) -> &'static str {
        match self {
            EnvFileReader::Compose => r#" | sed 's/["$\\]/\\&/g; s/^/"/; s/$/"/'"#,
            EnvFileReader::PythonDotenv => {
                r#" | sed 's/["\\]/\\&/g; s/[$]{/${:-${}/g; s/^/"/; s/$/"/'"#
            }
            EnvFileReader::Raw => "",
        }
    }
}
