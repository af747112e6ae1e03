//! Renders a report as annotations of a GitHub workflow, at the lines of the env file or the manifest.

use super::{View, label, text};
use crate::report::Source;

/// The file and the line of an annotation.
type Place<'a> = (Option<&'a str>, Option<usize>);

const NOWHERE: Place<'_> = (None, None);

/// The annotations, then the headline. `manifest` is the path of the manifest as the user gave it.
pub fn report(view: &View, manifest: &str) -> String {
    let findings = view.report.findings.iter().map(|finding| {
        let variable = &finding.variable;
        let declared = (Some(manifest), finding.manifest_line);
        annotation(
            &finding.severity.to_string(),
            finding.source.as_ref().map_or(declared, place),
            &format!("{variable} {}", finding.code),
            &format!("{variable} {}: {}", finding.problem, finding.fix),
        )
    });
    let notes = view.report.notes.iter().map(|note| {
        let place = note.source.as_ref().map_or(NOWHERE, place);
        annotation("notice", place, &note.code.to_string(), &note.text)
    });
    let causes = view.diagnosis.causes.iter().map(|cause| {
        let title = format!("{}: {}", label(cause), cause.code);
        annotation("notice", NOWHERE, &title, &cause.text)
    });
    let fixes = view.diagnosis.fixes.iter().map(|fix| {
        let message = format!("{}:\n{}", fix.title, fix.commands.join("\n"));
        annotation("notice", NOWHERE, "Fix", &message)
    });
    let annotations: String = findings.chain(notes).chain(causes).chain(fixes).collect();
    annotations + &text::headline(view) + "\n"
}

fn place(source: &Source) -> Place<'_> {
    match source.file.as_str() {
        // Standard input cannot be annotated.
        "-" => NOWHERE,
        file => (Some(file), Some(source.line)),
    }
}

fn annotation(level: &str, (file, line): Place<'_>, title: &str, message: &str) -> String {
    let file = file.map(|file| format!("file={},", property(file)));
    let line = line.map(|line| format!("line={line},"));
    format!(
        "::{level} {}{}title={}::{}\n",
        file.unwrap_or_default(),
        line.unwrap_or_default(),
        property(title),
        data(message)
    )
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
