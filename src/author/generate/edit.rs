//! Sets variables in the text of an env file, and keeps everything else.

use std::ops::Range;

use crate::dotenv::{Dialect, Entry, EnvFile, Lookup, parse};

/// A variable to set.
pub struct Change<'f> {
    pub name: String,
    /// A text that no dialect needs to quote.
    pub value: String,
    /// The entry whose value is replaced; `None` to append one.
    pub entry: Option<&'f Entry>,
}

impl Change<'_> {
    fn replaces(&self, entry: &Entry) -> bool {
        self.entry.is_some_and(|other| std::ptr::eq(other, entry))
    }
}

/// The text with the changes. `None` if the dialect would not read the new values and all other values from it, for
/// example because it does not accept a name.
pub fn edited(
    text: &str,
    file: &EnvFile,
    dialect: Dialect,
    lookup: Lookup<'_>,
    changes: &[Change<'_>],
) -> Option<String> {
    // A comment behind a value stays if that is possible.
    let attempts = [true, false].into_iter();
    let mut edited =
        attempts.map(|keeps_comments| apply(text, file, dialect, changes, keeps_comments));
    edited.find(|edited| {
        let read = parse("", edited, dialect, lookup);
        read.is_ok_and(|read| is_right(text, file, &read, changes))
    })
}

fn apply(
    text: &str,
    file: &EnvFile,
    dialect: Dialect,
    changes: &[Change<'_>],
    keeps_comments: bool,
) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut copied = 0;
    for entry in &file.entries {
        let Some(change) = changes.iter().find(|change| change.replaces(entry)) else {
            continue;
        };
        let start = entry.range.start;
        if let Some(place) = value_in(&text[entry.range.clone()], dialect, keeps_comments) {
            edited += &text[copied..start + place.start];
            edited += &change.value;
            copied = start + place.end;
        }
    }
    edited += &text[copied..];
    let line_break = if text.contains("\r\n") { "\r\n" } else { "\n" };
    for change in changes.iter().filter(|change| change.entry.is_none()) {
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited += line_break;
        }
        edited += &format!("{}={}{line_break}", change.name, change.value);
    }
    edited
}

/// The value of an entry as it is written, without a comment behind it. `None` for a name without `=`.
pub fn written<'t>(text: &'t str, entry: &Entry, dialect: Dialect) -> Option<&'t str> {
    let raw = &text[entry.range.clone()];
    Some(&raw[value_in(raw, dialect, true)?])
}

/// Where the value is in the text of an entry. A comment behind it is a part of it unless `keeps_comments` is true.
fn value_in(raw: &str, dialect: Dialect, keeps_comments: bool) -> Option<Range<usize>> {
    let is_separator = |other| other == '=' || other == ':' && dialect == Dialect::Compose;
    let after = raw.find(is_separator)? + 1;
    if matches!(dialect, Dialect::Docker | Dialect::Kv) {
        return Some(after..raw.len());
    }
    // The carriage return of an empty value belongs to the line break.
    let rest = raw[after..].trim_start_matches([' ', '\t']);
    let (start, value) = (raw.len() - rest.len(), rest.trim_end());
    let end = start + value.len();
    if !keeps_comments {
        return Some(start..end);
    }
    let comments = value.match_indices('#').map(|(at, _)| at);
    let mut comments = comments.filter(|at| value[..*at].ends_with(char::is_whitespace));
    match value.chars().next() {
        // There is only a comment: the value goes before the white space.
        Some('#') if start > after => Some(after..after),
        Some(quote @ ('"' | '\'')) => Some(start..start + value.rfind(quote)? + 1),
        _ => {
            let length = comments.next().unwrap_or(value.len());
            Some(start..start + value[..length].trim_end().len())
        }
    }
}

/// Whether the edited file has the new values, and the same other entries as before.
fn is_right(text: &str, before: &EnvFile, after: &EnvFile, changes: &[Change<'_>]) -> bool {
    let kept = before.entries.iter().map(|entry| {
        let mut changes = changes.iter();
        match changes.find(|change| change.replaces(entry)) {
            Some(change) => (&entry.name, Some(&change.value)),
            // A reference to a variable that is set now has another value.
            None if text[entry.range.clone()].contains('$') => (&entry.name, None),
            None => (&entry.name, Some(&entry.value)),
        }
    });
    let appended = changes.iter().filter(|change| change.entry.is_none());
    let appended = appended.map(|change| (&change.name, Some(&change.value)));
    let expected: Vec<_> = kept.chain(appended).collect();
    let is_same = |((name, value), entry): (&(&String, Option<&String>), &Entry)| {
        **name == entry.name && value.is_none_or(|value| *value == entry.value)
    };
    expected.len() == after.entries.len() && expected.iter().zip(&after.entries).all(is_same)
}
