//! Why the report is as it is, and how to mend it: told only as far as the facts go.
//!
//! A cause is a claim about somebody's deployment. A wrong one costs more than none, so each has its grounds
//! in the names that are set, in the form of a value, or in what the platform says of itself; what is no more
//! than a likelihood is worded as one. Values are looked at here, and never told: a cause names variables,
//! and of a reference `${{Service.NAME}}` the service that it asks for.

mod fixes;
mod near;
mod reference;
mod scope;
mod values;

use std::collections::{HashMap, HashSet};

use crate::environment::Environment;
use crate::manifest::{Manifest, Variable};
use crate::platform::{Place, is_injected};
use crate::report::{Code, Finding, Report, Severity};

pub use fixes::{EnvFileReader, Fix};
pub use near::NearNames;

/// The kinds of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseCode {
    SetElsewhere,
    DatabaseService,
    Misspelled,
    Renamed,
    UnresolvedReference,
    SealedOrStaged,
    SetAtBuild,
    ExampleCopied,
    SecretFile,
    QuotedForAnotherReader,
    SchemeOfSqlalchemy,
    UnescapedCredentials,
    ListForm,
    CopiedSecret,
    LocalAddress,
}

impl CauseCode {
    /// The stable name, as it stands in logs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            CauseCode::SetElsewhere => "set_elsewhere",
            CauseCode::DatabaseService => "database_service",
            CauseCode::Misspelled => "misspelled",
            CauseCode::Renamed => "renamed",
            CauseCode::UnresolvedReference => "unresolved_reference",
            CauseCode::SealedOrStaged => "sealed_or_staged",
            CauseCode::SetAtBuild => "set_at_build",
            CauseCode::ExampleCopied => "example_copied",
            CauseCode::SecretFile => "secret_file",
            CauseCode::QuotedForAnotherReader => "quoted_for_another_reader",
            CauseCode::SchemeOfSqlalchemy => "scheme_of_sqlalchemy",
            CauseCode::UnescapedCredentials => "unescaped_credentials",
            CauseCode::ListForm => "list_form",
            CauseCode::CopiedSecret => "copied_secret",
            CauseCode::LocalAddress => "local_address",
        }
    }
}

/// One cause of one or several findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub code: CauseCode,
    /// Whether the facts leave no other explanation.
    pub is_certain: bool,
    /// The variables at fault that it explains, in the manifest's order.
    pub variables: Vec<String>,
    /// Whole sentences: what happened, and what to do about it.
    pub text: String,
}

/// What a report comes from and leads to.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// What explains the most comes first.
    pub causes: Vec<Cause>,
    pub fixes: Vec<Fix>,
}

/// What is known besides the report and the environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The platform that runs us, or that the env file was taken from.
    pub place: Option<&'a Place>,
    /// Whether this process runs in a container.
    pub is_in_container: bool,
    /// The env file whose values alone were checked, as the user named it.
    pub only_file: Option<&'a str>,
    /// Who reads that file.
    pub reader: EnvFileReader,
}

/// Explains a report. `environment` is what was checked, as it came.
pub fn diagnose(
    manifest: &Manifest,
    report: &Report,
    environment: &Environment,
    circumstances: Circumstances<'_>,
) -> Diagnosis {
    let facts = Facts::new(manifest, report, environment, circumstances);
    let near = near::names(&facts);
    let mut causes = Vec::new();
    causes.extend(scope::set_elsewhere(&facts, &near));
    causes.extend(scope::database_service(&facts));
    causes.extend(near.causes());
    causes.extend(values::causes(&facts));
    causes.extend(scope::sealed_or_staged(&facts, &causes));
    causes.extend(scope::set_at_build(&facts, &causes));
    let fixes = fixes::fixes(&facts, &near, &causes);
    Diagnosis { causes, fixes }
}

/// What the causes are judged by.
struct Facts<'a> {
    manifest: &'a Manifest,
    report: &'a Report,
    environment: &'a Environment,
    circumstances: Circumstances<'a>,
    declared: HashMap<&'a str, &'a Variable>,
    /// Names of the variables that are missing, and keep the server from starting.
    missing: HashSet<&'a str>,
    /// Whether any variable is set that only a person would set.
    is_any_set: bool,
}

impl<'a> Facts<'a> {
    fn new(
        manifest: &'a Manifest,
        report: &'a Report,
        environment: &'a Environment,
        circumstances: Circumstances<'a>,
    ) -> Self {
        let variables = manifest.variables.iter();
        let declared = variables
            .map(|variable| (variable.name.as_str(), variable))
            .collect();
        let missing = report
            .findings
            .iter()
            .filter(|finding| finding.code == Code::Missing && finding.severity == Severity::Error)
            .map(|finding| finding.variable.as_str())
            .collect();
        let by_hand = manifest
            .variables
            .iter()
            .filter(|variable| !is_injected(&variable.name));
        let is_any_set = by_hand
            .into_iter()
            .any(|variable| is_set(variable, environment));
        Self {
            manifest,
            report,
            environment,
            circumstances,
            declared,
            missing,
            is_any_set,
        }
    }

    /// Findings of a kind, in the manifest's order.
    fn findings(&self, code: Code) -> impl Iterator<Item = &'a Finding> {
        let of_kind = move |finding: &&Finding| finding.code == code;
        self.report.findings.iter().filter(of_kind)
    }

    /// The missing variables, in the manifest's order.
    fn missing(&self) -> impl Iterator<Item = &'a Variable> {
        let variables = self.manifest.variables.iter();
        variables.filter(|variable| self.missing.contains(variable.name.as_str()))
    }

    /// The variable that names a file with this one's value, where it is set.
    fn file_of(&self, variable: &Variable) -> Option<String> {
        let name = variable.file_name()?;
        self.environment.text(&name).is_some().then_some(name)
    }
}

/// Whether somebody gave the variable a value, or a file that holds one.
fn is_set(variable: &Variable, environment: &Environment) -> bool {
    let is_set = |name: &str| environment.text(name).is_some();
    is_set(&variable.name) || variable.file_name().is_some_and(|name| is_set(&name))
}
