//! A missing variable that is set under another name: a former one, or one that is nearly the same.

use super::{Facts, Grounds, told};
use crate::manifest::Variable;
use crate::platform::is_injected;
use crate::text::names;

/// The shortest name, in letters and digits, that is compared with others. Shorter ones are near too many.
const MIN_LENGTH: usize = 6;

/// The longest name that is compared, in bytes. No person writes a longer one.
const MAX_LENGTH: usize = 64;

/// The shortest part of a name (between two underscores) in which one edit is a slip. In a shorter one it makes
/// another word: `API` and `APP`, `HOST` and `POST`.
const MIN_PART: usize = 5;

/// The most missing names, and the most set names, that are compared with each other. The limit keeps a report on
/// 100,000 variables fast.
const MAX_NAMES: usize = 500;

/// A missing variable that is set under another name.
pub struct OtherName<'a> {
    pub missing: &'a str,
    pub other: &'a str,
    /// Whether the manifest has the other name under `renamed_from`.
    is_former: bool,
}

/// The missing variables that are set under a former or nearly the same name.
pub fn other_names<'a>(facts: &Facts<'a>) -> Vec<OtherName<'a>> {
    let is_candidate = |name: &&str| !facts.declared.contains_key(name) && !is_injected(name);
    let set = facts.environment.entries().iter();
    let set = set.filter(|(_, value)| !value.is_empty());
    let candidates = set.filter_map(|(name, _)| name.to_str());
    let candidates = NearNames::of(candidates.filter(is_candidate));
    let is_set = |name: &&str| facts.environment.text(name).is_some();
    let other = |(index, variable): (usize, &&'a Variable)| {
        let mut former = variable.renamed_from.iter().map(String::as_str);
        let former = former.find(is_set);
        let is_compared = former.is_none() && index < MAX_NAMES && !facts.has_file(variable);
        let near = || is_compared.then(|| candidates.nearest(&variable.name));
        Some(OtherName {
            missing: variable.name.as_str(),
            other: former.or_else(|| near().flatten())?,
            is_former: former.is_some(),
        })
    };
    facts.missing.iter().enumerate().filter_map(other).collect()
}

pub fn renamed<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "{} {is|are} set under {a former name|former names}.";
    set_under(facts, true, sentence)
}

pub fn misspelled<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "{} {is|are} set under {a misspelled name|misspelled names}.";
    set_under(facts, false, sentence)
}

fn set_under<'a>(facts: &Facts<'a>, is_former: bool, sentence: &str) -> Grounds<'a> {
    let others = facts.other_names.iter();
    let pairs = others.filter(|pair| pair.is_former == is_former);
    let rename = |pair: &OtherName<'_>| format!("{} to {}", pair.other, pair.missing);
    let orders: Vec<String> = pairs.clone().map(rename).collect();
    let text = format!("{sentence} Rename {}.", names(&orders));
    told([(pairs.map(|pair| pair.missing).collect(), &text)])
}

/// Finds the name that a person probably meant.
pub struct NearNames<'a> {
    /// Each as it is written, and its parts.
    names: Vec<(&'a str, Parts)>,
}

impl<'a> NearNames<'a> {
    /// Of many names only the first 500 are compared.
    pub fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let names = names.filter(|name| could_be_a_name(name)).take(MAX_NAMES);
        Self {
            names: names.map(|name| (name, Parts::of(name))).collect(),
        }
    }

    /// The first name that differs in case and separators only, or else the first that is one slip away. None for
    /// a text that no person could have meant as a name.
    pub fn nearest(&self, text: &str) -> Option<&'a str> {
        let wanted = Parts::of(text);
        if !could_be_a_name(text) || wanted.plain.is_empty() {
            return None;
        }
        let mut names = self.names.iter();
        let same = |(_, known): &&(_, Parts)| known.plain == wanted.plain;
        let near = |(_, known): &&(_, Parts)| known.is_slip_of(&wanted);
        let same = names.clone().find(same);
        same.or_else(|| names.find(near)).map(|(name, _)| *name)
    }
}

/// Whether a person could have meant a text as a name. A text that is near a name and has no other characters
/// holds no secret, and can be shown.
fn could_be_a_name(text: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || "_-. \"'".contains(other);
    text.len() <= MAX_LENGTH && text.chars().all(is_part)
}

/// A name in upper case.
struct Parts {
    /// Its texts between separators.
    parts: Vec<String>,
    /// The name without separators.
    plain: String,
}

impl Parts {
    fn of(name: &str) -> Self {
        let name = name
            .strip_prefix("export ")
            .unwrap_or(name)
            .to_ascii_uppercase();
        let parts = name.split(|other: char| !other.is_ascii_alphanumeric());
        let parts: Vec<String> = parts.map(str::to_owned).collect();
        let plain = parts.concat();
        Self { parts, plain }
    }

    /// Whether one edit of one part makes one name of the other, and is not likely to make another word. An edit
    /// of a digit, of a short part or of a separator's place makes another word.
    fn is_slip_of(&self, other: &Self) -> bool {
        let pairs = self.parts.iter().zip(&other.parts);
        let mut differing = pairs.filter(|(one, other)| one != other);
        let (Some((one, two)), None) = (differing.next(), differing.next()) else {
            return false;
        };
        let both = [one.as_str(), two.as_str()];
        let is_uri = both == ["URI", "URL"] || both == ["URL", "URI"];
        let has_digit = || both.concat().contains(|other: char| other.is_ascii_digit());
        self.parts.len() == other.parts.len()
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
    fn a_name_that_differs_in_case_alone_is_nearer_than_one_with_a_slip() {
        let near = NearNames::of(["DATABASES_URL", "database-url", "DATABASE_URL_"].into_iter());
        assert_eq!(near.nearest("DATABASE_URL"), Some("database-url"));
    }

    #[test]
    fn of_many_names_so_many_are_compared() {
        let names: Vec<String> = (0..10_000).map(|number| format!("NAME_{number}")).collect();
        let near = NearNames::of(names.iter().map(String::as_str));
        assert_eq!(near.nearest("name_1"), Some("NAME_1"));
        assert_eq!(near.nearest("name_9999"), None);
    }

    #[test]
    fn what_has_more_than_a_name_in_it_is_near_none() {
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
    fn one_slip_in_a_word_is_near() {
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
    fn another_name_is_not_near() {
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
