//! `NAME=VALUE` as command lines print it: values are raw, so one with line breaks goes on in the lines
//! behind it.

use super::{NO_EQUALS_SIGN, Reading, Statement};

pub fn statements(text: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    let mut is_in_pem = false;
    for (index, text) in text.split('\n').enumerate() {
        let text = text.strip_suffix('\r').unwrap_or(text);
        let line = index + 1;
        // Lines of a key may well look like assignments: base64 ends with `=`.
        let assignment = text
            .split_once('=')
            .filter(|(name, _)| !is_in_pem && is_name(name));
        is_in_pem = is_in_pem && !text.contains("-----END ")
            || text.contains("-----BEGIN ") && !text.contains("-----END ");
        match (assignment, statements.last_mut()) {
            (Some((name, value)), _) => statements.push(Statement {
                line,
                name: name.to_owned(),
                reading: Reading::Value(value.to_owned()),
            }),
            (None, Some(previous)) => go_on(previous, text),
            (None, None) if text.trim().is_empty() => {}
            (None, None) => statements.push(Statement::fault(line, NO_EQUALS_SIGN)),
        }
    }
    for statement in &mut statements {
        if let Reading::Value(value) = &mut statement.reading {
            // Blank lines between and after the entries are the printer's.
            value.truncate(value.trim_end_matches('\n').len());
        }
    }
    statements
}

fn go_on(statement: &mut Statement, text: &str) {
    if let Reading::Value(value) = &mut statement.reading {
        value.push('\n');
        value.push_str(text);
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
