//! The tokens of Python's source text, as far as they are needed to read code without running anything.

use std::ops::Range;
use std::sync::LazyLock;

use regex_lite::Regex;

/// The content of an f-string that every version of Python ends at the same quotes. Since version 3.12, the expressions
/// in `{}` can contain these quotes, too.
static READABLE: LazyLock<Regex> = LazyLock::new(|| {
    let expression = r#"\{([^{}"'\\\#\u{80}-\u{10FFFF}]|"[^"{}\\]+"|'[^'{}\\]+')*\}"#;
    let pattern = format!(r"^([^{{}}]|\{{\{{|\}}\}}|{expression})*$");
    Regex::new(&pattern).expect("the pattern is valid")
});

/// The letters of a string's prefix.
const PREFIXES: [char; 10] = ['b', 'f', 'r', 't', 'u', 'B', 'F', 'R', 'T', 'U'];

/// How many brackets a tolerant reading takes as open. It is Python's own limit.
const MAX_DEPTH: usize = 200;

const UNBALANCED: &str = "has unbalanced brackets";
const UNTERMINATED: &str = "has an unterminated string";

/// A token of a logical line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// A string literal: its prefix, and the text between its quotes as it is written.
    Text(&'a str, &'a str),
    /// A number as it is written.
    Number(&'a str),
    /// One character, or two of which the second is `=`.
    Operator(&'a str),
}

impl Token<'_> {
    /// Whether it is a string with expressions in it.
    pub fn is_template(&self) -> bool {
        matches!(self, Self::Text(prefix, _) if prefix.contains(['f', 'F', 't', 'T']))
    }
}

/// A logical line: a statement, several with `;` between them, or the header of a block.
pub struct Line<'a> {
    /// The number of characters before its first token.
    pub indent: usize,
    /// At least one token.
    pub tokens: Vec<Token<'a>>,
    /// Where each token begins, in bytes from the start of the text.
    pub places: Vec<usize>,
}

/// Splits a text without carriage returns into logical lines.
pub struct Lines<'a> {
    rest: &'a str,
    /// The length of the whole text, in bytes.
    length: usize,
    /// Whether to go on behind something that cannot be read for certain.
    is_tolerant: bool,
    /// The first thing that a tolerant reading could not read for certain: where it is, in bytes from the start of the
    /// text, and what it is.
    pub skipped: Option<(usize, Reason)>,
}

/// What stops the reading. A clause that follows the name of the file.
pub type Reason = String;

impl<'a> Lines<'a> {
    /// A reading that stops at whatever versions of Python could read differently.
    pub fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            length: text.len(),
            is_tolerant: false,
            skipped: None,
        }
    }

    /// A reading that goes on behind errors, so that `next` never fails.
    pub fn tolerant(text: &'a str) -> Self {
        Self {
            is_tolerant: true,
            ..Self::new(text)
        }
    }

    /// The next logical line. Blank lines and lines with only a comment are skipped.
    ///
    /// # Errors
    /// If the reading is not tolerant, and the text cannot be read for certain.
    pub fn next(&mut self) -> Result<Option<Line<'a>>, Reason> {
        let (mut tokens, mut places) = (Vec::new(), Vec::new());
        // How many brackets are open.
        let (mut indent, mut depth) = (0, 0_usize);
        loop {
            let space = self.take_while(|next| next == ' ' || next == '\t');
            if tokens.is_empty() {
                indent = space.len();
            }
            let place = self.place();
            let Some(first) = self.rest.chars().next() else {
                break;
            };
            let token = match first {
                '\n' => {
                    self.take(1);
                    if depth == 0 && !tokens.is_empty() {
                        break;
                    }
                    continue;
                }
                '#' => {
                    self.take_while(|next| next != '\n');
                    continue;
                }
                // The indentation of such a line is read differently by different versions of Python.
                '\\' if tokens.is_empty() => {
                    self.skip(1, "has a line that begins with a backslash")?;
                    continue;
                }
                '\\' if self.rest.starts_with("\\\n") => {
                    self.take(2);
                    continue;
                }
                '"' | '\'' => self.text("")?,
                'a'..='z' | 'A'..='Z' | '_' => {
                    let name = self.name();
                    // No keyword consists of these letters.
                    let is_prefix = name.len() <= 2 && name.trim_matches(PREFIXES).is_empty();
                    if is_prefix && self.rest.starts_with(['"', '\'']) {
                        self.text(name)?
                    } else {
                        Token::Name(name)
                    }
                }
                '0'..='9' => Token::Number(
                    self.take_while(|next| next.is_ascii_alphanumeric() || "_.".contains(next)),
                ),
                '!'..='~' => {
                    let is_long =
                        "=!<>:+-*/%&|^@".contains(first) && self.rest[1..].starts_with('=');
                    let operator = self.take(1 + usize::from(is_long));
                    match first {
                        '(' | '[' | '{' if self.is_tolerant && depth == MAX_DEPTH => {
                            self.skip(0, "has too many open brackets")?;
                            continue;
                        }
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' if depth == 0 => self.skip(0, UNBALANCED)?,
                        ')' | ']' | '}' => depth -= 1,
                        _ => {}
                    }
                    Token::Operator(operator)
                }
                _ if self.is_tolerant && first.is_alphabetic() => Token::Name(self.name()),
                // Python treats a form feed like a space.
                '\u{c}' if self.is_tolerant => {
                    self.take(1);
                    continue;
                }
                // Python folds other letters in names: a name can be `revision` without looking like it.
                _ => {
                    self.skip(
                        first.len_utf8(),
                        "has an unusual character outside of strings",
                    )?;
                    continue;
                }
            };
            tokens.push(token);
            places.push(place);
        }
        if depth > 0 {
            self.skip(0, UNBALANCED)?;
        }
        Ok((!tokens.is_empty()).then_some(Line {
            indent,
            tokens,
            places,
        }))
    }

    /// Where the rest begins, in bytes from the start of the text.
    fn place(&self) -> usize {
        self.length - self.rest.len()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, admits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !admits(next));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Takes a name. A tolerant reading admits all letters.
    fn name(&mut self) -> &'a str {
        let is_tolerant = self.is_tolerant;
        self.take_while(|next| {
            next.is_ascii_alphanumeric() || next == '_' || is_tolerant && next.is_alphanumeric()
        })
    }

    /// Skips so many bytes, which cannot be read for certain.
    ///
    /// # Errors
    /// If the reading is not tolerant.
    fn skip(&mut self, length: usize, reason: &str) -> Result<(), Reason> {
        if !self.is_tolerant {
            return Err(reason.to_owned());
        }
        let place = self.place();
        self.skipped
            .get_or_insert_with(|| (place, reason.to_owned()));
        self.take(length);
        Ok(())
    }

    /// Takes a string literal whose prefix is already taken.
    fn text(&mut self, prefix: &'a str) -> Result<Token<'a>, Reason> {
        let long = ["\"\"\"", "'''"];
        let is_long = long.iter().any(|quotes| self.rest.starts_with(quotes));
        let quotes = self.take(if is_long { 3 } else { 1 });
        let is_template = Token::Text(prefix, "").is_template();
        let end = if is_template && self.is_tolerant {
            template(self.rest, quotes).map(|(end, _)| end)
        } else {
            end_of_text(self.rest, quotes)
        };
        let Some(end) = end else {
            let line = self.rest.find('\n').filter(|_| !is_long);
            let place = line.unwrap_or(self.rest.len());
            let content = &self.rest[..place];
            self.skip(place, UNTERMINATED)?;
            return Ok(Token::Text(prefix, content));
        };
        let content = self.take(end);
        self.take(quotes.len());
        if is_template && !self.is_tolerant && !READABLE.is_match(content) {
            return Err("has an f-string that versions of Python read differently".to_owned());
        }
        Ok(Token::Text(prefix, content))
    }
}

/// Where a string literal ends whose content and closing quotes the text begins with.
fn end_of_text(text: &str, quotes: &str) -> Option<usize> {
    // Quotes, backslashes and line breaks are ASCII, so they are no part of another character.
    let bytes = text.as_bytes();
    let mut end = 0;
    while !bytes[end..].starts_with(quotes.as_bytes()) {
        match bytes.get(end) {
            Some(b'\\') if end + 1 < bytes.len() => end += 2,
            Some(b'\\') | None => return None,
            Some(b'\n') if quotes.len() == 1 => return None,
            Some(_) => end += 1,
        }
    }
    Some(end)
}

/// Where an f-string ends whose content and closing quotes the text begins with, and the ranges of its expressions. As
/// in Python 3.12, a string in an expression can have the same quotes.
fn template(text: &str, quotes: &str) -> Option<(usize, Vec<Range<usize>>)> {
    let bytes = text.as_bytes();
    let mut expressions = Vec::new();
    let (mut at, mut depth, mut start) = (0, 0_usize, 0);
    loop {
        let rest = &bytes[at..];
        match *rest.first()? {
            _ if depth == 0 && rest.starts_with(quotes.as_bytes()) => {
                return Some((at, expressions));
            }
            b'\n' if quotes.len() == 1 && depth == 0 => return None,
            b'\\' => at += 1,
            b'{' if depth == 0 && rest.starts_with(b"{{") => at += 1,
            b'{' => {
                if depth == 0 {
                    start = at + 1;
                }
                depth += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    expressions.push(start..at);
                }
            }
            quote @ (b'"' | b'\'') if depth > 0 => {
                let length = if rest.starts_with(&[quote; 3]) { 3 } else { 1 };
                let (inner, content) = text[at..].split_at(length);
                // A format, such as `:">8`, can contain a quote that no other one closes.
                if let Some(end) = end_of_text(content, inner) {
                    at += length + end + length - 1;
                }
            }
            _ => {}
        }
        at += 1;
        if at > bytes.len() {
            return None;
        }
    }
}

/// The ranges of the expressions in the content of an f-string.
pub fn expressions(content: &str) -> Vec<Range<usize>> {
    // No string contains these characters.
    let quotes = "\0\0\0";
    let found = template(&[content, quotes].concat(), quotes);
    found
        .map(|(_, expressions)| expressions)
        .unwrap_or_default()
}
