//! Commands that set what is missing, with the names of this service in them.
//!
//! They never hold a value that somebody chose: only what the manifest admits alone, a reference, a generator, or
//! a gap such as `<url>`, which counts as a placeholder if it is pasted as it is. Secrets are read from a
//! generator or from the terminal, so that no shell's history gets one.

use std::collections::{HashMap, HashSet};

use super::Facts;
use super::scope::Database;
use super::values::Reference;
use crate::dotenv::{Dialect, is_plain_value};
use crate::manifest::Variable;
use crate::platform::{Content, Fix, RAILWAY, Wanted, asking, command, quoted};
use crate::report::{Code, Finding};
use crate::rule::Type;

/// The fix for everything that a command can set; `None` if there is no such thing.
pub fn fix(facts: &Facts<'_>) -> Option<Fix> {
    let wanted = wanted(facts);
    let circumstances = facts.circumstances;
    (!wanted.is_empty()).then(|| match circumstances.place {
        Some(place) => (place.platform.fix)(&wanted, place),
        None => env_file(&wanted, circumstances.only_file, circumstances.reader),
    })
}

fn wanted(facts: &Facts<'_>) -> Vec<Wanted> {
    let others = facts.other_names.iter();
    let others: HashMap<&str, &str> = others.map(|pair| (pair.missing, pair.other)).collect();
    let (mut seen, mut wanted) = (HashSet::new(), Vec::new());
    for finding in facts.errors() {
        let name = finding.variable.as_str();
        let variable = facts.declared.get(name).copied();
        // A secret file that is empty must be filled by what mounts it.
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

/// What to set a variable to; `None` if no command can know it.
fn content(finding: &Finding, variable: Option<&Variable>, facts: &Facts<'_>) -> Option<Content> {
    let is_absent = matches!(
        finding.code,
        Code::Missing | Code::Placeholder | Code::UnsetReference
    );
    let Some(variable) = variable else {
        return is_absent.then(|| gap("value"));
    };
    let generated = variable
        .generate
        .map(|how| Content::Generated(how.command()));
    if !is_absent {
        let is_weak = matches!(finding.code, Code::TooShort | Code::SameSecret);
        return generated.filter(|_| is_weak);
    }
    if let [only] = variable.rule.one_of.as_slice() {
        return is_one_line(only).then(|| Content::Known(only.clone()));
    }
    let known = reference_for(variable, facts).filter(|inside| is_one_line(inside));
    let known = known.map(|inside| reference(&inside));
    Some(match known.or(generated) {
        Some(content) => content,
        None if variable.secret => Content::Asked,
        None => gap(&what(variable)),
    })
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
fn env_file(wanted: &[Wanted], only_file: Option<&str>, reader: Dialect) -> Fix {
    let file = only_file.filter(|name| *name != "-").unwrap_or(".env");
    // An empty line comes first, because the file may end without a line break.
    let lines = wanted.iter().map(|each| line(each, reader));
    let words = lines.chain([format!(">> {}", quoted(file))]);
    let command = command("printf '%s\\n' ''", words);
    let readers = if wanted.iter().all(is_plain) {
        ", with --env-file for docker run or check"
    } else {
        " or with --env-file for check (docker run keeps the quotes)"
    };
    let title = match only_file {
        Some(_) => format!("add to {}", file.escape_debug()),
        None => format!("write {file}, and name it as env_file in compose{readers}"),
    };
    Fix {
        commands: vec![asking(&command, reader.shell_filter())],
        ..Fix::new(title, wanted, Vec::new())
    }
}

/// A line of the file as a word of the shell.
fn line(wanted: &Wanted, reader: Dialect) -> String {
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
