//! `startup-guard run`: the main job.

use crate::check::{self, Checked, Effective};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::{Manifest, Template};
use crate::os::file;
use crate::os::signals::{Signals, requested_stop};
use crate::platform;
use crate::startup::init::Init;
use crate::startup::serve::Server;
use crate::startup::user::{self, Account};
use crate::startup::{Form, step, wait};

#[cfg(debug_assertions)]
use super::panic;
use super::plan::Plan;
use super::settings;
use super::verdict;

/// Checks, runs the steps, and becomes the server. Comes back when there is no server to become, or with the
/// exit code of the one that it was the init of.
///
/// # Errors
/// The first phase that failed. A stop explains whatever failed after it was asked for.
pub fn run(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: Signals,
) -> Result<u8, Error> {
    phases(arguments, environment, log, signals).map_err(|error| match requested_stop() {
        Some(signal) if error.step().is_none() => Error::Stopped {
            signal,
            phase: error.phase(),
        },
        _ => error,
    })
}

fn phases(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: Signals,
) -> Result<u8, Error> {
    match up_to_the_server(arguments, environment, log, &signals)? {
        None => {
            signals.release_stops().map_err(|signal| Error::Stopped {
                signal,
                phase: None,
            })?;
            Ok(0)
        }
        Some((server, None)) => Err(server.take_over(signals).into()),
        Some((server, Some(init))) => Ok(server.attend(&init, &signals)?),
    }
}

/// Everything before the hand-over. Nothing that only this needs is kept beyond it: an init lives long.
fn up_to_the_server(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: &Signals,
) -> Result<Option<(Server, Option<Init>)>, Error> {
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let plan = Plan::new(arguments, &manifest, &environment)?;
    let account = manifest.user.as_deref().map_or(Ok(None), user::look_up);
    let environment = environment_of(environment, account.as_ref().ok());
    let effective = checked(&manifest, environment, &plan, log)?;
    let user = account?.map(|account| account.user);
    #[cfg(debug_assertions)]
    panic::provoke(&effective)?;
    // Before anything is done that a command without a program would make useless.
    let server = plan
        .server
        .as_ref()
        .map(|server| Server::new(&server.command, &effective, user.clone()))
        .transpose()?;
    wait::for_all(plan.waits, &effective, signals)?;
    let context = step::Context {
        service: manifest.service.as_deref(),
        effective: &effective,
        user: user.as_ref(),
        form: relay_form(log),
    };
    step::run_all(&plan.steps, context, signals)?;
    let (Some(plan), Some(server)) = (plan.server, server) else {
        return Ok(None);
    };
    announce(plan.announce, &effective);
    Ok(Some((server, plan.init)))
}

/// Where the user changes, its home does.
fn environment_of(environment: Environment, account: Option<&Option<Account>>) -> Environment {
    let Some(Some(account)) = account else {
        return environment;
    };
    let set = [
        ("HOME", account.home.clone().into()),
        ("USER", account.name.clone().into()),
    ];
    environment.with(&set, &[])
}

/// A step's lines are part of the log where the log is for machines.
fn relay_form(log: log::Format) -> Form {
    match log {
        log::Format::Text { .. } => Form::Text,
        log::Format::Json => Form::Events,
    }
}

/// The check, with its report in the log.
fn checked(
    manifest: &Manifest,
    environment: Environment,
    plan: &Plan<'_>,
    log: log::Format,
) -> Result<Effective, Error> {
    let place = platform::detect(&environment);
    let Checked {
        report,
        announcement,
        effective,
    } = check::check(
        manifest,
        environment,
        &plan.uses(),
        &plan.needs(),
        file::read,
    );
    if let Some(text) = announcement {
        tracing::info!(target: "announce", "{}", text.display());
    }
    match effective {
        Ok(effective) => {
            verdict::warn(&report, manifest, log);
            Ok(effective)
        }
        Err(environment) => Err(verdict::explain(
            &report,
            manifest,
            &environment,
            place.as_ref(),
            log,
        )),
    }
}

fn announce(text: Option<&Template>, effective: &Effective) {
    if let Some(text) = text.and_then(|text| effective.expand(text).ok()) {
        tracing::info!(target: "announce", phase = "serve", "{}", text.display());
    }
}
