//! The likely causes of a report, and commands that fix it.
//!
//! A cause is a claim about somebody's deployment, and a wrong claim is worse than none. So each cause needs grounds:
//! names that are set, the form of a value, or variables of the platform. It is marked as certain or as likely. Values
//! are read here but never shown: a cause shows the names of variables, and the service in a reference such as
//! `${{Service.NAME}}`.

mod fixes;
mod near;
mod scope;
mod urls;
mod values;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::dotenv::{self, Dialect};
use crate::environment::Environment;
use crate::manifest::{Manifest, Scope, Variable};
pub use crate::platform::Fix;
use crate::platform::{Place, Platform, is_injected, is_service_link, service_of};
use crate::report::{Code, Finding, Report, Severity};
use crate::text::names;

use near::OtherName;
pub use near::{NearNames, names_of_unset};

/// The facts allow other explanations.
const LIKELY: &str = "likely";

/// The facts allow no other explanation.
pub const CERTAIN: &str = "certain";

/// The cause explains no error: the server can start, but probably not as intended.
pub const NOTE: &str = "note";

/// The variables that a cause explains (at least one), and its text: whole sentences on what happened and what to do.
type Grounds<'a> = Option<(Vec<&'a str>, String)>;

/// Looks for the grounds of one cause. Returns `None` if there are none.
type Explain = for<'a> fn(&Facts<'a>) -> Grounds<'a>;

/// The causes on which fixes depend.
const FILE_NOT_READ: &str = "file_not_read";
const SET_ELSEWHERE: &str = "set_elsewhere";
const UNRESOLVED: &str = "unresolved_reference";
const SEALED: &str = "sealed_or_staged";

/// The causes, in the order in which they are reported. Their codes are stable, because logs and reports contain them.
const CAUSES: [(&str, &str, Explain); 27] = [
    ("renamed", CERTAIN, |facts| near::set_under(facts, true)),
    ("misspelled", LIKELY, |facts| near::set_under(facts, false)),
    (FILE_NOT_READ, LIKELY, near::file_not_read),
    (UNRESOLVED, LIKELY, values::empty_reference),
    ("dotenv_not_read", LIKELY, scope::dotenv_not_read),
    ("other_process", LIKELY, scope::other_process),
    (SET_ELSEWHERE, LIKELY, scope::set_elsewhere),
    ("database_service", LIKELY, scope::database_service),
    (UNRESOLVED, LIKELY, values::railway_reference),
    (UNRESOLVED, LIKELY, urls::empty_parts),
    (UNRESOLVED, LIKELY, values::workflow_expression),
    (UNRESOLVED, LIKELY, values::ordered_reference),
    (UNRESOLVED, LIKELY, values::other_reference),
    ("example_copied", LIKELY, values::example_copied),
    ("secret_file", LIKELY, values::unreadable_file),
    ("secret_file", LIKELY, values::empty_file),
    ("quoted_for_another_reader", LIKELY, values::quoted),
    ("quoted_for_another_reader", LIKELY, values::carriage_return),
    ("scheme_of_sqlalchemy", LIKELY, urls::postgres_scheme),
    ("list_form", CERTAIN, values::json_for_csv),
    ("list_form", CERTAIN, values::csv_for_json),
    ("service_link", LIKELY, scope::service_link),
    ("encoded_line_break", LIKELY, scope::encoded_line_break),
    ("copied_secret", LIKELY, values::copied_secret),
    ("local_address", LIKELY, urls::local_address),
    // These two consider only variables that no earlier cause explains, so they must come last.
    (SEALED, LIKELY, scope::sealed_or_staged),
    ("set_at_build", LIKELY, scope::set_at_build),
];

/// One cause of one or several findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The stable code in logs and reports.
    #[serde(rename = "cause")]
    pub code: &'static str,
    /// [`CERTAIN`], `LIKELY` or [`NOTE`].
    pub certainty: &'static str,
    /// The variables that it explains, in the manifest's order.
    pub variables: Vec<String>,
    /// Whole sentences: what happened, and what to do.
    pub text: String,
}

/// The explanation of a report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Diagnosis {
    pub causes: Vec<Cause>,
    pub fixes: Vec<Fix>,
}

/// Facts that are in neither the report nor the environment.
#[derive(Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The part of the manifest that was checked.
    pub scope: Scope<'a>,
    /// The platform that runs this process, or that the env file was taken from.
    pub place: Option<&'a Place>,
    /// Whether this process runs in a container.
    pub is_in_container: bool,
    /// The name of the env file, as the user gave it, if `--only-file` excluded the process's environment.
    pub only_file: Option<&'a str>,
    /// The subcommand that reports: `check` or `run`.
    pub subcommand: &'a str,
    /// The last env file of a run, if variables can be added to it.
    pub file_of_run: Option<&'a str>,
    /// The dialect of the env file.
    pub reader: Dialect,
    /// The variables of a `.env` in the working directory that nothing has read, or its fault.
    pub beside: Option<&'a Result<Environment, dotenv::Error>>,
}

/// Explains a report. `environment` is the environment that was checked, without defaults and the contents of secret
/// files.
pub fn diagnose(
    manifest: &Manifest,
    report: &Report,
    environment: &Environment,
    circumstances: Circumstances<'_>,
) -> Diagnosis {
    let variables = manifest.variables.iter();
    let mut facts = Facts {
        manifest,
        report,
        environment,
        circumstances,
        declared: variables.map(|each| (each.name.as_str(), each)).collect(),
        missing: Vec::new(),
        other_names: Vec::new(),
        explained: HashMap::new(),
    };
    let missing = facts.errors().filter(|each| each.code == Code::Missing);
    let missing = missing.flat_map(Finding::variables);
    let missing = missing.filter(|name| {
        environment
            .text(name)
            .is_none_or(|text| text.trim().is_empty())
    });
    let missing = missing.filter_map(|name| facts.declared.get(name).copied());
    facts.missing = missing.collect();
    facts.other_names = near::other_names(manifest, environment, &facts.missing);
    let errors: HashSet<&str> = facts.errors().flat_map(Finding::variables).collect();
    let mut causes = Vec::new();
    for (code, certainty, explain) in CAUSES {
        if let Some((variables, text)) = explain(&facts) {
            for name in &variables {
                facts.explained.entry(name).or_insert(code);
            }
            let is_of_error = variables.iter().any(|name| errors.contains(name));
            causes.push(Cause {
                code,
                certainty: if is_of_error { certainty } else { NOTE },
                variables: variables.into_iter().map(str::to_owned).collect(),
                text,
            });
        }
    }
    let fixes = fixes::fixes(&facts);
    Diagnosis { causes, fixes }
}

/// The data that causes and fixes are derived from.
struct Facts<'a> {
    manifest: &'a Manifest,
    report: &'a Report,
    environment: &'a Environment,
    circumstances: Circumstances<'a>,
    declared: HashMap<&'a str, &'a Variable>,
    /// The declared variables that are missing, as far as that is an error.
    missing: Vec<&'a Variable>,
    other_names: Vec<OtherName<'a>>,
    /// The variables that earlier causes explain, with the first of their causes.
    explained: HashMap<&'a str, &'static str>,
}

impl<'a> Facts<'a> {
    /// The findings that keep the server from starting.
    fn errors(&self) -> impl Iterator<Item = &'a Finding> {
        let findings = self.report.findings.iter();
        findings.filter(|each| each.severity == Severity::Error)
    }

    /// The variables with a finding of this kind.
    fn found(&self, code: Code) -> Vec<&'a str> {
        let findings = self.report.findings.iter().filter(|each| each.code == code);
        let mut variables: Vec<&str> = findings.filter_map(Finding::variable).collect();
        variables.dedup();
        variables
    }

    /// The variables with a finding of this kind for whose value `fits` returns true.
    fn found_where(&self, code: Code, fits: impl Fn(&str, &Variable) -> bool) -> Vec<&'a str> {
        let found: HashSet<&str> = self.found(code).into_iter().collect();
        self.values_where(|value, each| found.contains(each.name.as_str()) && fits(value, each))
    }

    /// The variables for whose value `fits` returns true, except placeholders: their text is not meant as a value.
    fn set_where(&self, fits: impl Fn(&str, &Variable) -> bool) -> Vec<&'a str> {
        let mut variables = self.values_where(fits);
        let placeholders: HashSet<&str> = self.found(Code::Placeholder).into_iter().collect();
        variables.retain(|name| !placeholders.contains(name));
        variables
    }

    /// The declared variables that are set and for whose value `fits` returns true.
    fn values_where(&self, fits: impl Fn(&str, &Variable) -> bool) -> Vec<&'a str> {
        let is_fit = |each: &&Variable| {
            let value = self.environment.text(&each.name);
            value.is_some_and(|value| fits(value, each))
        };
        let variables = self.checked().filter(is_fit);
        variables.map(|each| each.name.as_str()).collect()
    }

    /// The variables that were checked: those of the scope.
    fn checked(&self) -> impl Iterator<Item = &'a Variable> {
        let variables = self.manifest.variables.iter();
        variables.filter(|each| self.counts(each))
    }

    /// Whether the variable belongs to the part of the manifest that was checked.
    fn counts(&self, variable: &Variable) -> bool {
        self.circumstances.scope.includes(&variable.processes)
    }

    /// The missing variables that no cause explains yet and for which `fits` returns true.
    fn missing_where(&self, fits: impl Fn(&Variable) -> bool) -> Vec<&'a str> {
        let is_open = |each: &&&Variable| !self.explained.contains_key(each.name.as_str());
        let missing = self.missing.iter().filter(is_open);
        let missing = missing.filter(|each| fits(each));
        missing.map(|each| each.name.as_str()).collect()
    }

    /// The value of a variable in a `.env` in the working directory that nothing has read.
    fn beside(&self, name: &str) -> Option<&'a str> {
        self.circumstances.beside?.as_ref().ok()?.text(name)
    }

    /// Whether the check accepts this value for a variable.
    fn admits(&self, name: &str, value: Option<&str>) -> bool {
        let variable = self.declared.get(name);
        value.is_some_and(|value| variable.is_none_or(|variable| variable.admits(value)))
    }

    /// Whether the variable is set that names a file with this variable's value.
    fn has_file(&self, variable: &Variable) -> bool {
        let file = variable.file.as_ref();
        file.is_some_and(|name| self.environment.text(name).is_some())
    }

    /// Whether any variable that was checked is set, not counting names that platforms inject.
    fn is_any_set(&self) -> bool {
        self.is_set_by_hand(self.checked())
    }

    /// Whether any of these variables is set, not counting names that platforms inject.
    fn is_set_by_hand(&self, variables: impl Iterator<Item = &'a Variable>) -> bool {
        // A declared `AUTH_SERVICE_HOST` is the application's own, unless there is a service `auth`.
        let is_linked = |name: &str| service_of(name, self.environment).is_some();
        let is_by_hand = |name: &str| is_service_link(name) || !is_injected(name);
        let mut by_hand = variables.filter(|each| is_by_hand(&each.name) && !is_linked(&each.name));
        by_hand.any(|each| self.environment.text(&each.name).is_some() || self.has_file(each))
    }

    /// Whether this process runs on the platform.
    fn is_on(&self, platform: &Platform) -> bool {
        let place = self.circumstances.place;
        place.is_some_and(|place| place.is_on(platform))
    }
}

/// The grounds of a cause: a sentence about these variables; `None` if there are no variables.
fn grounds<'a>(variables: Vec<&'a str>, sentence: &str) -> Grounds<'a> {
    let text = about(&variables, sentence);
    (!variables.is_empty()).then_some((variables, text))
}

/// A sentence about variables, in which `{}` is replaced with their names, and `{is|are}` with the word that agrees with
/// their number.
fn about(variables: &[&str], sentence: &str) -> String {
    let piece = |(index, piece): (usize, &str)| match piece.split_once('|') {
        _ if index % 2 == 0 => piece.to_owned(),
        None => names(variables),
        Some((one, _)) if variables.len() == 1 => one.to_owned(),
        Some((_, several)) => several.to_owned(),
    };
    let pieces = sentence.split(['{', '}']).enumerate();
    pieces.map(piece).collect()
}

/// The codes of all causes, each once.
#[cfg(test)]
pub fn cause_codes() -> Vec<&'static str> {
    let mut codes = CAUSES.map(|(code, ..)| code).to_vec();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::grounds;

    #[test]
    fn sentences_agree_with_the_number_of_their_variables() {
        for (variables, sentence, text) in [
            (vec!["A"], "{} {is|are} set.", "A is set."),
            (
                vec!["B", "A"],
                "{} {comes|come} with {a break|breaks}.",
                "B and A come with breaks.",
            ),
        ] {
            let expected = Some((variables.clone(), text.to_owned()));
            assert_eq!(grounds(variables, sentence), expected);
        }
        assert_eq!(grounds(vec![], "{} {is|are} nothing."), None);
    }
}
