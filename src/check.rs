//! The check of an environment against a manifest. It returns every finding, and the plan of the start.

mod compose;
mod conditions;
mod findings;
mod history;
mod json;
mod plan;
mod remarks;
mod resolve;
mod selection;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;

use crate::environment::Environment;
use crate::manifest::{Empty, Manifest, Scope, Variable};
use crate::report::{Finding, Report};

use findings::Findings;
use resolve::{Resolved, resolve};

#[cfg(feature = "postgres")]
pub use crate::manifest::OnAhead;
pub use crate::manifest::Step as DeclaredStep;
pub use findings::Sources;
#[cfg(feature = "postgres")]
pub use plan::{AlembicQuestion, Lock};
pub use plan::{Awaited, Plan, Question, Step, Wait, Words};
pub use resolve::{ReadFile, is_absent};
pub use selection::Selection;

/// The result of a check.
pub struct Checked<'m> {
    pub report: Report,
    /// The manifest's announcement, expanded. It is unexpanded if a reference in it is not set, if it would become too
    /// long, or if it would print a password.
    pub announcement: Option<OsString>,
    /// `None` if the report has errors.
    pub plan: Option<Plan<'m>>,
}

/// Checks the environment, and all commands, announcements and addresses of the selection. `sources` has the origins of
/// variables that env files set. Secret files are read with `read_file`.
pub fn check<'m>(
    manifest: &'m Manifest,
    environment: &Environment,
    selection: &Selection<'m>,
    sources: &Sources,
    read_file: ReadFile,
) -> Checked<'m> {
    let variables = manifest.variables.iter();
    let listed = &manifest.placeholders;
    let is_counted = |variable: &Variable| selection.scope.includes(&variable.processes);
    let resolved = variables.map(|variable| {
        if is_counted(variable) {
            resolve(variable, environment, read_file, listed)
        } else {
            Resolved::of_others(variable)
        }
    });
    let mut resolved: Vec<Resolved<'_>> = resolved.collect();
    let composed = compose::compose(&mut resolved, environment, listed);
    let by_name = resolved
        .iter()
        .map(|each| (each.variable.name.as_str(), each))
        .collect();
    let fallbacks = manifest.variables.iter().flat_map(|each| {
        let others = each.required_without.iter();
        others.map(|other| (other.as_str(), each.name.as_str()))
    });
    let is_unset = manifest.empty == Empty::Unset;
    let effective = resolve::effective(&resolved, environment.clone(), is_unset);
    let mut findings = Findings {
        manifest,
        selection,
        environment: &effective,
        by_name,
        fallbacks: fallbacks.collect(),
        sources,
        list: Vec::new(),
        notes: Vec::new(),
        is_complete: true,
        told: HashMap::new(),
    };
    findings.check_variables(&resolved, composed);
    let announcement = findings.announcement("the service", manifest.announce.as_ref());
    let secrets = resolve::secrets(&resolved, environment);
    let plan = findings.plan(secrets);
    let mut report = Report {
        findings: findings.list,
        notes: findings.notes,
        declared: resolved.iter().filter(|each| each.is_counted).count(),
    };
    report.clear_notes_of_invalid();
    let plan = (findings.is_complete && report.errors() == 0).then_some(plan);
    Checked {
        report,
        announcement,
        plan,
    }
}

/// Checks this part of the manifest before a deployment, and everything in it for each process by itself.
pub fn rehearse(
    manifest: &Manifest,
    environment: &Environment,
    scope: Scope<'_>,
    sources: &Sources,
    read_file: ReadFile,
) -> Report {
    let report = |scope| {
        let selection = Selection::rehearsal(manifest, scope);
        check(manifest, environment, &selection, sources, read_file).report
    };
    if scope != Scope::Everything || manifest.processes.is_empty() {
        return report(scope);
    }
    let names = manifest.processes.iter().map(|(name, _)| name.as_str());
    let reports = names.map(|name| (name, report(Scope::Process(name))));
    merged(manifest, reports)
}

/// The reports on all processes as one. A finding that does not count for all of them has the names of those for which
/// it counts.
fn merged<'a>(manifest: &Manifest, reports: impl Iterator<Item = (&'a str, Report)>) -> Report {
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

#[cfg(test)]
mod tests;
