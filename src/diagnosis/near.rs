//! Finds missing variables that are set under another name: a former or a similar one.

use std::collections::HashSet;

use super::{Facts, Grounds, about, grounds};
use crate::environment::Environment;
use crate::manifest::{Manifest, Scope, Variable};
use crate::platform::is_injected;
use crate::report::{Finding, Note, NoteCode, Report};
use crate::text::names;

/// The shortest name, in letters and digits, that may differ by a typo. A shorter name is similar to too many others.
const MIN_LENGTH: usize = 6;

/// The longest name that is compared, in bytes. Names that people write are shorter.
const MAX_LENGTH: usize = 64;

/// The shortest part of a name (between two underscores) in which one edit is considered a typo. In a shorter part it
/// makes another word: `API` and `APP`, `HOST` and `POST`.
const MIN_PART: usize = 5;

/// The maximum number of missing names, and of set names, that are compared with each other. It bounds the time for an
/// environment of 100,000 variables.
const MAX_NAMES: usize = 500;

/// A missing variable that is set under another name.
pub struct OtherName<'a> {
    pub missing: &'a str,
    pub other: &'a str,
    /// Whether the manifest has the other name under `renamed_from`.
    is_former: bool,
}

/// Those of the variables `missing` that are set under a former or a similar name.
pub fn other_names<'a>(
    manifest: &'a Manifest,
    environment: &'a Environment,
    missing: &[&'a Variable],
) -> Vec<OtherName<'a>> {
    let variables = manifest.variables.iter();
    let declared: HashSet<&str> = variables.map(|each| each.name.as_str()).collect();
    let is_candidate = |name: &&str| !declared.contains(name) && !is_injected(name);
    let set = environment.entries().iter();
    let set = set.filter(|(_, value)| !value.is_empty());
    let candidates = set.filter_map(|(name, _)| name.to_str());
    let candidates = NearNames::of(candidates.filter(is_candidate));
    let is_set = |name: &str| environment.text(name).is_some();
    let other = |(index, variable): (usize, &&'a Variable)| {
        let mut former = variable.renamed_from.iter().map(String::as_str);
        let former = former.find(|name| is_set(name));
        let has_file = variable.file.as_ref().is_some_and(|name| is_set(name));
        let is_compared = former.is_none() && index < MAX_NAMES && !has_file;
        let near = || is_compared.then(|| candidates.nearest(&variable.name));
        Some(OtherName {
            missing: variable.name.as_str(),
            other: former.or_else(|| near().flatten())?,
            is_former: former.is_some(),
        })
    };
    missing.iter().enumerate().filter_map(other).collect()
}

/// Notes on the variables of a scope that may be unset, and that are set under a former or a similar name.
pub fn names_of_unset(
    manifest: &Manifest,
    scope: Scope<'_>,
    report: &Report,
    environment: &Environment,
) -> Vec<Note> {
    let found: HashSet<_> = report.findings.iter().map(Finding::variable).collect();
    let is_unset = |each: &&Variable| {
        scope.includes(&each.processes)
            && environment.text(&each.name).is_none()
            && !found.contains(&Some(each.name.as_str()))
    };
    let unset: Vec<&Variable> = manifest.variables.iter().filter(is_unset).collect();
    let others = other_names(manifest, environment, &unset).into_iter();
    let note = |name: String, text| Note {
        variables: vec![name],
        ..Note::new(NoteCode::OtherName, text)
    };
    let notes = others.map(|OtherName { missing, other, .. }| {
        let text =
            format!("{other} is set, but no such variable is declared; did you mean {missing}?");
        note(other.to_owned(), text)
    });
    let files = files_not_read(manifest, environment, &unset).into_iter();
    let files = files.map(|(variable, file)| {
        let name = &variable.name;
        let text = format!(
            "{file} is set, but the guard does not read {name} from a file; declare `file: true` if it should"
        );
        note(file, text)
    });
    notes.chain(files).collect()
}

/// Those of the variables that are not read from a file, although their usual `NAME_FILE` is set, with that name.
fn files_not_read<'a>(
    manifest: &Manifest,
    environment: &Environment,
    variables: &[&'a Variable],
) -> Vec<(&'a Variable, String)> {
    let mut found = Vec::new();
    for variable in variables.iter().filter(|each| each.has_shell_name()) {
        let file = variable.usual_file();
        let is_read = |each: &Variable| each.name == file || each.file.as_ref() == Some(&file);
        // The variable may be another one's, or name the file of another one.
        if environment.text(&file).is_some() && !manifest.variables.iter().any(is_read) {
            found.push((*variable, file));
        }
    }
    found
}

/// A missing variable is in a file that its `NAME_FILE` names, but that is not read.
pub fn file_not_read<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let missing = facts.missing_where(|_| true);
    let missing: Vec<&Variable> = missing.iter().map(|name| facts.declared[name]).collect();
    let found = files_not_read(facts.manifest, facts.environment, &missing);
    let set: Vec<&str> = found.iter().map(|(_, file)| file.as_str()).collect();
    let are_set = about(&set, "{} {is|are} set");
    let declared = found.iter().map(|(each, _)| each.file.as_ref());
    let other = match declared.collect::<Vec<_>>().as_slice() {
        [Some(name)] => format!("write `file: true` instead of `file: {name}`"),
        _ => "declare `file: true` (or `secret: true`, which implies it)".to_owned(),
    };
    let sentence = format!(
        "{are_set}, but the manifest does not say that {{}} may come from {{a file|files}}: {other}."
    );
    let variables = found.iter().map(|(each, _)| each.name.as_str());
    grounds(variables.collect(), &sentence)
}

/// The variables that are set under a former or under a misspelled name.
pub fn set_under<'a>(facts: &Facts<'a>, is_former: bool) -> Grounds<'a> {
    let kind = if is_former { "former" } else { "misspelled" };
    let others = facts.other_names.iter();
    let pairs = others.filter(|pair| pair.is_former == is_former);
    let rename = |pair: &OtherName<'_>| format!("{} to {}", pair.other, pair.missing);
    let orders: Vec<String> = pairs.clone().map(rename).collect();
    let names = names(&orders);
    let text = format!("{{}} {{is|are}} set under {{a {kind} name|{kind} names}}. Rename {names}.");
    grounds(pairs.map(|pair| pair.missing).collect(), &text)
}

/// A list of names in which `nearest` finds a similar one.
pub struct NearNames<'a> {
    /// Each name and its parts.
    names: Vec<(&'a str, Parts)>,
}

impl<'a> NearNames<'a> {
    /// Creates the list. Only the first `MAX_NAMES` names are used.
    pub fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let names = names.filter(|name| could_be_a_name(name)).take(MAX_NAMES);
        Self {
            names: names.map(|name| (name, Parts::of(name))).collect(),
        }
    }

    /// The first name that differs only in case and separators, or else the first that differs by one typo. `None` if
    /// the text is not meant as a name.
    pub fn nearest(&self, text: &str) -> Option<&'a str> {
        let wanted = Parts::of(text);
        if !could_be_a_name(text) || wanted.plain.is_empty() {
            return None;
        }
        let mut names = self.names.iter();
        let same = |(_, known): &&(_, Parts)| known.plain == wanted.plain;
        let near = |(_, known): &&(_, Parts)| known.is_typo_of(&wanted);
        let same = names.clone().find(same);
        same.or_else(|| names.find(near)).map(|(name, _)| *name)
    }
}

/// Whether a text can be meant as a name. A text that passes this test and is similar to a declared name contains no
/// secret, so it may be shown.
fn could_be_a_name(text: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || "_-. \"'".contains(other);
    text.len() <= MAX_LENGTH && text.chars().all(is_part)
}

/// A name in upper case, split at its separators.
struct Parts {
    /// The texts between the separators.
    parts: Vec<String>,
    /// The name without separators.
    plain: String,
}

impl Parts {
    fn of(name: &str) -> Self {
        let name = name.strip_prefix("export ").unwrap_or(name);
        let name = name.to_ascii_uppercase();
        let parts = name.split(|other: char| !other.is_ascii_alphanumeric());
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        let plain = parts.concat();
        Self { parts, plain }
    }

    /// Whether the names differ by one edit in one part, and that is likely a typo. It is not if the part is short or
    /// has a digit, because then the edit makes another word, nor if it is HTTPS, which is one letter from HTTP.
    fn is_typo_of(&self, other: &Self) -> bool {
        let pairs = self.parts.iter().zip(&other.parts);
        let mut differing = pairs.filter(|(one, other)| one != other);
        let (Some((one, two)), None) = (differing.next(), differing.next()) else {
            return false;
        };
        let both = [one.as_str(), two.as_str()];
        let is_uri = both == ["URI", "URL"] || both == ["URL", "URI"];
        let has_digit = || both.concat().contains(|other: char| other.is_ascii_digit());
        self.parts.len() == other.parts.len()
            && !both.contains(&"HTTPS")
            && self.plain.len().min(other.plain.len()) >= MIN_LENGTH
            && (is_uri || one.len().max(two.len()) >= MIN_PART && !has_digit())
            && strsim::osa_distance(one, two) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::NearNames;

    fn is_near(name: &str, other: &str) -> bool {
        NearNames::of([other].into_iter()).nearest(name).is_some()
    }

    #[test]
    fn a_name_that_differs_only_in_case_is_preferred_to_one_with_a_typo() {
        let near = NearNames::of(["DATABASES_URL", "database-url", "DATABASE_URL_"].into_iter());
        assert_eq!(near.nearest("DATABASE_URL"), Some("database-url"));
    }

    #[test]
    fn only_the_first_500_names_are_compared() {
        let names: Vec<String> = (0..10_000).map(|number| format!("NAME_{number}")).collect();
        let near = NearNames::of(names.iter().map(String::as_str));
        assert_eq!(near.nearest("name_1"), Some("NAME_1"));
        assert_eq!(near.nearest("name_9999"), None);
    }

    #[test]
    fn a_text_with_other_characters_is_similar_to_no_name() {
        let near = NearNames::of(["DATABASE_URL"].into_iter());
        assert_eq!(near.nearest("DATABSE_URL"), Some("DATABASE_URL"));
        for other in [
            "DATABASE_URLпароль",
            "DATABASE_URL\u{1b}",
            "DATABASE_URL!?$%",
        ] {
            assert_eq!(near.nearest(other), None, "{other}");
        }
    }

    #[test]
    fn case_and_separators_do_not_count() {
        for other in [
            "next_auth_secret",
            "NEXT_AUTH_SECRET",
            "NextAuthSecret",
            "NEXTAUTH-SECRET",
            "nextauth.secret",
            " NEXTAUTH_SECRET",
            "export NEXTAUTH_SECRET",
            "\"NEXTAUTH_SECRET\"",
        ] {
            assert!(is_near("NEXTAUTH_SECRET", other), "{other}");
        }
    }

    #[test]
    fn a_name_with_one_typo_in_a_word_is_similar() {
        for (name, other) in [
            ("DATABASE_URL", "DATABSE_URL"),
            ("DATABASE_URL", "DATABASE_URI"),
            ("DATABASE_URL", "DATABASES_URL"),
            ("ALLOWED_ORIGINS", "ALLOWED_ORIGIN"),
            ("RESEND_API_KEY", "RESNED_API_KEY"),
            ("FRONTEND_URL", "FRONTENT_URL"),
            ("ENVIRONMENT", "ENVIROMENT"),
            ("ENVIRONMENT", "EVNIRONMENT"),
            ("ENVIRONMENT", "XENVIRONMENT"),
        ] {
            assert!(is_near(name, other), "{other}");
        }
    }

    #[test]
    fn an_unrelated_name_is_not_similar() {
        for (name, other) in [
            ("SMTP_HOST", "SMTP_POST"),
            ("API_KEY", "APP_KEY"),
            ("S3_BUCKET_1", "S3_BUCKET_2"),
            ("WORKER1_URL", "WORKER2_URL"),
            ("DB_USER", "DB_USERS_X"),
            ("JWT_SECRET", "AWS_SECRET"),
            ("DATABASE_URL", "DATABASE_URL_2"),
            ("TOKEN_A", "TOKEN_B"),
            ("REDIS_URL", "REDISURLX"),
            ("KEY", "KEYS"),
            ("SECRET_KEY", "SECRET"),
            ("ENVIRONMENT", "ENVIROMNETS"),
            ("ENVIRONMENT", "ENVIRXXMENT"),
        ] {
            assert!(!is_near(name, other), "{other}");
        }
    }
}
