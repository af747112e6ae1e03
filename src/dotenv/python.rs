//! The dialect of the library python-dotenv: quotes, escapes, comments, and `${NAME}`, which is expanded even in single
//! quotes.

use super::cursor::{
    Assignment, COLON, Cursor, LineResult, NO_NAME, Rules, UNTERMINATED, WHITE_SPACE_IN_NAME,
    escape, unescaped,
};

pub const RULES: Rules = Rules {
    line_breaks: &['\n', '\r'],
    is_space: |character| character.is_whitespace() && !matches!(character, '\n' | '\r'),
    is_own_first: true,
    assignment,
};

const TEXT_AFTER_VALUE: &str = "has text after its value; python-dotenv drops such a line";

fn assignment<'a>(cursor: &mut Cursor<'a, '_>) -> LineResult<Assignment<'a>> {
    cursor.skip_export();
    if cursor.rest.starts_with('#') {
        cursor.take_line();
        return Ok(None);
    }
    let name = name(cursor)?;
    cursor.skip_space();
    let raw = cursor.take_char('=').then(|| value(cursor)).transpose()?;
    cursor.skip_space();
    let after = cursor.take_line();
    if !after.is_empty() && !after.starts_with('#') {
        return Err(match raw {
            Some(_) => TEXT_AFTER_VALUE,
            None if name.ends_with(':') => COLON,
            None => WHITE_SPACE_IN_NAME,
        });
    }
    if raw.is_none() {
        // python-dotenv expands a reference to such a name to nothing, even if the reference has a default.
        cursor.values.insert(name.to_owned(), String::new());
    }
    let value = raw.map(|raw| expanded(cursor, &raw)).transpose()?;
    Ok(Some((name, value)))
}

fn name<'a>(cursor: &mut Cursor<'a, '_>) -> LineResult<&'a str> {
    if let Some(after) = cursor.rest.strip_prefix('\'') {
        let quoted = after.split_once('\'').map(|(name, _)| name);
        let name = quoted.filter(|name| !name.is_empty()).ok_or(UNTERMINATED)?;
        cursor.take(name.len() + 2);
        return Ok(name);
    }
    let name = cursor.take_until(|other| matches!(other, '=' | '#') || other.is_whitespace());
    Some(name).filter(|name| !name.is_empty()).ok_or(NO_NAME)
}

/// A value with its escapes decoded and its references unexpanded.
fn value(cursor: &mut Cursor<'_, '_>) -> LineResult<String> {
    // A `#` after white space begins a comment.
    let is_comment = cursor.skip_space() && cursor.rest.starts_with('#');
    let (quote, letters) = match cursor.rest.chars().next() {
        Some('\'') => ('\'', "\\'"),
        Some('"') => ('"', "\\'\"abfnrtv"),
        _ if is_comment => return Ok(String::new()),
        _ => {
            let raw = cursor.take_line();
            let mut before_signs = raw.match_indices('#').map(|(at, _)| &raw[..at]);
            let before_comment = before_signs.find(|text| text.ends_with(char::is_whitespace));
            return Ok(before_comment.unwrap_or(raw).trim_end().to_owned());
        }
    };
    let raw = cursor.take_quoted(quote)?;
    Ok(unescaped(raw, |after, value| {
        let letter = after.chars().next().filter(|&next| letters.contains(next));
        value.extend(letter.map(escape));
        letter.map_or(0, char::len_utf8)
    }))
}

/// Expands `${NAME}` and `${NAME:-text}`, where NAME and text may contain any characters except `}`. Every other `$` is
/// kept.
fn expanded(cursor: &Cursor<'_, '_>, text: &str) -> LineResult<String> {
    let mut value = String::new();
    // No reference ends after the last brace. It is searched for only once, so that the time is linear.
    let (mut rest, tail) = text.split_at(text.rfind('}').map_or(0, |last| last + 1));
    while let Some((before, inside)) = rest.split_once("${") {
        value += cursor.budget.spend(before)?;
        let (name, after) = split_before(inside, &['}', ':']);
        let default = after.strip_prefix(":-");
        let default = default.map(|text| split_before(text, &['}']));
        let after = default.map_or(after, |(_, after)| after);
        rest = if let Some(after) = after.strip_prefix('}') {
            let resolved = || cursor.resolve(name);
            let found = default.map_or_else(resolved, |(text, _)| cursor.get(name).unwrap_or(text));
            value += cursor.budget.spend(found)?;
            after
        } else {
            // This is not a reference. A `${` within `name` is not one either, because it would end at the same
            // character.
            value += cursor.budget.spend("${")?;
            value += cursor.budget.spend(name)?;
            after
        };
    }
    value += cursor.budget.spend(rest)?;
    value += cursor.budget.spend(tail)?;
    Ok(value)
}

/// Splits a text before its first separator. Without a separator the second part is empty.
fn split_before<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(separators).unwrap_or(text.len()))
}
