//! Collects the findings, and has the table of their severities.

use std::collections::HashMap;

use super::resolve::{Resolved, Value};
use super::selection::Selection;
use crate::environment::Environment;
use crate::manifest::{Empty, FailOn, Level, Manifest, Variable};
use crate::report::{Code, Finding, Note, Severity, Source, Subject, ValueFinding};
use crate::rule::Placeholder;

/// The line of an env file that sets a variable, and what is wrong with that line, by the variable's name.
pub type Sources = HashMap<String, (Source, Option<ValueFinding>)>;

/// The findings and notes so far, and what they depend on.
pub struct Findings<'a, 'm> {
    pub manifest: &'m Manifest,
    pub selection: &'a Selection<'m>,
    /// The effective environment.
    pub environment: &'a Environment,
    pub by_name: HashMap<&'a str, &'a Resolved<'a>>,
    /// The names in `required_without`, each with a variable that has the name there.
    pub fallbacks: HashMap<&'a str, &'a str>,
    pub sources: &'a Sources,
    /// In the order in which they were found.
    pub list: Vec<Finding>,
    pub notes: Vec<Note>,
    /// Whether all targets can be used so far.
    pub is_complete: bool,
    /// The variables with a finding that says that they, or their parts, cannot work, each with whether it is an error.
    pub told: HashMap<&'a str, bool>,
}

impl<'a> Findings<'a, '_> {
    /// Adds the findings of a variable's value.
    pub fn check_variable(&mut self, each: &'a Resolved<'a>) {
        let variable = each.variable;
        let resembles = |problem: &str| {
            let problem = format!("probably {problem}");
            let fix = "set the value itself, or declare `not_placeholder: true`";
            ValueFinding::new(Code::Placeholder, problem, fix).into_warning()
        };
        let misread = self.sources.get(&variable.name);
        let misread = misread.and_then(|(_, finding)| finding.clone());
        let mut alternatives = Vec::new();
        let found = match (&each.value, misread) {
            // A comment is not checked as if it were the value.
            (Value::Text(..) | Value::Placeholder(_), Some(found)) if found.is_certain => {
                vec![found]
            }
            (Value::Missing, _) => {
                let problem =
                    "is set, but empty, which some programs refuse instead of treating it as unset";
                let fix = "unset it, set a value, or declare `empty: unset` or `empty: keep`";
                let empty = ValueFinding::new(Code::Empty, problem, fix).into_warning();
                let is_told = self.manifest.empty == Empty::Warn && each.is_blank;
                let empty = Some(empty).filter(|_| is_told && variable.rule.refuses_empty());
                let missing = self.missing(each).map(|(found, others)| {
                    alternatives = others;
                    found
                });
                missing.into_iter().chain(empty).collect()
            }
            (Value::Placeholder(Placeholder::Stored), _) if self.selection.has_runner() => {
                let problem = "holds a reference that the server's command replaces";
                vec![resembles(problem)]
            }
            (Value::Placeholder(kind), _) => {
                let fix = how_to_set(each);
                vec![ValueFinding::new(Code::Placeholder, kind.problem(), fix)]
            }
            (Value::Unusable(found), _) => vec![found.clone()],
            (Value::Text(text, _), _)
                if each.replacement.is_some()
                    && variable.default.as_ref() == Some(text)
                    && text.contains("${")
                    && !variable.not_placeholder =>
            {
                let problem = "has a default with `${`, which stays as it is";
                let fix = "write `value` instead of `default`, or declare `not_placeholder: true`";
                vec![ValueFinding::new(Code::Placeholder, problem, fix).into_warning()]
            }
            (Value::Text(text, kind), misread) => {
                let mut found = variable.rule.findings(text);
                found.extend(kind.map(|kind| resembles(kind.problem())));
                let others = variable.distinct_from.iter();
                let same = others.filter(|other| self.text(other) == Some(text));
                found.extend(misread);
                found.extend(same.map(|other| {
                    let problem = format!("has the same value as {other}");
                    let fix = format!("create a separate value for {}", variable.name);
                    ValueFinding::new(Code::SameSecret, problem, fix)
                }));
                found
            }
        };
        let level = self.level_of(variable);
        let file = variable.file.as_ref();
        let is_in_file = file.is_some_and(|file| self.sources.contains_key(file));
        let is_in_file = is_in_file && self.selection.is_rehearsal;
        for mut found in found {
            let is_elsewhere = is_in_file && found.code == Code::FileUnreadable;
            if is_elsewhere {
                let fix = "check the file where the service runs; this machine may not have it";
                fix.clone_into(&mut found.fix);
            }
            if let Some(severity) = severity(found.code, level, self.manifest.fail_on, is_elsewhere)
            {
                if found.is_certain {
                    let is_error = severity == Severity::Error || is_elsewhere;
                    *self.told.entry(&variable.name).or_default() |= is_error;
                }
                found.is_certain &= severity == Severity::Error;
                let is_missing = found.code == Code::Missing;
                let finding = self.add(Subject::variable(&variable.name), found);
                if is_missing {
                    finding.alternatives.clone_from(&alternatives);
                }
                finding.hint = hint_of(variable);
                finding.description.clone_from(&variable.description);
            }
        }
    }

    /// The value of a declared variable, if it is usable text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.by_name.get(name)?.value {
            Value::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Adds a finding on a step, or on a variable, declared or not. It is an error if it is certain, regardless of the
    /// variable's level.
    pub fn add(&mut self, subject: Subject, mut found: ValueFinding) -> &mut Finding {
        let (source, declared) = match &subject {
            Subject::Step(_) => (None, None),
            Subject::Variable(name) => {
                let each = self.by_name.get(name.as_str());
                let parts = each.filter(|each| each.is_composed);
                if let Some(parts) = parts.and_then(|_| self.parts_of(name)) {
                    found.problem += &format!(" (its `value` composes it from {parts})");
                }
                let declared = each.map(|each| each.variable);
                let file = || self.sources.get(declared?.file.as_ref()?);
                (self.sources.get(name).or_else(file), declared)
            }
        };
        self.list.push_mut(Finding {
            subject,
            code: found.code,
            severity: [Severity::Warning, Severity::Error][usize::from(found.is_certain)],
            level: declared.map(|variable| self.level_of(variable).name()),
            problem: found.problem,
            fix: found.fix,
            hint: None,
            description: None,
            manifest_line: declared.and_then(|variable| variable.line),
            source: source.map(|(source, _)| source.clone()),
            alternatives: Vec::new(),
            processes: Vec::new(),
        })
    }

    /// Whether an earlier finding already explains why a variable has no usable address.
    pub fn is_explained(&self, name: &str) -> bool {
        self.told.get(name) == Some(&true)
            || self.list.iter().any(|finding| {
                let is_elsewhere = finding.code == Code::FileUnreadable && finding.source.is_some();
                finding.variable() == Some(name)
                    && (finding.severity == Severity::Error || is_elsewhere)
            })
    }

    /// Whether the manifest declares the variable as a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        let declared = self.by_name.get(name);
        declared.is_some_and(|each| each.variable.secret)
    }
}

/// The table of severities; `None` means that there is no finding. `is_elsewhere` is true if an env file names the
/// secret's file: the file may exist where the service runs, even if it does not exist on this machine.
pub fn severity(code: Code, level: Level, fail_on: FailOn, is_elsewhere: bool) -> Option<Severity> {
    match (level, code, fail_on) {
        (_, Code::FileUnreadable, _) if is_elsewhere => Some(Severity::Warning),
        // If the variable is required, a missing one is the finding.
        (Level::Optional, Code::Missing, _)
        | (Level::Required | Level::Critical, Code::Empty, _) => None,
        (Level::Optional, Code::Placeholder, _) => Some(Severity::Warning),
        (Level::Critical, _, _) | (_, _, FailOn::Required) => Some(Severity::Error),
        (_, _, FailOn::Critical) => Some(Severity::Warning),
    }
}

/// The manifest's hint and documentation link for a variable.
fn hint_of(variable: &Variable) -> Option<String> {
    match (&variable.hint, &variable.docs) {
        (Some(hint), Some(docs)) => Some(format!("{hint} (see {docs})")),
        (Some(hint), None) => Some(hint.clone()),
        (None, docs) => docs.as_ref().map(|docs| format!("see {docs}")),
    }
}

/// The fix for a missing variable, derived from its declaration.
pub fn how_to_set(each: &Resolved<'_>) -> String {
    let variable = each.variable;
    let name = &variable.name;
    if let Some(former) = each.former {
        return format!("rename {former}, which is set, to {name}: {former} is its former name");
    }
    let mut fix = match (&variable.hint, &variable.example) {
        (Some(hint), _) => format!("set {name}: {hint}"),
        (None, Some(example)) if !variable.secret && variable.admits(example) => {
            format!("set {name}, for example {example}")
        }
        (None, _) => match variable.rule.one_of.as_slice() {
            [] => format!("set {name}"),
            [only] => format!("set {name} to {only}"),
            several => format!("set {name} to one of {}", several.join(", ")),
        },
    };
    if let Some(generator) = variable.generator() {
        fix.push_str(&format!(" (generate one: {generator})"));
    }
    if let Some(docs) = &variable.docs {
        fix.push_str(&format!(" (see {docs})"));
    }
    fix
}
