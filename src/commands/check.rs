//! `startup-guard check`: the check alone. Nothing is waited for, run, or looked up in PATH.

use crate::check::{self, Checked};
use crate::cli::{self, ReportFormat};
use crate::environment::Environment;
use crate::error::Error;
use crate::os::file;
use crate::os::output::STDOUT;
use crate::platform;
use crate::render;

use super::plan::Plan;
use super::run::environment_error;
use super::settings;

/// Prints the report.
///
/// # Errors
/// When the environment is invalid, or the report cannot be written.
pub fn run(arguments: &cli::Check, environment: Environment) -> Result<(), Error> {
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let plan = Plan::whole(&manifest);
    let place = platform::detect(&environment);
    let Checked {
        report, effective, ..
    } = check::check(&manifest, environment, &plan.uses(), file::read);
    let service = manifest.service.as_deref();
    let text = match arguments.format {
        ReportFormat::Text => render::text::report(&report, service, place.as_ref()),
        ReportFormat::Json => render::json::report(&report, service, place.as_ref()) + "\n",
    };
    STDOUT.push(text.as_bytes());
    STDOUT.drain().map_err(|cause| Error::System {
        what: "write the report",
        cause,
    })?;
    match effective {
        Some(_) => Ok(()),
        None => Err(environment_error(&report, &manifest, place.as_ref())),
    }
}
