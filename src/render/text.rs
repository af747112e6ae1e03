//! Renders a report as text: the headline, the findings in groups, the notes, the causes, and the fixes.

use std::collections::{HashMap, HashSet};

use super::{View, label, only};
use crate::diagnosis::Cause;
use crate::report::{Code, Finding, Note, Severity, Subject, name_of};
use crate::text::{WIDTH, count, first, fits, wrapped};

/// The indent of each line of a paragraph except the first.
const INDENT: &str = "   ";

/// The width of lines, in columns: that of the terminal, within limits, if there is one.
fn width(terminal: Option<usize>) -> usize {
    terminal.map_or(WIDTH, |columns| columns.clamp(60, 120))
}

/// The titles of the groups of findings, in their order.
const GROUPS: [&str; 3] = ["To set", "To correct", "To consider"];

fn group(finding: &Finding) -> &'static str {
    match (finding.severity, finding.code) {
        (Severity::Warning, _) => "To consider",
        (_, Code::Missing | Code::Placeholder | Code::UnsetReference) => "To set",
        _ => "To correct",
    }
}

/// What a paragraph of a report is about.
pub enum Of<'a> {
    /// It is the title of the following paragraphs.
    Title,
    Finding(&'a Finding),
    Cause(&'a Cause),
    Other,
}

/// The paragraphs of a report below its headline, in their order, without a line break at their ends. `terminal` is the
/// number of columns of the terminal that shows them, if there is one.
pub fn pieces(view: &View, terminal: Option<usize>) -> Vec<(Of<'_>, String)> {
    let width = width(terminal);
    let mut pieces = Vec::new();
    let findings = &view.report.findings;
    let fixes = &view.diagnosis.fixes;
    let set_by_fixes: HashSet<&String> = fixes.iter().flat_map(|fix| &fix.variables).collect();
    for title in GROUPS {
        let of_group = findings.iter().filter(|each| group(each) == title);
        let count = of_group.clone().count();
        // A title is omitted if there is only one group.
        if count > 0 && count < findings.len() {
            pieces.push((Of::Title, format!("{title} ({count}):")));
        }
        let shown = |each| (Of::Finding(each), finding(each, &set_by_fixes, terminal));
        pieces.extend(of_group.map(shown));
    }
    pieces.extend(notes(&view.report.notes, width));
    let causes = view.diagnosis.causes.iter();
    pieces.extend(causes.map(|each| (Of::Cause(each), cause(each, width))));
    for (each, number) in fixes.iter().zip(1..) {
        let number = (fixes.len() > 1).then(|| format!(" {number}"));
        let number = number.unwrap_or_default();
        // The commands are not indented, so that they can be pasted unchanged.
        let title = wrapped(&format!("Fix{number}, {}:", each.title), INDENT, width);
        pieces.push((Of::Other, format!("{title}\n{}", each.commands.join("\n"))));
    }
    pieces
}

/// The whole report, with a line break at its end. `terminal` is the number of columns of the terminal that shows it, if
/// there is one. If `is_coloured` is true, the report contains escape sequences for colours.
pub fn report(view: &View, terminal: Option<usize>, is_coloured: bool) -> String {
    let headline = wrapped(&headline(view), INDENT, width(terminal));
    let headline = (Of::Title, headline);
    let paragraphs = std::iter::once(headline).chain(pieces(view, terminal));
    let painted = paragraphs.map(|(of, text)| {
        let colour = match of {
            Of::Finding(finding) if finding.severity == Severity::Error => 31,
            Of::Finding(_) => 33,
            Of::Title | Of::Cause(_) => 1,
            Of::Other => 0,
        };
        if is_coloured && colour > 0 {
            format!("\x1b[{colour}m{text}\x1b[0m\n")
        } else {
            text + "\n"
        }
    });
    painted.collect()
}

/// One line with the service, the verdict, and the place where the service runs.
pub fn headline(view: &View) -> String {
    let report = &view.report;
    let (errors, warnings) = (report.errors(), report.warnings());
    let service = view.service.as_ref();
    let whose = service.map_or_else(String::new, |service| format!(" of {service}"));
    let (verdict, first) = match errors {
        0 => ("sound", count(report.declared, "variable") + " checked"),
        _ => ("invalid", count(errors, "error")),
    };
    let warnings = (warnings > 0).then(|| count(warnings, "warning"));
    let place = view.place.as_ref().map(|place| place.description.clone());
    let parts = [Some(first), warnings, place].into_iter().flatten();
    let parts = parts.collect::<Vec<_>>().join(", ");
    format!("the environment{whose} is {verdict}: {parts}")
}

/// The finding, the variable's description, and the advice: how to correct it, or the manifest's hint if a command of
/// the report sets the variable.
fn finding(finding: &Finding, set_by_fixes: &HashSet<&String>, terminal: Option<usize>) -> String {
    let width = width(terminal);
    let mark = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
    };
    let (subject, problem, code) = (&finding.subject, &finding.problem, name_of(finding.code));
    let level = finding.level.map(|level| format!(", {level}"));
    let level = level.unwrap_or_default();
    let only = only(finding).map(|only| format!(", {only}"));
    let only = only.unwrap_or_default();
    let mut text = format!("{mark} {subject} {problem} [{code}{level}{only}]");
    if let Some(source) = &finding.source {
        text += &format!(" ({}:{})", source.shown_file(), source.line);
    }
    let mut description = finding.description.as_ref();
    if let Some(short) = description.take_if(|short| fits(&format!("{text}: {short}"), width)) {
        text += &format!(": {short}");
    }
    // In a file or a log it stays on one line, so that a search finds it.
    if terminal.is_some() {
        text = wrapped(&text, INDENT, width);
    }
    let advice = match &finding.subject {
        // A hint with a Railway reference is redundant, because the command sets that reference.
        Subject::Variable(name)
            if set_by_fixes.contains(name) && finding.alternatives.is_empty() =>
        {
            finding.hint.as_ref().filter(|hint| !hint.contains("${{"))
        }
        _ => Some(&finding.fix),
    };
    for (start, more, indent) in [("", description, INDENT), ("→ ", advice, "     ")] {
        if let Some(more) = more {
            text += "\n";
            text += &wrapped(&format!("{INDENT}{start}{more}"), indent, width);
        }
    }
    text
}

fn cause(cause: &Cause, width: usize) -> String {
    let text = format!("{} [{}]: {}", label(cause), cause.code, cause.text);
    wrapped(&text, INDENT, width)
}

/// The maximum number of lines that are listed for one note.
const MAX_LINES: usize = 8;

/// Merges notes of one file that have the same text, and lists their lines.
fn notes<'a>(notes: &[Note], width: usize) -> Vec<(Of<'a>, String)> {
    let mut groups: Vec<(&Note, Vec<String>)> = Vec::new();
    let mut positions = HashMap::new();
    for note in notes {
        let file = note.source.as_ref().map(|source| &source.file);
        let position = *positions.entry((file, &note.text)).or_insert(groups.len());
        if position == groups.len() {
            groups.push((note, Vec::new()));
        }
        let name = note.variables.first().map(|name| format!(" ({name})"));
        let line = note.source.as_ref().map(|source| source.line.to_string());
        let (_, lines) = &mut groups[position];
        lines.extend(line.map(|line| line + &name.unwrap_or_default()));
    }
    let pieces = groups.into_iter().map(|(note, lines)| {
        let source = note.source.as_ref();
        let source =
            source.map(|source| format!("{}:{}: ", source.shown_file(), first(&lines, MAX_LINES)));
        let text = format!(" · {}{}", source.unwrap_or_default(), note.text);
        (Of::Other, wrapped(&text, INDENT, width))
    });
    let title = (!notes.is_empty()).then(|| (Of::Title, "Notes:".to_owned()));
    title.into_iter().chain(pieces).collect()
}
