//! docker compose v2 (its Go library's own parser): quotes, escapes, comments, and `$` with defaults.

use std::collections::HashMap;

use super::limits::Budget;
use super::{
    COLON, Lookup, NO_NAME, Reading, Statement, UNTERMINATED, WHITE_SPACE_IN_NAME, split_before,
};

/// How deep `${A:-${B:-…}}` may go.
const MAX_DEPTH: usize = 16;

const INVALID: &str = "has a `$` that begins no name, which compose refuses; write `$$` for it, or put the value into single quotes";
const RAILWAYS: &str = "has a `${{…}}`, which compose refuses; such references are Railway's: put it into single quotes, or read the file with --dialect kv";

const REQUIRED: &str = "has a `${NAME:?…}` of a variable that is not set";

pub fn statements(text: &str, lookup: Lookup<'_>) -> Vec<Statement> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        values: HashMap::new(),
        lookup,
        budget: Budget::default(),
    };
    let mut statements = Vec::new();
    while !reader.budget.is_spent() && reader.skip_to_statement() {
        let line = reader.line;
        let statement = reader.statement().unwrap_or_else(|problem| {
            // Go on behind the line, to tell every fault at once.
            reader.skip_to_line_break();
            Statement::fault(line, problem)
        });
        statements.push(statement);
    }
    statements
}

struct Reader<'a, 'b> {
    rest: &'a str,
    /// Counted from 1: where `rest` begins.
    line: usize,
    /// The file's own so far.
    values: HashMap<String, String>,
    lookup: Lookup<'b>,
    budget: Budget,
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.bytes().filter(|&byte| byte == b'\n').count();
        self.rest = rest;
        taken
    }

    fn skip_to_line_break(&mut self) {
        self.take(split_before(self.rest, &['\n']).0.len());
    }

    /// Skips white space and comments; false at the end.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let space = self.rest.len() - self.rest.trim_start().len();
            self.take(space);
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.skip_to_line_break();
        }
    }

    fn skip_space(&mut self) {
        let space = self.rest.len() - self.rest.trim_start_matches(is_space).len();
        self.take(space);
    }

    fn statement(&mut self) -> Result<Statement, &'static str> {
        let line = self.line;
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with(char::is_whitespace)
        {
            self.take("export".len());
            self.skip_space();
        }
        let (name, _) = split_before(self.rest, &['=', ':', '\n']);
        let terminator = self.rest[name.len()..].chars().next();
        let name = name.trim_end();
        if name.contains(|other: char| !is_space(other) && !is_name_character(other)) {
            return Err("has a character in its name that compose refuses");
        }
        match terminator {
            Some(':') => return Err(COLON),
            Some('=') if name.is_empty() => return Err(NO_NAME),
            _ => {}
        }
        if name.contains(is_space) {
            return Err(WHITE_SPACE_IN_NAME);
        }
        self.take(split_before(self.rest, &['=', '\n']).0.len());
        let reading = if self.rest.starts_with('=') {
            self.take(1);
            self.skip_space();
            let value = self.value()?;
            self.values.insert(name.to_owned(), value.clone());
            Reading::Value(value)
        } else {
            Reading::Inherited
        };
        Ok(Statement {
            line,
            name: name.to_owned(),
            reading,
        })
    }

    fn value(&mut self) -> Result<String, &'static str> {
        let Some(quote @ (b'"' | b'\'')) = self.rest.bytes().next() else {
            let (raw, _) = split_before(self.rest, &['\n']);
            self.take(raw.len());
            let value = raw.split(" #").next().unwrap_or_default();
            return self.expanded(value.trim_end());
        };
        let (value, length) = quoted(self.rest, quote).ok_or(UNTERMINATED)?;
        let value = if quote == b'"' {
            self.expanded(&unescaped(&value))?
        } else {
            value
        };
        self.take(length);
        Ok(value)
    }

    fn expanded(&mut self, text: &str) -> Result<String, &'static str> {
        let mut value = String::new();
        self.expand(text, 0, &mut value)?;
        Ok(value)
    }

    /// `$NAME`, `${NAME}`, `${NAME:-text}` and its kin, and `$$`.
    fn expand(&mut self, text: &str, depth: usize, value: &mut String) -> Result<(), &'static str> {
        if text.contains("${{") {
            return Err(RAILWAYS);
        }
        if depth > MAX_DEPTH {
            return Err("nests its `${…}` too deeply");
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            self.budget.push(value, before)?;
            if let Some(after) = after.strip_prefix('$') {
                self.budget.push(value, "$")?;
                rest = after;
            } else if let Some(inside) = after.strip_prefix('{') {
                let end = closing_brace(inside).ok_or(INVALID)?;
                self.expand_braced(&inside[..end], depth, value)?;
                rest = &inside[end + 1..];
            } else {
                let name = name_at(after);
                if name.is_empty() {
                    return Err(INVALID);
                }
                let replacement = get(&self.values, self.lookup, name).unwrap_or_default();
                self.budget.push(value, replacement)?;
                rest = &after[name.len()..];
            }
        }
        self.budget.push(value, rest)
    }

    fn expand_braced(
        &mut self,
        inside: &str,
        depth: usize,
        value: &mut String,
    ) -> Result<(), &'static str> {
        let name = name_at(inside);
        if name.is_empty() {
            return Err(INVALID);
        }
        let operation = &inside[name.len()..];
        let (admits_empty, operation) = match operation.strip_prefix(':') {
            Some(operation) => (false, operation),
            None => (true, operation),
        };
        let found =
            get(&self.values, self.lookup, name).filter(|found| admits_empty || !found.is_empty());
        let text = operation.get(1..).unwrap_or_default();
        match (operation.bytes().next(), found) {
            (None, found) if admits_empty => self.budget.push(value, found.unwrap_or_default()),
            (Some(b'-'), None) | (Some(b'+'), Some(_)) => self.expand(text, depth + 1, value),
            (Some(b'-' | b'?'), Some(found)) => self.budget.push(value, found),
            (Some(b'+'), None) => Ok(()),
            (Some(b'?'), None) => Err(REQUIRED),
            _ => Err(INVALID),
        }
    }
}

/// The value of a reference: the caller's come first, then the file's own so far.
fn get<'a, 'b: 'a>(
    values: &'a HashMap<String, String>,
    lookup: Lookup<'b>,
    name: &str,
) -> Option<&'a str> {
    lookup(name).or_else(|| values.get(name).map(String::as_str))
}

/// White space within a line, as compose sees it.
fn is_space(character: char) -> bool {
    matches!(
        character,
        '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}'
    )
}

fn is_name_character(character: char) -> bool {
    matches!(character, '_' | '.' | '-' | '[' | ']') || character.is_alphanumeric()
}

/// The name that a text begins with, empty if with none.
fn name_at(text: &str) -> &str {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return "";
    }
    let is_part = |other: char| other.is_ascii_alphanumeric() || other == '_';
    &text[..text.find(|other| !is_part(other)).unwrap_or(text.len())]
}

/// Where the brace that was opened before `text` is closed; those of inner references count.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut previous = 0;
    for (at, byte) in text.bytes().enumerate() {
        match (previous, byte) {
            (b'$', b'{') => open += 1,
            (_, b'}') => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        previous = byte;
    }
    None
}

/// What stands between two quotes, its escaped quotes unescaped, and how long it is with them.
fn quoted(text: &str, quote: u8) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        let is_quote = character == char::from(quote);
        if is_escaped {
            is_escaped = false;
            if !is_quote {
                value.push('\\');
            }
            value.push(character);
        } else if character == '\\' {
            is_escaped = true;
        } else if is_quote {
            return Some((value, at + 1));
        } else {
            value.push(character);
        }
    }
    None
}

/// The escapes of a value in double quotes. `\$` becomes `$$`, which the expansion makes a `$`.
fn unescaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let escape = after.chars().next();
        let plain = match escape {
            Some('a') => Some("\u{7}"),
            Some('b') => Some("\u{8}"),
            Some('f') => Some("\u{c}"),
            Some('n') => Some("\n"),
            Some('r') => Some("\r"),
            Some('t') => Some("\t"),
            Some('v') => Some("\u{b}"),
            Some('$') => Some("$$"),
            Some('"') => Some("\""),
            Some('\\') => Some("\\"),
            _ => None,
        };
        rest = match (plain, escape) {
            (Some(plain), _) => {
                value.push_str(plain);
                &after[1..]
            }
            (None, Some('0')) => octal(after, &mut value),
            (None, _) => {
                value.push('\\');
                after
            }
        };
    }
    value.push_str(rest);
    value
}

/// `\0123` is `S`; with fewer digits, or others, only the zero goes.
fn octal<'a>(after: &'a str, value: &mut String) -> &'a str {
    let digits: &str = &after[1..];
    let length = digits
        .bytes()
        .take(3)
        .take_while(u8::is_ascii_digit)
        .count();
    let number = u8::from_str_radix(&digits[..length], 8);
    match number {
        Ok(number) if length == 3 => value.push(char::from(number)),
        _ => {
            value.push('\\');
            value.push_str(&digits[..length]);
        }
    }
    &digits[length..]
}
