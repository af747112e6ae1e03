//! The check of an environment against a manifest. It returns every finding, and the plan of the start.

mod findings;
mod history;
mod plan;
mod remarks;
mod resolve;

use std::ffi::OsString;

use crate::environment::Environment;
use crate::manifest::{Empty, Manifest};
use crate::report::Report;
use crate::rule::is_runner;

use findings::Findings;
use plan::Planner;
use resolve::{Placeholders, Resolved, resolve};

#[cfg(feature = "postgres")]
pub use crate::manifest::OnAhead;
pub use crate::manifest::Step as DeclaredStep;
pub use findings::Sources;
#[cfg(feature = "postgres")]
pub use plan::{AlembicQuestion, Lock};
pub use plan::{Awaited, Plan, Question, Selection, Step, Wait, Words};
pub use resolve::ReadFile;

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
    let mut words = selection.server.iter().flatten();
    let placeholders = Placeholders {
        more: &manifest.placeholders,
        has_runner: words.any(|word| word.source().to_str().is_some_and(is_runner)),
    };
    let resolved: Vec<Resolved<'_>> = variables
        .map(|variable| resolve(variable, environment, read_file, placeholders))
        .collect();
    let by_name = resolved
        .iter()
        .map(|each| (each.variable.name.as_str(), each))
        .collect();
    let mut findings = Findings {
        fail_on: manifest.fail_on,
        empty: manifest.empty,
        by_name,
        sources,
        list: Vec::new(),
    };
    for each in &resolved {
        findings.check_variable(each);
    }
    let effective = resolve::effective(
        &resolved,
        environment.clone(),
        manifest.empty == Empty::Unset,
    );
    let mut notes = Vec::new();
    let mut planner = Planner {
        environment: &effective,
        findings: &mut findings,
        notes: &mut notes,
        is_rehearsal: selection.is_rehearsal,
        is_complete: true,
    };
    let announcement = planner.announcement("the service", manifest.announce.as_ref());
    let plan = planner.plan(manifest, selection);
    let is_complete = planner.is_complete;
    let mut report = Report {
        findings: findings.list,
        notes,
        declared: manifest.variables.len(),
    };
    if report.errors() > 0 {
        // Notes about the steps matter only if they can run.
        report.notes.clear();
    }
    let plan = (is_complete && report.errors() == 0).then(|| Plan {
        secrets: resolve::secrets(&resolved, environment),
        environment: effective,
        ..plan
    });
    Checked {
        report,
        announcement,
        plan,
    }
}

#[cfg(test)]
mod tests;
