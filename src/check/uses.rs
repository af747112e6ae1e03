//! References in commands and announcements.

use std::ffi::OsStr;

use crate::manifest::{Manifest, Template};
use crate::report::{Code, Finding, Severity};

/// A text that will be expanded, and what its findings call it.
pub struct Use<'a> {
    /// Such as `server.command`.
    pub place: String,
    pub template: &'a Template,
    /// Arguments of a process are public.
    pub is_argument: bool,
}

/// A finding for each reference to an unset variable, and for each secret that would become an argument.
pub fn check_uses<'a>(
    uses: &[Use<'_>],
    manifest: &Manifest,
    lookup: impl Fn(&str) -> Option<&'a OsStr>,
    findings: &mut Vec<Finding>,
) {
    for each in uses {
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
