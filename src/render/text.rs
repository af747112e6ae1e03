//! Renders a report as text: the headline, the findings in groups, the notes, the causes, and the fixes.

use std::collections::{HashMap, HashSet};

use super::{View, label};
use crate::diagnosis::{Cause, Fix};
use crate::report::{Code, Finding, Note, Severity, name_of};
use crate::text::{count, first, fits, wrapped};

/// The indent of each line of a paragraph except the first.
const INDENT: &str = "   ";

/// The titles of the groups of findings, in their order.
const GROUPS: [&str; 3] = ["To set", "To correct", "To consider"];

fn group(finding: &Finding) -> &'static str {
    match (finding.severity, finding.code) {
        (Severity::Warning, _) => "To consider",
        (_, Code::Missing | Code::Placeholder | Code::UnsetReference) => "To set",
        _ => "To correct",
    }
}

/// One paragraph of a report, without a line break at its end.
pub enum Piece<'a> {
    /// The title of the following paragraphs.
    Title(String),
    Finding(&'a Finding, String),
    Cause(&'a Cause, String),
    Other(String),
}

/// The paragraphs of a report below its headline, in their order.
pub fn pieces(view: &View) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let findings = &view.report.findings;
    let causes = &view.diagnosis.causes;
    let fixes = &view.diagnosis.fixes;
    let set_by_fixes = fixes.iter().flat_map(|fix| &fix.variables);
    let set_by_fixes: HashSet<&str> = set_by_fixes.map(String::as_str).collect();
    for title in GROUPS {
        let of_group: Vec<&Finding> = findings
            .iter()
            .filter(|each| group(each) == title)
            .collect();
        // A title is omitted if there is only one group.
        if !of_group.is_empty() && of_group.len() < findings.len() {
            pieces.push(Piece::Title(format!("{title} ({}):", of_group.len())));
        }
        pieces.extend(of_group.into_iter().map(|each| {
            let is_set = each
                .variable()
                .is_some_and(|name| set_by_fixes.contains(name));
            Piece::Finding(each, finding(each, is_set))
        }));
    }
    pieces.extend(notes(&view.report.notes));
    pieces.extend(causes.iter().map(|each| Piece::Cause(each, cause(each))));
    let numbered = fixes.iter().zip(1..);
    pieces.extend(numbered.map(|(each, number)| match fixes.len() {
        1 => Piece::Other(fix("Fix", each)),
        _ => Piece::Other(fix(&format!("Fix {number}"), each)),
    }));
    pieces
}

/// The whole report, with a line break at its end. If `is_coloured` is true, it contains escape sequences for colours.
pub fn report(view: &View, is_coloured: bool) -> String {
    let headline = wrapped(&headline(view), INDENT);
    let pieces = pieces(view).into_iter().map(|piece| match piece {
        Piece::Title(text) | Piece::Cause(_, text) => (text, "1"),
        Piece::Finding(finding, text) => match finding.severity {
            Severity::Error => (text, "31"),
            Severity::Warning => (text, "33"),
        },
        Piece::Other(text) => (text, ""),
    });
    let paragraphs = std::iter::once((headline, "1")).chain(pieces);
    let painted = paragraphs.map(|(text, colour)| match colour {
        colour if is_coloured && !colour.is_empty() => format!("\x1b[{colour}m{text}\x1b[0m\n"),
        _ => text + "\n",
    });
    painted.collect()
}

/// One line with the service, the verdict, and the place where the service runs.
pub fn headline(view: &View) -> String {
    let report = &view.report;
    let (errors, warnings) = (report.errors(), report.warnings());
    let service = view.service.as_ref();
    let whose = service.map(|service| format!(" of {service}"));
    let whose = whose.unwrap_or_default();
    let (verdict, first) = match errors {
        0 => ("sound", count(report.declared, "variable") + " checked"),
        _ => ("invalid", count(errors, "error")),
    };
    let mut parts = vec![first];
    if warnings > 0 {
        parts.push(count(warnings, "warning"));
    }
    parts.extend(view.place.as_ref().map(|place| place.description.clone()));
    let parts = parts.join(", ");
    format!("the environment{whose} is {verdict}: {parts}")
}

/// The finding, the variable's description, and the advice: how to correct it, or the manifest's hint if a command of
/// the report sets the variable.
fn finding(finding: &Finding, is_set_by_fix: bool) -> String {
    let mark = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
    };
    let level = finding.level.map(|level| format!(", {level}"));
    let source = finding.source.as_ref();
    let source = source.map(|source| format!(" ({}:{})", source.shown_file(), source.line));
    let mut text = format!(
        "{mark} {} {} [{}{}]{}",
        finding.subject,
        finding.problem,
        name_of(finding.code),
        level.unwrap_or_default(),
        source.unwrap_or_default()
    );
    if let Some(description) = &finding.description {
        let in_one = format!("{text}: {description}");
        text = if fits(&in_one) {
            in_one
        } else {
            format!("{text}\n{INDENT}{}", wrapped(description, INDENT))
        };
    }
    let advice = if is_set_by_fix {
        // A hint with a Railway reference is redundant, because the command sets that reference.
        finding.hint.as_ref().filter(|hint| !hint.contains("${{"))
    } else {
        Some(&finding.fix)
    };
    if let Some(advice) = advice {
        text += &format!("\n{INDENT}→ {}", wrapped(advice, "     "));
    }
    text
}

fn cause(cause: &Cause) -> String {
    let text = format!("{} [{}]: {}", label(cause), cause.code, cause.text);
    wrapped(&text, INDENT)
}

/// The commands are not indented, so that they can be pasted unchanged.
fn fix(name: &str, fix: &Fix) -> String {
    let title = wrapped(&format!("{name}, {}:", fix.title), INDENT);
    format!("{title}\n{}", fix.commands.join("\n"))
}

/// The maximum number of lines that are listed for one note.
const MAX_LINES: usize = 8;

/// Merges notes of one file that have the same text, and lists their lines.
fn notes<'a>(notes: &[Note]) -> Vec<Piece<'a>> {
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
        groups[position]
            .1
            .extend(line.map(|line| line + &name.unwrap_or_default()));
    }
    let pieces = groups.into_iter().map(|(note, lines)| {
        let source = note.source.as_ref();
        let source =
            source.map(|source| format!("{}:{}: ", source.shown_file(), first(&lines, MAX_LINES)));
        let text = format!(" · {}{}", source.unwrap_or_default(), note.text);
        Piece::Other(wrapped(&text, INDENT))
    });
    let title = (!notes.is_empty()).then(|| Piece::Title("Notes:".to_owned()));
    title.into_iter().chain(pieces).collect()
}
