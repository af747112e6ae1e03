//! What the causes and fixes are judged by.

use std::collections::{HashMap, HashSet};

use crate::environment::Environment;
use crate::manifest::{Manifest, Variable};
use crate::platform::{Place, Platform, is_injected};
use crate::report::{Code, Finding, Report, Severity};
use crate::text::names;

/// What is known besides the report and the environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The platform that runs this process, or that the env file was taken from.
    pub place: Option<&'a Place>,
    /// Whether this process runs in a container.
    pub is_in_container: bool,
    /// The env file whose values alone were checked, as the user named it.
    pub only_file: Option<&'a str>,
    /// The program that reads the env file.
    pub reader: EnvFileReader,
}

/// The program that reads an env file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvFileReader {
    #[default]
    Compose,
    PythonDotenv,
    /// A program that takes values as they are, such as docker.
    Raw,
}

/// Why a cause is claimed.
pub struct Grounds<'a> {
    /// The variables that the cause explains.
    pub variables: Vec<&'a str>,
    /// Whole sentences.
    pub text: String,
}

impl<'a> Grounds<'a> {
    /// None without variables.
    pub fn of(variables: Vec<&'a str>, text: String) -> Option<Self> {
        (!variables.is_empty()).then_some(Self { variables, text })
    }

    /// Each item is variables and a sentence about them. Items without variables are left out. In the sentence
    /// `{}` stands for the list of names, and `{is|are}` for the word that agrees with their number.
    pub fn told<const COUNT: usize>(items: [(Vec<&'a str>, &str); COUNT]) -> Option<Self> {
        let (mut all, mut sentences) = (Vec::new(), Vec::new());
        for (variables, sentence) in items.into_iter().filter(|(some, _)| !some.is_empty()) {
            sentences.push(about(&variables, sentence));
            all.extend(variables);
        }
        let mut seen = HashSet::new();
        all.retain(|name| seen.insert(*name));
        Self::of(all, sentences.join(" "))
    }
}

/// A sentence about names, as `Grounds::told` takes it.
pub fn about(variables: &[&str], sentence: &str) -> String {
    let is_one = variables.len() == 1;
    let piece = |(index, piece): (usize, &str)| match piece.split_once('|') {
        _ if index % 2 == 0 => piece.to_owned(),
        None => names(variables),
        Some((one, several)) => (if is_one { one } else { several }).to_owned(),
    };
    let pieces = sentence.split(['{', '}']).enumerate();
    pieces.map(piece).collect()
}

/// A missing variable that is set under another name.
pub struct OtherName<'a> {
    pub missing: &'a str,
    pub other: &'a str,
    /// Whether the manifest has the other name under `renamed_from`.
    pub is_former: bool,
}

/// What is known of the case.
pub struct Facts<'a> {
    pub manifest: &'a Manifest,
    report: &'a Report,
    pub environment: &'a Environment,
    pub circumstances: Circumstances<'a>,
    pub declared: HashMap<&'a str, &'a Variable>,
    /// The variables that are missing and keep the server from starting, in the manifest's order.
    pub missing: Vec<&'a Variable>,
    /// Whether any declared variable is set that no platform sets by itself.
    pub is_any_set: bool,
    pub other_names: Vec<OtherName<'a>>,
    /// The variables that the causes so far explain.
    pub explained: HashSet<&'a str>,
}

impl<'a> Facts<'a> {
    pub fn new(
        manifest: &'a Manifest,
        report: &'a Report,
        environment: &'a Environment,
        circumstances: Circumstances<'a>,
    ) -> Self {
        let variables = manifest.variables.iter();
        let declared = variables.clone().map(|each| (each.name.as_str(), each));
        let mut facts = Self {
            manifest,
            report,
            environment,
            circumstances,
            declared: declared.collect(),
            missing: Vec::new(),
            is_any_set: false,
            other_names: Vec::new(),
            explained: HashSet::new(),
        };
        let missing = facts.errors().filter(|each| each.code == Code::Missing);
        let missing: HashSet<&str> = missing.map(|each| each.variable.as_str()).collect();
        let mut by_hand = variables.clone().filter(|each| !is_injected(&each.name));
        let is_set = |name: &str| environment.text(name).is_some();
        facts.is_any_set = by_hand.any(|each| is_set(&each.name) || facts.has_file(each));
        facts.missing = variables
            .filter(|each| missing.contains(each.name.as_str()))
            .collect();
        facts
    }

    /// The findings that keep the server from starting.
    pub fn errors(&self) -> impl Iterator<Item = &'a Finding> {
        let findings = self.report.findings.iter();
        findings.filter(|each| each.severity == Severity::Error)
    }

    /// The variables with a finding of a kind, in the manifest's order.
    pub fn found(&self, code: Code) -> Vec<&'a str> {
        let findings = self.report.findings.iter().filter(|each| each.code == code);
        let mut variables: Vec<&str> = findings.map(|each| each.variable.as_str()).collect();
        variables.dedup();
        variables
    }

    /// The variables with a finding of a kind whose own value fits, in the manifest's order.
    pub fn found_where(&self, code: Code, fits: impl Fn(&str, &Variable) -> bool) -> Vec<&'a str> {
        self.fitting(self.found(code), fits)
    }

    /// The declared ones of the variables whose own value fits.
    pub fn fitting(
        &self,
        mut variables: Vec<&'a str>,
        fits: impl Fn(&str, &Variable) -> bool,
    ) -> Vec<&'a str> {
        let known = |name| self.environment.text(name).zip(self.declared.get(name));
        variables.retain(|name| known(name).is_some_and(|(value, variable)| fits(value, variable)));
        variables
    }

    /// The missing variables that no cause explains yet.
    pub fn unexplained(&self) -> impl Iterator<Item = &'a Variable> {
        let missing = self.missing.iter().copied();
        missing.filter(|variable| !self.explained.contains(variable.name.as_str()))
    }

    /// Whether the variable is set that names a file with this one's value.
    pub fn has_file(&self, variable: &Variable) -> bool {
        let file = variable.file_name();
        file.is_some_and(|name| self.environment.text(&name).is_some())
    }

    /// Whether this process runs on the platform.
    pub fn is_on(&self, platform: &Platform) -> bool {
        self.circumstances
            .place
            .is_some_and(|place| place.is_on(platform))
    }
}

/// The names of variables, in their order.
pub fn names_of<'a>(variables: impl IntoIterator<Item = &'a Variable>) -> Vec<&'a str> {
    variables
        .into_iter()
        .map(|each| each.name.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Grounds;

    #[test]
    fn sentences_agree_with_the_number_of_their_variables() {
        let told = |items| Grounds::told(items).map(|grounds| (grounds.variables, grounds.text));
        let empty = (vec![], "{} {is|are} nothing.");
        let one = (vec!["A"], "{} {is|are} set.");
        let several = (vec!["B", "A"], "{} {comes|come} with {a break|breaks}.");
        let text = "A is set. B and A come with breaks.".to_owned();
        assert_eq!(
            told([empty.clone(), one, several]),
            Some((vec!["A", "B"], text))
        );
        assert_eq!(told([empty.clone(), empty.clone(), empty]), None);
    }
}
