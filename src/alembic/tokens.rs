//! The tokens of Python's source text, as far as they are needed to find assignments without running anything.

/// The deepest nesting of brackets. Python itself refuses more.
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
        let Some(indent) = self.skip_to_statement() else {
            return Ok(None);
        };
        // The indentation of such a line is read differently by different versions of Python.
        if self.rest.starts_with('\\') {
            return Err("has a line that begins with a backslash".to_owned());
        }
        let (mut tokens, mut open) = (Vec::new(), Vec::new());
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            let Some(first) = self.rest.chars().next() else {
                break;
            };
            match first {
                '\n' => {
                    self.take(1);
                    if open.is_empty() {
                        break;
                    }
                }
                '#' => self.skip_comment(),
                '\\' if self.rest.starts_with("\\\n") => drop(self.take(2)),
                '"' | '\'' => tokens.push(self.text("")?),
                'a'..='z' | 'A'..='Z' | '_' => {
                    let name = self.take_while(|next| next.is_ascii_alphanumeric() || next == '_');
                    let is_prefix = self.rest.starts_with(['"', '\'']) && is_prefix(name);
                    tokens.push(if is_prefix {
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
                        '(' => open.push(")"),
                        '[' => open.push("]"),
                        '{' => open.push("}"),
                        ')' | ']' | '}' if open.pop() != Some(operator) => {
                            return Err(UNBALANCED.to_owned());
                        }
                        _ => {}
                    }
                    if open.len() > MAX_DEPTH {
                        return Err("nests its brackets too deeply".to_owned());
                    }
                    tokens.push(Token::Operator(operator));
                }
                // Python folds other letters in names: a name can be `revision` without looking like it.
                _ => return Err("has an unusual character outside of strings".to_owned()),
            }
        }
        if open.is_empty() {
            Ok(Some(Line { indent, tokens }))
        } else {
            Err(UNBALANCED.to_owned())
        }
    }

    /// Skips blank lines and comments. Returns the indentation of the line that follows.
    fn skip_to_statement(&mut self) -> Option<usize> {
        loop {
            let indent = self.take_while(|next| next == ' ' || next == '\t').len();
            match self.rest.chars().next()? {
                '\n' => drop(self.take(1)),
                '#' => self.skip_comment(),
                _ => return Some(indent),
            }
        }
    }

    fn skip_comment(&mut self) {
        self.take_while(|next| next != '\n');
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
        if token.is_template() && !is_readable(content) {
            return Err("has an f-string that versions of Python read differently".to_owned());
        }
        Ok(token)
    }
}

fn is_prefix(name: &str) -> bool {
    let prefixes = ["r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"];
    prefixes
        .iter()
        .any(|prefix| name.eq_ignore_ascii_case(prefix))
}

/// Whether every version of Python ends an f-string with this content at the same quotes. Since version 3.12, its
/// expressions can contain these quotes, too.
fn is_readable(content: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = content.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'}' if depth == 0 && bytes.next_if_eq(&byte).is_some() => {}
            b'}' if depth == 0 => return false,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b'"' | b'\'' if depth > 0 => {
                let mut inside = bytes.by_ref().take_while(|next| *next != byte);
                if inside.any(|next| b"{}\\#".contains(&next)) || bytes.peek().is_none() {
                    return false;
                }
            }
            b'\\' | b'#' | 0x80.. if depth > 0 => return false,
            _ => {}
        }
    }
    depth == 0
}
