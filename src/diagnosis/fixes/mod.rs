//! Commands that set what is missing, with the names of this service in them, ready to paste.
//!
//! They never hold a value that somebody chose: what the manifest admits alone, a reference, a generator, or a
//! gap such as `<url>`, which counts as a placeholder should it be pasted as it is. Secrets are read from a
//! generator or from the terminal, so that none gets into a shell's history.

mod clouds;
mod env_file;
mod kubernetes;
mod railway;
mod shell;

use std::collections::HashSet;

use super::near::Near;
use super::reference::{self, Reference};
use super::{Cause, CauseCode, Circumstances, Facts};
use crate::manifest::{Generate, GenerateFormat, Variable};
use crate::platform::Platform;
use crate::report::{Code, Finding, Severity};
use crate::rule::Type;

pub use env_file::EnvFileReader;

/// What to paste, and where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fix {
    /// What it is for and where it goes: the beginning of a sentence, without its colon.
    pub title: String,
    /// The variables that it sets.
    pub variables: Vec<String>,
    /// Each may go over several lines.
    pub commands: Vec<String>,
}

/// A variable to set.
struct Wanted {
    name: String,
    is_secret: bool,
    content: Content,
}

/// What is known of the value to set.
enum Content {
    /// The only one that is admitted.
    Fixed(String),
    /// Railway's, without its `${{` and `}}`.
    Reference(String),
    /// The command that prints a new one.
    Generated(String),
    /// A secret that only a person knows.
    Asked,
    /// What it is, such as `url`.
    Gap(String),
}

impl Wanted {
    /// The value where it is told in the open; nothing for what is generated or asked for.
    fn open_value(&self) -> Option<String> {
        match &self.content {
            Content::Fixed(text) => Some(text.clone()),
            Content::Reference(inside) => Some(format!("${{{{{inside}}}}}")),
            Content::Gap(what) => Some(format!("<{what}>")),
            Content::Generated(_) | Content::Asked => None,
        }
    }

    /// `NAME=value` as a word of a shell, for a command that begins with `shell::with_ask`.
    fn word(&self) -> String {
        let name = &self.name;
        match &self.content {
            Content::Generated(generator) => format!("{name}=\"$({generator})\""),
            Content::Asked => format!("{name}=\"$(ask {name})\""),
            _ => shell::quoted(&format!("{name}={}", self.open_value().unwrap_or_default())),
        }
    }
}

/// What is at fault and can be set by a command.
pub fn fixes(facts: &Facts<'_>, near: &Near<'_>, causes: &[Cause]) -> Vec<Fix> {
    let wanted = wanted(facts, near, causes);
    if wanted.is_empty() {
        return Vec::new();
    }
    let place = facts.circumstances.place;
    let fix = match place.map(|place| (place.platform, place)) {
        Some((Platform::Railway, place)) => railway::fix(&wanted, place),
        Some((Platform::Kubernetes, place)) => kubernetes::fix(&wanted, place),
        Some((Platform::Fly, place)) => clouds::fly(&wanted, place),
        Some((Platform::Heroku, place)) => clouds::heroku(&wanted, place),
        Some((Platform::Render, place)) => clouds::render(&wanted, place),
        Some((Platform::CloudRun, place)) => clouds::cloud_run(&wanted, place),
        Some((Platform::Ecs, _)) => clouds::ecs(&wanted),
        None => {
            let Circumstances {
                only_file, reader, ..
            } = facts.circumstances;
            env_file::fix(&wanted, only_file, reader)
        }
    };
    vec![fix]
}

fn wanted(facts: &Facts<'_>, near: &Near<'_>, causes: &[Cause]) -> Vec<Wanted> {
    let is_railway = facts
        .circumstances
        .place
        .is_some_and(|place| place.platform == Platform::Railway);
    let other_names = near.by_name();
    // A file that is empty is mended where it comes from.
    let of_files = causes
        .iter()
        .filter(|cause| cause.code == CauseCode::SecretFile);
    let of_files: HashSet<&str> = of_files
        .flat_map(|cause| &cause.variables)
        .map(String::as_str)
        .collect();
    let mut seen = HashSet::new();
    let mut wanted = Vec::new();
    for finding in &facts.report.findings {
        let name = finding.variable.as_str();
        if finding.severity != Severity::Error || of_files.contains(name) || !seen.insert(name) {
            continue;
        }
        let variable = facts.declared.get(name).copied();
        let content = match other_names.get(name) {
            // Railway can refer to the other name; elsewhere only a person can rename it.
            Some(other) if is_railway => Some(Content::Reference((*other).to_owned())),
            Some(_) => None,
            None => content(finding, variable, facts, is_railway),
        };
        wanted.extend(content.map(|content| Wanted {
            name: name.to_owned(),
            is_secret: variable.is_some_and(|variable| variable.secret),
            content,
        }));
    }
    wanted
}

/// What to set a variable to; none where no command can know.
fn content(
    finding: &Finding,
    variable: Option<&Variable>,
    facts: &Facts<'_>,
    is_railway: bool,
) -> Option<Content> {
    let is_absent = matches!(
        finding.code,
        Code::Missing | Code::Placeholder | Code::UnsetReference
    );
    let Some(variable) = variable else {
        return is_absent.then(|| Content::Gap("value".to_owned()));
    };
    let generated = variable
        .generate
        .map(|generate| Content::Generated(generator(generate)));
    if !is_absent {
        let is_weak = matches!(finding.code, Code::TooShort | Code::SameSecret);
        return generated.filter(|_| is_weak);
    }
    if let [only] = variable.rule.one_of.as_slice() {
        return is_one_line(only).then(|| Content::Fixed(only.clone()));
    }
    let reference = is_railway.then(|| reference_for(variable, facts)).flatten();
    let reference = reference.filter(|reference| is_one_line(reference));
    let content = reference.map(Content::Reference).or(generated);
    Some(content.unwrap_or_else(|| {
        if variable.secret {
            Content::Asked
        } else {
            Content::Gap(gap(variable))
        }
    }))
}

fn generator(generate: Generate) -> String {
    let flag = match generate.format {
        GenerateFormat::Base64 => "-base64",
        GenerateFormat::Hex => "-hex",
    };
    // It breaks its lines: 48 bytes are one of 64 characters.
    let in_one_line = match generate.format {
        GenerateFormat::Base64 if generate.bytes > 48 => " | tr -d '\\n'",
        GenerateFormat::Base64 | GenerateFormat::Hex => "",
    };
    format!("openssl rand {flag} {}{in_one_line}", generate.bytes)
}

/// Whether a text can be pasted: a line break ends a line of a file, and a terminal takes other control
/// characters for keys. YAML has more line breaks, and readers pass over a byte-order mark.
fn is_one_line(text: &str) -> bool {
    let is_break = |other: char| matches!(other, '\u{2028}' | '\u{2029}' | '\u{feff}');
    !text.contains(|other: char| other.is_control() || is_break(other))
}

/// The longest gap that tells what there is to choose from, in bytes.
const MAX_CHOICE: usize = 80;

fn gap(variable: &Variable) -> String {
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
    if variable.rule.list.is_some() {
        format!("{what}s")
    } else {
        what.to_owned()
    }
}

/// The services that Railway's templates make, and their variables with the whole URL.
const TEMPLATES: [(&str, &str, &str); 4] = [
    ("postgres", "Postgres", "DATABASE_URL"),
    ("redis", "Redis", "REDIS_URL"),
    ("mysql", "MySQL", "MYSQL_URL"),
    ("mongodb", "MongoDB", "MONGO_URL"),
];

/// The reference to a database's URL: the manifest's hint knows it, or its scheme tells.
fn reference_for(variable: &Variable, facts: &Facts<'_>) -> Option<String> {
    let hinted = variable.hint.as_deref().and_then(|hint| {
        let (inside, _) = hint.split_once("${{")?.1.split_once("}}")?;
        let (service, name) = inside.trim().split_once('.')?;
        Some((service.to_owned(), name.to_owned()))
    });
    let by_scheme = || {
        let is_of = |prefix: &str| {
            variable
                .rule
                .schemes
                .iter()
                .any(|scheme| scheme.starts_with(prefix))
        };
        let (_, service, name) = TEMPLATES.iter().find(|(prefix, ..)| is_of(prefix))?;
        Some(((*service).to_owned(), (*name).to_owned()))
    };
    let (service, name) = hinted.or_else(by_scheme)?;
    // The service that was asked for in vain is not worth another try.
    let tried = facts
        .environment
        .text(&variable.name)
        .and_then(reference::of);
    let is_tried =
        matches!(tried, Some(Reference::Railway { service: Some(tried), .. }) if tried == service);
    let service = if is_tried {
        "<service>".to_owned()
    } else {
        service
    };
    Some(format!("{service}.{name}"))
}

/// The names, for a fix.
fn names(wanted: &[Wanted]) -> Vec<String> {
    wanted.iter().map(|each| each.name.clone()).collect()
}
