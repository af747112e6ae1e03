//! References in commands and announcements.

use std::ffi::{OsStr, OsString};

use crate::manifest::{Manifest, Template};
use crate::report::{Code, Finding, Severity};
use crate::rule::certain_passwords;

/// The longest text that is expanded, in bytes. A program can be given no more than that in any case: Linux
/// refuses arguments of 128 KiB (`MAX_ARG_STRLEN`) when the program is executed.
const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// A text that will be expanded, and what its findings call it.
pub struct Use<'a> {
    /// Such as `the command of the server`.
    pub place: String,
    pub template: &'a Template,
    /// Arguments of a process are public.
    pub is_argument: bool,
}

/// A finding for each reference to an unset variable, for each text that gets too long, for each secret that
/// would become an argument, and for each password that would be announced.
pub fn check_uses<'a>(
    uses: &[Use<'_>],
    manifest: &Manifest,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
    findings: &mut Vec<Finding>,
) {
    let variable_of = |name: &str| manifest.variables.iter().find(|other| other.name == name);
    let mut tell = |code, severity, name: &str, problem, fix| {
        findings.push(Finding {
            code,
            severity,
            variable: name.to_owned(),
            level: variable_of(name).map(|variable| variable.level.name()),
            problem,
            fix,
            hint: None,
            description: None,
            source: None,
        });
    };
    for Use {
        place,
        template,
        is_argument,
    } in uses
    {
        if template.length(lookup) > MAX_LENGTH {
            // A manifest is shorter than that, so it is a reference that makes the text this long.
            let longest = template
                .references()
                .max_by_key(|(name, _)| lookup(name).map_or(0, OsStr::len));
            if let Some((name, _)) = longest {
                let problem =
                    format!("makes {place} longer than 4 MiB, which no program can be given");
                let fix = "use a shorter value, or refer to it once".to_owned();
                tell(Code::TooLong, Severity::Error, name, problem, fix);
            }
            continue;
        }
        if !is_argument && let Some(name) = announced_password(template, lookup) {
            let problem = format!("holds a password, and {place} prints it");
            let fix =
                format!("take ${{{name}}} out of it, or refer to a variable with the host alone");
            tell(Code::PasswordAnnounced, Severity::Error, name, problem, fix);
        }
        for (name, has_default) in template.references() {
            if lookup(name).is_none() && !has_default {
                let problem = format!("is not set, and {place} refers to it");
                let fix = format!("set {name}, or give it a default there: ${{{name}:-value}}");
                tell(Code::UnsetReference, Severity::Error, name, problem, fix);
            } else if *is_argument && variable_of(name).is_some_and(|variable| variable.secret) {
                let problem =
                    format!("is a secret, and {place} makes it an argument, which is public");
                let fix = "let the program read it from its environment".to_owned();
                tell(
                    Code::SecretInArgument,
                    Severity::Warning,
                    name,
                    problem,
                    fix,
                );
            }
        }
    }
}

/// An announcement with its references replaced; as it is written where one of them is not set, or where it may
/// not be printed.
pub fn announcement<'a>(
    template: &Template,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
) -> OsString {
    let may_be_printed =
        template.length(lookup) <= MAX_LENGTH && announced_password(template, lookup).is_none();
    let expanded = may_be_printed
        .then(|| template.expand(lookup).ok())
        .flatten();
    expanded.unwrap_or_else(|| template.source().to_owned())
}

/// The variable from which an announcement would print the password of a URL, if there is one.
fn announced_password<'t, 'a>(
    template: &'t Template,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
) -> Option<&'t str> {
    // The whole text, since a URL may be put together from several variables.
    let text = template.expand(lookup).ok()?;
    let text = text.to_string_lossy();
    let passwords = certain_passwords(&text);
    let is_part_of_password = |name: &&str| {
        let value = lookup(name).unwrap_or_default().to_string_lossy();
        let is_related = |password: &&str| value.contains(password) || password.contains(&*value);
        !value.is_empty() && passwords.iter().any(is_related)
    };
    template
        .references()
        .map(|(name, _)| name)
        .find(is_part_of_password)
}
