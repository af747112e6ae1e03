//! Renders a report as annotations of a GitHub workflow, at the lines of the env file or the manifest.

use std::fmt::Display;

use super::{View, label, only, text};
use crate::report::{Source, name_of};

/// The annotations, then the headline. `manifest` is the path of the manifest as the user gave it.
pub fn report(view: &View, manifest: &str) -> String {
    let findings = view.report.findings.iter().map(|finding| {
        let subject = &finding.subject;
        let only = only(finding).map(|only| format!(" ({only})"));
        let only = only.unwrap_or_default();
        let declared = || place(manifest, finding.manifest_line);
        annotation(
            name_of(finding.severity),
            &finding.source.as_ref().map_or_else(declared, place_of),
            &format!("{subject} {}", name_of(finding.code)),
            &format!("{subject} {}{only}: {}", finding.problem, finding.fix),
        )
    });
    let notes = view.report.notes.iter().map(|note| {
        let place = note.source.as_ref().map(place_of).unwrap_or_default();
        let title = name_of(note.code).to_string();
        annotation("notice", &place, &title, &note.text)
    });
    let causes = view.diagnosis.causes.iter().map(|cause| {
        let title = format!("{}: {}", label(cause), cause.code);
        annotation("notice", "", &title, &cause.text)
    });
    let fixes = view.diagnosis.fixes.iter().map(|fix| {
        let message = format!("{}:\n{}", fix.title, fix.commands.join("\n"));
        annotation("notice", "", "Fix", &message)
    });
    let annotations: String = findings.chain(notes).chain(causes).chain(fixes).collect();
    annotations + &text::headline(view) + "\n"
}

/// The properties that place an annotation; empty for standard input, which cannot be annotated.
fn place_of(source: &Source) -> String {
    match source.file.as_str() {
        "-" => String::new(),
        file => place(file, Some(source.line)),
    }
}

/// The properties that place an annotation at a line of a file.
pub fn place(file: &str, line: Option<usize>) -> String {
    let line = line.map(|line| format!("line={line},"));
    format!("file={},{}", property(file), line.unwrap_or_default())
}

/// An annotation, with a line break at its end. `place` is empty, or the result of [`place`].
pub fn annotation(level: impl Display, place: &str, title: &str, message: &str) -> String {
    let (title, message) = (property(title), data(message));
    format!("::{level} {place}title={title}::{message}\n")
}

/// Escapes the message of a workflow command, which must be on one line.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
