//! What the keys of `wait_for` and `lock` mean together.

use std::time::Duration;

use super::Declared;
use crate::manifest::fault::{Fault, Path};
use crate::manifest::raw::{RawLock, RawWait, Span, Text};
use crate::manifest::template::is_name;
use crate::manifest::{Lock, Place, Wait};
use crate::rule;
use crate::target::{Protocol, Target};

/// How long something is waited for, where the manifest does not say.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// How long a lock is waited for, where the manifest does not say: as long as a migration may take.
const DEFAULT_LOCK_WAIT: Duration = Duration::from_mins(10);

/// What a build without the database's client says of a key that needs it.
const NO_POSTGRES: &str =
    "this startup-guard was built without the feature `postgres`; use a build with it";

/// Judges what is waited for.
pub fn waits(raw: Vec<RawWait>, declared: &Declared<'_>, faults: &mut Vec<Fault>) -> Vec<Wait> {
    let root = Path::default().key("wait_for");
    let numbered = raw.into_iter().enumerate();
    numbered
        .filter_map(|(index, raw)| wait(raw, &root.index(index), declared, faults))
        .collect()
}

fn wait(
    raw: RawWait,
    path: &Path,
    declared: &Declared<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Wait> {
    let timeout = timeout(raw.timeout, DEFAULT_WAIT, path, faults);
    let named = [
        (Protocol::Postgres, raw.postgres),
        (Protocol::Tcp, raw.tcp),
        (Protocol::Http, raw.http),
    ];
    let mut named = named
        .into_iter()
        .filter_map(|(protocol, text)| Some((protocol, text?)));
    let (Some((protocol, text)), None) = (named.next(), named.next()) else {
        let message = "needs exactly one of postgres, tcp and http";
        faults.push(Fault::at(path.clone(), message));
        return None;
    };
    let place = place(protocol, text, path, declared, faults)?;
    Some(Wait {
        protocol,
        place,
        timeout,
    })
}

/// Judges the lock of a step.
pub fn lock(
    raw: RawLock,
    path: &Path,
    declared: &Declared<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Lock> {
    let timeout = timeout(raw.timeout, DEFAULT_LOCK_WAIT, path, faults);
    let Some(text) = raw.postgres else {
        let message = "is missing; write the variable that holds the database's URL";
        faults.push(Fault::at(path.key("postgres"), message));
        return None;
    };
    let place = place(Protocol::Postgres, text, path, declared, faults)?;
    Some(Lock { place, timeout })
}

/// A declared variable's name, or a sound literal.
fn place(
    protocol: Protocol,
    Text(text): Text,
    path: &Path,
    declared: &Declared<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Place> {
    let path = path.key(protocol.name());
    if protocol == Protocol::Postgres && cfg!(not(feature = "postgres")) {
        faults.push(Fault::at(path, NO_POSTGRES));
        return None;
    }
    if is_name(&text) {
        declared.require(&text, &path, faults)?;
        return Some(Place::Variable(text));
    }
    if !rule::passwords(&text).is_empty() {
        let message = "has a password in it; name a variable that holds it, with `secret: true`";
        faults.push(Fault::at(path, message));
        return None;
    }
    match Target::parse(protocol, &text, |_| None) {
        Ok(_) => Some(Place::Literal(text)),
        Err(violation) => {
            let message = format!(
                "is not the name of a variable, and {}; {}",
                violation.problem, violation.fix
            );
            faults.push(Fault::at(path, message));
            None
        }
    }
}

fn timeout(
    span: Option<Span>,
    default: Duration,
    path: &Path,
    faults: &mut Vec<Fault>,
) -> Duration {
    let timeout = span.map_or(default, |Span(timeout)| timeout);
    if timeout.is_zero() {
        let message = format!(
            "must be more than 0; leave it out for {}",
            humantime::format_duration(default)
        );
        faults.push(Fault::at(path.key("timeout"), message));
    }
    timeout
}
