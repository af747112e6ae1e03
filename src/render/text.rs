//! The report for people: what is wrong in groups by what to do, then why, then what to paste.

use std::collections::{HashMap, HashSet};

use super::View;
use crate::diagnosis::{Cause, Fix};
use crate::platform::Place;
use crate::report::{Code, Finding, Note, Report, Severity};
use crate::text::{fits, wrapped};

/// Lines below the first of a paragraph.
const INDENT: &str = "   ";

/// What is to be done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Set,
    Correct,
    Consider,
}

impl Group {
    const ALL: [Group; 3] = [Group::Set, Group::Correct, Group::Consider];

    fn of(finding: &Finding) -> Self {
        match (finding.severity, finding.code) {
            (Severity::Warning, _) => Group::Consider,
            (_, Code::Missing | Code::Placeholder | Code::UnsetReference) => Group::Set,
            _ => Group::Correct,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Group::Set => "To set",
            Group::Correct => "To correct",
            Group::Consider => "To consider",
        }
    }
}

/// One piece of a report, which ends with no line break.
pub enum Piece<'a> {
    /// The title of what follows.
    Title(String),
    Finding(&'a Finding, String),
    Cause(&'a Cause, String),
    Other(String),
}

/// The pieces of a report but for its headline, in their order.
pub fn pieces<'a>(view: &View<'a>) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let covered = covered(view);
    let groups = Group::ALL.map(|group| {
        let findings = view.report.findings.iter();
        let of_group: Vec<&Finding> = findings.filter(|each| Group::of(each) == group).collect();
        (group, of_group)
    });
    // A title tells what the next one does not say; of one group there is nothing to tell apart.
    let is_one = groups
        .iter()
        .filter(|(_, findings)| !findings.is_empty())
        .count()
        == 1;
    for (group, of_group) in groups {
        if !is_one && !of_group.is_empty() {
            let title = format!("{} ({}):", group.title(), of_group.len());
            pieces.push(Piece::Title(title));
        }
        pieces.extend(of_group.into_iter().map(|each| {
            let is_covered = covered.contains(each.variable.as_str());
            Piece::Finding(each, finding(each, is_covered))
        }));
    }
    pieces.extend(notes(&view.report.notes));
    let causes = view.diagnosis.causes.iter();
    pieces.extend(causes.map(|each| Piece::Cause(each, cause(each))));
    pieces.extend(
        view.diagnosis
            .fixes
            .iter()
            .map(|each| Piece::Other(fix(each))),
    );
    pieces
}

/// Variables that a fix sets.
fn covered<'a>(view: &View<'a>) -> HashSet<&'a str> {
    let variables = view.diagnosis.fixes.iter().flat_map(|fix| &fix.variables);
    variables.map(String::as_str).collect()
}

/// The whole report, each line ended.
pub fn report(view: &View<'_>, is_coloured: bool) -> String {
    let headline = wrapped(&headline(view.report, view.service, view.place), INDENT);
    let mut text = painted(&headline, "1", is_coloured);
    for piece in pieces(view) {
        text.push('\n');
        text.push_str(&match piece {
            Piece::Title(title) => painted(&title, "1", is_coloured),
            Piece::Finding(finding, told) => match finding.severity {
                Severity::Error => painted(&told, "31", is_coloured),
                Severity::Warning => painted(&told, "33", is_coloured),
            },
            Piece::Cause(_, told) => painted(&told, "1", is_coloured),
            Piece::Other(text) => text,
        });
    }
    text.push('\n');
    text
}

/// In a colour of the terminal (SGR).
fn painted(text: &str, colour: &str, is_coloured: bool) -> String {
    if is_coloured {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// One line: whose environment, how it is, and where.
pub fn headline(report: &Report, service: Option<&str>, place: Option<&Place>) -> String {
    let whose = service
        .map(|service| format!(" of {service}"))
        .unwrap_or_default();
    let place = place
        .map(|place| format!(", {}", place.description))
        .unwrap_or_default();
    let declared = count(report.declared, "variable");
    match (report.errors(), report.warnings()) {
        (0, 0) => format!("the environment{whose} is sound: {declared} checked{place}"),
        (0, warnings) => {
            format!(
                "the environment{whose} is sound: {declared} checked, {}{place}",
                count(warnings, "warning")
            )
        }
        (errors, 0) => format!(
            "the environment{whose} is invalid: {}{place}",
            count(errors, "error")
        ),
        (errors, warnings) => {
            let (errors, warnings) = (count(errors, "error"), count(warnings, "warning"));
            format!("the environment{whose} is invalid: {errors}, {warnings}{place}")
        }
    }
}

/// One finding: what is wrong, what the variable is for, and how to mend it; where a command mends it already,
/// only what the manifest says about a right value.
fn finding(finding: &Finding, is_covered: bool) -> String {
    let mark = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
    };
    let level = finding
        .level
        .map(|level| format!(", {level}"))
        .unwrap_or_default();
    let code = finding.code.name();
    let source = finding
        .source
        .as_ref()
        .map(|source| format!(" ({source})"))
        .unwrap_or_default();
    let mut text = format!(
        "{mark} {} {} [{code}{level}]{source}",
        finding.variable, finding.problem
    );
    if let Some(description) = &finding.description {
        let in_one = format!("{text}: {description}");
        text = if fits(&in_one) {
            in_one
        } else {
            format!("{text}\n{INDENT}{}", wrapped(description, INDENT))
        };
    }
    let order = if is_covered {
        // What it says of references is in the command already.
        finding.hint.as_ref().filter(|hint| !hint.contains("${{"))
    } else {
        Some(&finding.fix)
    };
    if let Some(order) = order {
        text.push_str(&format!("\n{INDENT}→ {}", wrapped(order, "     ")));
    }
    text
}

fn cause(cause: &Cause) -> String {
    let likely = if cause.is_certain {
        "Cause"
    } else {
        "Likely cause"
    };
    wrapped(
        &format!("{likely} [{}]: {}", cause.code.name(), cause.text),
        INDENT,
    )
}

/// Commands begin at the margin: a here-document ends only there.
fn fix(fix: &Fix) -> String {
    let title = wrapped(&format!("Fix, {}:", fix.title), INDENT);
    format!("{title}\n{}", fix.commands.join("\n"))
}

/// Notes with the same text as one, with all their lines.
fn notes<'a>(notes: &[Note]) -> Vec<Piece<'a>> {
    if notes.is_empty() {
        return Vec::new();
    }
    let mut groups: Vec<Vec<&Note>> = Vec::new();
    let mut positions = HashMap::new();
    for note in notes {
        let file = note.source.as_ref().map(|source| source.file.as_str());
        let position = *positions
            .entry((file, note.text.as_str()))
            .or_insert(groups.len());
        if position == groups.len() {
            groups.push(Vec::new());
        }
        groups[position].push(note);
    }
    let told = groups.into_iter().filter_map(|group| {
        let first = group.first()?;
        let text = match &first.source {
            None => first.text.clone(),
            Some(source) => {
                let lines = group
                    .iter()
                    .filter_map(|note| Some((note.source.as_ref()?.line, note.variables.first())));
                format!(
                    "{}{}: {}",
                    source.shown_file(),
                    first_lines(lines),
                    first.text
                )
            }
        };
        Some(Piece::Other(wrapped(&format!(" · {text}"), INDENT)))
    });
    let title = Piece::Title("Notes:".to_owned());
    std::iter::once(title).chain(told).collect()
}

/// So many lines with the same note are told.
const SHOWN_LINES: usize = 8;

fn first_lines<'a>(lines: impl Iterator<Item = (usize, Option<&'a String>)>) -> String {
    let lines: Vec<String> = lines
        .map(|(line, name)| match name {
            Some(name) => format!("{line} ({name})"),
            None => line.to_string(),
        })
        .collect();
    let shown = lines[..lines.len().min(SHOWN_LINES)].join(", ");
    let rest = match lines.len().saturating_sub(SHOWN_LINES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(":{shown}{rest}")
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
