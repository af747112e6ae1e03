//! The texts to mask in the output of steps.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::resolve::Resolved;
use crate::environment::Environment;
use crate::rule;

/// The shortest line of a secret that is masked on its own, in bytes. A PEM key is printed line by line.
const MIN_LINE: usize = 6;

/// Each secret's whole value, each of its longer lines, and the passwords in it, raw and percent-decoded. That
/// includes values with findings, and values that are not passed on because the name is in the environment twice.
pub fn of(resolved: &[Resolved<'_>], environment: &Environment) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for each in resolved {
        let name = each.variable.name.as_str();
        let own = environment.get(name).map(OsStr::as_bytes);
        let duplicates = environment.duplicates(name).map(OsStr::as_bytes);
        let replacement = each.replacement.as_deref().map(OsStr::as_bytes);
        // A password in a URL is a secret even if the manifest does not say so of the variable.
        let add = if each.variable.secret {
            add
        } else {
            add_passwords
        };
        for value in [own, replacement].into_iter().flatten().chain(duplicates) {
            add(value, &mut secrets);
        }
    }
    // A blank value counts as missing. Masked, every space of the output would be replaced.
    secrets.retain(|secret| !is_blank(secret));
    secrets.sort();
    secrets.dedup();
    secrets
}

fn add(value: &[u8], secrets: &mut Vec<Vec<u8>>) {
    let mut add = |text: &[u8]| secrets.push(text.to_vec());
    add(value);
    add(value.trim_ascii());
    if value.contains(&b'\n') {
        let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        lines
            .filter(|line| line.len() >= MIN_LINE)
            .for_each(&mut add);
    }
    add_passwords(value, secrets);
}

fn add_passwords(value: &[u8], secrets: &mut Vec<Vec<u8>>) {
    let text = str::from_utf8(value).unwrap_or_default().trim();
    // A query can have encoded keys, or contain an encoded connection string.
    let decoded = String::from_utf8(crate::url::percent_decoded(text)).unwrap_or_default();
    for text in [text, &decoded] {
        for password in rule::passwords(text) {
            secrets.push(password.as_bytes().to_vec());
            secrets.push(crate::url::percent_decoded(password));
        }
    }
}

fn is_blank(value: &[u8]) -> bool {
    match str::from_utf8(value) {
        Ok(text) => text.trim().is_empty(),
        Err(_) => value.trim_ascii().is_empty(),
    }
}
