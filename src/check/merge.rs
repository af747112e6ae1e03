//! Merges the reports on several processes of one manifest.

use std::collections::{HashMap, HashSet};

use crate::manifest::Manifest;
use crate::report::{Finding, Report};

/// The reports on all processes as one. A finding that does not count for all of them has the names of those for which
/// it counts.
pub fn merged<'a>(manifest: &Manifest, reports: impl Iterator<Item = (&'a str, Report)>) -> Report {
    let mut findings: Vec<Finding> = Vec::new();
    let mut positions = HashMap::new();
    let (mut notes, mut seen) = (Vec::new(), HashSet::new());
    for (process, report) in reports {
        for finding in report.findings {
            let end = findings.len();
            let position = *positions.entry(finding.clone()).or_insert(end);
            if position == end {
                findings.push(finding);
            }
            let processes = &mut findings[position].processes;
            if processes.last().is_none_or(|last| last != process) {
                processes.push(process.to_owned());
            }
        }
        let new = report.notes.into_iter();
        notes.extend(new.filter(|note| seen.insert(note.clone())));
    }
    for finding in &mut findings {
        if finding.processes.len() == manifest.processes.len() {
            finding.processes.clear();
        }
    }
    let variables = manifest.variables.iter().zip(0..);
    let order: HashMap<&str, usize> = variables
        .map(|(variable, index)| (variable.name.as_str(), index))
        .collect();
    findings.sort_by_key(|finding| {
        let index = finding.variable().and_then(|name| order.get(name));
        index.copied().unwrap_or(usize::MAX)
    });
    let mut report = Report {
        declared: manifest.variables.len(),
        findings,
        notes,
    };
    report.clear_notes_of_invalid();
    report
}
