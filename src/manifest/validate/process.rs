//! What the keys of a step and of the server mean together.

use std::time::Duration;

use super::{Declared, dependency, one_line};
use crate::manifest::fault::{Fault, Path};
use crate::manifest::raw::{RawServer, RawStep, Span, Text};
use crate::manifest::template::Template;
use crate::manifest::{Server, Step};

/// How long a step may take to end after its stop signal, where it does not say.
const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(8);

/// A text that is printed: no secret may be in it.
pub fn announcement(
    text: Option<Text>,
    path: &Path,
    declared: &Declared<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let template = Template::parse(&text?.0);
    for (name, _) in template.references() {
        if declared.get(name).is_some_and(|variable| variable.secret) {
            let message = format!("`{name}` is a secret, and announcements are printed; remove it");
            faults.push(Fault::at(path.clone(), message));
        }
    }
    Some(template)
}

fn command(words: &[String], path: &Path, faults: &mut Vec<Fault>) -> Vec<Template> {
    match words.first() {
        None => faults.push(Fault::at(
            path.clone(),
            "is empty; write it as a list such as [alembic, upgrade, head]",
        )),
        Some(program) if program.trim().is_empty() => {
            faults.push(Fault::at(
                path.clone(),
                "its first word, the program, is empty",
            ));
        }
        Some(_) => {}
    }
    if words.iter().any(|word| word.contains('\0')) {
        faults.push(Fault::at(
            path.clone(),
            "has a NUL character in it, which no argument can have",
        ));
    }
    words.iter().map(|word| Template::parse(word)).collect()
}

/// Judges the steps, each and together.
pub fn steps(raw: Vec<RawStep>, declared: &Declared<'_>, faults: &mut Vec<Fault>) -> Vec<Step> {
    let root = Path::default().key("steps");
    let mut steps: Vec<Step> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let path = root.index(index);
        let step = step(raw, &path, declared, faults);
        if steps
            .iter()
            .any(|other| !step.name.is_empty() && other.name == step.name)
        {
            let message = format!("another step is named `{}` already", step.name);
            faults.push(Fault::at(path.key("name"), message));
        }
        steps.push(step);
    }
    steps
}

fn step(raw: RawStep, path: &Path, declared: &Declared<'_>, faults: &mut Vec<Fault>) -> Step {
    let name = raw
        .name
        .map(|name| one_line(name, path.key("name"), faults))
        .unwrap_or_default();
    if name.is_empty() {
        faults.push(Fault::at(path.key("name"), "is missing"));
    } else if name.contains(',') || name.trim() != name {
        let message = "has a comma or white space at an end, which --skip and STARTUP_GUARD_SKIP could not name";
        faults.push(Fault::at(path.key("name"), message));
    }
    if raw.command.is_none() {
        faults.push(Fault::at(
            path.key("command"),
            "is missing; write it as a list such as [alembic, upgrade, head]",
        ));
    }
    let timeout = raw.timeout.map(|Span(timeout)| timeout);
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        faults.push(Fault::at(
            path.key("timeout"),
            "must be more than 0; leave it out for no limit",
        ));
    }
    let words = raw.command.map(|command| command.0);
    let (announce_start, announce_done) = raw
        .announce
        .map(|announce| (announce.start, announce.done))
        .unwrap_or_default();
    let announce_path = path.key("announce");
    Step {
        name,
        announce_start: announcement(
            announce_start,
            &announce_path.key("start"),
            declared,
            faults,
        ),
        announce_done: announcement(announce_done, &announce_path.key("done"), declared, faults),
        command: words
            .map(|words| command(&words, &path.key("command"), faults))
            .unwrap_or_default(),
        timeout,
        stop_signal: raw.stop_signal.unwrap_or_default(),
        stop_grace: raw
            .stop_grace
            .map_or(DEFAULT_STOP_GRACE, |Span(grace)| grace),
        allow_failure: raw.allow_failure.unwrap_or(false),
        up_to_date: raw
            .up_to_date
            .map(|words| command(&words.0, &path.key("up_to_date"), faults)),
        lock: raw
            .lock
            .and_then(|lock| dependency::lock(lock, &path.key("lock"), declared, faults)),
    }
}

/// Judges the server.
pub fn server(raw: RawServer, declared: &Declared<'_>, faults: &mut Vec<Fault>) -> Server {
    let path = Path::default().key("server");
    Server {
        announce: announcement(raw.announce, &path.key("announce"), declared, faults),
        command: raw
            .command
            .map(|words| command(&words.0, &path.key("command"), faults))
            .unwrap_or_default(),
        init: raw.init.unwrap_or(false),
    }
}

/// Judges the user that steps and server run as. Whether it is there, only the image knows. Either part may be
/// empty, as for gosu: the user is then who starts the guard, and the groups are the user's.
pub fn user(text: Text, path: Path, faults: &mut Vec<Fault>) -> String {
    let Text(user) = text;
    // No entry can have these in a name.
    let cannot_be = user.matches(':').count() > 1 || user.contains(char::is_control);
    if cannot_be {
        let message = "must be a user's name or uid, with :group or :gid behind it or not, such as app or 1000:1000";
        faults.push(Fault::at(path, message));
    }
    user
}
