//! What one variable's keys mean together.

use crate::manifest::fault::{Fault, Path};
use crate::manifest::raw::{RawVariable, Text, Texts};
use crate::manifest::{Generate, Variable};
use crate::rule::{Rule, Type};

/// Judges one variable, of the mapping at `root`.
pub fn variable(name: String, raw: RawVariable, root: &Path, faults: &mut Vec<Fault>) -> Variable {
    let texts = |list: Option<Texts>| list.map(|texts| texts.0).unwrap_or_default();
    let text = |text: Option<Text>| text.map(|text| text.0);
    let mut tell =
        |key: &str, message: String| faults.push(Fault::at(root.key(&name).key(key), message));

    let value_type = raw.value_type.unwrap_or_default();
    let secret = raw.secret.unwrap_or(false);
    check_limits(&raw, value_type, &mut tell);
    let pattern = raw
        .pattern
        .and_then(|pattern| match regex_lite::Regex::new(&pattern.0) {
            Ok(regex) => Some(regex),
            Err(error) => {
                tell("pattern", format!("is no regular expression: {error}"));
                None
            }
        });
    let rule = Rule {
        value_type,
        list: raw.list,
        schemes: texts(raw.schemes)
            .into_iter()
            .map(|scheme| scheme.to_ascii_lowercase())
            .collect(),
        one_of: texts(raw.one_of),
        pattern,
        min_length: raw.min_length,
        max_length: raw.max_length,
        min: raw.min,
        max: raw.max,
    };
    for scheme in &rule.schemes {
        if scheme.contains([':', '/']) {
            tell("schemes", format!("write `{scheme}` without :// behind it"));
        }
    }
    if raw.file.is_some() && !secret {
        tell(
            "file",
            "only a variable with `secret: true` can come as a file".to_owned(),
        );
    }
    let default = text(raw.default);
    let example = text(raw.example);
    check_samples(
        &rule,
        default.as_deref(),
        example.as_deref().filter(|_| !secret),
        &mut tell,
    );
    let generate = raw.generate.map(|generate| {
        let bytes = generate.bytes.unwrap_or(32);
        if !(16..=4096).contains(&bytes) {
            tell("generate", "bytes must be from 16 to 4096".to_owned());
        }
        Generate {
            bytes,
            format: generate.format.unwrap_or_default(),
        }
    });
    Variable {
        level: raw.level.unwrap_or_default(),
        rule,
        distinct_from: texts(raw.distinct_from),
        required_when: raw
            .required_when
            .map(|conditions| conditions.0)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, values)| (name, values.0))
            .collect(),
        default,
        secret,
        file: raw.file.unwrap_or(true),
        example,
        description: text(raw.description),
        hint: text(raw.hint),
        docs: text(raw.docs),
        generate,
        renamed_from: texts(raw.renamed_from),
        name,
    }
}

/// Keys that fit no type, or not each other.
fn check_limits(raw: &RawVariable, value_type: Type, tell: &mut impl FnMut(&str, String)) {
    let has_schemes = matches!(value_type, Type::Url | Type::Origin);
    let has_range = matches!(value_type, Type::Integer | Type::Number | Type::Duration);
    if raw.schemes.is_some() && !has_schemes {
        tell(
            "schemes",
            "goes with `type: url` or `type: origin` only".to_owned(),
        );
    }
    for (key, limit) in [("min", raw.min), ("max", raw.max)] {
        if limit.is_some() && !has_range {
            tell(
                key,
                "goes with `type: integer`, `number` or `duration` only".to_owned(),
            );
        }
        if limit.is_some_and(|limit| !limit.is_finite()) {
            tell(key, "is no finite number, so it limits nothing".to_owned());
        }
    }
    if matches!((raw.min, raw.max), (Some(min), Some(max)) if min > max) {
        tell("min", "is greater than max".to_owned());
    }
    if matches!((raw.min_length, raw.max_length), (Some(min), Some(max)) if min > max) {
        tell("min_length", "is greater than max_length".to_owned());
    }
    for (key, list) in [("one_of", &raw.one_of), ("schemes", &raw.schemes)] {
        if list.as_ref().is_some_and(|list| list.0.is_empty()) {
            tell(key, "is an empty list: no value could be right".to_owned());
        }
    }
}

/// A default or an example that breaks the variable's own rule. The rule's texts never hold the value.
fn check_samples(
    rule: &Rule,
    default: Option<&str>,
    example: Option<&str>,
    tell: &mut impl FnMut(&str, String),
) {
    if default.is_some_and(|default| default.trim().is_empty()) {
        tell(
            "default",
            "is empty, which counts as missing; remove it".to_owned(),
        );
        return;
    }
    if default.is_some_and(|default| default.contains('\0')) {
        tell(
            "default",
            "has a NUL character in it, which no variable can have".to_owned(),
        );
    }
    for (key, sample) in [("default", default), ("example", example)] {
        for violation in sample
            .map(|sample| rule.findings(sample))
            .unwrap_or_default()
        {
            tell(
                key,
                format!("breaks the variable's own rule: it {}", violation.problem),
            );
        }
    }
}
