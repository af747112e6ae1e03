//! The texts that must not come through in a step's output.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::resolve::Resolved;
use crate::environment::Environment;
use crate::rule;

/// Lines of a secret from so many bytes on are masked alone, too: a PEM key is printed line by line.
const MIN_LINE: usize = 6;

/// Each secret's whole value, each of its longer lines, and a URL's password, raw and decoded. A value that
/// was found wrong is a secret all the same.
pub fn of(resolved: &[Resolved<'_>], environment: &Environment) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for each in resolved {
        let own = environment.get(&each.variable.name).map(OsStr::as_bytes);
        let content = each.file_content().map(OsStr::as_bytes);
        let text = each.value.text().map(str::as_bytes);
        // A URL's password is one whatever the manifest says of the rest.
        let add = if each.variable.secret {
            add
        } else {
            add_password
        };
        for value in [own, content, text].into_iter().flatten() {
            add(value, &mut secrets);
        }
    }
    secrets.sort();
    secrets.dedup();
    secrets
}

fn add(value: &[u8], secrets: &mut Vec<Vec<u8>>) {
    let mut add = |text: &[u8]| {
        if !text.is_empty() {
            secrets.push(text.to_vec());
        }
    };
    add(value);
    add(value.trim_ascii());
    if value.contains(&b'\n') {
        let lines = value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        lines
            .filter(|line| line.len() >= MIN_LINE)
            .for_each(&mut add);
    }
    add_password(value, secrets);
}

fn add_password(value: &[u8], secrets: &mut Vec<Vec<u8>>) {
    let text = str::from_utf8(value).ok().map(str::trim);
    if let Some(password) = text.and_then(rule::password) {
        secrets.push(password.as_bytes().to_vec());
        secrets.push(rule::percent_decoded(password));
    }
}
