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
    /// Whether findings, notes, causes and fixes are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
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
    line("summary", &contents(view, &view.report, &view.diagnosis))
}

/// Like `summary`, with at most `max` bytes: of a longer report, the numbers and the first findings. `max` must be at
/// least 1 KiB.
pub fn summary_within(view: &View, max: usize) -> String {
    let whole = summary(view);
    if whole.len() <= max {
        return whole;
    }
    let cut = |number: usize, has_names: bool| {
        let report = Report {
            declared: view.report.declared,
            findings: view.report.findings[..number].to_vec(),
            notes: Vec::new(),
        };
        let none = Diagnosis::default();
        let mut summary = contents(view, &report, &none);
        summary.truncated = Some(true);
        if !has_names {
            (summary.service, summary.place) = (None, None);
        }
        line("summary", &summary)
    };
    // Each finding has more than 64 bytes.
    let most = view.report.findings.len().min(max / 64);
    let numbers: Vec<usize> = (0..=most).collect();
    match numbers.partition_point(|&number| cut(number, true).len() <= max) {
        0 => cut(0, false),
        fitting => cut(fitting - 1, true),
    }
}

/// The numbers of the view's report, with the contents of `report` and `diagnosis`.
fn contents<'a>(view: &'a View, report: &'a Report, diagnosis: &'a Diagnosis) -> Summary<'a> {
    let errors = view.report.errors();
    let place = view.place.as_ref().map(|place| {
        let details = place.details.iter();
        let details = details.map(|(part, name)| (*part, name.as_str()));
        let platform = ("platform", place.platform.code);
        let description = ("description", place.description.as_str());
        details.chain([platform, description]).collect()
    });
    Summary {
        version: VERSION,
        verdict: if errors == 0 { "sound" } else { "invalid" },
        service: view.service.as_deref(),
        place,
        errors,
        warnings: view.report.warnings(),
        truncated: None,
        report,
        diagnosis,
    }
}
