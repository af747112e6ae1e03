//! The template as an env file. Every dialect with comments reads the same values from it.

use super::words;
use crate::check::is_absent;
use crate::dotenv::is_plain_value;
use crate::manifest::{Level, Manifest, Variable};
use crate::platform::is_injected;
use crate::text::{WIDTH, wrapped};

/// What stands for a value that a person must fill in. The check treats it as a placeholder if it is a secret's value,
/// or breaks the variable's rule.
const PLACEHOLDER: &str = "change-me";

/// The longest default or example that is written, in bytes. Docker reads no line longer than 64 KiB.
const MAX_VALUE: usize = 1000;

/// The levels in the order of the file, with their headings.
const HEADINGS: [(Level, &str); 3] = [
    (
        Level::Critical,
        "Critical: the service cannot start without them",
    ),
    (Level::Required, "Required"),
    (Level::Optional, "Optional"),
];

/// The manifest's variables as an env file.
pub fn template(manifest: &Manifest) -> String {
    let mut file = String::new();
    let service = manifest.service.as_deref().unwrap_or("the service");
    comment(&mut file, &format!("The environment of {service}."));
    let is_filled_in = |each: &Variable| is_portable_name(&each.name) && !may_be_left_out(each);
    // A copy that sets no variable is refused by the check.
    let what = if manifest.variables.iter().any(is_filled_in) {
        "fill in the lines without a `#`"
    } else {
        "uncomment the lines to set"
    };
    let text = format!(
        "This file is the output of `startup-guard template`. Copy it to .env, and {what}.\n\
         Then check the copy: startup-guard check --only-file --env-file .env"
    );
    comment(&mut file, &text);
    if manifest.variables.iter().any(is_generated) {
        let text = "Generate the secrets that can be: startup-guard generate --env-file .env";
        comment(&mut file, text);
    }
    for (level, heading) in HEADINGS {
        let variables = manifest.variables.iter();
        let mut variables = variables.filter(|each| words::level(each) == level);
        let Some(first) = variables.next() else {
            continue;
        };
        file += "\n";
        comment(&mut file, &format!("--- {heading} ---"));
        for variable in std::iter::once(first).chain(variables) {
            file += "\n";
            add(&mut file, variable, manifest);
        }
    }
    file
}

/// Adds a variable with its comments.
fn add(file: &mut String, variable: &Variable, manifest: &Manifest) {
    let name = &variable.name;
    let value = value(variable, manifest);
    let is_named = is_portable_name(name);
    if !is_named {
        comment(
            file,
            &format!("{name} (not every program can read this name from a file)"),
        );
    }
    for text in [&variable.description, &variable.hint]
        .into_iter()
        .flatten()
    {
        comment(file, text);
    }
    if let Some(docs) = &variable.docs {
        comment(file, &format!("See {docs}"));
    }
    if variable.has_conditions() || !variable.processes.is_empty() {
        let level = words::level_with_conditions(variable, manifest);
        comment(file, &format!("Level: {level}"));
    }
    let rule = words::rule(variable);
    if !rule.is_empty() {
        comment(file, &format!("Rule: {rule}"));
    }
    for (what, text) in [
        ("Default", &variable.default),
        ("Example", &variable.example),
    ] {
        let text = text.as_deref().filter(|text| !is_named || *text != value);
        match text {
            // The example of a secret is of no use, because it is a placeholder.
            Some(_) if variable.secret && what == "Example" => {}
            Some(text) if !variable.secret && is_short(text) => {
                comment(file, &format!("{what}: {text}"));
            }
            Some(_) => comment(file, &format!("{what}: see the manifest")),
            None => {}
        }
    }
    if let Some(parts) = words::parts(variable) {
        comment(
            file,
            &format!("If it is not set, it is composed of {parts}."),
        );
    }
    match variable.generate {
        Some(_) if !variable.shared && variable.has_shell_name() => {
            comment(
                file,
                &format!("Generate one: startup-guard generate {name}"),
            );
        }
        _ if variable.shared => comment(file, "Other services have the same value: copy it."),
        _ => {}
    }
    if is_named {
        let sign = if may_be_left_out(variable) { "#" } else { "" };
        *file += &format!("{sign}{name}={value}\n");
    }
}

/// Whether `startup-guard generate` sets it, unless it is named.
fn is_generated(variable: &Variable) -> bool {
    variable.generate.is_some() && !variable.shared
}

/// Whether the service can start without a value from the file, so that its line is commented out.
fn may_be_left_out(variable: &Variable) -> bool {
    words::level(variable) == Level::Optional
        || variable.has_conditions()
        || variable.default.is_some()
        || variable.value.is_some()
        // A platform sets it.
        || is_injected(&variable.name)
}

/// The value to write: the default, the example or the only admitted value, else a placeholder. Empty if the check
/// would not recognise the placeholder.
fn value<'a>(variable: &'a Variable, manifest: &Manifest) -> &'a str {
    let rule = &variable.rule;
    let only = match rule.one_of.as_slice() {
        [only] if rule.list.is_none() && variable.admits(only) => Some(only),
        _ => None,
    };
    // The other variable may have the same example.
    let example = variable.example.as_ref();
    let example = example.filter(|_| variable.distinct_from.is_empty());
    let default = variable.default.as_ref();
    let known = default.or(example).or(only);
    let known = known.filter(|value| !variable.secret && is_portable(value));
    match known {
        Some(value) => value,
        None if is_absent(variable, PLACEHOLDER, &manifest.placeholders) => PLACEHOLDER,
        None => "",
    }
}

/// Whether every dialect, and a shell that sources the file, reads this value from one line without quotes.
fn is_portable(value: &str) -> bool {
    let has_meaning = |other: char| other.is_whitespace() || ";&|<>()`".contains(other);
    let is_plain = is_plain_value(value) && !value.contains(has_meaning);
    // A shell replaces `~` at the beginning, and after a colon, with a home folder.
    is_plain && is_short(value) && !value.starts_with('~') && !value.contains(":~")
}

fn is_short(value: &str) -> bool {
    value.len() <= MAX_VALUE && !value.contains(char::is_control)
}

/// Whether every dialect accepts this name.
fn is_portable_name(name: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || "_.-".contains(other);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_part)
}

/// Adds a text as comments. Control characters are replaced, because readers end a line at some of them.
fn comment(file: &mut String, text: &str) {
    let is_break = |other: char| matches!(other, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    for line in text.split(is_break) {
        let line = line.replace(char::is_control, " ");
        for line in wrapped(line.trim(), "", WIDTH)
            .lines()
            .filter(|line| !line.is_empty())
        {
            *file += "# ";
            *file += line.trim_end();
            *file += "\n";
        }
    }
}
