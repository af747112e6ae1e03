//! `startup-guard run`: the main job.

use crate::check::{self, Checked, Effective, Use};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::{Manifest, Step, Template, did_you_mean};
use crate::os::file;
use crate::os::signals::{Signals, requested_stop};
use crate::platform::{self, Place};
use crate::render;
use crate::report::{Finding, Report, Severity};
use crate::startup::{Form, serve, step};

use super::settings;

/// Checks, runs the steps, and becomes the server. Comes back when there is no server to become.
///
/// # Errors
/// The first phase that failed. A stop explains whatever failed after it was asked for.
pub fn run(arguments: &cli::Run, environment: Environment, log: log::Format) -> Result<(), Error> {
    let signals = Signals::claim().map_err(|cause| Error::System {
        what: "claim signals",
        cause,
    })?;
    phases(arguments, environment, relay_form(log), signals).map_err(|error| {
        match requested_stop() {
            Some(stop) if error.step().is_none() => Error::Stopped(stop),
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
        None => Ok(()),
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

/// What this run is going to do after the check.
struct Plan<'a> {
    steps: Vec<&'a Step>,
    /// None with `--no-server`.
    server: Option<ServerPlan<'a>>,
}

struct ServerPlan<'a> {
    announce: Option<&'a Template>,
    command: Vec<Template>,
}

impl<'a> Plan<'a> {
    fn new(
        arguments: &cli::Run,
        manifest: &'a Manifest,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let (skipped, place) = settings::skipped(&arguments.skip, environment);
        if let Some(unknown) = skipped
            .iter()
            .find(|name| manifest.steps.iter().all(|step| step.name != **name))
        {
            let hint = did_you_mean(
                unknown,
                manifest.steps.iter().map(|step| step.name.as_str()),
            );
            return Err(Error::UnknownStep {
                place,
                name: unknown.clone(),
                hint,
            });
        }
        let steps = manifest
            .steps
            .iter()
            .filter(|step| !skipped.contains(&step.name))
            .collect();
        let server = if arguments.no_server {
            None
        } else {
            Some(ServerPlan::new(arguments, manifest)?)
        };
        Ok(Self { steps, server })
    }

    /// Everything that will be expanded.
    fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = Vec::new();
        for step in &self.steps {
            let place = format!("the step {}", step.name);
            uses.extend(announced(&place, step.announce_start.as_ref()));
            uses.extend(announced(&place, step.announce_done.as_ref()));
            uses.extend(arguments(&place, &step.command));
        }
        if let Some(server) = &self.server {
            uses.extend(announced("the server", server.announce));
            uses.extend(arguments("the server", &server.command));
        }
        uses
    }
}

impl<'a> ServerPlan<'a> {
    fn new(arguments: &cli::Run, manifest: &'a Manifest) -> Result<Self, Error> {
        let server = manifest.server.as_ref();
        let command = match &arguments.command {
            // Without a manifest the guard is transparent.
            Some(words) if arguments.manifest == cli::ManifestChoice::None => {
                words.iter().map(|word| Template::literal(word)).collect()
            }
            Some(words) => words
                .iter()
                .map(|word| Template::parse_argument(word))
                .collect(),
            None => server
                .map(|server| server.command.clone())
                .unwrap_or_default(),
        };
        if command.first().is_none_or(Template::is_empty) {
            return Err(Error::NoCommand);
        }
        Ok(Self {
            announce: server.and_then(|server| server.announce.as_ref()),
            command,
        })
    }
}

fn announced<'a>(place: &str, template: Option<&'a Template>) -> Option<Use<'a>> {
    let place = format!("the announcement of {place}");
    template.map(|template| Use {
        place,
        template,
        is_argument: false,
    })
}

fn arguments<'a>(place: &str, command: &'a [Template]) -> impl Iterator<Item = Use<'a>> {
    let place = format!("the command of {place}");
    command.iter().map(move |template| Use {
        place: place.clone(),
        template,
        is_argument: true,
    })
}

/// The check, with its report in the log.
fn checked(
    manifest: &Manifest,
    environment: Environment,
    plan: &Plan<'_>,
) -> Result<Effective, Error> {
    let place = platform::detect(&environment);
    let mut uses = plan.uses();
    uses.extend(announced("the service", manifest.announce.as_ref()));
    let Checked {
        report,
        announcement,
        effective,
    } = check::check(manifest, environment, &uses, file::read);
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
