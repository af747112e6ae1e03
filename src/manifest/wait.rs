//! Reads `wait_for`.

use std::time::Duration;

use super::keys::{Keys, Read};
use super::process::{DEFAULT_LOCK_WAIT, UP_TO_DATE, place, timeout};
use super::template::Template;
use super::variable::Declared;
use super::{Awaited, Place, Step, UpToDate, Wait, forms};
use crate::targets::Protocol;

/// The default time-out of a wait.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// Reads `wait_for`.
pub fn waits(root: &mut Keys<'_>, declared: &Declared<'_>, steps: &[Step]) -> Vec<Wait> {
    let waits = root.list("wait_for", forms::wait()).into_iter();
    waits
        .filter_map(|keys| wait(keys, declared, steps))
        .collect()
}

fn wait(mut keys: Keys<'_>, declared: &Declared<'_>, steps: &[Step]) -> Option<Wait> {
    let limits = declared.processes.limits(&mut keys);
    let declared = &declared.needed_by(declared.processes.limited_to(&limits));
    let protocols = [Protocol::Postgres, Protocol::Tcp, Protocol::Http];
    let places = protocols.map(|protocol| {
        let place = place(protocol, protocol.name(), &mut keys, declared)?;
        Some(Awaited::Server(protocol, place))
    });
    let step = awaited_step(&mut keys, declared, steps).map(Awaited::Step);
    let default = [DEFAULT_WAIT, DEFAULT_LOCK_WAIT][usize::from(keys.has(UP_TO_DATE))];
    let timeout = timeout(&mut keys, humantime::format_duration(default));
    keys.finish();
    let names = protocols.iter().map(|protocol| protocol.name());
    let given = names.chain([UP_TO_DATE]).filter(|name| keys.has(name));
    if given.count() != 1 {
        let message = "needs exactly one of postgres, tcp, http and up_to_date";
        keys.here.fault(message);
    }
    let awaited = places.into_iter().chain([step]).flatten().next()?;
    Some(Wait {
        awaited,
        timeout: timeout.unwrap_or(default),
        processes: limits,
    })
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
            for needed in needs_of_question(step) {
                declared.check_need(needed, &value);
            }
            return Some(name);
        }
        Some(_) => {
            let message = format_args!("the step `{name}` has no `up_to_date`");
            keys.fault(UP_TO_DATE, message);
        }
        None => {
            let near = keys.near(&name, steps.iter().map(|step| step.name.as_str()));
            keys.fault(
                UP_TO_DATE,
                format_args!("no step has the name `{name}`{near}"),
            );
        }
    }
    None
}

/// The variables without which it cannot be found out whether a step has nothing to do.
fn needs_of_question(step: &Step) -> impl Iterator<Item = &str> {
    let (place, words) = match &step.up_to_date {
        Some(UpToDate::Command(command)) => (None, Some(command)),
        // The step's command names alembic's files.
        Some(UpToDate::Alembic(alembic)) => (Some(&alembic.place), Some(&step.command)),
        None => (None, None),
    };
    let place = place.and_then(|place| match place {
        Place::Variable(name) => Some(name.as_str()),
        Place::Literal(_) => None,
    });
    let words = words.into_iter().flatten();
    words.flat_map(Template::needs).chain(place)
}
