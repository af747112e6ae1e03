//! The declared variables, and the faults of references to them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Variable;
use super::keys::{Cursor, Keys};
use super::processes::Processes;
use super::variable::CONDITIONS;
use crate::text::names;

/// The declared variables by name.
#[derive(Clone)]
pub struct Declared<'a> {
    by_name: Rc<BTreeMap<&'a str, &'a Variable>>,
    /// The variables whose value may be in a file, in order, by the name of the variable that names the file.
    by_file: Rc<BTreeMap<&'a str, &'a Variable>>,
    /// The pairs of a variable's name and a value in its `one_of`.
    choices: Rc<BTreeSet<(&'a str, &'a str)>>,
    /// The processes that need the variables.
    pub processes: Processes<'a>,
}

/// The fault of a reference without braces, which `what` does not expand.
pub fn not_expanded(what: &str, name: &str) -> String {
    format!("{what} expands ${name}; write ${{{name}}}, or ${{{name}:-text}} with a default")
}

impl<'a> Declared<'a> {
    pub fn new(variables: &'a [(Variable, Keys<'_>)], processes: Processes<'a>) -> Self {
        let named = variables.iter().map(|(each, _)| (&*each.name, each));
        let choices = named.clone().flat_map(|(name, each)| {
            let values = each.rule.one_of.iter();
            values.map(move |value| (name, value.as_str()))
        });
        let files = named.clone().rev();
        let files = files.filter_map(|(_, each)| Some((each.file.as_deref()?, each)));
        Self {
            choices: Rc::new(choices.collect()),
            by_file: Rc::new(files.collect()),
            by_name: Rc::new(named.collect()),
            processes,
        }
    }

    /// The same variables, as these processes need them.
    pub fn needed_by(&self, processes: Processes<'a>) -> Self {
        Self {
            processes,
            ..self.clone()
        }
    }

    pub fn get(&self, name: &str) -> Option<&'a Variable> {
        self.by_name.get(name).copied()
    }

    /// Whether a reference to this name is certainly meant to be expanded.
    pub fn is_expected(&self, name: &str) -> bool {
        name == "PORT" || self.get(name).is_some()
    }

    /// The variable with this name. Records a fault of `key` if it is not declared.
    pub fn require(&self, name: &str, keys: &Keys<'_>, key: &str) -> Option<&'a Variable> {
        let found = self.get(name);
        if found.is_none() {
            let near = keys.near(name, self.by_name.keys().copied());
            let message = format_args!("`{name}` is not declared under variables{near}");
            keys.fault(key, message);
        }
        found
    }

    /// Records a fault for each declared variable of these that is not there for all of the processes that need it.
    pub fn check_needs<'n>(&self, needs: impl IntoIterator<Item = &'n str>, here: &Cursor<'_>) {
        for Variable {
            name, processes, ..
        } in needs.into_iter().filter_map(|name| self.get(name))
        {
            let without = self.processes.without(processes);
            if !without.0.is_empty() {
                let (without, limits) = (names(&without.0), names(processes));
                here.fault(format_args!(
                    "needs {name} for {without}, but {name} is only for {limits}; correct the `processes` of one of them"
                ));
            }
        }
    }

    /// Checks a variable's references to other variables.
    pub fn check(&self, variable: &Variable, keys: &Keys<'_>) {
        let name = &variable.name;
        for other in &variable.distinct_from {
            keys.fault_if(other == name, "distinct_from", "names the variable itself");
            self.require(other, keys, "distinct_from");
        }
        if let Some(conditions) = keys.value("required_when") {
            let conditions = conditions.keys(CONDITIONS);
            let declared = self.needed_by(self.processes.limited_to(&variable.processes));
            for (other, values) in &variable.required_when {
                declared.check_condition(other, values, &conditions);
            }
        }
        self.check_presence(&variable.required_with, variable, keys, true);
        self.check_presence(&variable.required_without, variable, keys, false);
        for former in &variable.renamed_from {
            let message =
                format_args!("`{former}` is declared as a variable, so it is not a former name");
            keys.fault_if(self.get(former).is_some(), "renamed_from", message);
        }
        if let (Some(template), Some(value)) = (&variable.value, keys.value("value")) {
            let declared = self.needed_by(self.processes.limited_to(&variable.processes));
            declared.check_needs(template.needs(), &value);
        }
        let value = variable.value.as_ref();
        if let Some(name) = value.and_then(|value| value.unbraced(|name| self.is_expected(name))) {
            keys.fault("value", not_expanded("nothing", name));
        }
        if let Some(file) = &variable.file {
            self.check_file(file, variable, keys);
        }
    }

    fn check_file(&self, file: &str, variable: &Variable, keys: &Keys<'_>) {
        let name = &variable.name;
        let other = self.by_file.get(file).filter(|other| other.name != *name);
        let is_declared = self.get(file).is_some();
        let message = if is_declared && keys.has("file") {
            format!("`{file}` is declared as a variable, so it cannot also name a file with {name}")
        } else if is_declared {
            format!(
                "`{file}` is declared as a variable, but would also name a file with {name}; add `file: false`"
            )
        } else if let Some(other) = other {
            format!("`{file}` already names the file of {}", other.name)
        } else {
            return;
        };
        if keys.has("file") {
            keys.fault("file", message);
        } else {
            keys.here.fault(message);
        }
    }

    /// Checks `required_with`, or `required_without` if `is_with` is false.
    fn check_presence(
        &self,
        others: &[String],
        variable: &Variable,
        keys: &Keys<'_>,
        is_with: bool,
    ) {
        let (key, effect) = if is_with {
            ("required_with", "always")
        } else {
            ("required_without", "never")
        };
        let is_empty = keys.has(key) && others.is_empty();
        keys.fault_if(is_empty, key, "is empty; name at least one variable");
        let own = self.processes.limited_to(&variable.processes);
        for name in others {
            keys.fault_if(*name == variable.name, key, "names the variable itself");
            let other = self.require(name, keys, key);
            let has_default = other.is_some_and(|other| other.default.is_some());
            let message = format_args!(
                "{name} has a default, so it is always set, and the condition {effect} holds"
            );
            keys.fault_if(has_default, key, message);
            let has_none = other.is_some_and(|other| own.has_none_of(&other.processes));
            let message = format_args!(
                "{name} is for other processes than this variable, so the condition could never hold"
            );
            keys.fault_if(is_with && has_none, key, message);
        }
        let is_in_both = |name: &String| variable.required_with.contains(name);
        let is_always = !is_with && !others.is_empty() && others.iter().all(is_in_both);
        let message = "names only variables of `required_with`, so the variable is always required; remove both";
        keys.fault_if(is_always, key, message);
    }

    fn check_condition(&self, name: &str, values: &[String], conditions: &Keys<'_>) {
        let message = "is an empty list, so the condition could never hold";
        conditions.fault_if(values.is_empty(), name, message);
        let other = self.require(name, conditions, name);
        let has_none = other.is_some_and(|other| self.processes.has_none_of(&other.processes));
        let message =
            "is for other processes than this variable, so the condition could never hold";
        conditions.fault_if(has_none, name, message);
        let Some(other) = other.filter(|other| !other.secret) else {
            return;
        };
        if other.rule.one_of.is_empty() {
            let is_wrong = |value: &String| {
                let mut findings = other.rule.findings(value).into_iter();
                findings.any(|finding| finding.is_certain)
            };
            let message =
                "has a value that breaks the variable's rule, so the condition could never hold";
            conditions.fault_if(values.iter().any(is_wrong), name, message);
            return;
        }
        let is_unknown = |value: &&String| !self.choices.contains(&(name, value.as_str()));
        for value in values.iter().filter(is_unknown) {
            let near = conditions.near(value, other.rule.one_of.iter().map(String::as_str));
            let message = format_args!("`{value}` is not in one_of of {name}{near}");
            conditions.fault(name, message);
        }
    }
}
