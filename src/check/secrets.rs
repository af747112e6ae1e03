//! The texts that must not come through in a step's output.

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
    for each in resolved.iter().filter(|each| each.variable.secret) {
        if let Some(own) = environment.get(&each.variable.name) {
            add(own.as_bytes(), &mut secrets);
        }
        if let Some(content) = each.file_content() {
            add(content.as_bytes(), &mut secrets);
        }
        if let Some(text) = each.value.text() {
            add(text.as_bytes(), &mut secrets);
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
    if let Some(password) = str::from_utf8(value)
        .ok()
        .and_then(|text| rule::password(text.trim()))
    {
        add(password.as_bytes());
        add(&rule::percent_decoded(password));
    }
}
