//! The result of a check, told in the log.

use crate::check::{self, Checked, Plan, Selection, Sources};
use crate::diagnosis::{Circumstances, Diagnosis, diagnose};
use crate::environment::Environment;
use crate::error::Error;
use crate::log::{self, Phase};
use crate::manifest::Manifest;
use crate::os::{file, is_in_container};
use crate::platform;
use crate::render::text::{Piece, headline, pieces};
use crate::render::{View, json};
use crate::report::Severity;

/// Checks the environment of a run, and logs the announcement and the report. A report with errors is diagnosed.
///
/// # Errors
/// If the report has errors.
pub fn plan(
    manifest: &Manifest,
    environment: Environment,
    selection: &Selection<'_>,
    format: log::Format,
) -> Result<Plan, Error> {
    let place = platform::detect(&environment);
    let Checked {
        report,
        announcement,
        plan,
    } = check::check(
        manifest,
        environment,
        selection,
        &Sources::new(),
        file::read,
    );
    if let Some(text) = announcement {
        tracing::info!(target: "announce", "{}", text.display());
    }
    let diagnosis = match &plan {
        Ok(_) => Diagnosis::default(),
        Err(environment) => {
            let circumstances = Circumstances {
                place: place.as_ref(),
                is_in_container: is_in_container(),
                ..Circumstances::default()
            };
            diagnose(manifest, &report, environment, circumstances)
        }
    };
    let view = View {
        service: manifest.service.as_deref(),
        place: place.as_ref(),
        report: &report,
        diagnosis: &diagnosis,
    };
    log_pieces(&view, format);
    plan.map_err(|_| error(&view, format))
}

fn log_pieces(view: &View<'_>, format: log::Format) {
    for piece in pieces(view) {
        let (finding, cause, text) = match piece {
            // A title is for the lines below it; a line of JSON stands alone.
            Piece::Title(_) if format == log::Format::Json => continue,
            Piece::Title(text) | Piece::Other(text) => (None, None, text),
            Piece::Finding(finding, text) => (Some(finding), None, text),
            Piece::Cause(cause, text) => (None, Some(cause.code), text),
        };
        let variable = finding.map(|finding| finding.variable.as_str());
        let code = finding.map(|finding| finding.code.to_string());
        match finding.map(|finding| finding.severity) {
            Some(Severity::Error) => {
                tracing::error!(target: "report", phase = %Phase::Check, variable, finding = code, "{text}");
            }
            Some(Severity::Warning) => {
                tracing::warn!(target: "report", phase = %Phase::Check, variable, finding = code, "{text}");
            }
            None => tracing::info!(target: "report", phase = %Phase::Check, cause, "{text}"),
        }
    }
}

/// The error for a report with errors.
pub fn error(view: &View<'_>, format: log::Format) -> Error {
    Error::Environment {
        headline: headline(view.report, view.service, view.place),
        cause: view.diagnosis.causes.first().map(|cause| cause.code),
        summary: (format == log::Format::Json).then(|| json::summary(view)),
    }
}
