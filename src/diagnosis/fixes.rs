//! Commands that set the missing variables on the service's platform.
//!
//! They never contain a value from the environment, only the single value that the manifest admits, a reference, a
//! generator, or a gap such as `<url>`. A gap that is pasted unchanged is a placeholder in the next check. Secrets come
//! from a generator or from the terminal, so that they do not enter the shell's history.

use std::collections::{HashMap, HashSet};

use super::Facts;
use super::scope::Database;
use super::values::Reference;
use crate::dotenv::{Dialect, is_plain_value};
use crate::manifest::Variable;
use crate::platform::{Content, Fix, RAILWAY, Wanted, asking, command, quoted};
use crate::report::{Code, Finding};
use crate::rule::Type;

/// The fix for all variables that a command can set; `None` if there are none.
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
        let Some(name) = finding.variable() else {
            continue;
        };
        let variable = facts.declared.get(name).copied();
        // An empty secret file must be fixed where it is created.
        let has_file = variable.is_some_and(|variable| facts.has_file(variable));
        let is_of_file = finding.code == Code::Missing && has_file;
        if is_of_file || !seen.insert(name) {
            continue;
        }
        let content = match others.get(name) {
            // On Railway the variable can refer to the other name. Elsewhere the user must rename it.
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

/// The value that a command sets a variable to; `None` if the user must correct the value by hand.
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

/// Whether a text can be pasted. A line break would end a line of a file, and a terminal interprets other control
/// characters as keys. U+2028 and U+2029 are line breaks in YAML, and parsers skip the byte-order mark U+FEFF.
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

/// The description of a value in a gap, such as `url` in `<url>`.
fn what(variable: &Variable) -> String {
    /// The longest list of values that is shown, in bytes.
    const MAX_CHOICE: usize = 80;
    let choice = variable.rule.one_of.join(" or ");
    let is_part = |other: char| other.is_alphanumeric() || " _-./:+@".contains(other);
    if !choice.is_empty() && choice.len() <= MAX_CHOICE && choice.chars().all(is_part) {
        return choice;
    }
    let is_type = |(_, value_type): &&(_, Type)| *value_type == variable.rule.value_type;
    let what = match Type::NAMES.iter().find(is_type) {
        Some((_, Type::String)) | None => "value",
        Some((name, _)) => name,
    };
    let plural = variable.rule.list.map_or("", |_| "s");
    format!("{what}{plural}")
}

/// The inside of a Railway reference, such as `Postgres.DATABASE_URL`, from the manifest's hint or the schemes of the
/// URL.
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
    // If the value already refers to this service, Railway did not find it.
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
    // An empty line comes first, because the file may not end with a line break.
    let lines = wanted.iter().map(|each| match each.open_value() {
        None => each.word(),
        Some(value) => quoted(&format!("{}={}", each.name, reader.written(value))),
    });
    let words = lines.chain([format!(">> {}", quoted(file))]);
    let command = command("printf '%s\\n' ''", words);
    // All dialects read a generated value unchanged.
    let is_plain = |each: &Wanted| match each.open_value() {
        None => !matches!(each.content, Content::Asked),
        Some(value) => is_plain_value(value),
    };
    let readers = if wanted.iter().all(is_plain) {
        " or with --env-file for docker run or check"
    } else {
        " or with --env-file for check (docker run keeps the quotes)"
    };
    let title = match only_file {
        Some(_) => format!("append to {}", file.escape_debug()),
        None => format!("append to {file}, and use it as env_file in compose{readers}"),
    };
    Fix {
        commands: vec![asking(&command, reader.shell_filter())],
        ..Fix::new(title, wanted, Vec::new())
    }
}
