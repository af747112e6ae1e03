//! Recognises placeholders: texts that stand for a value that is not set yet.

use super::strip_wrapping;

/// The minimum length of a value of one repeated character, such as `xxxxxxxx`, that counts as a placeholder.
const REPETITIONS: usize = 8;

/// The delimiters around a placeholder, and the characters that it cannot contain: `<a@b>` is a mailbox.
const GAPS: [(&str, &str, &[char]); 3] = [
    ("{{", "}}", &['{', '}']),
    ("${", "}", &['{', '}']),
    ("<", ">", &['@', '<', '>']),
];

/// Whether a value is a placeholder, which counts as missing: it contains an unresolved reference of a platform
/// (`${{…}}`), or is a template's placeholder such as `<password>`, one repeated character, or a text such as
/// `change-me`.
pub fn is_placeholder(value: &str) -> bool {
    let whole = strip_wrapping(value);
    let reference = value.split_once("${{");
    let is_reference = reference.is_some_and(|(_, rest)| rest.contains("}}"));
    let is_gap = GAPS.iter().any(|(open, close, outside)| {
        let rest = whole.strip_prefix(open);
        let inside = rest.and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.contains(*outside))
    });
    let first = whole.chars().next();
    let is_repeated =
        whole.chars().all(|other| Some(other) == first) && whole.chars().count() >= REPETITIONS;
    is_reference || is_gap || is_repeated || is_phrase(whole)
}

/// Whether a value contains `changeme`, or begins with `your` and contains `here`. Ignores case and the separators `-`,
/// `_` and space.
fn is_phrase(value: &str) -> bool {
    let mut text = value.to_lowercase();
    text.retain(|other| !"-_ ".contains(other));
    text.contains("changeme") || text.starts_with("your") && text.contains("here")
}
