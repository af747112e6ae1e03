//! Commands that set the missing variables on the service's platform.
//!
//! They never contain a value from the environment, only the single value that the manifest admits, a reference, a
//! generator, or a gap such as `<url>`. A gap that is pasted unchanged is a placeholder in the next check. Secrets come
//! from a generator or from the terminal, so that they do not enter the shell's history.

use std::collections::{HashMap, HashSet};

use super::scope::{Database, is_service_of_database};
use super::values::Reference;
use super::{FILE_NOT_READ, Facts, SEALED, SET_ELSEWHERE, UNRESOLVED};
use crate::dotenv::{Dialect, is_plain_value};
use crate::manifest::Variable;
use crate::platform::{
    Bring, Content, Fix, KUBERNETES, RAILWAY, Wanted, asking, command, in_pod_spec, is_shell_name,
    quoted, service_of,
};
use crate::report::{Code, Finding};
use crate::rule::Type;

/// The ways to find and use a file that has the variables.
const OTHER_FILE: [Bring; 1] = [Bring {
    title: "find the file that has them, and use it as env_file in compose or with --env-file; or copy them from it",
    look: "grep -lsE '^({})=' .env* */.env* ../*/.env*",
    set: "grep -E '^({})=' '<other file>' >>.env",
    item: "NAME|",
}];

/// The ways to find the right file for `--only-file`.
const RIGHT_FILE: [Bring; 1] = [Bring {
    title: "find the file that has them, and check that one",
    set: "startup-guard check --only-file --env-file '<other file>'",
    ..OTHER_FILE[0]
}];

/// The ways to set the variables, best first.
pub fn fixes(facts: &Facts<'_>) -> Vec<Fix> {
    if is_service_of_database(facts) {
        // The variables belong to another service, so they must not be set here.
        return Vec::new();
    }
    let given = facts.circumstances;
    let (place, only_file, beside) = (given.place, given.only_file, given.beside);
    // What `.env` already sets is not appended to it.
    let file = beside.and_then(|file| file.as_ref().ok());
    let is_beside = |each: &Wanted| file.is_some_and(|file| file.get(&each.name).is_some());
    let (mut usable, mut wanted): (Vec<Wanted>, Vec<Wanted>) =
        wanted(facts).into_iter().partition(is_beside);
    // In a run an empty variable of the process takes precedence over the file.
    let is_open = |name: &str| match facts.environment.get(name) {
        Some(own) => given.subcommand == "check" && own.is_empty(),
        None => true,
    };
    usable.retain(|Wanted { name, .. }| is_open(name) && facts.admits(name, facts.beside(name)));
    let mut fixes = Vec::new();
    if !usable.is_empty() {
        let is_missing = |finding: &&Finding| finding.code == Code::Missing;
        let which = match (usable.len(), facts.errors().filter(is_missing).count()) {
            (some, all) if some < all => format!("{some} of the {all}"),
            (1, _) => "it".to_owned(),
            _ => "them".to_owned(),
        };
        let title = format!(
            "read {which} from that file (in compose, write `env_file: .env` under the service; with docker run, add `--env-file .env`)"
        );
        let command = format!("startup-guard {} --env-file .env", given.subcommand);
        fixes.push(Fix::new(title, &usable, vec![command]));
    }
    // No command of a platform takes other names, but files can have them.
    let is_command = |each: &Wanted| place.is_none() || is_shell_name(&each.name);
    let others: Vec<Wanted> = wanted.extract_if(.., |each| !is_command(each)).collect();
    if facts.is_on(&KUBERNETES) && !others.is_empty() {
        fixes.push(in_pod_spec(&others));
    }
    // In a run what the process itself sets, even to an empty text, takes precedence over its files.
    if place.is_none() && given.file_of_run.is_some() {
        wanted.retain(|Wanted { name, .. }| {
            let is_of_file =
                |each: &Finding| each.variable() == Some(name) && each.source.is_some();
            facts.environment.get(name).is_none() || facts.errors().any(is_of_file)
        });
    }
    // Lines that are appended to a file with a fault have no effect.
    if wanted.is_empty() || beside.is_some_and(Result::is_err) {
        return fixes;
    }
    let is_cause = |cause| facts.explained.values().any(|code| *code == cause);
    let is_elsewhere = is_cause(SET_ELSEWHERE);
    // The value of a shared variable is certainly set on another service, too.
    let is_shared = |name: &str| facts.declared.get(name).is_some_and(|each| each.shared);
    let mut exist = wanted.clone();
    exist.retain(|each| is_elsewhere || is_shared(&each.name));
    let ways = match place {
        _ if exist.is_empty() => &[],
        Some(place) => place.platform.bring,
        None if only_file.is_some() => &RIGHT_FILE,
        None => &OTHER_FILE,
    };
    fixes.extend(ways.iter().map(|way| way.fix(&exist, place)));
    let mut new = match place {
        Some(place) => (place.platform.fix)(&wanted, place),
        None => env_file(&wanted, only_file.or(given.file_of_run), given.reader),
    };
    // `railway variables` does not print sealed variables, so they are probably set.
    if is_elsewhere || only_file.is_some() && is_cause(SEALED) {
        let first = "only for a first deployment, with new values: ";
        new.title.insert_str(0, first);
    }
    fixes.push(new);
    fixes
}

fn wanted<'a>(facts: &Facts<'a>) -> Vec<Wanted> {
    let others = facts.other_names.iter();
    let others: HashMap<&str, &str> = others.map(|pair| (pair.missing, pair.other)).collect();
    let (mut seen, mut wanted) = (HashSet::new(), Vec::new());
    let named = |each: &'a Finding| Some((each, each.variable()?));
    for (finding, name) in facts.errors().filter_map(named) {
        // Of several variables of which one must be set, the one that is set under another name, or in a `.env`.
        let is_near = |name: &&str| others.contains_key(name) || facts.beside(name).is_some();
        let name = finding.variables().find(is_near).unwrap_or(name);
        let variable = facts.declared.get(name).copied();
        // An empty file must be fixed where it is created, and the manifest where a file is not read.
        let is_unread = facts.explained.get(name) == Some(&FILE_NOT_READ);
        let has_file = variable.is_some_and(|variable| facts.has_file(variable)) || is_unread;
        let is_of_file = finding.code == Code::Missing && has_file;
        if is_of_file || !seen.insert(name) {
            continue;
        }
        let content = match others.get(name) {
            // On Railway the variable can refer to the other name. Elsewhere the user must rename it.
            Some(other) => {
                let is_right = facts.admits(name, facts.environment.text(other));
                (is_right && facts.is_on(&RAILWAY)).then(|| Content::Known(reference(other)))
            }
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
    let absent = [Code::Missing, Code::Placeholder, Code::UnsetReference];
    let is_absent = absent.contains(&finding.code);
    let Some(variable) = variable else {
        return is_absent.then(|| gap("value"));
    };
    // A reference says that the value exists, so a new one would be another.
    let is_reference = facts.explained.get(variable.name.as_str()) == Some(&UNRESOLVED);
    let generator = variable.generator().filter(|_| !is_reference);
    let generated = generator.map(Content::Generated);
    // A value of the service itself replaces the link to another service.
    if !is_absent && service_of(&variable.name, facts.environment).is_none() {
        let is_weak = matches!(finding.code, Code::TooShort | Code::SameSecret);
        return generated.filter(|_| is_weak);
    }
    if let [only] = variable.rule.one_of.as_slice()
        && variable.rule.list.is_none()
    {
        let is_right = is_one_line(only) && variable.admits(only);
        return is_right.then(|| Content::Known(only.clone()));
    }
    let known = reference_for(variable, facts).filter(|text| is_one_line(text));
    Some(match known.map(Content::Known).or(generated) {
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
fn reference(inside: &str) -> String {
    format!("${{{{{inside}}}}}")
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

/// A Railway reference, such as `${{Postgres.DATABASE_URL}}`, from the manifest's hint or the schemes of the URL.
fn reference_for(variable: &Variable, facts: &Facts<'_>) -> Option<String> {
    if !facts.is_on(&RAILWAY) {
        return None;
    }
    let hinted = variable.hint.as_deref().and_then(|hint| {
        let (inside, _) = hint.split_once("${{")?.1.split_once("}}")?;
        inside.trim().split_once('.')
    });
    let database = Database::of(variable);
    let by_scheme = || database.map(|database| database.on_railway);
    let (service, name) = hinted.or_else(by_scheme)?;
    // If the value already refers to this service, Railway did not find it.
    let value = facts.environment.text(&variable.name);
    let is_tried = value.and_then(Reference::of) == Some(Reference::Railway(Some(service)));
    let service = if is_tried { "<service>" } else { service };
    match database.filter(|database| database.on_railway.1 == name) {
        Some(database) => database.referred(service, variable),
        None => Some(reference(&format!("{service}.{name}"))),
    }
}

/// The command that appends the variables to the file that was read, or to a new `.env`.
fn env_file(wanted: &[Wanted], read: Option<&str>, reader: Dialect) -> Fix {
    const TO_ENV_FILE: &str =
        "append to .env, and use it as env_file in compose or with --env-file";
    let file = read.filter(|name| *name != "-").unwrap_or(".env");
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
    let title = match read {
        Some(_) => format!("append to {}", file.escape_debug()),
        None if wanted.iter().all(is_plain) => {
            TO_ENV_FILE.to_owned() + " of run, check or docker run"
        }
        None => TO_ENV_FILE.to_owned() + " of run or check (docker run keeps the quotes)",
    };
    Fix {
        commands: vec![asking(&command, reader.shell_filter())],
        ..Fix::new(title, wanted, Vec::new())
    }
}
