//! Reads the variables, and checks their keys together.

use regex_lite::Regex;

use super::keys::{Cursor, Keys, Read};
use super::processes::Processes;
use super::template::is_name;
use super::{Generate, GenerateFormat, Level, Template, Variable, forms, words};
use crate::report::ValueFinding;
use crate::rule::{List, Rule, Type};

const LEVELS: [(&str, Level); 3] = [
    (Level::Critical.name(), Level::Critical),
    (Level::Required.name(), Level::Required),
    (Level::Optional.name(), Level::Optional),
];

const LISTS: [(&str, List); 3] = [
    ("csv", List::Csv),
    ("json", List::Json),
    ("space", List::Space),
];

const FORMATS: [(&str, GenerateFormat); 4] = [
    ("base64", GenerateFormat::Base64),
    ("base64url", GenerateFormat::Base64Url),
    ("hex", GenerateFormat::Hex),
    ("alphanumeric", GenerateFormat::Alphanumeric),
];

/// The message for a `required_when` that is not a mapping.
pub const CONDITIONS: &str = "expected a mapping of a variable to the values that require this one";

/// The default number of a secret's random bytes, before encoding.
const DEFAULT_RANDOMNESS: u32 = 32;

/// The default number of letters and digits, which have as much randomness as 32 bytes.
const DEFAULT_LENGTH: u32 = 43;

/// Reads `variables`. Returns each variable with its keys.
pub fn variables<'a>(root: &mut Keys<'a>, processes: &Processes<'a>) -> Vec<(Variable, Keys<'a>)> {
    let Some(declared) = root.mapping("variables", forms::variables()) else {
        return Vec::new();
    };
    let entries = declared.entries();
    let read = |(name, value): (&str, Cursor<'a>)| {
        let mut keys = value.keys(forms::variable());
        (variable(name, &mut keys, processes), keys)
    };
    // A variable is large: a vector that grows would copy all of them several times.
    let mut variables = Vec::with_capacity(entries.size_hint().1.unwrap_or_default());
    variables.extend(entries.map(read));
    variables
}

fn variable(name: &str, keys: &mut Keys<'_>, processes: &Processes<'_>) -> Variable {
    let is_outside = |other: char| other == '=' || other.is_whitespace() || other.is_control();
    if name.is_empty() || name.contains(is_outside) {
        let message =
            "is not a valid name: it is empty, or contains `=`, white space or a control character";
        keys.here.fault(message);
    }
    let mut variable = Variable {
        name: name.to_owned(),
        line: keys.here.line(),
        level: keys
            .choice_with("level", &LEVELS, words::LEVELS)
            .unwrap_or_default(),
        rule: rule(keys),
        not_placeholder: keys.read("not_placeholder").unwrap_or(false),
        distinct_from: keys.read("distinct_from").unwrap_or_default(),
        required_when: conditions(keys),
        required_with: keys.read("required_with").unwrap_or_default(),
        required_without: keys.read("required_without").unwrap_or_default(),
        default: keys.read("default"),
        value: value(keys),
        secret: keys.read("secret").unwrap_or(false),
        file: None,
        example: keys.read("example"),
        description: keys.read("description"),
        hint: keys.read("hint"),
        docs: keys.read("docs"),
        generate: generate(keys),
        shared: keys.read("shared").unwrap_or(false),
        renamed_from: keys.read("renamed_from").unwrap_or_default(),
        processes: processes.limits(keys),
    };
    variable.rule.is_secret = variable.secret;
    variable.file = file(&variable, keys);
    keys.finish();
    check_limits(&variable.rule, keys);
    check_samples(&variable, keys);
    variable
}

/// Reads `value`.
fn value(keys: &mut Keys<'_>) -> Option<Template> {
    let text: String = keys.read("value")?;
    let template = Template::parse(&text);
    let references = template.references().count();
    let message = "contains a NUL character";
    keys.fault_if(text.contains('\0'), "value", message);
    // What is not escaped with a `$` before it must be the beginning of a reference.
    let is_broken = text.matches("${").count() != references + text.matches("$${").count();
    let message = "has a `${` that is no reference: write ${NAME} or ${NAME:-text}, where the text has no `${`, or `$${` for the two characters";
    keys.fault_if(is_broken, "value", message);
    let message = "refers to no variable as ${NAME}; write `default` for a fixed text";
    keys.fault_if(references == 0 && !is_broken, "value", message);
    for (other, why) in [
        ("default", "keep one of the two"),
        ("generate", "a composed value is not generated"),
    ] {
        let message = format_args!("cannot be set together with `{other}`; {why}");
        keys.fault_if(keys.has(other), "value", message);
    }
    Some(template)
}

/// Reads `file`: whether the value may be in the file that `NAME_FILE` names, or another name instead of that.
fn file(variable: &Variable, keys: &mut Keys<'_>) -> Option<String> {
    let usual = variable.usual_file();
    let Some(value) = keys.get("file") else {
        return (variable.secret && variable.has_shell_name()).then_some(usual);
    };
    match value.flag() {
        Some(false) => None,
        Some(true) => {
            let message = "is not valid for a name that no shell can set; write another name for the variable with the file";
            keys.fault_if(!variable.has_shell_name(), "file", message);
            Some(usual)
        }
        None if !value.is_text() => value.wrong_kind("true, false or a name"),
        None => {
            let name = String::read(&value)?;
            let words = ["yes", "no", "on", "off", "true", "false"];
            let is_word = words.contains(&name.to_ascii_lowercase().as_str());
            let message = format_args!(
                "`{name}` is not the name of a variable; write `true`, `false` or a name such as {usual}"
            );
            keys.fault_if(is_word || !is_name(&name), "file", message);
            Some(name)
        }
    }
}

/// Reads the root's `placeholders`.
pub fn placeholders(root: &mut Keys<'_>) -> Vec<String> {
    let is_valid = |texts: &Vec<String>| !texts.iter().any(|text| text.trim().is_empty());
    let message = "has an empty text, which counts as missing anyway";
    let texts = root.read_valid("placeholders", is_valid, message);
    texts.unwrap_or_default()
}

/// Reads `ignore` of the root's `audit`.
pub fn audit_ignored(root: &mut Keys<'_>) -> Vec<String> {
    let expected = "expected a mapping such as {ignore: [NAME, PREFIX_*]}";
    let Some(mut audit) = root.mapping("audit", expected) else {
        return Vec::new();
    };
    let names: Vec<String> = audit.read("ignore").unwrap_or_default();
    audit.finish();
    let message = "has no names; write at least one, or remove `audit`";
    audit.fault_if(names.is_empty(), "ignore", message);
    for name in &names {
        let stem = name.strip_suffix('*').unwrap_or(name);
        let is_wrong = stem.is_empty() || stem.contains('*');
        let message = format_args!(
            "`{name}` is no name: write a whole name, or a prefix with one `*` at its end"
        );
        audit.fault_if(is_wrong, "ignore", message);
    }
    names
}

fn conditions(keys: &mut Keys<'_>) -> Vec<(String, Vec<String>)> {
    let conditions = keys.mapping("required_when", CONDITIONS);
    let entries = conditions.iter().flat_map(Keys::entries);
    let read = |(name, values): (&str, Cursor<'_>)| {
        (name.to_owned(), Read::read(&values).unwrap_or_default())
    };
    entries.map(read).collect()
}

fn rule(keys: &mut Keys<'_>) -> Rule {
    let mut schemes = admitted(keys, "schemes");
    for scheme in &mut schemes {
        scheme.make_ascii_lowercase();
    }
    Rule {
        value_type: keys
            .choice_with("type", &Type::NAMES, words::TYPES)
            .unwrap_or_default(),
        is_secret: false,
        is_escaped: keys.read("escaped").unwrap_or(false),
        list: keys.choice_with("list", &LISTS, words::LISTS),
        schemes,
        one_of: one_of(keys),
        pattern: pattern(keys),
        min_length: keys.read("min_length"),
        max_length: keys.read("max_length"),
        min: keys.read("min"),
        max: keys.read("max"),
    }
}

fn admitted(keys: &mut Keys<'_>, key: &'static str) -> Vec<String> {
    let message = "is empty, so no value is admitted";
    let values = keys.read_valid(key, |values: &Vec<_>| !values.is_empty(), message);
    values.unwrap_or_default()
}

fn one_of(keys: &mut Keys<'_>) -> Vec<String> {
    let values = admitted(keys, "one_of");
    let text = keys.value("one_of").and_then(|value| value.text());
    // A comma alone can be a part of the one allowed value.
    let is_list = text.is_some_and(|text| text.contains('|') || text.contains(", "));
    let message = "is one text, not a list; write `one_of: [a, b]`";
    keys.fault_if(is_list, "one_of", message);
    values
}

fn pattern(keys: &mut Keys<'_>) -> Option<Regex> {
    let text: String = keys.read("pattern")?;
    // YAML makes a backspace of `\b` in double quotes. Nobody means this character, and no value contains it.
    let message = "contains a backspace, because it is in double quotes; write it in single quotes, such as '\\bword\\b'";
    keys.fault_if(text.contains('\u{8}'), "pattern", message);
    let pattern = Regex::new(&text);
    if let Err(error) = &pattern {
        let message = format_args!("is not a regular expression: {error}");
        keys.fault("pattern", message);
    }
    pattern.ok()
}

fn generate(keys: &mut Keys<'_>) -> Option<Generate> {
    let mut generate = keys.mapping("generate", "expected a mapping such as {bytes: 32}")?;
    let bytes: Option<u32> = generate.read("bytes");
    let length: Option<u32> = generate.read("length");
    let format = generate.choice("format", &FORMATS).unwrap_or_default();
    generate.finish();
    if format == GenerateFormat::Alphanumeric {
        let message = "is not valid with `format: alphanumeric`; use `length`, the number of letters and digits";
        generate.fault_if(generate.has("bytes"), "bytes", message);
        let size = length.unwrap_or(DEFAULT_LENGTH);
        // 22 letters and digits have more randomness than 16 bytes.
        let is_outside = !(22..=4096).contains(&size);
        generate.fault_if(is_outside, "length", "must be from 22 to 4096");
        return Some(Generate { size, format });
    }
    let has_both = generate.has("bytes") && generate.has("length");
    let message = "cannot be set together with `bytes`, which determines it";
    generate.fault_if(has_both, "length", message);
    let (group, encoded) = format.group();
    let rest = length.unwrap_or_default() % encoded;
    // Without padding, 2 or 3 characters encode 1 or 2 bytes.
    let is_broken = rest != 0 && (format != GenerateFormat::Base64Url || rest == 1);
    let message = match format {
        GenerateFormat::Base64Url => "must not be a multiple of 4 plus 1 with `format: base64url`",
        GenerateFormat::Hex => "must be even with `format: hex`",
        _ => "must be a multiple of 4 with `format: base64`",
    };
    generate.fault_if(is_broken, "length", message);
    let of_length = length.map(|length| length / encoded * group + rest.saturating_sub(1));
    let size = bytes.or(of_length).unwrap_or(DEFAULT_RANDOMNESS);
    let is_outside = !(16..=4096).contains(&size);
    if bytes.is_some() {
        generate.fault_if(is_outside, "bytes", "must be from 16 to 4096");
    } else {
        let message = format_args!("makes {size} random bytes, which must be from 16 to 4096");
        generate.fault_if(is_outside && !is_broken, "length", message);
    }
    Some(Generate { size, format })
}

/// Checks keys that depend on the type or on each other.
fn check_limits(rule: &Rule, keys: &Keys<'_>) {
    let has_schemes = matches!(rule.value_type, Type::Url | Type::Origin);
    let has_range = [Type::Integer, Type::Number, Type::Duration].contains(&rule.value_type);
    let message = "is only valid with `type: url` or `type: origin`";
    keys.fault_if(keys.has("schemes") && !has_schemes, "schemes", message);
    let is_stray = keys.has("escaped") && rule.value_type != Type::Pem;
    keys.fault_if(is_stray, "escaped", "is only valid with `type: pem`");
    let is_split = rule.list == Some(List::Space) && rule.value_type == Type::Pem;
    let message = "cannot separate items of `type: pem`, which contain spaces; write `list: json`";
    keys.fault_if(is_split, "list", message);
    for scheme in &rule.schemes {
        let message = format_args!("write `{scheme}` without ://");
        keys.fault_if(scheme.contains([':', '/']), "schemes", message);
    }
    for (key, limit) in [("min", rule.min), ("max", rule.max)] {
        let message = "is only valid with `type: integer`, `number` or `duration`";
        keys.fault_if(limit.is_some() && !has_range, key, message);
        let is_infinite = limit.is_some_and(|limit| !limit.is_finite());
        keys.fault_if(is_infinite, key, "must be a finite number");
    }
    let is_crossed = rule.max.is_some() && rule.min > rule.max;
    keys.fault_if(is_crossed, "min", "is greater than max");
    let is_crossed = rule.max_length.is_some() && rule.min_length > rule.max_length;
    keys.fault_if(is_crossed, "min_length", "is greater than max_length");
}

/// Checks `default` and `example` against the variable's own rule, whose messages never contain the value.
fn check_samples(variable: &Variable, keys: &Keys<'_>) {
    let default = variable.default.as_deref();
    if default.is_some_and(|default| default.trim().is_empty()) {
        return keys.fault("default", "is empty, which counts as missing; remove it");
    }
    let has_nul = default.is_some_and(|default| default.contains('\0'));
    keys.fault_if(has_nul, "default", "contains a NUL character");
    let example = variable.example.as_deref().filter(|_| !variable.secret);
    for (key, sample) in [("default", default), ("example", example)] {
        let findings = sample.map(|sample| variable.rule.findings(sample));
        let findings = findings.unwrap_or_default().into_iter();
        for ValueFinding { problem, .. } in findings.filter(|finding| finding.is_certain) {
            let is_reference = sample.is_some_and(|sample| sample.contains("${"));
            let hint = ["", "; write `value` to compose it of other variables"];
            let hint = hint[usize::from(is_reference && key == "default")];
            let message = format_args!("breaks the variable's own rule: it {problem}{hint}");
            keys.fault(key, message);
        }
    }
}
