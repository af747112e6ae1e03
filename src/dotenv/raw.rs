//! The dialects without quotes, escapes and references, whose values are raw text.

use std::ops::Range;

use super::cursor::{COLON, NO_EQUALS_SIGN, NO_NAME, Statement, WHITE_SPACE_IN_NAME};

/// The longest line that Docker's scanner accepts, in bytes.
const MAX_LINE: usize = 64 * 1024 - 1;

/// Parses a file as `docker run --env-file` does: each line is a variable.
pub fn docker(text: &str) -> Vec<Statement> {
    let statement = |(line, start, text)| {
        let statement = docker_line(text, line)?;
        let range = start..start + without_return(text).len();
        Some(Statement { range, ..statement })
    };
    lines(text).filter_map(statement).collect()
}

/// The lines of a text without their line breaks, each with its number and the byte at which it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    let mut next = 0;
    text.split('\n').zip(1..).map(move |(text, line)| {
        let start = next;
        next += text.len() + 1;
        (line, start, text)
    })
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

fn docker_line(text: &str, line: usize) -> Option<Statement> {
    if text.len() > MAX_LINE {
        let fault = "is longer than 64 KiB, which docker refuses";
        return Some(Statement::new(line, "", Err(fault)));
    }
    // White space at the end of the line is part of the value.
    let text = without_return(text).trim_start();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let value = if name.is_empty() {
        Err(NO_NAME)
    } else if !name.contains([' ', '\t']) {
        Ok(value)
    } else if name.starts_with("export ") || name.starts_with("export\t") {
        Err("begins with `export`, which docker refuses; write NAME=value")
    } else if name.trim_end().ends_with(':') || name.contains(": ") {
        Err(COLON)
    } else {
        Err(WHITE_SPACE_IN_NAME)
    };
    Some(Statement::new(line, name, value))
}

/// Parses `NAME=VALUE` lines as programs print them. A line that is not an assignment continues the value before it.
pub fn kv(text: &str) -> Vec<Statement> {
    // Each entry has its line, range, name and value. An empty name marks text before the first assignment.
    let mut entries: Vec<(usize, Range<usize>, &str, String)> = Vec::new();
    let mut is_in_pem = false;
    for (line, start, text) in lines(text) {
        let text = without_return(text);
        let end = start + text.len();
        // Lines of a PEM block can look like assignments, because base64 can end with `=`.
        let is_assignment = !is_in_pem && is_assignment(text);
        let assignment = text.split_once('=').filter(|_| is_assignment);
        let has_end = text.contains("-----END ");
        is_in_pem = !has_end && (is_in_pem || text.contains("-----BEGIN "));
        match (assignment, entries.last_mut()) {
            (Some((name, value)), _) => entries.push((line, start..end, name, value.to_owned())),
            (None, Some((_, range, _, value))) => {
                value.extend(["\n", text]);
                // Blank lines between entries are not part of a value.
                range.end = if text.is_empty() { range.end } else { end };
            }
            (None, None) if text.trim().is_empty() => {}
            (None, None) => entries.push((line, start..end, "", String::new())),
        }
    }
    let statements = entries.into_iter().map(|(line, range, name, value)| {
        let value = value.trim_end_matches('\n').to_owned();
        let is_assignment = !name.is_empty();
        let value = is_assignment.then_some(Some(value)).ok_or(NO_EQUALS_SIGN);
        let statement = Statement::new(line, name, value);
        Statement { range, ..statement }
    });
    statements.collect()
}

/// Whether a line begins with a usual name and `=`.
pub fn is_assignment(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let name = text.split_once('=').map_or("", |(name, _)| name);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(is_part)
}
