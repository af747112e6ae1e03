//! The dialect of docker compose v2, as its Go library parses it: quotes, escapes, comments, and references with
//! defaults.

use super::cursor::{
    Assignment, Cursor, LineResult, NO_NAME, Rules, WHITE_SPACE_IN_NAME, escape, unescaped,
};

pub const RULES: Rules = Rules {
    line_breaks: &['\n'],
    is_space: |character| "\t\u{b}\u{c}\r \u{85}\u{a0}".contains(character),
    is_own_first: false,
    assignment,
};

/// How deeply `${A:-${B:-…}}` may be nested.
const MAX_DEPTH: usize = 16;

const INVALID: &str = "has an invalid `${` reference, which compose refuses; write `$$` for a literal `$`, put the value in single quotes, or, for Railway's `${{…}}`, use --dialect kv";
const REQUIRED: &str = "has a `${NAME:?…}` whose variable is not set";
const NAME_CHARACTER: &str = "has a character in its name that compose refuses";
const TOO_DEEP: &str = "nests its `${…}` more than 16 levels deep";
const NO_LINE_BREAK: &str =
    "has no `=` and no line break at its end, so that compose reads it as a value without a name";

fn assignment<'a>(cursor: &mut Cursor<'a, '_>) -> LineResult<Assignment<'a>> {
    if cursor.rest.starts_with('#') {
        cursor.take_line();
        return Ok(None);
    }
    cursor.skip_export();
    let name = cursor.take_until(|other| matches!(other, '=' | ':' | '\n'));
    let name = name.trim_end();
    let is_refused = |other| !(RULES.is_space)(other) && !is_name_character(other);
    match cursor.rest.chars().next() {
        _ if name.contains(is_refused) => Err(NAME_CHARACTER),
        None => Err(NO_LINE_BREAK),
        Some('=' | ':') if name.is_empty() => Err(NO_NAME),
        _ if name.contains(' ') => Err(WHITE_SPACE_IN_NAME),
        _ if cursor.take_char('=') || cursor.take_char(':') => {
            Ok(Some((name, Some(value(cursor)?))))
        }
        _ => Ok(Some((name, None))),
    }
}

fn value(cursor: &mut Cursor<'_, '_>) -> LineResult<String> {
    cursor.skip_space();
    if cursor.rest.starts_with('\'') {
        return Ok(cursor.take_quoted('\'')?.replace("\\'", "'"));
    }
    if cursor.rest.starts_with('"') {
        let raw = cursor.take_quoted('"')?;
        return expanded(cursor, &unescaped(raw, decode), 0);
    }
    let raw = cursor.take_line().split(" #").next().unwrap_or_default();
    expanded(cursor, raw.trim_end(), 0)
}

/// Decodes an escape in double quotes. `\$` becomes `$$`, which the expansion replaces with `$`. An octal escape needs
/// three digits after its zero (`\0123` becomes `S`); with fewer, only the zero is removed.
fn decode(after: &str, value: &mut String) -> usize {
    match after.chars().next() {
        Some('$') => value.push_str("$$"),
        Some('0') => {
            let digits = after[1..].bytes().take(3).take_while(u8::is_ascii_digit);
            let length = 1 + digits.count();
            match u8::from_str_radix(&after[1..length], 8) {
                Ok(code) if length == 4 => value.push(char::from(code)),
                _ => value.extend(["\\", &after[1..length]]),
            }
            return length;
        }
        Some(letter) if "abfnrtv\"\\".contains(letter) => value.push(escape(letter)),
        _ => return 0,
    }
    1
}

/// Expands `$$` and references, such as `$NAME`, `${NAME}` and `${NAME:-text}`. Every other `$` is kept, except that `${`
/// must begin a reference.
fn expanded(cursor: &Cursor<'_, '_>, text: &str, depth: usize) -> LineResult<String> {
    if depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        value += cursor.budget.spend(before)?;
        rest = if let Some(inside) = after.strip_prefix('{') {
            let end = closing_brace(inside).ok_or(INVALID)?;
            value += &replacement(cursor, &inside[..end], depth)?;
            &inside[end + 1..]
        } else {
            let name = name_at(after);
            let found = (!name.is_empty()).then(|| cursor.resolve(name));
            value += cursor.budget.spend(found.unwrap_or("$"))?;
            after.strip_prefix('$').unwrap_or(&after[name.len()..])
        };
    }
    value += cursor.budget.spend(rest)?;
    Ok(value)
}

/// The replacement for a reference, given the text between its braces.
fn replacement(cursor: &Cursor<'_, '_>, inside: &str, depth: usize) -> LineResult<String> {
    let name = name_at(inside);
    let operation = &inside[name.len()..];
    if name.is_empty() {
        return Err(INVALID);
    }
    if operation.is_empty() {
        return Ok(cursor.budget.spend(cursor.resolve(name))?.to_owned());
    }
    let unless_empty = operation.strip_prefix(':');
    let operation = unless_empty.unwrap_or(operation);
    let text = operation.strip_prefix(['-', '+', '?']).ok_or(INVALID)?;
    let found = cursor.get(name);
    let found = found.filter(|found| unless_empty.is_none() || !found.is_empty());
    // The text is expanded even if it is not used, so it must be valid.
    let was_lossy = cursor.is_lossy.get();
    let text = expanded(cursor, text, depth + 1)?;
    match (&operation[..1], found) {
        ("-", None) | ("+", Some(_)) => return Ok(text),
        ("?", None) => return Err(REQUIRED),
        _ => cursor.is_lossy.set(was_lossy),
    }
    Ok(cursor.budget.spend(found.unwrap_or_default())?.to_owned())
}

fn is_name_character(character: char) -> bool {
    matches!(character, '_' | '.' | '-' | '[' | ']') || character.is_alphanumeric()
}

/// The name that a text begins with, or an empty text.
fn name_at(text: &str) -> &str {
    let end = text.find(|other: char| !other.is_ascii_alphanumeric() && other != '_');
    let name = &text[..end.unwrap_or(text.len())];
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit());
    if is_name { name } else { "" }
}

/// The position of the brace in `inside` that closes a brace before it, as compose finds it: it skips the character after
/// each further `{`, does not leave the line, and takes the last brace if none closes.
fn closing_brace(inside: &str) -> Option<usize> {
    let line = inside.split('\n').next().unwrap_or_default();
    let (mut open, mut skipped) = (1, usize::MAX);
    let mut braces = line.match_indices(['{', '}']);
    let closing = braces.find(|&(at, brace)| {
        match brace {
            _ if at == skipped => {}
            "}" => open -= 1,
            _ => (open, skipped) = (open + 1, at + 1),
        }
        open == 0
    });
    closing.map(|(at, _)| at).or_else(|| line.rfind('}'))
}
