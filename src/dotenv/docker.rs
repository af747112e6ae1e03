//! `docker run --env-file`: a line is a variable, and its value is taken as it is.

use super::cursor::{COLON, NO_NAME, Statement, WHITE_SPACE_IN_NAME};

/// Docker's scanner refuses longer lines, in bytes.
const MAX_LINE: usize = 64 * 1024 - 1;

pub fn statements(text: &str) -> Vec<Statement> {
    let lines = text.split('\n').zip(1..);
    lines
        .filter_map(|(text, line)| statement(line, text))
        .collect()
}

fn statement(line: usize, text: &str) -> Option<Statement> {
    if text.len() > MAX_LINE {
        let fault = "is longer than 64 KiB, which docker refuses";
        return Some(Statement::new(line, "", Err(fault)));
    }
    // White space at the end belongs to the value.
    let text = text.strip_suffix('\r').unwrap_or(text).trim_start();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let value = fault_of_name(name).map_or(Ok(value), Err);
    Some(Statement::new(line, name, value))
}

fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some(NO_NAME)
    } else if !name.contains([' ', '\t']) {
        None
    } else if name.starts_with("export ") || name.starts_with("export\t") {
        Some("begins with `export`, which docker refuses; write NAME=value")
    } else if name.trim_end().ends_with(':') || name.contains(": ") {
        Some(COLON)
    } else {
        Some(WHITE_SPACE_IN_NAME)
    }
}
