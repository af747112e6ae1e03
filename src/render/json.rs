//! The report for machines: one object per line. docs/report-and-causes.md documents the fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use crate::diagnosis::Fix;
use crate::report::{Finding, Note};

/// The version of the format. Raised when a field changes its meaning or is removed.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Summary<'a> {
    kind: &'static str,
    version: u32,
    verdict: &'static str,
    service: Option<&'a str>,
    place: Option<Place<'a>>,
    declared: usize,
    errors: usize,
    warnings: usize,
    findings: &'a [Finding],
    notes: &'a [Note],
    causes: Vec<Cause<'a>>,
    fixes: &'a [Fix],
}

#[derive(Serialize)]
struct Place<'a> {
    platform: &'static str,
    description: &'a str,
    /// `project`, `service`, `environment`, `replica` and so on, as far as the platform has them.
    #[serde(flatten)]
    details: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct Cause<'a> {
    #[serde(rename = "cause")]
    code: &'static str,
    certainty: &'static str,
    variables: &'a [String],
    text: &'a str,
}

/// An object on a line of its own.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    #[serde(flatten)]
    object: &'a T,
}

/// The report of `check`: a line per finding and per note, then the summary, which repeats all of them.
pub fn report(view: &View<'_>) -> String {
    let findings = view.report.findings.iter().map(|object| {
        let kind = "finding";
        to_json(&Line { kind, object })
    });
    let notes = view.report.notes.iter().map(|object| {
        let kind = "note";
        to_json(&Line { kind, object })
    });
    let lines = findings.chain(notes).chain([summary(view)]);
    lines.map(|line| line + "\n").collect()
}

/// The whole report as one object.
pub fn summary(view: &View<'_>) -> String {
    let report = view.report;
    let errors = report.errors();
    let place = view.place.map(|place| Place {
        platform: place.platform.code,
        description: &place.description,
        details: place
            .details
            .iter()
            .map(|(what, name)| (*what, name.as_str()))
            .collect(),
    });
    let causes = view.diagnosis.causes.iter().map(|cause| Cause {
        code: cause.code,
        certainty: if cause.is_certain {
            "certain"
        } else {
            "likely"
        },
        variables: &cause.variables,
        text: &cause.text,
    });
    to_json(&Summary {
        kind: "summary",
        version: VERSION,
        verdict: if errors == 0 { "sound" } else { "invalid" },
        service: view.service,
        place,
        declared: report.declared,
        errors,
        warnings: report.warnings(),
        findings: &report.findings,
        notes: &report.notes,
        causes: causes.collect(),
        fixes: &view.diagnosis.fixes,
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are always JSON")
}
