//! What is waited for or locked: whether its address can be used at all.

use std::ffi::OsStr;

use crate::manifest::{Manifest, Place};
use crate::report::ValueFinding;
use crate::report::{Code, Finding, Severity};
use crate::target::{Protocol, Target};

/// Something that the start needs, and what its findings call it.
pub struct Need<'a> {
    /// Such as `the lock of the step migrate`.
    pub what: String,
    pub protocol: Protocol,
    pub place: &'a Place,
    /// Whether the start may go on without it where its variable is not set.
    pub may_be_absent: bool,
}

/// The endpoint that a place comes to; none where its variable is not set.
///
/// # Errors
/// What is wrong with the text.
pub fn endpoint<'a>(
    protocol: Protocol,
    place: &'a Place,
    lookup: impl Fn(&str) -> Option<&'a OsStr>,
) -> Result<Option<Target>, ValueFinding> {
    let set = |name: &str| {
        let text = lookup(name).and_then(OsStr::to_str);
        text.filter(|text| !text.trim().is_empty())
    };
    let text = match place {
        Place::Literal(text) => Some(text.as_str()),
        Place::Variable(name) => set(name),
    };
    text.map(|text| Target::parse(protocol, text, set))
        .transpose()
}

/// A finding for each address that cannot be used: whatever the variable's level, nothing may be started
/// that was not waited for, or is not locked. A variable that is found wrong already is not told twice.
pub fn check_needs<'a>(
    needs: &[Need<'a>],
    manifest: &Manifest,
    lookup: impl Fn(&str) -> Option<&'a OsStr> + Copy,
    findings: &mut Vec<Finding>,
) {
    for need in needs {
        let Place::Variable(name) = need.place else {
            continue;
        };
        let is_told =
            |finding: &Finding| finding.variable == *name && finding.severity == Severity::Error;
        if findings.iter().any(is_told) {
            continue;
        }
        let (code, problem, fix) = match endpoint(need.protocol, need.place, lookup) {
            Ok(None) if !need.may_be_absent => (
                Code::Missing,
                format!("is not set, and {} needs it", need.what),
                format!("set {name}"),
            ),
            Ok(_) => continue,
            Err(violation) => (
                violation.code,
                format!("{} ({} uses it)", violation.problem, need.what),
                violation.fix,
            ),
        };
        let declared = manifest
            .variables
            .iter()
            .find(|variable| variable.name == *name);
        findings.push(Finding {
            code,
            severity: Severity::Error,
            variable: name.clone(),
            level: declared.map(|variable| variable.level.name()),
            problem,
            fix,
            hint: None,
            description: None,
            source: None,
        });
    }
}
