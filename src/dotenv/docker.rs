//! `docker run --env-file`: one line, one variable, and nothing is interpreted.

use super::{NO_NAME, Reading, Statement, WHITE_SPACE_IN_NAME};

/// Docker's scanner refuses longer lines, in bytes.
const MAX_LINE: usize = 64 * 1024 - 1;

pub fn statements(text: &str) -> Vec<Statement> {
    let lines = text.split('\n').enumerate();
    lines
        .filter_map(|(index, line)| statement(index + 1, line))
        .collect()
}

fn statement(line: usize, text: &str) -> Option<Statement> {
    if text.len() > MAX_LINE {
        return Some(Statement::fault(
            line,
            "is longer than 64 KiB, which docker refuses",
        ));
    }
    let text = text.strip_suffix('\r').unwrap_or(text);
    // White space behind is part of the value.
    let text = text.trim_start();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Reading::Value(value.to_owned())),
        None => (text, Reading::Inherited),
    };
    if name.is_empty() {
        return Some(Statement::fault(line, NO_NAME));
    }
    if name.contains([' ', '\t']) {
        return Some(Statement::fault(line, white_space_problem(name)));
    }
    Some(Statement {
        line,
        name: name.to_owned(),
        reading: value,
    })
}

fn white_space_problem(name: &str) -> &'static str {
    if name.starts_with("export ") || name.starts_with("export\t") {
        "begins with `export`, which docker refuses; write NAME=value"
    } else if name.trim_end().ends_with(':') || name.contains(": ") {
        super::COLON
    } else {
        WHITE_SPACE_IN_NAME
    }
}
