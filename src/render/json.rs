//! Renders a report as JSON, one object per line. docs/report-and-causes.md documents the fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use crate::diagnosis::Diagnosis;
use crate::report::Report;

/// The version of the format. Raised when a field changes its meaning or is removed.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Summary<'a> {
    version: u32,
    verdict: &'static str,
    service: Option<&'a str>,
    /// The platform, its description, and the parts that the platform has, such as `project` and `service`.
    place: Option<BTreeMap<&'static str, &'a str>>,
    errors: usize,
    warnings: usize,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

/// A finding, a note or the summary on a line of its own.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    #[serde(flatten)]
    object: &'a T,
}

/// The report of `check`: one line per finding and per note, then the summary, which contains all of them again.
pub fn report(view: &View) -> String {
    let findings = view.report.findings.iter();
    let findings = findings.map(|finding| line("finding", finding));
    let notes = view.report.notes.iter().map(|note| line("note", note));
    let lines = findings.chain(notes).chain([summary(view)]);
    lines.map(|line| line + "\n").collect()
}

/// An object on a line of its own, without a line break.
pub fn line(kind: &'static str, object: &impl Serialize) -> String {
    let line = serde_json::to_string(&Line { kind, object });
    line.expect("strings and numbers can always be serialized")
}

/// The whole report as one object.
pub fn summary(view: &View) -> String {
    let report = &view.report;
    let errors = report.errors();
    let place = view.place.as_ref().map(|place| {
        let details = place.details.iter();
        let details = details.map(|(part, name)| (*part, name.as_str()));
        let platform = ("platform", place.platform.code);
        let description = ("description", place.description.as_str());
        details.chain([platform, description]).collect()
    });
    let summary = Summary {
        version: VERSION,
        verdict: if errors == 0 { "sound" } else { "invalid" },
        service: view.service.as_deref(),
        place,
        errors,
        warnings: report.warnings(),
        report,
        diagnosis: &view.diagnosis,
    };
    line("summary", &summary)
}
