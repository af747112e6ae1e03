//! `startup-guard run`: the main job.

use crate::check::{self, Checked, Effective};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::{Manifest, Template};
use crate::os::file;
use crate::os::signals::{Signals, requested_stop};
use crate::platform::{self, Place};
use crate::render;
use crate::report::{Finding, Report, Severity};
use crate::startup::init::Init;
use crate::startup::serve::Server;
use crate::startup::user::{self, Account};
use crate::startup::{Form, step};

use super::plan::Plan;
use super::settings;

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
    phases(arguments, environment, relay_form(log), signals).map_err(|error| {
        match requested_stop() {
            Some(signal) if error.step().is_none() => Error::Stopped {
                signal,
                phase: error.phase(),
            },
            _ => error,
        }
    })
}

fn phases(
    arguments: &cli::Run,
    environment: Environment,
    form: Form,
    signals: Signals,
) -> Result<u8, Error> {
    match up_to_the_server(arguments, environment, form, &signals)? {
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
    form: Form,
    signals: &Signals,
) -> Result<Option<(Server, Option<Init>)>, Error> {
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let plan = Plan::new(arguments, &manifest, &environment)?;
    let account = manifest.user.as_deref().map_or(Ok(None), user::look_up);
    let environment = environment_of(environment, account.as_ref().ok());
    let effective = checked(&manifest, environment, &plan)?;
    let user = account?.map(|account| account.user);
    let context = step::Context {
        effective: &effective,
        user: user.as_ref(),
        form,
    };
    step::run_all(&plan.steps, context, signals)?;
    let Some(server) = plan.server else {
        return Ok(None);
    };
    announce(server.announce, &effective);
    let init = server.init;
    let server = Server::new(&server.command, &effective, user)?;
    Ok(Some((server, init)))
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
) -> Result<Effective, Error> {
    let place = platform::detect(&environment);
    let Checked {
        report,
        announcement,
        effective,
    } = check::check(manifest, environment, &plan.uses(), file::read);
    if let Some(text) = announcement {
        tracing::info!(target: "announce", "{}", text.display());
    }
    report.findings.iter().for_each(log_finding);
    effective.ok_or_else(|| environment_error(&report, manifest, place.as_ref()))
}

fn log_finding(finding: &Finding) {
    let (variable, code) = (finding.variable.as_str(), finding.code.name());
    let text = render::text::finding(finding);
    match finding.severity {
        Severity::Error => {
            tracing::error!(target: "report", phase = "check", variable, finding = code, "{text}");
        }
        Severity::Warning => {
            tracing::warn!(target: "report", phase = "check", variable, finding = code, "{text}");
        }
    }
}

/// The error that a report with errors comes to.
pub fn environment_error(report: &Report, manifest: &Manifest, place: Option<&Place>) -> Error {
    Error::Environment {
        summary: render::text::headline(report, manifest.service.as_deref(), place),
        findings: render::json::findings(report),
    }
}

fn announce(text: Option<&Template>, effective: &Effective) {
    if let Some(text) = text.and_then(|text| effective.expand(text).ok()) {
        tracing::info!(target: "announce", phase = "serve", "{}", text.display());
    }
}
