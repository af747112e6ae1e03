//! The check: a manifest and an environment in, every finding and the effective environment out.

mod needs;
mod resolve;
mod secret_file;
mod secrets;
mod uses;

use std::ffi::OsString;

use crate::environment::Environment;
use crate::manifest::{
    FailOn, Generate, GenerateFormat, Level, Manifest, Place, Template, UnsetReference, Variable,
};
use crate::report::{Code, Finding, Report, Severity, ValueFinding};
use crate::target::{Protocol, Target};

use needs::check_needs;
use resolve::{Overlay, Resolved, Value, resolve};
use uses::{announcement, check_uses};

pub use needs::Need;
pub use resolve::ReadFile;
pub use uses::Use;

/// What the check comes to.
pub struct Checked {
    pub report: Report,
    /// The manifest's announcement, with its references replaced; as it is written where one of them is not
    /// set, or holds a password.
    pub announcement: Option<OsString>,
    /// Where the report has errors, the environment as it came: what a diagnosis looks at.
    pub effective: Result<Effective, Environment>,
}

/// The environment for the steps and the server, sound by the manifest: the process's own with defaults and
/// the contents of secret files. Only the check makes one, so what asks for one runs after it.
pub struct Effective {
    environment: Environment,
    secrets: Vec<Vec<u8>>,
}

impl Effective {
    /// The variables for every step and the server.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The texts that must not come through in a step's output, none of them empty.
    pub fn secrets(&self) -> &[Vec<u8>] {
        &self.secrets
    }

    /// A text of the manifest with its references replaced.
    ///
    /// # Errors
    /// A reference that the check was not told of, and that is not set.
    pub fn expand(&self, template: &Template) -> Result<OsString, UnsetReference> {
        template.expand(|name| self.environment.get(name))
    }

    /// Something to wait for or to lock; none where its variable is not set.
    ///
    /// # Errors
    /// An address that the check was not told of, and that cannot be used.
    pub fn endpoint(
        &self,
        protocol: Protocol,
        place: &Place,
    ) -> Result<Option<Target>, ValueFinding> {
        needs::endpoint(protocol, place, |name| self.environment.get(name))
    }
}

/// Checks the environment, and what is going to be expanded or connected to from it. Secret files
/// are read by `read_file`.
pub fn check(
    manifest: &Manifest,
    environment: Environment,
    uses: &[Use<'_>],
    needs: &[Need<'_>],
    read_file: ReadFile,
) -> Checked {
    let resolved: Vec<Resolved<'_>> = manifest
        .variables
        .iter()
        .map(|variable| resolve(variable, &environment, read_file))
        .collect();
    let by_name = sorted_by_name(&resolved);
    let mut findings = Findings {
        fail_on: manifest.fail_on,
        list: Vec::new(),
    };
    for each in &resolved {
        let level = level_of(each.variable, &by_name);
        check_variable(each, level, &mut findings);
        check_distinct(each, level, &by_name, &mut findings);
    }
    let overlay = Overlay::of(&resolved);
    let lookup = |name: &str| overlay.get(name, &environment);
    check_uses(uses, manifest, lookup, &mut findings.list);
    check_needs(needs, manifest, lookup, &mut findings.list);
    let announcement = manifest
        .announce
        .as_ref()
        .map(|template| announcement(template, lookup));
    let report = Report {
        findings: findings.list,
        notes: Vec::new(),
        declared: manifest.variables.len(),
    };
    let effective = if report.errors() == 0 {
        let secrets = secrets::of(&resolved, &environment);
        let environment = overlay.onto(environment);
        Ok(Effective {
            environment,
            secrets,
        })
    } else {
        Err(environment)
    };
    Checked {
        report,
        announcement,
        effective,
    }
}

fn sorted_by_name<'a, 'b>(resolved: &'b [Resolved<'a>]) -> Vec<&'b Resolved<'a>> {
    let mut sorted: Vec<&Resolved<'_>> = resolved.iter().collect();
    sorted.sort_by_key(|each| each.variable.name.as_str());
    sorted
}

fn find<'b>(by_name: &[&'b Resolved<'_>], name: &str) -> Option<&'b str> {
    let position = by_name
        .binary_search_by(|each| each.variable.name.as_str().cmp(name))
        .ok()?;
    by_name[position].value.text()
}

/// The level that counts: `required_when` makes a variable required while its conditions hold, and optional
/// while they do not.
fn level_of(variable: &Variable, by_name: &[&Resolved<'_>]) -> Level {
    if variable.required_when.is_empty() {
        return variable.level;
    }
    let holds = variable.required_when.iter().all(|(name, values)| {
        find(by_name, name).is_some_and(|value| values.iter().any(|other| other == value))
    });
    match (holds, variable.level) {
        (false, _) => Level::Optional,
        (true, Level::Optional) => Level::Required,
        (true, level) => level,
    }
}

/// The findings so far, and the rule for their severity.
struct Findings {
    fail_on: FailOn,
    list: Vec<Finding>,
}

impl Findings {
    fn tell(
        &mut self,
        variable: &Variable,
        level: Level,
        code: Code,
        problem: String,
        fix: String,
    ) {
        let Some(severity) = severity(code, level, self.fail_on) else {
            return;
        };
        self.list.push(Finding {
            code,
            severity,
            variable: variable.name.clone(),
            level: Some(level.name()),
            problem,
            fix,
            hint: hint_of(variable),
            description: variable.description.clone(),
            source: None,
        });
    }
}

/// The design's table of severities; none means that there is nothing to tell.
fn severity(code: Code, level: Level, fail_on: FailOn) -> Option<Severity> {
    match (level, code, fail_on) {
        (Level::Optional, Code::Missing, _) => None,
        (Level::Optional, Code::Placeholder, _) => Some(Severity::Warning),
        (Level::Critical, _, _) | (_, _, FailOn::Required) => Some(Severity::Error),
        (_, _, FailOn::Critical) => Some(Severity::Warning),
    }
}

fn check_variable(each: &Resolved<'_>, level: Level, findings: &mut Findings) {
    let variable = each.variable;
    let name = &variable.name;
    let mut tell = |code, problem: &str, fix: String| {
        findings.tell(variable, level, code, problem.to_owned(), fix);
    };
    match &each.value {
        Value::Missing => tell(Code::Missing, "is not set", how_to_set(each)),
        Value::Placeholder => {
            tell(
                Code::Placeholder,
                "still holds a placeholder",
                how_to_set(each),
            );
        }
        Value::NotUtf8 => tell(
            Code::NotUtf8,
            "is not UTF-8 text",
            format!("set {name} again, as UTF-8"),
        ),
        Value::FileAndValue => tell(
            Code::FileAndValue,
            &format!("is set, and {name}_FILE as well"),
            format!("keep one of {name} and {name}_FILE"),
        ),
        Value::File(problem) => tell(
            Code::FileUnreadable,
            &format!("comes from the file that {name}_FILE names, which {problem}"),
            problem.fix(&format!("{name}_FILE")),
        ),
        Value::Text(text) => {
            for violation in variable.rule.violations(text) {
                let fix = violation.fix;
                findings.tell(variable, level, violation.code, violation.problem, fix);
            }
        }
    }
}

/// What a person should know who sets the variable.
fn hint_of(variable: &Variable) -> Option<String> {
    match (&variable.hint, &variable.docs) {
        (Some(hint), Some(docs)) => Some(format!("{hint} (see {docs})")),
        (Some(hint), None) => Some(hint.clone()),
        (None, Some(docs)) => Some(format!("see {docs}")),
        (None, None) => None,
    }
}

/// What to set a missing variable to, from what the manifest tells about it.
fn how_to_set(each: &Resolved<'_>) -> String {
    let variable = each.variable;
    let name = &variable.name;
    if let Some(former) = each.former {
        return format!("rename {former}, which is set, to {name}: it was called so before");
    }
    let mut fix = match (&variable.hint, &variable.example) {
        (Some(hint), _) => format!("set {name}: {hint}"),
        (None, Some(example)) if !variable.secret => format!("set {name}, for example {example}"),
        (None, _) => match variable.rule.one_of.as_slice() {
            [] => format!("set {name}"),
            [only] => format!("set {name} to {only}"),
            several => format!("set {name} to one of {}", several.join(", ")),
        },
    };
    if let Some(Generate { bytes, format }) = variable.generate {
        let flag = match format {
            GenerateFormat::Base64 => "-base64",
            GenerateFormat::Hex => "-hex",
        };
        fix.push_str(&format!(" (a new one: openssl rand {flag} {bytes})"));
    }
    if let Some(docs) = &variable.docs {
        fix.push_str(&format!(" (see {docs})"));
    }
    fix
}

/// Secrets that protect different things must not be the same.
fn check_distinct(
    each: &Resolved<'_>,
    level: Level,
    by_name: &[&Resolved<'_>],
    findings: &mut Findings,
) {
    let Some(text) = each.value.text() else {
        return;
    };
    for other in &each.variable.distinct_from {
        if find(by_name, other) == Some(text) {
            let problem = format!("has the same value as {other}");
            let fix = format!("make a value of its own for {}", each.variable.name);
            findings.tell(each.variable, level, Code::SameSecret, problem, fix);
        }
    }
}

#[cfg(test)]
mod tests;
