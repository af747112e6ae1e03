//! References in commands and announcements.

use std::ffi::OsStr;

use crate::manifest::{Manifest, Template};
use crate::report::{Code, Finding, Severity};
use crate::rule::passwords;

/// A text that will be expanded, and what its findings call it.
pub struct Use<'a> {
    /// Such as `server.command`.
    pub place: String,
    pub template: &'a Template,
    /// Arguments of a process are public.
    pub is_argument: bool,
}

/// A finding for each reference to an unset variable, for each secret that would become an argument, and for
/// each password that would be announced.
pub fn check_uses<'a>(
    uses: &[Use<'_>],
    manifest: &Manifest,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
    findings: &mut Vec<Finding>,
) {
    for each in uses {
        if !each.is_argument
            && let Some(name) = announced_password(each.template, lookup)
        {
            let variable = manifest
                .variables
                .iter()
                .find(|variable| variable.name == name);
            findings.push(Finding {
                code: Code::PasswordAnnounced,
                severity: Severity::Error,
                variable: name.to_owned(),
                level: variable.map(|variable| variable.level.name()),
                problem: format!("holds a password, and {} prints it", each.place),
                fix: format!(
                    "take ${{{name}}} out of it, or refer to a variable with the host alone"
                ),
                hint: None,
                description: None,
                source: None,
            });
        }
        for (name, has_default) in each.template.references() {
            let variable = manifest
                .variables
                .iter()
                .find(|variable| variable.name == name);
            if lookup(name).is_none() && !has_default {
                findings.push(Finding {
                    code: Code::UnsetReference,
                    severity: Severity::Error,
                    variable: name.to_owned(),
                    level: variable.map(|variable| variable.level.name()),
                    problem: format!("is not set, and {} refers to it", each.place),
                    fix: format!("set {name}, or give it a default there: ${{{name}:-value}}"),
                    hint: None,
                    description: None,
                    source: None,
                });
            } else if each.is_argument && variable.is_some_and(|variable| variable.secret) {
                findings.push(Finding {
                    code: Code::SecretInArgument,
                    severity: Severity::Warning,
                    variable: name.to_owned(),
                    level: variable.map(|variable| variable.level.name()),
                    problem: format!(
                        "is a secret, and {} makes it an argument, which is public",
                        each.place
                    ),
                    fix: "let the program read it from its environment".to_owned(),
                    hint: None,
                    description: None,
                    source: None,
                });
            }
        }
    }
}

/// The variable from which an announcement would print the password of a URL, if there is one.
pub fn announced_password<'t, 'a>(
    template: &'t Template,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
) -> Option<&'t str> {
    // The whole text, since a URL may be put together from several variables.
    let text = template.expand(lookup).ok()?;
    let text = text.to_string_lossy();
    let passwords = passwords(&text);
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
