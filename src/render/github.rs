//! Annotations of a GitHub workflow: each at the line of the env file, or of the manifest, that it is about.

use std::collections::HashMap;

use super::{View, text};
use crate::report::{Severity, Source};

/// Where the manifest declares what.
pub struct ManifestLines {
    /// As the user named the file.
    pub file: String,
    /// Counted from 1.
    pub by_variable: HashMap<String, usize>,
}

/// The annotations, then the headline.
pub fn report(view: &View<'_>, manifest: &ManifestLines) -> String {
    let mut out = String::new();
    for finding in &view.report.findings {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let title = format!("{} {}", finding.variable, finding.code.name());
        let message = format!("{} {}: {}", finding.variable, finding.problem, finding.fix);
        let place = finding
            .source
            .as_ref()
            .map_or_else(|| in_manifest(manifest, &finding.variable), in_file);
        push(&mut out, level, place, &title, &message);
    }
    for note in &view.report.notes {
        let place = note.source.as_ref().map(in_file).unwrap_or_default();
        push(&mut out, "notice", place, note.code.name(), &note.text);
    }
    for cause in &view.diagnosis.causes {
        let likely = if cause.is_certain {
            "Cause"
        } else {
            "Likely cause"
        };
        let title = format!("{likely}: {}", cause.code.name());
        push(&mut out, "notice", Place::default(), &title, &cause.text);
    }
    for fix in &view.diagnosis.fixes {
        let message = format!("{}:\n{}", fix.title, fix.commands.join("\n"));
        push(&mut out, "notice", Place::default(), "Fix", &message);
    }
    out.push_str(&text::headline(view.report, view.service, view.place));
    out.push('\n');
    out
}

#[derive(Clone, Copy, Default)]
struct Place<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
}

fn in_file(source: &Source) -> Place<'_> {
    // Standard input is no file that could be annotated.
    let file = Some(source.file.as_str()).filter(|file| *file != "-");
    Place {
        file,
        line: file.map(|_| source.line),
    }
}

fn in_manifest<'a>(manifest: &'a ManifestLines, variable: &str) -> Place<'a> {
    Place {
        file: Some(&manifest.file),
        line: manifest.by_variable.get(variable).copied(),
    }
}

fn push(out: &mut String, level: &str, place: Place<'_>, title: &str, message: &str) {
    let file = place
        .file
        .map(|file| format!("file={},", property(file)))
        .unwrap_or_default();
    let line = place
        .line
        .map(|line| format!("line={line},"))
        .unwrap_or_default();
    let annotation = format!(
        "::{level} {file}{line}title={}::{}\n",
        property(title),
        data(message)
    );
    out.push_str(&annotation);
}

/// A workflow command ends with its line.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
