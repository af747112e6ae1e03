//! Waits until every dependency is ready. One helper thread per dependency makes attempts repeatedly, all of them
//! concurrently.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::progress::{Interruption, Messages, WaitState, receive, repeat};
use crate::check::Wait;
use crate::log::Phase;
#[cfg(feature = "postgres")]
use crate::net::postgres;
use crate::net::{Error, dial, first_of, http};
use crate::os::signals::Signals;
use crate::os::{send_report, spawn_helper};
use crate::targets::Target;

/// How long one attempt may take. A serverless database that was suspended takes seconds to answer.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Why the wait ended before all dependencies were ready.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    #[error("not ready in time: {0}")]
    NotReady(String),
    #[error("waiting cannot help: {0}")]
    Refused(String),
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

/// Waits for all dependencies, except those whose variable is not set.
///
/// # Errors
/// If dependencies are not ready in time or keep refusing the log-in, or a stop arrives.
pub fn for_all(waits: &[Wait], signals: &Signals) -> Result<(), WaitError> {
    let (outbox, reports) = channel();
    let mut dependencies = Vec::new();
    for wait in waits {
        let name = wait.what.clone();
        let Some(target) = wait.target.clone() else {
            tracing::info!(phase = %Phase::Wait, "{name} is not waited for: it is not set");
            continue;
        };
        let (index, outbox) = (dependencies.len(), outbox.clone());
        spawn_helper("wait", move || ask_until_ready(&target, index, &outbox))
            .map_err(Interruption::from)?;
        dependencies.push(Dependency {
            name,
            state: WaitState::new(Instant::now(), wait.timeout),
            is_ready: false,
        });
    }
    if dependencies.is_empty() {
        return Ok(());
    }
    wait(dependencies, &reports, signals)
}

/// Makes one attempt to find out whether a dependency is ready.
///
/// # Errors
/// If the dependency is not ready.
fn ask(target: &Target, until: Instant) -> Result<(), Error> {
    match target {
        #[cfg(feature = "postgres")]
        Target::Postgres(database) => {
            let mut session = postgres::connect(database, "startup-guard", until)?;
            // A pool may accept the log-in before its database is ready.
            let answer = session.ask("SELECT 1", until);
            session.close();
            answer.map(drop)
        }
        Target::Tcp(addresses) => first_of(addresses, until, |address, until| {
            dial(&address.host, address.port, until).map(drop)
        }),
        Target::Http(page) => http::check(page, until),
    }
}

/// The index of a dependency, and the result of an attempt.
type Report = (usize, Result<(), Error>);

/// The work of a helper. It ends when its dependency is ready, or when nobody receives its reports any more.
fn ask_until_ready(target: &Target, index: usize, outbox: &Sender<Report>) {
    repeat(PAUSES, || {
        let answer = ask(target, Instant::now() + ATTEMPT_LIMIT);
        let error = answer.as_ref().err().map(|error| error.kind);
        match send_report(outbox, (index, answer)) && error.is_some() {
            true => ControlFlow::Continue(error),
            false => ControlFlow::Break(()),
        }
    });
}

struct Dependency {
    /// The name in messages, with the address.
    name: String,
    state: WaitState,
    is_ready: bool,
}

fn wait(
    mut dependencies: Vec<Dependency>,
    reports: &Receiver<Report>,
    signals: &Signals,
) -> Result<(), WaitError> {
    let mut messages = Messages::new(Instant::now());
    let mut deadline = Instant::now();
    loop {
        while let Some((index, answer)) = receive(reports, signals, Some(deadline))? {
            deadline = Instant::now();
            match answer {
                Ok(()) => dependencies[index].is_ready = true,
                Err(error) => dependencies[index].state.note(error, deadline),
            }
        }
        let now = Instant::now();
        let pending = || dependencies.iter().filter(|each| !each.is_ready);
        let Some(end) = pending().map(|each| each.state.end()).min() else {
            let names: Vec<&str> = dependencies.iter().map(|each| &*each.name).collect();
            let (elapsed, names) = (messages.elapsed(now), names.join(", "));
            tracing::info!(phase = %Phase::Wait, "ready after {elapsed}: {names}");
            return Ok(());
        };
        if now >= end {
            return Err(expired(pending().filter(|each| now >= each.state.end())));
        }
        let text = reasons(pending().filter(|each| each.state.is_known()));
        deadline = end;
        if !text.is_empty() {
            let next = messages.update(&text, now, |elapsed| {
                tracing::info!(phase = %Phase::Wait, "waiting ({elapsed}) for {text}");
            });
            deadline = end.min(next);
        }
    }
}

/// The error for dependencies that were not ready in time. If some of them refuse the log-in, names only those.
fn expired<'a>(dependencies: impl Iterator<Item = &'a Dependency> + Clone) -> WaitError {
    let refused = reasons(dependencies.clone().filter(|each| each.state.is_refused()));
    if refused.is_empty() {
        WaitError::NotReady(reasons(dependencies))
    } else {
        WaitError::Refused(refused)
    }
}

/// The reason for each dependency why it is not ready.
fn reasons<'a>(dependencies: impl Iterator<Item = &'a Dependency>) -> String {
    let reasons: Vec<String> = dependencies
        .map(|each| format!("{}: {}", each.name, each.state.reason()))
        .collect();
    reasons.join("; ")
}
