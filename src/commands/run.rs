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
use crate::startup::{Form, serve, step};

use super::plan::Plan;
use super::settings;

/// Checks, runs the steps, and becomes the server. Comes back when there is no server to become.
///
/// # Errors
/// The first phase that failed. A stop explains whatever failed after it was asked for.
pub fn run(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: Signals,
) -> Result<(), Error> {
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
) -> Result<(), Error> {
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let plan = Plan::new(arguments, &manifest, &environment)?;
    let effective = checked(&manifest, environment, &plan)?;
    step::run_all(&plan.steps, &effective, &signals, form)?;
    match plan.server {
        None => signals.release_stops().map_err(|signal| Error::Stopped {
            signal,
            phase: None,
        }),
        Some(server) => {
            announce(server.announce, &effective);
            Err(serve::hand_over(&server.command, &effective, signals).into())
        }
    }
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
