//! The level and the rule of a variable in words.

use crate::manifest::{Level, Manifest, Variable};
use crate::rule::{List, Rule, Type};
use crate::text::{either, first, names};

/// The level under which a variable is listed: `required` for an optional one that is required under a condition.
pub fn level(variable: &Variable) -> Level {
    match variable.level {
        Level::Optional if variable.has_conditions() => Level::Required,
        level => level,
    }
}

/// The level with its conditions and processes, such as `required when ENVIRONMENT is staging or production`.
pub fn level_with_conditions(variable: &Variable, manifest: &Manifest) -> String {
    let is_secret = |name: &str| {
        let mut variables = manifest.variables.iter();
        variables.any(|other| other.name == name && other.secret)
    };
    let conditions = variable.required_when.iter().map(|(name, values)| {
        if is_secret(name) {
            return format!("{name} has one of the values in the manifest");
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        format!("{name} is {}", either(&values))
    });
    let conditions: Vec<String> = conditions.collect();
    let among = |word: &str, names: &[String]| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("{word} {}", either(&names)))
    };
    let when = (!conditions.is_empty()).then(|| format!("when {}", conditions.join(" and ")));
    let with = among("with", &variable.required_with);
    let without = among("without", &variable.required_without);
    let conditions: Vec<String> = [when, with, without].into_iter().flatten().collect();
    let level = level(variable).name();
    let level = match conditions.as_slice() {
        [] => level.to_owned(),
        _ => format!("{level} {}", conditions.join(", or ")),
    };
    match variable.processes.as_slice() {
        [] => level,
        processes => format!("{level}, only for {}", names(processes)),
    }
}

/// The names of the variables of which its `value` is composed.
pub fn parts(variable: &Variable) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for (name, _) in variable.value.as_ref()?.references() {
        if !parts.contains(&name) {
            parts.push(name);
        }
    }
    Some(first(&parts, usize::MAX))
}

/// The rule for a value, such as `secret; a URL with the scheme https`. Empty if any text is admitted. It contains no
/// value of a secret.
pub fn rule(variable: &Variable) -> String {
    let rule = &variable.rule;
    let mut parts = Vec::new();
    if variable.secret {
        parts.push("secret".to_owned());
    }
    let file = variable.file.as_ref();
    // A secret may be in a file with the usual name without saying so.
    let file = file.filter(|name| !variable.secret || **name != variable.usual_file());
    parts.extend(file.map(|name| format!("may be in the file that {name} names")));
    parts.extend(kind(rule));
    let each = if rule.list.is_some() { "each " } else { "" };
    match rule.one_of.as_slice() {
        [] => {}
        _ if variable.secret => parts.push("one of the values in the manifest".to_owned()),
        [only] => parts.push(format!("{each}exactly {only}")),
        several => {
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            parts.push(format!("{each}one of {}", either(&several)));
        }
    }
    let pattern = rule.pattern.as_ref();
    parts.extend(pattern.map(|pattern| format!("{each}matches {}", pattern.as_str())));
    let length = match (rule.min_length, rule.max_length) {
        (Some(min), Some(max)) if min == max => Some(format!("{min} characters")),
        (Some(min), Some(max)) => Some(format!("{min} to {max} characters")),
        (Some(min), None) => Some(format!("at least {min} characters")),
        (None, Some(max)) => Some(format!("at most {max} characters")),
        (None, None) => None,
    };
    parts.extend(length.map(|length| format!("{each}{length}")));
    let unit = match rule.value_type {
        Type::Duration => " seconds",
        _ => "",
    };
    let range = match (rule.min, rule.max) {
        (Some(min), Some(max)) => Some(format!("from {min} to {max}{unit}")),
        (Some(min), None) => Some(format!("at least {min}{unit}")),
        (None, Some(max)) => Some(format!("at most {max}{unit}")),
        (None, None) => None,
    };
    parts.extend(range.map(|range| format!("{each}{range}")));
    if !variable.distinct_from.is_empty() {
        let others: Vec<&str> = variable.distinct_from.iter().map(String::as_str).collect();
        parts.push(format!("not the same as {}", either(&others)));
    }
    parts.join("; ")
}

/// The type and the schemes; `None` for a text of any kind.
fn kind(rule: &Rule) -> Option<String> {
    let (one, several) = match rule.value_type {
        Type::String => ("", "texts"),
        Type::Integer => ("a whole number", "whole numbers"),
        Type::Number => ("a number", "numbers"),
        Type::Boolean => ("true or false", "booleans"),
        Type::Port => ("a port", "ports"),
        Type::Host => ("a host", "hosts"),
        Type::Url => ("a URL", "URLs"),
        Type::Origin => ("an origin", "origins"),
        Type::Email => ("an email address", "email addresses"),
        Type::Json => ("JSON", "JSON texts"),
        Type::Path => ("a path", "paths"),
        Type::Duration => ("a duration", "durations"),
        Type::Pem => ("a PEM text", "PEM texts"),
    };
    let mut text = match rule.list {
        None => one.to_owned(),
        Some(List::Csv) => format!("a list of {several}, separated by commas"),
        Some(List::Json) => format!("a JSON list of {several}"),
        Some(List::Space) => format!("a list of {several}, separated by spaces"),
    };
    if !rule.schemes.is_empty() {
        let schemes: Vec<&str> = rule.schemes.iter().map(String::as_str).collect();
        text += &format!(" with the scheme {}", either(&schemes));
    }
    if rule.is_escaped {
        text += ", whose line breaks may be written as \\n";
    }
    (!text.is_empty()).then_some(text)
}
