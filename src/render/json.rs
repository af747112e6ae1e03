//! The report for machines: one object per line. docs/report-and-causes.md documents the fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use crate::diagnosis::{Cause, Fix};
use crate::platform::Place;
use crate::report::{Finding, Note, Source};

/// The format's version: raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct JsonSummary<'a> {
    kind: &'static str,
    version: u32,
    verdict: &'static str,
    service: Option<&'a str>,
    place: Option<JsonPlace<'a>>,
    declared: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<JsonFinding<'a>>,
    notes: Vec<JsonNote<'a>>,
    causes: Vec<JsonCause<'a>>,
    fixes: Vec<JsonFix<'a>>,
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    platform: &'static str,
    description: &'a str,
    /// `project`, `service`, `environment`, `replica`…, as the platform has them.
    #[serde(flatten)]
    details: BTreeMap<&'static str, &'a str>,
}

/// An object on a line of its own says what it is; within the summary its list says so.
#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'static str,
    #[serde(flatten)]
    object: &'a T,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    variable: &'a str,
    finding: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    problem: &'a str,
    fix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(flatten)]
    source: Option<JsonSource<'a>>,
}

#[derive(Serialize)]
struct JsonNote<'a> {
    note: &'static str,
    variables: &'a [String],
    text: &'a str,
    #[serde(flatten)]
    source: Option<JsonSource<'a>>,
}

#[derive(Serialize)]
struct JsonSource<'a> {
    file: &'a str,
    line: usize,
}

#[derive(Serialize)]
struct JsonCause<'a> {
    cause: &'static str,
    certainty: &'static str,
    variables: &'a [String],
    text: &'a str,
}

#[derive(Serialize)]
struct JsonFix<'a> {
    title: &'a str,
    variables: &'a [String],
    commands: &'a [String],
}

/// The report of `check`: a line per finding and per note, then the summary with all of it.
pub fn report(view: &View<'_>) -> String {
    let mut text = String::new();
    for object in view.report.findings.iter().map(finding) {
        push_line(&mut text, "finding", &object);
    }
    for object in view.report.notes.iter().map(note) {
        push_line(&mut text, "note", &object);
    }
    text.push_str(&summary(view));
    text.push('\n');
    text
}

fn push_line(text: &mut String, kind: &'static str, object: &impl Serialize) {
    text.push_str(&to_json(&Line { kind, object }));
    text.push('\n');
}

/// Everything as one object.
pub fn summary(view: &View<'_>) -> String {
    let report = view.report;
    to_json(&JsonSummary {
        kind: "summary",
        version: VERSION,
        verdict: if report.errors() == 0 {
            "sound"
        } else {
            "invalid"
        },
        service: view.service,
        place: view.place.map(place),
        declared: report.declared,
        errors: report.errors(),
        warnings: report.warnings(),
        findings: report.findings.iter().map(finding).collect(),
        notes: report.notes.iter().map(note).collect(),
        causes: view.diagnosis.causes.iter().map(cause).collect(),
        fixes: view.diagnosis.fixes.iter().map(fix).collect(),
    })
}

fn place(place: &Place) -> JsonPlace<'_> {
    let details = place.details.iter();
    JsonPlace {
        platform: place.platform.code(),
        description: &place.description,
        details: details.map(|(what, name)| (*what, name.as_str())).collect(),
    }
}

fn finding(finding: &Finding) -> JsonFinding<'_> {
    JsonFinding {
        variable: &finding.variable,
        finding: finding.code.name(),
        severity: finding.severity.name(),
        level: finding.level,
        problem: &finding.problem,
        fix: &finding.fix,
        description: finding.description.as_deref(),
        source: finding.source.as_ref().map(source),
    }
}

fn note(note: &Note) -> JsonNote<'_> {
    JsonNote {
        note: note.code.name(),
        variables: &note.variables,
        text: &note.text,
        source: note.source.as_ref().map(source),
    }
}

fn source(source: &Source) -> JsonSource<'_> {
    JsonSource {
        file: &source.file,
        line: source.line,
    }
}

fn cause(cause: &Cause) -> JsonCause<'_> {
    JsonCause {
        cause: cause.code.name(),
        certainty: if cause.is_certain {
            "certain"
        } else {
            "likely"
        },
        variables: &cause.variables,
        text: &cause.text,
    }
}

fn fix(fix: &Fix) -> JsonFix<'_> {
    JsonFix {
        title: &fix.title,
        variables: &fix.variables,
        commands: &fix.commands,
    }
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are always JSON")
}
