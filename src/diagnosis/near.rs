//! A missing variable that is set under another name: a former one, or one that is nearly the same.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{Cause, CauseCode, Facts};
use crate::platform::is_injected;

/// A shorter name is near too many others.
const MIN_LENGTH: usize = 6;

/// A longer one is no name that a person wrote.
const MAX_LENGTH: usize = 64;

/// A part of a name (what stands between two underscores) that is shorter is a word of its own after any edit:
/// `API` and `APP`, `HOST` and `POST`.
const MIN_PART: usize = 5;

/// The missing variables with the names under which they are set, in the manifest's order.
#[derive(Debug, Default)]
pub struct Near<'a> {
    pub renamed: Vec<(&'a str, &'a str)>,
    pub misspelled: Vec<(&'a str, &'a str)>,
}

impl Near<'_> {
    /// The missing variables with the other names under which they are set.
    pub fn by_name(&self) -> HashMap<&str, &str> {
        self.renamed
            .iter()
            .chain(&self.misspelled)
            .copied()
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.renamed.is_empty() && self.misspelled.is_empty()
    }

    pub fn causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        causes.extend(cause(CauseCode::Renamed, &self.renamed, |new, old| {
            format!("{old} is set, which is the former name of {new}")
        }));
        causes.extend(cause(
            CauseCode::Misspelled,
            &self.misspelled,
            |right, wrong| format!("{wrong} is set, which looks like {right} written differently"),
        ));
        causes
    }
}

fn cause(
    code: CauseCode,
    pairs: &[(&str, &str)],
    told: impl Fn(&str, &str) -> String,
) -> Option<Cause> {
    if pairs.is_empty() {
        return None;
    }
    let sentences: Vec<String> = pairs
        .iter()
        .take(5)
        .map(|(missing, other)| told(missing, other))
        .collect();
    let more = pairs.len() - sentences.len();
    let more = if more == 0 {
        String::new()
    } else {
        format!("; and {more} more")
    };
    let orders: Vec<String> = pairs
        .iter()
        .take(5)
        .map(|(missing, other)| format!("{other} to {missing}"))
        .collect();
    Some(Cause {
        code,
        is_certain: code == CauseCode::Renamed,
        variables: pairs
            .iter()
            .map(|(missing, _)| (*missing).to_owned())
            .collect(),
        text: format!(
            "{}{more}. Rename {}.",
            sentences.join("; "),
            crate::text::names(&orders)
        ),
    })
}

/// Looks for the other names.
pub fn names<'a>(facts: &Facts<'a>) -> Near<'a> {
    let mut near = Near::default();
    if facts.missing.is_empty() {
        return near;
    }
    let mut searched = Vec::new();
    for variable in facts.missing() {
        let former = variable
            .renamed_from
            .iter()
            .find(|former| facts.environment.text(former).is_some());
        match former {
            Some(former) => near.renamed.push((&variable.name, former)),
            None if facts.file_of(variable).is_some() => {}
            None => searched.push(variable.name.as_str()),
        }
    }
    if searched.is_empty() {
        return near;
    }
    let set = facts.environment.entries().iter();
    let set = set.filter(|(_, value)| !value.is_empty());
    let candidates =
        set.filter_map(|(name, _)| name.to_str().filter(|name| is_candidate(name, facts)));
    let candidates = NearNames::of(candidates);
    let found = searched
        .into_iter()
        .filter_map(|name| Some((name, candidates.nearest(name)?)));
    near.misspelled = found.collect();
    near
}

/// Names by every text that is left of one without one of its characters. Two texts are one edit apart only if
/// they share such a rest: so looking one up takes as long as the name, however many there are.
pub struct NearNames<'a> {
    names: Vec<&'a str>,
    /// Of each rest, the last of its links.
    by_rest: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    links: Vec<Link>,
}

/// A name with a certain rest.
struct Link {
    candidate: u32,
    /// Another one with the same rest.
    next: Option<u32>,
}

impl<'a> NearNames<'a> {
    pub fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let mut near = Self {
            names: Vec::new(),
            by_rest: HashMap::default(),
            links: Vec::new(),
        };
        for name in names.filter(|name| could_be_a_name(name)) {
            near.add(name);
        }
        near
    }

    fn add(&mut self, name: &'a str) {
        let count = |list: usize| u32::try_from(list).expect("names are far fewer, and short");
        let candidate = count(self.names.len());
        self.names.push(name);
        for rest in rests(&plain(name)) {
            let link = count(self.links.len());
            let next = self.by_rest.insert(rest, link);
            self.links.push(Link { candidate, next });
        }
    }

    /// The nearest of the names, of several equally near ones the first. None for what could be no name.
    pub fn nearest(&self, name: &str) -> Option<&'a str> {
        if !could_be_a_name(name) {
            return None;
        }
        let mut indexes = Vec::new();
        for rest in rests(&plain(name)) {
            let mut link = self.by_rest.get(&rest).copied();
            while let Some(at) = link {
                let Link { candidate, next } = &self.links[at as usize];
                indexes.push(*candidate);
                link = *next;
            }
        }
        indexes.sort_unstable();
        indexes.dedup();
        let candidates = indexes.into_iter().map(|index| self.names[index as usize]);
        let near = candidates.filter_map(|candidate| Some((distance(name, candidate)?, candidate)));
        let (_, nearest) = near.min_by_key(|(distance, _)| *distance)?;
        Some(nearest)
    }
}

/// What is hashed already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(BASE);
        }
    }
}

/// Odd and large, so that its powers spread over all bits (the golden ratio's).
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

fn is_candidate(name: &str, facts: &Facts<'_>) -> bool {
    !facts.declared.contains_key(name) && !is_injected(name)
}

/// Whether a person could have meant a text as a name. Whatever is near a name and has nothing else in it holds
/// no secret, and can be shown.
fn could_be_a_name(text: &str) -> bool {
    let is_part = |other: char| {
        other.is_ascii_alphanumeric() || matches!(other, '_' | '-' | '.' | ' ' | '"' | '\'')
    };
    text.len() <= MAX_LENGTH && text.chars().all(is_part)
}

/// A name's letters and digits, in upper case: what is left when case and separators do not count.
fn plain(name: &str) -> String {
    let name = name.strip_prefix("export ").unwrap_or(name);
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|kept| kept.to_ascii_uppercase()).collect()
}

/// Hashes of a text and of all that is left of it without one of its characters, each from the ones before.
fn rests(plain: &str) -> Vec<u64> {
    // The hash of a text is a polynomial: what stands before a character, times a power, plus what follows.
    let step = |hash: u64, byte: u8| hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
    let mut tails = vec![(0_u64, 1_u64)];
    for &byte in plain.as_bytes().iter().rev() {
        let (tail, power) = tails.last().copied().unwrap_or_default();
        let head = (u64::from(byte) + 1).wrapping_mul(power);
        tails.push((head.wrapping_add(tail), power.wrapping_mul(BASE)));
    }
    tails.reverse();
    let mut rests = Vec::with_capacity(plain.len() + 1);
    let mut head = 0_u64;
    for (at, &byte) in plain.as_bytes().iter().enumerate() {
        let (tail, power) = tails[at + 1];
        rests.push(head.wrapping_mul(power).wrapping_add(tail));
        head = step(head, byte);
    }
    rests.push(head);
    // The table looks at the upper bits, too.
    for hash in &mut rests {
        *hash ^= *hash >> 32;
    }
    rests
}

/// 0 when only case and separators differ, 1 for one edit; none when they are not near.
fn distance(name: &str, candidate: &str) -> Option<u8> {
    let (one, other) = (plain(name), plain(candidate));
    if one.is_empty() {
        return None;
    }
    if one == other {
        return Some(0);
    }
    let is_one_edit = one.len().min(other.len()) >= MIN_LENGTH
        && strsim::osa_distance(&one, &other) == 1
        && is_slip(name, candidate);
    is_one_edit.then_some(1)
}

/// Whether one edit is a slip, and not another word: an edit of a digit, of a short word, or of a separator's
/// place makes another name.
fn is_slip(name: &str, candidate: &str) -> bool {
    let parts = |name: &str| -> Vec<String> {
        let parts = name.split(|other: char| !other.is_ascii_alphanumeric());
        parts.map(str::to_ascii_uppercase).collect()
    };
    let (one, other) = (parts(name), parts(candidate));
    let differing: Vec<(&String, &String)> = one
        .iter()
        .zip(&other)
        .filter(|(one, other)| one != other)
        .collect();
    let ([(one, other)], true) = (differing.as_slice(), one.len() == other.len()) else {
        // A letter in one place and a separator in another are more than one slip.
        return false;
    };
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let is_uri = matches!(
        (one.as_str(), other.as_str()),
        ("URI", "URL") | ("URL", "URI")
    );
    is_uri || one.len().max(other.len()) >= MIN_PART && digits(one) == 0 && digits(other) == 0
}

#[cfg(test)]
mod tests {
    use super::{NearNames, distance, rests};

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
    fn the_rests_of_texts_one_edit_apart_meet_and_others_do_not() {
        let meet = |one: &str, other: &str| {
            let others = rests(other);
            rests(one).iter().any(|rest| others.contains(rest))
        };
        for other in [
            "DATABASURL",
            "DATABASEURLS",
            "DATABASEURI",
            "DATABSAEURL",
            "XDATABASEURL",
        ] {
            assert!(meet("DATABASEURL", other), "{other}");
        }
        for other in ["DATABASE", "SECRETKEY", "ATABASEURLXY", "DATABASXYRL"] {
            assert!(!meet("DATABASEURL", other), "{other}");
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
            assert_eq!(distance("NEXTAUTH_SECRET", other), Some(0), "{other}");
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
        ] {
            assert_eq!(distance(name, other), Some(1), "{other}");
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
        ] {
            assert_eq!(distance(name, other), None, "{other}");
        }
    }
}
