//! Renders reports as text, as JSON, and as annotations of a GitHub workflow.

pub mod github;
pub mod json;
pub mod text;

use crate::diagnosis::{CERTAIN, Cause, Diagnosis, NOTE};
use crate::platform::Place;
use crate::report::{Finding, Report};
use crate::text::names;

/// The data that a rendered report shows.
pub struct View {
    /// The service's name in the manifest.
    pub service: Option<String>,
    pub place: Option<Place>,
    pub report: Report,
    pub diagnosis: Diagnosis,
}

impl View {
    /// A report alone, without a place and a diagnosis.
    pub fn of_report(service: Option<String>, report: Report) -> Self {
        Self {
            service,
            place: None,
            report,
            diagnosis: Diagnosis::default(),
        }
    }
}

fn label(cause: &Cause) -> &'static str {
    match cause.certainty {
        CERTAIN => "Cause",
        NOTE => "Note",
        _ => "Likely cause",
    }
}

/// The processes for which a finding counts; `None` if it counts for all that were checked.
fn only(finding: &Finding) -> Option<String> {
    let processes = &finding.processes;
    (!processes.is_empty()).then(|| format!("only {}", names(processes)))
}
