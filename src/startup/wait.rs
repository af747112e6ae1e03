//! Waits until every dependency is ready: servers, and steps that another process runs.

use std::sync::mpsc::channel;
use std::time::Instant;

use super::RunError;
use super::backoff::Backoff;
use super::launch::Launcher;
use super::mask::Mask;
use super::progress::{Attempt, Dependency, Messages, PAUSES, deadline, receive, until_ready};
#[cfg(feature = "postgres")]
use super::question;
use crate::check::{Awaited, Plan, Question, Wait, Words};
use crate::exit::Exit;
use crate::log::Phase;
#[cfg(feature = "postgres")]
use crate::net::postgres;
use crate::net::{Error, dial, first_of, http};
use crate::os::signals::Signals;
use crate::os::user::User;
use crate::targets::Target;

/// Waits for all dependencies of the plan, except those whose variable is not set. Commands of `up_to_date` are run as
/// `user` or, if that is `None`, as the current user.
///
/// # Errors
/// If dependencies are not ready in time or keep refusing the log-in, a command fails, or a stop arrives.
pub fn for_all(plan: &Plan<'_>, user: Option<&User>, signals: &Signals) -> Result<(), RunError> {
    let mut dependencies = Vec::new();
    // Each with the index of the dependency that may make it superfluous.
    let mut commands: Vec<(_, _, _, Option<usize>)> = Vec::new();
    for wait in &plan.waits {
        let name = wait.what.clone();
        let attempt: Attempt<bool> = match &wait.awaited {
            Awaited::Server(None) => {
                tracing::info!(phase = %Phase::Wait, "{name} is not waited for: it is not set");
                continue;
            }
            Awaited::Server(Some(target)) => {
                let target = target.clone();
                Box::new(move |until| ask(&target, until).map(|()| false))
            }
            #[cfg(feature = "postgres")]
            Awaited::Step(step, Question::Alembic(question, fallback)) => {
                let question = question.clone();
                let (index, has_fallback) = (dependencies.len(), fallback.is_some());
                let fallback = fallback.as_ref();
                commands.extend(fallback.map(|command| (wait, *step, command, Some(index))));
                Box::new(move |until| {
                    question::ask_until_up_to_date(&question, has_fallback, until)
                })
            }
            Awaited::Step(step, Question::Command(command)) => {
                commands.push((wait, *step, command, None));
                continue;
            }
        };
        dependencies.push(Dependency {
            name,
            timeout: wait.timeout,
            attempt,
        });
    }
    let mut are_needed = Vec::new();
    if !dependencies.is_empty() {
        let names: Vec<&str> = dependencies.iter().map(|each| &*each.name).collect();
        let names = names.join(", ");
        let elapsed;
        (are_needed, elapsed) = until_ready(dependencies, signals)?;
        tracing::info!(phase = %Phase::Wait, "ready after {elapsed}: {names}");
    }
    // A command normally needs the servers, and only the main thread runs child processes.
    let mask = Mask::new(plan.secrets());
    commands.retain(|(.., index)| index.is_none_or(|index| are_needed[index]));
    for (wait, step, command, _) in commands {
        let launcher = Launcher {
            step,
            plan,
            user,
            mask: &mask,
            signals,
        };
        until_up_to_date(wait, command, &launcher)?;
    }
    Ok(())
}

/// Makes one attempt to find out whether a server is ready.
///
/// # Errors
/// If the server is not ready.
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

/// Runs the `up_to_date` command of a step that another process runs, until there is nothing to do.
fn until_up_to_date(
    wait: &Wait<'_>,
    command: &Words,
    launcher: &Launcher<'_>,
) -> Result<(), RunError> {
    let (name, step) = (&wait.what, &launcher.step.name);
    let text = format!("{name}: it has something to do");
    let started = Instant::now();
    let end = deadline(started, wait.timeout);
    let mut messages = Messages::new(started);
    let mut backoff = Backoff::new(PAUSES);
    loop {
        let asked = Instant::now();
        let left = end.saturating_duration_since(asked);
        let limit = launcher.step.up_to_date_limit.min(left);
        match launcher.is_up_to_date(command, limit) {
            Ok(true) => {
                let elapsed = messages.elapsed(Instant::now());
                tracing::info!(phase = %Phase::Wait, "ready after {elapsed}: {name}");
                return Ok(());
            }
            Ok(false) => {}
            Err(error) if error.exit == Exit::TIMED_OUT && Instant::now() >= end => {}
            Err(error) => {
                let text = format!("step {step}: {error}");
                return Err(RunError::new(error.exit, Phase::Wait, text));
            }
        }
        let now = Instant::now();
        if now >= end {
            let text = format!("not ready in time: {text}");
            return Err(RunError::new(Exit::NOT_READY, Phase::Wait, text));
        }
        messages.update(&text, now, |elapsed| {
            tracing::info!(phase = %Phase::Wait, step, "waiting ({elapsed}) for {text}");
        });
        let pause = backoff.pause_after(now - asked, false);
        // Nothing is sent: this wait ends early only if a stop arrives.
        let (_outbox, reports) = channel::<()>();
        receive(&reports, launcher.signals, Some(end.min(now + pause)))?;
    }
}
