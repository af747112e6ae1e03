//! The variables: what each one's keys mean together, and what variables say of each other.

use std::cell::OnceCell;
use std::collections::HashSet;

use regex_lite::Regex;

use super::keys::{Keys, MAPPING, Reading};
use super::template::is_name;
use super::{Generate, GenerateFormat, Level, Variable};
use crate::report::ValueFinding;
use crate::rule::{List, Rule, Type};

const TYPES: [(&str, Type); 11] = [
    ("string", Type::String),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("port", Type::Port),
    ("url", Type::Url),
    ("origin", Type::Origin),
    ("email", Type::Email),
    ("json", Type::Json),
    ("path", Type::Path),
    ("duration", Type::Duration),
];

const LEVELS: [(&str, Level); 3] = [
    (Level::Critical.name(), Level::Critical),
    (Level::Required.name(), Level::Required),
    (Level::Optional.name(), Level::Optional),
];

const LISTS: [(&str, List); 2] = [("csv", List::Csv), ("json", List::Json)];

const FORMATS: [(&str, GenerateFormat); 2] = [
    ("base64", GenerateFormat::Base64),
    ("hex", GenerateFormat::Hex),
];

/// What another value of `required_when` than a mapping is told.
const CONDITIONS: &str = "expected a mapping of a variable to the values that require this one";

/// Of randomness, where a variable does not say, in bytes.
const DEFAULT_RANDOMNESS: u32 = 32;

/// The declared variables, to be looked up by name.
pub struct Declared<'a> {
    reading: &'a Reading,
    variables: &'a [Variable],
    /// Sorted by name.
    by_name: Vec<&'a Variable>,
    /// Each value that a variable's `one_of` admits, with the variable's name; for conditions only.
    choices: OnceCell<HashSet<(&'a str, &'a str)>>,
}

impl<'a> Declared<'a> {
    pub fn new(variables: &'a [Variable], reading: &'a Reading) -> Self {
        let mut by_name: Vec<&Variable> = variables.iter().collect();
        by_name.sort_by_key(|variable| variable.name.as_str());
        Self {
            reading,
            variables,
            by_name,
            choices: OnceCell::new(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&'a Variable> {
        let key = |variable: &&'a Variable| variable.name.as_str();
        let found = self.by_name.binary_search_by_key(&name, key);
        found.ok().map(|position| self.by_name[position])
    }

    fn choices(&self) -> HashSet<(&'a str, &'a str)> {
        let choices = self.variables.iter().flat_map(|variable| {
            let values = variable.rule.one_of.iter();
            values.map(|value| (variable.name.as_str(), value.as_str()))
        });
        choices.collect()
    }

    /// The variable of a name, which must be declared.
    pub fn require(&self, name: &str, keys: &Keys<'_>, key: &str) -> Option<&'a Variable> {
        let found = self.get(name);
        if found.is_none() {
            let names = self.variables.iter().map(|variable| variable.name.as_str());
            let near = self.reading.near(name, names);
            let message = format_args!("`{name}` is not declared under variables{near}");
            keys.fault(key, message);
        }
        found
    }

    /// Checks what a variable says of others.
    pub fn check(&self, variable: &Variable, keys: &mut Keys<'_>) {
        let name = &variable.name;
        for other in &variable.distinct_from {
            keys.fault_if(other == name, "distinct_from", "names the variable itself");
            self.require(other, keys, "distinct_from");
        }
        if let Some(conditions) = keys.mapping("required_when", CONDITIONS) {
            for (other, values) in &variable.required_when {
                self.check_condition(other, values, &conditions);
            }
        }
        for former in &variable.renamed_from {
            let message = format!("`{former}` is declared itself, so it is not a former name");
            keys.fault_if(self.get(former).is_some(), "renamed_from", &message);
        }
        if let Some(file) = variable.file_name().filter(|file| self.get(file).is_some()) {
            keys.fault_here(format_args!(
                "`{file}` is declared itself, and would also name a file with {name}; add `file: false`"
            ));
        }
    }

    fn check_condition(&self, name: &str, values: &[String], conditions: &Keys<'_>) {
        let message = "is an empty list, so the condition could never hold";
        conditions.fault_if(values.is_empty(), name, message);
        let Some(other) = self.require(name, conditions, name) else {
            return;
        };
        let admitted = &other.rule.one_of;
        if admitted.is_empty() || other.secret {
            return;
        }
        let choices = self.choices.get_or_init(|| self.choices());
        let is_unknown = |value: &&String| !choices.contains(&(name, value.as_str()));
        for value in values.iter().filter(is_unknown) {
            let admitted = admitted.iter().map(String::as_str);
            let near = self.reading.near(value, admitted);
            let message = format_args!("`{value}` is not in the one_of of {name}{near}");
            conditions.fault(name, message);
        }
    }
}

/// Reads the variables, each with its keys.
pub fn variables<'a>(root: &mut Keys<'a>) -> Vec<(Variable, Keys<'a>)> {
    let expected = "expected a mapping of names to what they must be";
    let Some(variables) = root.mapping("variables", expected) else {
        return Vec::new();
    };
    let expected = "expected a mapping such as {level: required, type: url}";
    let variables = variables.mappings(expected).into_iter();
    let read = |(name, mut keys)| (variable(name, &mut keys), keys);
    variables.map(read).collect()
}

fn variable(name: &str, keys: &mut Keys<'_>) -> Variable {
    if !is_name(name) {
        keys.fault_here("is not a name: write letters, digits and _, and no digit first");
    }
    let variable = Variable {
        name: name.to_owned(),
        line: keys.line(),
        level: keys.choice("level", &LEVELS).unwrap_or_default(),
        rule: rule(keys),
        distinct_from: keys.texts("distinct_from").unwrap_or_default(),
        required_when: keys
            .mapping("required_when", CONDITIONS)
            .map_or_else(Vec::new, |conditions| conditions.all_texts()),
        default: keys.text("default"),
        secret: keys.flag("secret").unwrap_or(false),
        file: keys.flag("file").unwrap_or(true),
        example: keys.text("example"),
        description: keys.text("description"),
        hint: keys.text("hint"),
        docs: keys.text("docs"),
        generate: generate(keys),
        renamed_from: keys.texts("renamed_from").unwrap_or_default(),
    };
    keys.finish();
    check_limits(&variable.rule, keys);
    let is_stray = keys.has("file") && !variable.secret;
    keys.fault_if(is_stray, "file", "goes with `secret: true` only");
    check_samples(&variable, keys);
    variable
}

fn rule(keys: &mut Keys<'_>) -> Rule {
    let value_type = keys.choice("type", &TYPES).unwrap_or_default();
    let list = keys.choice("list", &LISTS);
    let mut admitted = |key| {
        let values = keys.texts(key);
        let is_empty = values.as_ref().is_some_and(Vec::is_empty);
        keys.fault_if(is_empty, key, "is empty, so no value is admitted");
        values.unwrap_or_default()
    };
    let schemes = admitted("schemes").into_iter();
    Rule {
        value_type,
        list,
        schemes: schemes.map(|scheme| scheme.to_ascii_lowercase()).collect(),
        one_of: admitted("one_of"),
        pattern: pattern(keys),
        min_length: keys.whole("min_length"),
        max_length: keys.whole("max_length"),
        min: keys.number("min"),
        max: keys.number("max"),
    }
}

fn pattern(keys: &mut Keys<'_>) -> Option<Regex> {
    let pattern = Regex::new(&keys.text("pattern")?);
    if let Err(error) = &pattern {
        let message = format_args!("is not a regular expression: {error}");
        keys.fault("pattern", message);
    }
    pattern.ok()
}

fn generate(keys: &mut Keys<'_>) -> Option<Generate> {
    let mut generate = keys.mapping("generate", MAPPING)?;
    let bytes = generate.whole("bytes").unwrap_or(DEFAULT_RANDOMNESS);
    let format = generate.choice("format", &FORMATS).unwrap_or_default();
    generate.finish();
    let is_outside = !(16..=4096).contains(&bytes);
    generate.fault_if(is_outside, "bytes", "must be from 16 to 4096");
    Some(Generate { bytes, format })
}

/// Keys that do not go with the type or with each other.
fn check_limits(rule: &Rule, keys: &Keys<'_>) {
    let has_schemes = matches!(rule.value_type, Type::Url | Type::Origin);
    let has_range = [Type::Integer, Type::Number, Type::Duration].contains(&rule.value_type);
    let message = "goes with `type: url` or `type: origin` only";
    keys.fault_if(keys.has("schemes") && !has_schemes, "schemes", message);
    for scheme in &rule.schemes {
        let message = format!("write `{scheme}` without :// behind it");
        keys.fault_if(scheme.contains([':', '/']), "schemes", &message);
    }
    for (key, limit) in [("min", rule.min), ("max", rule.max)] {
        let message = "goes with `type: integer`, `number` or `duration` only";
        keys.fault_if(limit.is_some() && !has_range, key, message);
        let is_infinite = limit.is_some_and(|limit| !limit.is_finite());
        keys.fault_if(is_infinite, key, "must be a finite number");
    }
    let is_crossed = rule.min.zip(rule.max).is_some_and(|(min, max)| min > max);
    keys.fault_if(is_crossed, "min", "is greater than max");
    let lengths = rule.min_length.zip(rule.max_length);
    let is_crossed = lengths.is_some_and(|(min, max)| min > max);
    keys.fault_if(is_crossed, "min_length", "is greater than max_length");
}

/// A default or an example that breaks the variable's own rule. The rule's messages never hold the value.
fn check_samples(variable: &Variable, keys: &Keys<'_>) {
    let default = variable.default.as_deref();
    if default.is_some_and(|default| default.trim().is_empty()) {
        return keys.fault("default", "is empty, which counts as missing; remove it");
    }
    let has_nul = default.is_some_and(|default| default.contains('\0'));
    keys.fault_if(has_nul, "default", "has a NUL character in it");
    let example = variable.example.as_deref().filter(|_| !variable.secret);
    for (key, sample) in [("default", default), ("example", example)] {
        let findings = sample.map(|sample| variable.rule.findings(sample));
        for ValueFinding { problem, .. } in findings.unwrap_or_default() {
            let message = format_args!("breaks the variable's own rule: it {problem}");
            keys.fault(key, message);
        }
    }
}
