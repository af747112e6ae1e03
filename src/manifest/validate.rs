//! What a manifest's keys mean together: from what is written to a `Manifest`, with every fault on the way.

mod dependency;
mod process;
mod variable;

use super::fault::{Fault, Path};
use super::raw::{RawManifest, RawVariable, Text};
use super::template::is_name;
use super::{Manifest, Variable};
use crate::text::did_you_mean;

use process::{announcement, steps};
use variable::variable;

/// The manifest's one version so far.
const VERSION: u64 = 1;

/// Judges what is written. The manifest is of use only when there are no faults.
pub fn validate(raw: RawManifest) -> (Manifest, Vec<Fault>) {
    let mut faults = Vec::new();
    let root = Path::default();
    match raw.version {
        Some(VERSION) => {}
        Some(other) => {
            let message =
                format!("version {other} is not known here; this startup-guard reads version 1");
            faults.push(Fault::at(root.key("version"), message));
        }
        None => faults.push(Fault::at(
            root.key("version"),
            "is missing; write `version: 1`",
        )),
    }
    let variables = variables(
        raw.variables
            .map(|variables| variables.0)
            .unwrap_or_default(),
        &mut faults,
    );
    let declared = Declared::new(&variables, &mut faults);
    check_relations(&variables, &declared, &mut faults);
    let announce = announcement(raw.announce, &root.key("announce"), &declared, &mut faults);
    let waits = dependency::waits(raw.wait_for.unwrap_or_default(), &declared, &mut faults);
    let steps = steps(raw.steps.unwrap_or_default(), &declared, &mut faults);
    let user = raw
        .user
        .map(|user| process::user(user, root.key("user"), &mut faults));
    let server = raw
        .server
        .map(|server| process::server(server, &declared, &mut faults));
    let manifest = Manifest {
        service: raw
            .service
            .map(|text| one_line(text, root.key("service"), &mut faults)),
        announce,
        fail_on: raw.fail_on.unwrap_or_default(),
        user,
        variables,
        waits,
        steps,
        server,
    };
    (manifest, faults)
}

/// A text that stands within lines of the output.
fn one_line(Text(text): Text, path: Path, faults: &mut Vec<Fault>) -> String {
    if text.contains(char::is_control) {
        faults.push(Fault::at(
            path,
            "has a line break or another control character in it",
        ));
    }
    text
}

fn variables(raw: Vec<(String, RawVariable)>, faults: &mut Vec<Fault>) -> Vec<Variable> {
    let root = Path::default().key("variables");
    let judged = raw.into_iter().map(|(name, raw)| {
        if !is_name(&name) {
            let message =
                "is no name of a variable: only letters, digits and _, and no digit first";
            faults.push(Fault::at(root.key(&name), message));
        }
        variable(name, raw, &root, faults)
    });
    judged.collect()
}

/// The declared variables, to be looked up by name.
struct Declared<'a> {
    variables: &'a [Variable],
    /// Sorted by name.
    by_name: Vec<&'a Variable>,
}

impl<'a> Declared<'a> {
    fn new(variables: &'a [Variable], faults: &mut Vec<Fault>) -> Self {
        let mut by_name: Vec<&Variable> = variables.iter().collect();
        by_name.sort_by_key(|variable| variable.name.as_str());
        for pair in by_name
            .windows(2)
            .filter(|pair| pair[0].name == pair[1].name)
        {
            let path = Path::default().key("variables").key(&pair[0].name);
            faults.push(Fault::at(path, "stands here twice"));
        }
        Self { variables, by_name }
    }

    fn get(&self, name: &str) -> Option<&'a Variable> {
        let position = self
            .by_name
            .binary_search_by(|variable| variable.name.as_str().cmp(name));
        position.ok().map(|position| self.by_name[position])
    }

    /// The variable of a name; a fault where it is not declared.
    fn require(&self, name: &str, path: &Path, faults: &mut Vec<Fault>) -> Option<&'a Variable> {
        let found = self.get(name);
        if found.is_none() {
            let near = did_you_mean(
                name,
                self.variables.iter().map(|variable| variable.name.as_str()),
            );
            faults.push(Fault::at(
                path.clone(),
                format!("`{name}` is not declared under variables{near}"),
            ));
        }
        found
    }
}

/// What variables say of each other.
fn check_relations(variables: &[Variable], declared: &Declared<'_>, faults: &mut Vec<Fault>) {
    let root = Path::default().key("variables");
    for variable in variables {
        let path = root.key(&variable.name);
        for other in &variable.distinct_from {
            let path = path.key("distinct_from");
            if *other == variable.name {
                faults.push(Fault::at(path, "a variable cannot be distinct from itself"));
            } else {
                declared.require(other, &path, faults);
            }
        }
        for (other, values) in &variable.required_when {
            let path = path.key("required_when").key(other);
            if let Some(other) = declared.require(other, &path, faults) {
                check_condition(other, values, &path, faults);
            }
        }
        for former in &variable.renamed_from {
            if declared.get(former).is_some() {
                let message = format!("`{former}` is declared itself, so it is no former name");
                faults.push(Fault::at(path.key("renamed_from"), message));
            }
        }
        if let Some(file_name) = variable
            .file_name()
            .filter(|name| declared.get(name).is_some())
        {
            let message = format!(
                "`{file_name}` is declared itself, and would also name a file with {}; add `file: false`",
                variable.name
            );
            faults.push(Fault::at(path.clone(), message));
        }
    }
}

/// A condition on values that the other variable can never have.
fn check_condition(other: &Variable, values: &[String], path: &Path, faults: &mut Vec<Fault>) {
    if values.is_empty() {
        faults.push(Fault::at(
            path.clone(),
            "is an empty list: the condition could never hold",
        ));
    }
    if other.rule.one_of.is_empty() || other.secret {
        return;
    }
    for value in values
        .iter()
        .filter(|value| !other.rule.one_of.contains(value))
    {
        let near = did_you_mean(value, other.rule.one_of.iter().map(String::as_str));
        let message = format!("`{value}` is not in the one_of of {}{near}", other.name);
        faults.push(Fault::at(path.clone(), message));
    }
}
