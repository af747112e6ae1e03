//! Types that all dialects share, and the cursor with which the dialects with quotes parse a text.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

/// The longest string that Linux accepts in an environment, in bytes (`MAX_ARG_STRLEN`): `NAME=value` and a NUL.
const MAX_STRING: usize = 128 * 1024;

/// The maximum total length of the expanded values of one file, in bytes. Without a limit, a few lines such as
/// `A1=$A0$A0` could exhaust the memory. The kernel accepts at most 6 MiB of arguments and environment.
const MAX_EXPANDED: usize = 4 * 1024 * 1024;

pub const TOO_LONG: &str = "sets a variable whose name and value together are longer than 128 KiB, which is more than Linux accepts in an environment";
pub const TOO_MUCH: &str =
    "makes the expanded values of the file longer than 4 MiB; the lines after it were not read";
pub const NO_NAME: &str = "has no name before its `=`";
pub const NO_EQUALS_SIGN: &str = "is not an assignment; write NAME=value";
pub const COLON: &str = "has a `:` where `=` belongs; write NAME=value";
pub const WHITE_SPACE_IN_NAME: &str = "has white space in its name";
pub const UNTERMINATED: &str = "opens a quote that is never closed";
const NUL: &str = "sets a value that contains a NUL character, which no variable can hold";

/// Looks up a variable in the caller's environment. It is called for each reference, so it must not copy the value.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// A statement of a file. It is one line, or several if its value has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The line where the statement begins, counted from 1.
    pub line: usize,
    /// Empty for a fault.
    pub name: String,
    pub value: Value,
    /// Whether the value has lost a reference to a variable that is not set.
    pub is_lossy: bool,
    /// Where the statement is in the text, in bytes: from its name, or the word `export`, to the end of its value or of
    /// the comment behind it. Further white space can be included.
    pub range: Range<usize>,
}

/// The value that a statement sets; `None` for a name without `=`, whose value some readers take from the caller's
/// environment. It is an error if the statement has a fault.
pub type Value = LineResult<Option<String>>;

/// The result of parsing a line. A fault is the predicate of a sentence whose subject is the line, and contains no text
/// of the line.
pub type LineResult<T> = Result<T, &'static str>;

impl Statement {
    /// Creates a statement. If no environment can hold the value, it is replaced with a fault.
    pub fn new(line: usize, name: &str, value: Value) -> Self {
        let value = value.and_then(|value| match &value {
            Some(text) if name.len() + "=".len() + text.len() >= MAX_STRING => Err(TOO_LONG),
            Some(text) if text.contains('\0') => Err(NUL),
            _ => Ok(value),
        });
        let name = value.as_ref().map_or("", |_| name).to_owned();
        Self {
            line,
            name,
            value,
            is_lossy: false,
            range: 0..0,
        }
    }
}

/// The number of bytes that were appended to the values of a file so far.
#[derive(Default)]
pub struct Budget(Cell<usize>);

impl Budget {
    /// Counts a text that is appended to a value, and returns it.
    ///
    /// # Errors
    /// `TOO_MUCH` if the total exceeds `MAX_EXPANDED`.
    pub fn spend<'t>(&self, text: &'t str) -> LineResult<&'t str> {
        let spent = self.0.get() + text.len();
        self.0.set(spent);
        (spent <= MAX_EXPANDED).then_some(text).ok_or(TOO_MUCH)
    }
}

/// The rules of a dialect that is parsed with a cursor.
pub struct Rules {
    pub line_breaks: &'static [char],
    /// Whether a character is white space within a line.
    pub is_space: fn(char) -> bool,
    /// Whether a reference prefers the file's own variables to those of the caller.
    pub is_own_first: bool,
    /// Parses a statement: a name, and its value if it has one; `None` for a comment. It is called at the first
    /// character of a line that is not white space.
    pub assignment: for<'a> fn(&mut Cursor<'a, '_>) -> LineResult<Assignment<'a>>,
}

pub type Assignment<'a> = Option<(&'a str, Option<String>)>;

/// A position in the text of a file, with the variables that the text before it sets.
pub struct Cursor<'a, 'b> {
    /// The text from the position on.
    pub rest: &'a str,
    /// The variables that the text before `rest` sets.
    pub values: HashMap<String, String>,
    pub budget: Budget,
    /// Whether the current value has lost a reference.
    pub is_lossy: Cell<bool>,
    /// The line where `rest` begins, counted from 1.
    line: usize,
    lookup: Lookup<'b>,
    rules: &'static Rules,
}

/// Parses a text. After a fault it continues with the next line, except after `TOO_MUCH`, where it stops.
pub fn statements(text: &str, lookup: Lookup<'_>, rules: &'static Rules) -> Vec<Statement> {
    let mut cursor = Cursor {
        rest: text,
        values: HashMap::new(),
        budget: Budget::default(),
        is_lossy: Cell::default(),
        line: 1,
        lookup,
        rules,
    };
    let mut statements = Vec::new();
    loop {
        cursor.skip(char::is_whitespace);
        if cursor.rest.is_empty() {
            return statements;
        }
        let (line, start) = (cursor.line, text.len() - cursor.rest.len());
        cursor.is_lossy.set(false);
        let mut statement = match (rules.assignment)(&mut cursor) {
            Ok(None) => continue,
            Ok(Some((name, value))) => Statement::new(line, name, Ok(value)),
            Err(fault) => Statement::new(line, "", Err(fault)),
        };
        statement.is_lossy = cursor.is_lossy.get();
        statement.range = start..text.len() - cursor.rest.len();
        match &statement.value {
            Ok(Some(value)) => {
                let name = statement.name.clone();
                cursor.values.insert(name, value.clone());
            }
            Ok(None) => {}
            Err(TOO_MUCH) => cursor.rest = "",
            Err(_) => _ = cursor.take_line(),
        }
        statements.push(statement);
    }
}

impl<'a> Cursor<'a, '_> {
    /// The value of a variable that a reference names.
    pub fn get(&self, name: &str) -> Option<&str> {
        let own = self.values.get(name).map(String::as_str);
        if self.rules.is_own_first {
            own.or_else(|| (self.lookup)(name))
        } else {
            (self.lookup)(name).or(own)
        }
    }

    /// The replacement for a reference without a default.
    pub fn resolve(&self, name: &str) -> &str {
        let found = self.get(name);
        self.is_lossy.set(self.is_lossy.get() || found.is_none());
        found.unwrap_or_default()
    }

    /// Takes the next `length` bytes.
    pub fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes the text before the next separator, or the whole rest.
    pub fn take_until(&mut self, is_separator: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(is_separator);
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Takes the rest of the line, without its line break.
    pub fn take_line(&mut self) -> &'a str {
        let line_breaks = self.rules.line_breaks;
        self.take_until(|character| line_breaks.contains(&character))
    }

    /// Takes `character` if it is the next one. Returns whether it was.
    pub fn take_char(&mut self, character: char) -> bool {
        let is_next = self.rest.starts_with(character);
        if is_next {
            self.take(character.len_utf8());
        }
        is_next
    }

    /// Takes a text in quotes. Returns the text between the quotes, with its escapes not decoded.
    pub fn take_quoted(&mut self, quote: char) -> LineResult<&'a str> {
        let inside = &self.rest[quote.len_utf8()..];
        let mut is_escaped = false;
        let is_end = |character| {
            let is_end = character == quote && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_end
        };
        let end = inside.find(is_end).ok_or(UNTERMINATED)?;
        self.take(end + 2 * quote.len_utf8());
        Ok(&inside[..end])
    }

    fn skip(&mut self, is_skipped: fn(char) -> bool) -> bool {
        !self.take_until(|other| !is_skipped(other)).is_empty()
    }

    /// Skips white space within the line. Returns whether there was any.
    pub fn skip_space(&mut self) -> bool {
        self.skip(self.rules.is_space)
    }

    /// Skips the word `export` and the white space after it, if they come next.
    pub fn skip_export(&mut self) {
        let after = self.rest.strip_prefix("export");
        if after.is_some_and(|after| after.starts_with(self.rules.is_space)) {
            self.take("export".len());
            self.skip_space();
        }
    }
}

/// Decodes the escapes of a value. `decode` gets the text after a backslash, appends the decoded character, and returns
/// the length of the escape in bytes, without the backslash. If it returns 0, the backslash is kept.
pub fn unescaped(text: &str, decode: impl Fn(&str, &mut String) -> usize) -> String {
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let length = decode(after, &mut value);
        if length == 0 {
            value.push('\\');
        }
        rest = &after[length..];
    }
    value + rest
}

/// The character for a letter after a backslash, such as a line feed for `n`.
pub fn escape(letter: char) -> char {
    let codes = b"\x07\x08\x0c\n\r\t\x0b";
    let known = "abfnrtv".find(letter);
    known.map_or(letter, |at| char::from(codes[at]))
}
