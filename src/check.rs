//! The check of an environment against a manifest. It returns every finding, and the plan of the start.

mod compose;
mod findings;
mod history;
mod plan;
mod remarks;
mod resolve;
mod selection;

use std::collections::HashMap;
use std::ffi::OsString;

use crate::environment::Environment;
use crate::manifest::{Empty, Manifest};
use crate::report::Report;

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
    let mut resolved: Vec<Resolved<'_>> = variables
        .map(|variable| resolve(variable, environment, read_file, listed))
        .collect();
    let composed = compose::compose(&mut resolved, environment, listed);
    let by_name = resolved
        .iter()
        .map(|each| (each.variable.name.as_str(), each))
        .collect();
    let is_unset = manifest.empty == Empty::Unset;
    let effective = resolve::effective(&resolved, environment.clone(), is_unset);
    let mut findings = Findings {
        manifest,
        selection,
        environment: &effective,
        by_name,
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
        declared: manifest.variables.len(),
    };
    let has_errors = report.errors() > 0;
    if has_errors {
        // Notes about the steps matter only if they can run.
        report.notes.clear();
    }
    let plan = (findings.is_complete && !has_errors).then_some(plan);
    Checked {
        report,
        announcement,
        plan,
    }
}

#[cfg(test)]
mod tests;
