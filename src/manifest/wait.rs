//! Reads `wait_for`.

use std::time::Duration;

use super::declared::Declared;
use super::keys::{Keys, Read};
use super::process::{DEFAULT_LOCK_WAIT, UP_TO_DATE, command, duration, place, timeout};
use super::template::Template;
use super::{Awaited, Place, Step, Wait, forms};
use crate::targets::{Protocol, STATUSES, http_status};

/// The default time-out of a wait.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// The default pause between two runs of a command.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Reads `wait_for`.
pub fn waits(root: &mut Keys<'_>, declared: &Declared<'_>, steps: &[Step]) -> Vec<Wait> {
    let waits = root.list("wait_for", forms::wait()).into_iter();
    let waits = waits.filter_map(|keys| wait(keys, declared, steps));
    waits.collect()
}

fn wait(mut keys: Keys<'_>, declared: &Declared<'_>, steps: &[Step]) -> Option<Wait> {
    let limits = declared.processes.limits(&mut keys);
    let declared = &declared.needed_by(declared.processes.limited_to(&limits));
    let statuses = statuses(&mut keys);
    let protocols = [Protocol::Postgres, Protocol::Tcp, Protocol::Http];
    let places = protocols.map(|protocol| {
        let place = place(protocol, protocol.name(), &mut keys, declared)?;
        Some(Awaited::Server(protocol, place))
    });
    let command = command(&mut keys, declared);
    let interval = duration(&mut keys, "interval", "1s").unwrap_or(DEFAULT_INTERVAL);
    let command = command.map(|words| Awaited::Command(words, interval));
    let step = awaited_step(&mut keys, declared, steps).map(Awaited::Step);
    let default = [DEFAULT_WAIT, DEFAULT_LOCK_WAIT][usize::from(keys.has(UP_TO_DATE))];
    let timeout = timeout(&mut keys, default);
    let is_foreign = keys.finish();
    let names = protocols.iter().map(|protocol| protocol.name());
    let names = names.chain(["command", UP_TO_DATE]);
    let count = names.filter(|name| keys.has(name)).count();
    // A key of another tool has its own advice.
    if count > 1 || count == 0 && !is_foreign {
        let message = "needs exactly one of postgres, tcp, http, command and up_to_date";
        keys.here.fault(message);
    }
    let of_command = "is only valid with `command`; the others are asked several times a second";
    for (key, owner, message) in [
        ("status", "http", "is only valid with `http`"),
        ("interval", "command", of_command),
    ] {
        let is_stray = count == 1 && keys.has(key) && !keys.has(owner);
        keys.fault_if(is_stray, key, message);
    }
    let mut awaited = places.into_iter().chain([command, step]).flatten();
    Some(Wait {
        awaited: awaited.next()?,
        timeout,
        processes: limits,
        statuses,
    })
}

/// Reads the statuses that are admitted. Empty if there are none.
fn statuses(keys: &mut Keys<'_>) -> Vec<u16> {
    let Some(words) = keys.read::<Vec<String>>("status") else {
        return Vec::new();
    };
    let statuses: Vec<_> = words.iter().filter_map(|word| http_status(word)).collect();
    let is_wrong = statuses.len() < words.len() || words.is_empty();
    keys.fault_if(is_wrong, "status", STATUSES);
    statuses
}

/// Reads the name of a step that has `up_to_date`.
fn awaited_step(keys: &mut Keys<'_>, declared: &Declared<'_>, steps: &[Step]) -> Option<String> {
    let value = keys.get(UP_TO_DATE)?;
    let name = String::read(&value)?;
    match steps.iter().find(|step| step.name == name) {
        Some(step) if step.up_to_date.is_some() => {
            // A process that runs the step itself does not wait for it, unless it is told to skip the step.
            let is_limited = !step.processes.is_empty();
            let others = is_limited.then(|| declared.processes.without(&step.processes));
            let declared = declared.needed_by(others.unwrap_or(declared.processes.clone()));
            declared.check_needs(needs_of_question(step), &value);
            return Some(name);
        }
        Some(_) => {
            let message = format_args!("the step `{name}` has no `up_to_date`");
            keys.fault(UP_TO_DATE, message);
        }
        None => {
            let near = keys.near(&name, steps.iter().map(|step| step.name.as_str()));
            let message = format_args!("no step has the name `{name}`{near}");
            keys.fault(UP_TO_DATE, message);
        }
    }
    None
}

/// The variables without which it cannot be found out whether a step has nothing to do.
fn needs_of_question(step: &Step) -> impl Iterator<Item = &str> {
    let question = step.up_to_date.as_ref();
    let alembic = question.and_then(|question| question.alembic.as_ref());
    let command = question.and_then(|question| question.command.as_ref());
    // The step's command names alembic's files.
    let words = alembic.map(|_| &step.command).or(command);
    let place = alembic.and_then(|alembic| match &alembic.place {
        Place::Variable(name) => Some(name.as_str()),
        Place::Literal(_) => None,
    });
    let words = words.into_iter().flatten();
    words.flat_map(Template::needs).chain(place)
}
