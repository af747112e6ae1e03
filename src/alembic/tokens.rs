//! The tokens of Python's source text, as far as they are needed to find assignments without running anything.

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

const UNBALANCED: &str = "has unbalanced brackets";
const UNTERMINATED: &str = "has an unterminated string";

/// A token of a logical line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// A string literal: its prefix, and the text between its quotes as it is written.
    Text(&'a str, &'a str),
    Number,
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
    /// The number of tabs and spaces before the first token. Python accepts only files in which tabs and spaces are
    /// mixed in such a way that this number tells the blocks apart.
    pub indent: usize,
    /// At least one token.
    pub tokens: Vec<Token<'a>>,
}

/// Splits a text without carriage returns into logical lines.
pub struct Lines<'a> {
    rest: &'a str,
}

/// What stops the reading. A clause that follows the name of the file.
pub type Reason = String;

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next logical line. Blank lines and lines with only a comment are skipped.
    pub fn next(&mut self) -> Result<Option<Line<'a>>, Reason> {
        let mut tokens = Vec::new();
        // How many brackets are open.
        let (mut indent, mut depth) = (0, 0_usize);
        loop {
            let space = self.take_while(|next| next == ' ' || next == '\t');
            if tokens.is_empty() {
                indent = space.len();
            }
            let Some(first) = self.rest.chars().next() else {
                break;
            };
            match first {
                '\n' => {
                    self.take(1);
                    if depth == 0 && !tokens.is_empty() {
                        break;
                    }
                }
                '#' => drop(self.take_while(|next| next != '\n')),
                // The indentation of such a line is read differently by different versions of Python.
                '\\' if tokens.is_empty() => {
                    return Err("has a line that begins with a backslash".to_owned());
                }
                '\\' if self.rest.starts_with("\\\n") => drop(self.take(2)),
                '"' | '\'' => tokens.push(self.text("")?),
                'a'..='z' | 'A'..='Z' | '_' => {
                    let name = self.take_while(|next| next.is_ascii_alphanumeric() || next == '_');
                    // No keyword consists of these letters.
                    let is_prefix = name.len() <= 2 && name.trim_matches(PREFIXES).is_empty();
                    tokens.push(if is_prefix && self.rest.starts_with(['"', '\'']) {
                        self.text(name)?
                    } else {
                        Token::Name(name)
                    });
                }
                '0'..='9' => {
                    self.take_while(|next| next.is_ascii_alphanumeric() || "_.".contains(next));
                    tokens.push(Token::Number);
                }
                '!'..='~' => {
                    let is_long =
                        "=!<>:+-*/%&|^@".contains(first) && self.rest[1..].starts_with('=');
                    let operator = self.take(1 + usize::from(is_long));
                    match first {
                        '(' | '[' | '{' => depth += 1,
                        ')' | ']' | '}' => depth = depth.checked_sub(1).ok_or(UNBALANCED)?,
                        _ => {}
                    }
                    tokens.push(Token::Operator(operator));
                }
                // Python folds other letters in names: a name can be `revision` without looking like it.
                _ => return Err("has an unusual character outside of strings".to_owned()),
            }
        }
        if depth > 0 {
            return Err(UNBALANCED.to_owned());
        }
        Ok((!tokens.is_empty()).then_some(Line { indent, tokens }))
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

    /// Takes a string literal whose prefix is already taken.
    fn text(&mut self, prefix: &'a str) -> Result<Token<'a>, Reason> {
        let long = ["\"\"\"", "'''"];
        let is_long = long.iter().any(|quotes| self.rest.starts_with(quotes));
        let quotes = self.take(if is_long { 3 } else { 1 });
        // Quotes, backslashes and line breaks are ASCII, so they are no part of another character.
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while !bytes[end..].starts_with(quotes.as_bytes()) {
            match bytes.get(end) {
                Some(b'\\') if end + 1 < bytes.len() => end += 2,
                Some(b'\\') | None => return Err(UNTERMINATED.to_owned()),
                Some(b'\n') if !is_long => return Err(UNTERMINATED.to_owned()),
                Some(_) => end += 1,
            }
        }
        let content = self.take(end);
        self.take(quotes.len());
        let token = Token::Text(prefix, content);
        if token.is_template() && !READABLE.is_match(content) {
            return Err("has an f-string that versions of Python read differently".to_owned());
        }
        Ok(token)
    }
}
