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
        add(&percent_decoded(password));
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after
            .get(..2)
            .filter(|_| byte == b'%')
            .and_then(|digits| str::from_utf8(digits).ok());
        if let Some(escaped) = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(escaped);
            rest = &after[2..];
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        assert_eq!(percent_decoded("p%40s%2Fs"), b"p@s/s");
        assert_eq!(percent_decoded("100%"), b"100%");
        assert_eq!(percent_decoded("%zz%4"), b"%zz%4");
        assert_eq!(percent_decoded("%c3%a9"), "é".as_bytes());
    }
}
