//! Parses a file to statements, and finds what its names stand for.

use std::collections::HashMap;

use super::Note;
use super::files::Source;
use crate::python::{self, Lines, Token};

/// How deep f-strings may be inside each other.
const MAX_NESTED: usize = 4;

/// The longest dotted path that is followed, in bytes. `x = x.y` makes it longer each time.
const MAX_PATH: usize = 128;

/// A simple statement, the header of a block, or an expression of an f-string.
pub struct Statement<'a> {
    pub indent: usize,
    pub tokens: Vec<Token<'a>>,
    /// The line of each token, counted from 1.
    pub lines: Vec<usize>,
}

/// A file.
pub struct Module<'a> {
    pub source: &'a Source,
    pub statements: Vec<Statement<'a>>,
    /// What a name stands for: a dotted path, which begins with a dot if the name is defined in a scanned file. `()`
    /// stands for the result of a call. The parentheses of a `Config` of starlette contain its prefix.
    pub names: HashMap<&'a str, String>,
    /// The modules whose names are all imported.
    pub wildcards: Vec<String>,
    /// The texts of the module's constants. Empty for a name that is assigned more than once, or that has no text.
    pub constants: HashMap<&'a str, String>,
}

impl<'a> Module<'a> {
    /// Parses a file. What cannot be parsed becomes a note.
    pub fn parse(source: &'a Source, notes: &mut Vec<Note>) -> Self {
        let mut statements = Vec::new();
        let skipped = split(&source.text, 1, 0, &mut statements);
        if let Some((line, reason)) = skipped {
            notes.push(Note {
                file: source.file.clone(),
                line: Some(line),
                text: format!("the file {reason}, so variables that it reads may be missing here"),
            });
        }
        let mut module = Self {
            source,
            statements: Vec::new(),
            names: HashMap::new(),
            wildcards: Vec::new(),
            constants: HashMap::new(),
        };
        for statement in &statements {
            module.bind(&statement.tokens, statement.indent == 0);
        }
        module.statements = statements;
        module
    }

    /// The dotted path of a name that this module defines.
    pub fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.source.module)
    }

    /// Records the names that a statement binds.
    fn bind(&mut self, tokens: &[Token<'a>], is_outer: bool) {
        match tokens {
            [Token::Name("import"), rest @ ..] => self.import(rest),
            [Token::Name("from"), rest @ ..] => self.import_from(rest),
            [Token::Name("class" | "def"), Token::Name(name), ..]
            | [Token::Name("async"), _, Token::Name(name), ..] => {
                let path = self.own(name);
                self.define(name, path, is_outer);
            }
            [Token::Name(name), Token::Operator("=" | ":"), ..] => {
                if let Some(at) = find(tokens, "=") {
                    self.assign(name, &tokens[at + 1..], is_outer);
                }
            }
            _ => {}
        }
    }

    /// Binds a name. Inside of a block, no name of the module is replaced, because it may be another one.
    fn define(&mut self, name: &'a str, path: String, is_outer: bool) {
        if path.len() > MAX_PATH {
            return;
        }
        if is_outer {
            self.names.insert(name, path);
        } else {
            self.names.entry(name).or_insert(path);
        }
    }

    fn assign(&mut self, name: &'a str, value: &[Token<'a>], is_outer: bool) {
        if is_outer {
            let text = literal(value).filter(|_| !self.constants.contains_key(name));
            self.constants.insert(name, text.unwrap_or_default());
        }
        let Some((path, end)) = dotted(value, 0) else {
            return;
        };
        let path = self.expand(&path);
        match value.get(end) {
            None => self.define(name, path, is_outer),
            Some(Token::Operator("(")) if closing(value, end) + 1 == value.len() => {
                let arguments = arguments(value, end);
                let prefix = argument(&arguments, usize::MAX, &["env_prefix"]);
                let prefix = prefix.and_then(literal).unwrap_or_default();
                self.define(name, format!("{path}({prefix})"), is_outer);
            }
            Some(_) => {}
        }
    }

    /// The path with its first name replaced by what it stands for in this module so far.
    pub fn expand(&self, path: &str) -> String {
        let first = path.split('.').next().unwrap_or_default();
        match self.names.get(first) {
            Some(target) => [target, &path[first.len()..]].concat(),
            None => path.to_owned(),
        }
    }

    /// `import a.b, c as d`.
    fn import(&mut self, tokens: &[Token<'a>]) {
        for item in tokens.split(|token| *token == Token::Operator(",")) {
            let Some((path, end)) = dotted(item, 0) else {
                continue;
            };
            match item[end..] {
                [Token::Name("as"), Token::Name(name)] => {
                    self.names.insert(name, path);
                }
                _ => {
                    if let Token::Name(first) = item[0] {
                        self.names.insert(first, first.to_owned());
                    }
                }
            }
        }
    }

    /// `from .a import (b, c as d)`.
    fn import_from(&mut self, tokens: &[Token<'a>]) {
        let dots = tokens.iter().take_while(|token| is_operator(token, "."));
        let dots = dots.count();
        let (path, end) = dotted(tokens, dots).unwrap_or((String::new(), dots));
        let mut base = String::new();
        if dots > 0 {
            let mut parts: Vec<&str> = self.source.module.split('.').collect();
            let above = dots - usize::from(self.source.is_package);
            parts.truncate(parts.len().saturating_sub(above).max(1));
            base = parts.join(".");
        }
        let base = match (dots, path.as_str()) {
            (0, _) => path,
            (_, "") => base,
            _ => format!("{base}.{path}"),
        };
        let [Token::Name("import"), items @ ..] = &tokens[end..] else {
            return;
        };
        for item in items.split(|token| matches!(token, Token::Operator("," | "(" | ")"))) {
            match *item {
                [Token::Operator("*")] => self.wildcards.push(base.clone()),
                [Token::Name(name)] | [Token::Name(name), Token::Name("as"), Token::Name(_)] => {
                    let bound = match item.last() {
                        Some(Token::Name(bound)) => bound,
                        _ => name,
                    };
                    self.names.insert(bound, format!("{base}.{name}"));
                }
                _ => {}
            }
        }
    }
}

/// Splits a text to statements. Each expression of an f-string becomes a statement of its own. Returns the line and the
/// reason of the first thing that cannot be read.
fn split<'a>(
    text: &'a str,
    first_line: usize,
    nested: usize,
    statements: &mut Vec<Statement<'a>>,
) -> Option<(usize, String)> {
    let mut lines = Lines::tolerant(text);
    let (mut line, mut counted) = (first_line, 0);
    while let Ok(Some(logical)) = lines.next() {
        let mut inner = Vec::new();
        let mut statement = Statement {
            indent: logical.indent,
            tokens: Vec::new(),
            lines: Vec::new(),
        };
        let places = logical.places.iter();
        for (token, place) in logical.tokens.into_iter().zip(places) {
            line += text[counted..*place].matches('\n').count();
            counted = *place;
            if is_operator(&token, ";") {
                let next = Statement {
                    tokens: Vec::new(),
                    lines: Vec::new(),
                    ..statement
                };
                statements.push(std::mem::replace(&mut statement, next));
                continue;
            }
            if let Token::Text(_, content) = token
                && token.is_template()
                && nested < MAX_NESTED
            {
                for range in python::expressions(content) {
                    let before = content[..range.start].matches('\n').count();
                    let mut found = Vec::new();
                    split(&content[range], line + before, nested + 1, &mut found);
                    inner.extend(found);
                }
            }
            statement.tokens.push(token);
            statement.lines.push(line);
        }
        let indent = statement.indent;
        statements.push(statement);
        statements.extend(inner.into_iter().map(|inner| Statement { indent, ..inner }));
    }
    let (place, reason) = lines.skipped?;
    Some((first_line + text[..place].matches('\n').count(), reason))
}

pub fn is_operator(token: &Token<'_>, operator: &str) -> bool {
    matches!(token, Token::Operator(other) if *other == operator)
}

/// The dotted path that begins at this token, and the position behind it.
pub fn dotted(tokens: &[Token<'_>], at: usize) -> Option<(String, usize)> {
    let Some(Token::Name(first)) = tokens.get(at) else {
        return None;
    };
    if *first == "import" {
        return None;
    }
    let (mut path, mut end) = ((*first).to_owned(), at + 1);
    while let [Token::Operator("."), Token::Name(name), ..] = tokens[end..] {
        path.push('.');
        path += name;
        end += 2;
    }
    Some((path, end))
}

/// How the brackets of a token change the depth.
fn change(token: &Token<'_>) -> isize {
    match token {
        Token::Operator("(" | "[" | "{") => 1,
        Token::Operator(")" | "]" | "}") => -1,
        _ => 0,
    }
}

/// The position of the bracket that closes the one at this position, or the number of tokens if there is none.
pub fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    let closes = |token: &Token<'_>| {
        depth += change(token);
        depth <= 0
    };
    let length = tokens[open..].iter().position(closes);
    length.map_or(tokens.len(), |length| open + length)
}

/// The position of the first operator outside of brackets.
pub fn find(tokens: &[Token<'_>], operator: &str) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().position(|token| {
        depth += change(token);
        depth == 0 && is_operator(token, operator)
    })
}

/// The parts between this operator, outside of brackets. An empty last part is left out.
pub fn parts<'t, 'a>(mut tokens: &'t [Token<'a>], operator: &str) -> Vec<&'t [Token<'a>]> {
    let mut parts = Vec::new();
    while let Some(at) = find(tokens, operator) {
        parts.push(&tokens[..at]);
        tokens = &tokens[at + 1..];
    }
    if !tokens.is_empty() {
        parts.push(tokens);
    }
    parts
}

/// An argument of a call: its name, if it has one, and its value.
pub type Argument<'t, 'a> = (Option<&'a str>, &'t [Token<'a>]);

/// The arguments of the call whose parenthesis is at this position, or the items in a bracket.
pub fn arguments<'t, 'a>(tokens: &'t [Token<'a>], open: usize) -> Vec<Argument<'t, 'a>> {
    let inside = tokens.get(open + 1..closing(tokens, open));
    let parts = parts(inside.unwrap_or_default(), ",").into_iter();
    let argument = parts.map(|part| match part {
        [Token::Name(name), Token::Operator("="), value @ ..] => (Some(*name), value),
        _ => (None, part),
    });
    argument.collect()
}

/// The value of the argument at this position, or with one of these names.
pub fn argument<'t, 'a>(
    arguments: &[Argument<'t, 'a>],
    position: usize,
    names: &[&str],
) -> Option<&'t [Token<'a>]> {
    let is_named = |(name, _): &&Argument<'t, 'a>| name.is_some_and(|name| names.contains(&name));
    let unnamed = arguments.get(position).filter(|(name, _)| name.is_none());
    let found = unnamed.or_else(|| arguments.iter().find(is_named));
    found.map(|(_, value)| *value)
}

/// The text of a string literal, or of several without anything between them.
pub fn literal(tokens: &[Token<'_>]) -> Option<String> {
    let tokens = match tokens {
        [Token::Operator("("), inside @ .., Token::Operator(")")] => inside,
        _ => tokens,
    };
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Text(_, content) if !token.is_template() && !content.contains('\\') => {
                text += content;
            }
            _ => return None,
        }
    }
    (!tokens.is_empty()).then_some(text)
}
