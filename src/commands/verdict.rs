//! What a check comes to, said the same way whoever asked for it.

use crate::diagnosis::{Circumstances, Diagnosis, diagnose};
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::Manifest;
use crate::os::container;
use crate::platform::Place;
use crate::render::text::{Piece, headline, pieces};
use crate::render::{View, json};
use crate::report::{Report, Severity};

/// Explains the report of a run that cannot start, in the log.
pub fn explain(
    report: &Report,
    manifest: &Manifest,
    environment: &Environment,
    place: Option<&Place>,
    format: log::Format,
) -> Error {
    let circumstances = Circumstances {
        place,
        is_in_container: container::is_inside(),
        ..Circumstances::default()
    };
    let diagnosis = diagnose(manifest, report, environment, circumstances);
    let view = View {
        service: manifest.service.as_deref(),
        place,
        report,
        diagnosis: &diagnosis,
    };
    log_pieces(&view, format);
    error(&view, format)
}

/// Tells what does not keep the service from starting.
pub fn warn(report: &Report, manifest: &Manifest, format: log::Format) {
    let view = View {
        service: manifest.service.as_deref(),
        place: None,
        report,
        diagnosis: &Diagnosis::default(),
    };
    log_pieces(&view, format);
}

fn log_pieces(view: &View<'_>, format: log::Format) {
    for piece in pieces(view) {
        match piece {
            // A title is for the lines below it; a line of JSON stands alone.
            Piece::Title(_) if format == log::Format::Json => {}
            Piece::Title(text) | Piece::Other(text) => {
                tracing::info!(target: "report", phase = "check", "{text}");
            }
            Piece::Finding(finding, text) => {
                let (variable, code) = (finding.variable.as_str(), finding.code.name());
                match finding.severity {
                    Severity::Error => {
                        tracing::error!(target: "report", phase = "check", variable, finding = code, "{text}");
                    }
                    Severity::Warning => {
                        tracing::warn!(target: "report", phase = "check", variable, finding = code, "{text}");
                    }
                }
            }
            Piece::Cause(cause, text) => {
                let code = cause.code.name();
                tracing::info!(target: "report", phase = "check", cause = code, "{text}");
            }
        }
    }
}

/// The error that a report with errors comes to.
pub fn error(view: &View<'_>, format: log::Format) -> Error {
    Error::Environment {
        headline: headline(view.report, view.service, view.place),
        cause: view.diagnosis.causes.first().map(|cause| cause.code.name()),
        summary: (format == log::Format::Json).then(|| json::summary(view)),
    }
}
