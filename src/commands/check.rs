//! `startup-guard check`: the check alone. Nothing is waited for, run, or looked up in PATH.

use crate::check::{self, Checked};
use crate::cli::{self, ReportFormat};
use crate::diagnosis::{Circumstances, diagnose};
use crate::environment::Environment;
use crate::error::Error;
use crate::os::output::STDOUT;
use crate::os::{container, file, terminal};
use crate::platform;
use crate::render::{self, View};

use super::env_files;
use super::plan::Plan;
use super::settings;
use super::verdict;

/// Prints the report.
///
/// # Errors
/// When a file cannot be read, the environment is invalid, or the report cannot be written.
pub fn run(arguments: &cli::Check, environment: Environment) -> Result<(), Error> {
    let manifest_file = settings::manifest_file(&arguments.manifest, &environment);
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let is_coloured = terminal::is_terminal_on_stdout() && environment.text("NO_COLOR").is_none();
    let files = env_files::read(arguments, &environment)?;
    let environment = files.over(environment, arguments.only_file);
    let place = platform::detect(&environment);
    let only_file = files
        .first()
        .map(str::to_owned)
        .filter(|_| arguments.only_file);
    let plan = Plan::whole(&manifest);
    let Checked {
        mut report,
        effective,
        ..
    } = check::check(&manifest, environment, &plan.uses(), file::read);
    files.annotate(&mut report, &manifest);
    let checked = match &effective {
        Ok(effective) => effective.environment(),
        Err(environment) => environment,
    };
    let circumstances = Circumstances {
        place: place.as_ref(),
        is_in_container: container::is_inside(),
        only_file: only_file.as_deref(),
    };
    let diagnosis = diagnose(&manifest, &report, checked, circumstances);
    let view = View {
        service: manifest.service.as_deref(),
        place: place.as_ref(),
        report: &report,
        diagnosis: &diagnosis,
    };
    print(&match arguments.format {
        ReportFormat::Text => render::text::report(&view, is_coloured),
        ReportFormat::Json => render::json::report(&view),
        ReportFormat::Github => {
            let lines = settings::manifest_lines(manifest_file.as_deref());
            render::github::report(&view, &lines)
        }
    })?;
    if report.errors() > 0 {
        return Err(verdict::error(&view));
    }
    Ok(())
}

fn print(text: &str) -> Result<(), Error> {
    STDOUT.push(text.as_bytes());
    STDOUT.drain().map_err(|cause| Error::System {
        what: "write the report",
        cause,
    })
}
