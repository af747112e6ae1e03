//! `startup-guard check`: the check alone. Nothing is waited for, run, or looked up in PATH.

use crate::check::{self, Checked, Selection};
use crate::cli::{self, ReportFormat};
use crate::diagnosis::{Circumstances, diagnose};
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::Manifest;
use crate::os::{file, is_in_container, terminal};
use crate::platform;
use crate::render::{self, View};

use super::env_files::{self, EnvFiles};
use super::{settings, verdict};

/// Prints the report.
///
/// # Errors
/// If a file cannot be read, if the environment is invalid, or if the report cannot be written.
pub fn run(
    arguments: &cli::Check,
    environment: Environment,
    log: log::Format,
) -> Result<(), Error> {
    let manifest_file = settings::manifest_file(&arguments.manifest, &environment);
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let files = env_files::read(arguments, &environment)?;
    let is_coloured = terminal::is_terminal_on_stdout() && settings::admits_colour(&environment);
    let told = tell(
        &manifest,
        environment,
        files,
        arguments.only_file,
        log,
        |view| match arguments.format {
            ReportFormat::Text => render::text::report(view, is_coloured),
            ReportFormat::Json => render::json::report(view),
            ReportFormat::Github => {
                let lines = settings::manifest_lines(manifest_file.as_deref(), &manifest);
                render::github::report(view, &lines)
            }
        },
    );
    super::print(&told.text, "write the report")?;
    told.error.map_or(Ok(()), Err)
}

/// The rendered report.
struct Told {
    text: String,
    /// `None` if the report has no errors.
    error: Option<Error>,
}

/// Checks the environment with the files over it, diagnoses the report, and renders it.
fn tell(
    manifest: &Manifest,
    environment: Environment,
    files: EnvFiles,
    only_file: bool,
    log: log::Format,
    render: impl FnOnce(&View<'_>) -> String,
) -> Told {
    let environment = files.over(environment, only_file);
    let place = platform::detect(&environment);
    let only_file = files.first().map(str::to_owned).filter(|_| only_file);
    let reader = files.reader();
    let Checked {
        mut report, plan, ..
    } = check::check(
        manifest,
        environment,
        &Selection::whole(manifest),
        files.sources(),
        file::read,
    );
    report.notes = files.notes(manifest);
    let checked = match &plan {
        Ok(plan) => plan.environment(),
        Err(environment) => environment,
    };
    let circumstances = Circumstances {
        place: place.as_ref(),
        is_in_container: is_in_container(),
        only_file: only_file.as_deref(),
        reader,
    };
    let diagnosis = diagnose(manifest, &report, checked, circumstances);
    let view = View {
        service: manifest.service.as_deref(),
        place: place.as_ref(),
        report: &report,
        diagnosis: &diagnosis,
    };
    Told {
        text: render(&view),
        error: (report.errors() > 0).then(|| verdict::error(&view, log)),
    }
}

#[cfg(test)]
mod tests;
