//! Renders the result of an audit. docs/audit.md documents the formats.

use std::path::Path;

use serde::Serialize;

use super::{Code, Finding, Place, Report};
use crate::render::github::{annotation, place};
use crate::render::json::line;
use crate::report::name_of;
use crate::text::{WIDTH, count, first, wrapped};

/// The version of the JSON format. Raised when a field changes its meaning or is removed.
const VERSION: u32 = 1;

/// How many places of a variable a text lists.
const MAX_PLACES: usize = 3;

/// The indent of each line of a paragraph except the first.
const INDENT: &str = "   ";

/// A paragraph per finding and per note, below a headline.
pub fn text(report: &Report, manifest: &Path) -> String {
    let mut text = wrapped(&headline(report, manifest), INDENT, WIDTH) + "\n";
    for of_kind in report
        .findings
        .chunk_by(|one, other| one.code == other.code)
    {
        for finding in of_kind {
            let places: Vec<String> = finding.places.iter().map(shown).collect();
            let places = first(&places, MAX_PLACES);
            let (problem, code) = (problem(finding), name_of(finding.code));
            let variable = &finding.variable;
            let paragraph = format!("❌ {variable} {problem} [{code}] ({places})");
            text += &(wrapped(&paragraph, INDENT, WIDTH) + "\n");
        }
        let fix = of_kind.first().map_or("", fix);
        text += &format!("{INDENT}→ {fix}\n");
    }
    if !report.notes.is_empty() {
        text += "Notes:\n";
    }
    for note in &report.notes {
        let note = format!(" · {}: {}", shown(&note.place), note.text);
        text += &(wrapped(&note, INDENT, WIDTH) + "\n");
    }
    text
}

/// One object per line: each finding, each note, and a summary that contains all of them again.
pub fn json(report: &Report) -> String {
    #[derive(Serialize)]
    struct Summary<'a> {
        version: u32,
        verdict: &'static str,
        #[serde(flatten)]
        report: &'a Report,
    }
    let findings = report.findings.iter().map(|each| line("finding", each));
    let notes = report.notes.iter().map(|each| line("note", each));
    let summary = Summary {
        version: VERSION,
        verdict: if report.findings.is_empty() {
            "sound"
        } else {
            "drift"
        },
        report,
    };
    let lines = findings.chain(notes).chain([line("summary", &summary)]);
    lines.map(|line| line + "\n").collect()
}

/// Annotations of a GitHub workflow, then the headline.
pub fn github(report: &Report, manifest: &Path) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let (variable, problem) = (&finding.variable, problem(finding));
        let title = format!("{variable} {}", name_of(finding.code));
        let message = format!("{variable} {problem} → {}", fix(finding));
        let places = finding.places.iter().take(MAX_PLACES);
        text.extend(
            places.map(|at| annotation("error", &place(&at.file, at.line), &title, &message)),
        );
    }
    for note in &report.notes {
        let at = place(&note.place.file, note.place.line);
        text += &annotation("notice", &at, "audit", &note.text);
    }
    text + &headline(report, manifest) + "\n"
}

fn headline(report: &Report, manifest: &Path) -> String {
    let (manifest, files) = (manifest.display(), count(report.files, "Python file"));
    match report.findings.len() {
        0 => format!("the code and {manifest} agree: {files} read"),
        findings => {
            let variables = count(findings, "variable");
            format!("the code and {manifest} differ in {variables}: {files} read")
        }
    }
}

/// The predicate of a sentence whose subject is the variable.
fn problem(finding: &Finding) -> String {
    let problem = match finding.code {
        Code::Undeclared => "is read by the code, but not declared in the manifest",
        Code::Unread => "is declared in the manifest, but the code does not read it",
    };
    let near = finding.near.as_ref();
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    format!("{problem}{near}")
}

/// How to put it right, in the imperative.
fn fix(finding: &Finding) -> &'static str {
    match finding.code {
        Code::Undeclared => "declare it under `variables`, or add it to `ignore` under `audit`",
        Code::Unread => "remove it from `variables`, or add it to `ignore` under `audit`",
    }
}

/// A place as texts show it, without control characters.
fn shown(place: &Place) -> String {
    let file = place.file.replace(char::is_control, "\u{fffd}");
    match place.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}
