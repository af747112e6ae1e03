//! The library python-dotenv: quotes and escapes, comments, and `${NAME}` also within single quotes.

use std::collections::HashMap;

use super::limits::Budget;
use super::{
    COLON, Lookup, NO_NAME, Reading, Statement, UNTERMINATED, WHITE_SPACE_IN_NAME, split_before,
};

const LINE_BREAKS: [char; 2] = ['\n', '\r'];

const REST: &str = "has something behind its value; python-dotenv drops such a line";

pub fn statements(text: &str, lookup: Lookup<'_>) -> Vec<Statement> {
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    let mut values: HashMap<String, Option<String>> = HashMap::new();
    let mut budget = Budget::default();
    let mut statements = Vec::new();
    while !budget.is_spent() && reader.skip_to_statement() {
        let line = reader.line;
        match reader.binding() {
            Ok(None) => {}
            Ok(Some((name, raw))) => {
                // The file's own come first.
                let get = |name: &str| match values.get(name) {
                    Some(value) => Some(value.as_deref().unwrap_or_default()),
                    None => lookup(name),
                };
                let value = raw.map(|raw| interpolated(&raw, get, &mut budget));
                let value = match value.transpose() {
                    Ok(value) => value,
                    Err(problem) => {
                        statements.push(Statement::fault(line, problem));
                        continue;
                    }
                };
                values.insert(name.clone(), value.clone());
                statements.push(Statement {
                    line,
                    name,
                    reading: value.map_or(Reading::Inherited, Reading::Value),
                });
            }
            Err(problem) => {
                statements.push(Statement::fault(line, problem));
                reader.take(split_before(reader.rest, &LINE_BREAKS).0.len());
            }
        }
    }
    statements
}

type Binding = Option<(String, Option<String>)>;

struct Reader<'a> {
    rest: &'a str,
    /// Counted from 1: where `rest` begins.
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        let mut previous = ' ';
        for character in taken.chars() {
            // A carriage return with a line feed is one line break.
            self.line += usize::from(character == '\r' || character == '\n' && previous != '\r');
            previous = character;
        }
        self.rest = rest;
        taken
    }

    /// Skips white space and line breaks; false at the end.
    fn skip_to_statement(&mut self) -> bool {
        let space = self.rest.len() - self.rest.trim_start().len();
        self.take(space);
        !self.rest.is_empty()
    }

    fn skip_space(&mut self) -> usize {
        let space = self.rest.len() - self.rest.trim_start_matches(is_space).len();
        self.take(space);
        space
    }

    fn binding(&mut self) -> Result<Binding, &'static str> {
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with(is_space)
        {
            self.take("export".len());
            self.skip_space();
        }
        if self.rest.starts_with('#') {
            self.take(split_before(self.rest, &LINE_BREAKS).0.len());
            return Ok(None);
        }
        let name = self.name()?;
        self.skip_space();
        let value = if self.rest.starts_with('=') {
            self.take(1);
            let has_space = self.skip_space() > 0;
            // Behind white space a `#` begins a comment, and the value is empty.
            let is_comment = has_space && self.rest.starts_with('#');
            Some(if is_comment {
                String::new()
            } else {
                self.value()?
            })
        } else {
            None
        };
        self.skip_space();
        if self.rest.starts_with('#') {
            self.take(split_before(self.rest, &LINE_BREAKS).0.len());
        }
        if !self.rest.is_empty() && !self.rest.starts_with(LINE_BREAKS) {
            return Err(match &value {
                None if name.ends_with(':') => COLON,
                None => WHITE_SPACE_IN_NAME,
                Some(_) => REST,
            });
        }
        Ok(Some((name, value)))
    }

    fn name(&mut self) -> Result<String, &'static str> {
        if let Some(after) = self.rest.strip_prefix('\'') {
            let (name, rest) = split_before(after, &['\'']);
            if name.is_empty() || rest.is_empty() {
                return Err(UNTERMINATED);
            }
            self.take(name.len() + 2);
            return Ok(name.to_owned());
        }
        let is_end = |other: char| matches!(other, '=' | '#') || other.is_whitespace();
        let length = self.rest.find(is_end).unwrap_or(self.rest.len());
        if length == 0 {
            return Err(NO_NAME);
        }
        Ok(self.take(length).to_owned())
    }

    fn value(&mut self) -> Result<String, &'static str> {
        let (quote, escapes) = match self.rest.chars().next() {
            Some('\'') => ('\'', "\\'"),
            Some('"') => ('"', "\\'\"abfnrtv"),
            _ => {
                let raw = self.take(split_before(self.rest, &LINE_BREAKS).0.len());
                return Ok(without_comment(raw).trim_end().to_owned());
            }
        };
        let length = closing_quote(self.rest, quote).ok_or(UNTERMINATED)?;
        let raw = self.take(length);
        Ok(unescaped(&raw[1..raw.len() - 1], escapes))
    }
}

/// White space within a line.
fn is_space(character: char) -> bool {
    character.is_whitespace() && !LINE_BREAKS.contains(&character)
}

/// What stands before the first `#` with white space before it.
fn without_comment(raw: &str) -> &str {
    let mut previous = None;
    for (at, character) in raw.char_indices() {
        if character == '#' && previous.is_some_and(char::is_whitespace) {
            return raw[..at].trim_end();
        }
        previous = Some(character);
    }
    raw
}

/// How long a value is with both its quotes.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
        } else if character == quote {
            return Some(at + 1);
        }
    }
    None
}

fn unescaped(text: &str, escapes: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some(escape) if escapes.contains(escape) => value.push(match escape {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            }),
            other => {
                value.push('\\');
                value.extend(other);
            }
        }
    }
    value
}

/// `${NAME}` and `${NAME:-text}`, whatever stands in them; every other `$` stays.
fn interpolated<'a>(
    text: &str,
    get: impl Fn(&str) -> Option<&'a str>,
    budget: &mut Budget,
) -> Result<String, &'static str> {
    let mut value = String::new();
    // Behind the last brace there is no reference; asked once, however many `${` there are.
    let (mut rest, tail) = text.split_at(text.rfind('}').map_or(0, |last| last + 1));
    while let Some(start) = rest.find("${") {
        let inside = &rest[start + 2..];
        let (name, after) = split_before(inside, &['}', ':']);
        let (default, after) = match after.strip_prefix(":-") {
            Some(after) => split_before(after, &['}']),
            None => ("", after),
        };
        let Some(after) = after.strip_prefix('}') else {
            // No reference; nor is any that begins within the name, which would end at the same place.
            let passed = start + 2 + name.len();
            budget.push(&mut value, &rest[..passed])?;
            rest = &rest[passed..];
            continue;
        };
        budget.push(&mut value, &rest[..start])?;
        budget.push(&mut value, get(name).unwrap_or(default))?;
        rest = after;
    }
    budget.push(&mut value, rest)?;
    budget.push(&mut value, tail)?;
    Ok(value)
}
