//! `NAME=VALUE` as command lines print it: values are not quoted, so one with line breaks continues in the lines
//! after it.

use super::cursor::{NO_EQUALS_SIGN, Statement};

pub fn statements(text: &str) -> Vec<Statement> {
    let mut fault = None;
    let mut entries: Vec<(usize, &str, String)> = Vec::new();
    let mut is_in_pem = false;
    for (text, line) in text.split('\n').zip(1..) {
        let text = text.strip_suffix('\r').unwrap_or(text);
        // The lines of a PEM block may look like assignments: base64 ends with `=`.
        let assignment = text
            .split_once('=')
            .filter(|(name, _)| !is_in_pem && is_name(name));
        let has_end = text.contains("-----END ");
        is_in_pem = !has_end && (is_in_pem || text.contains("-----BEGIN "));
        match (assignment, entries.last_mut()) {
            (Some((name, value)), _) => entries.push((line, name, value.to_owned())),
            (None, Some((.., value))) => {
                value.push('\n');
                value.push_str(text);
            }
            (None, None) if fault.is_none() && !text.trim().is_empty() => {
                fault = Some(Statement::new(line, "", Err(NO_EQUALS_SIGN)));
            }
            (None, None) => {}
        }
    }
    let statements = entries.into_iter().map(|(line, name, value)| {
        // Blank lines between entries do not belong to a value.
        let value = value.trim_end_matches('\n').to_owned();
        Statement::new(line, name, Ok(Some(value)))
    });
    fault.into_iter().chain(statements).collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
