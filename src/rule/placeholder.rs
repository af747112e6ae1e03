//! Values that somebody meant to replace. They count as missing.

use super::strip_wrapping;

/// From so many repetitions on, one repeated character is no value.
const REPETITIONS: usize = 8;

/// Whether a value is a placeholder: an unresolved reference, a template's gap, or a text such as
/// `change-me`.
pub fn is_placeholder(value: &str) -> bool {
    let whole = strip_wrapping(value);
    contains_reference(value) || is_gap(whole) || is_repeated(whole) || is_phrase(whole)
}

/// `${{…}}` anywhere: a platform's reference that was not resolved.
fn contains_reference(value: &str) -> bool {
    value
        .find("${{")
        .is_some_and(|start| value[start..].contains("}}"))
}

/// `{{x}}`, `${X}` or `<…>` as the whole value. `<a@b>` is a mailbox.
fn is_gap(value: &str) -> bool {
    let wrapped = |open, close| {
        value
            .strip_prefix(open)
            .and_then(|rest: &str| rest.strip_suffix(close))
    };
    wrapped("{{", "}}").is_some_and(|inside| !inside.contains(['{', '}']))
        || wrapped("${", "}").is_some_and(|inside| !inside.contains(['{', '}']))
        || wrapped("<", ">").is_some_and(|inside| !inside.contains(['@', '<', '>']))
}

fn is_repeated(value: &str) -> bool {
    let mut characters = value.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    let mut count = 1;
    for character in characters {
        if character != first {
            return false;
        }
        count += 1;
    }
    count >= REPETITIONS
}

/// `changeme` anywhere, or `your…here`, whatever the case and the separators.
fn is_phrase(value: &str) -> bool {
    let kept = value
        .chars()
        .filter(|character| !matches!(character, '-' | '_' | ' '));
    let text: String = kept.flat_map(char::to_lowercase).collect();
    text.contains("changeme") || text.starts_with("your") && text.contains("here")
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn values_that_were_meant_to_be_replaced_are_placeholders() {
        for value in [
            "${{Postgres.DATABASE_URL}}",
            "postgresql://example/${{shared.X}}",
            "{{ secret }}",
            "${DATABASE_URL}",
            "<your key>",
            "<insert>",
            "changeme",
            "Change-Me",
            "CHANGE_ME_please_1234567890",
            "please change me",
            "exchange-memory",
            "your-api-key-here",
            "YOUR SECRET goes here",
            "xxxxxxxx",
            "00000000000000",
            "\"changeme\"",
            "'<token>' ",
        ] {
            assert!(is_placeholder(value), "{value} is a placeholder");
        }
    }

    #[test]
    fn values_that_only_look_like_one_are_values() {
        for value in [
            "<noreply@example.com>",
            "INTOWORK <noreply@example.com>",
            "xxxxxxx",
            "yourself",
            "there are yours",
            "${A}${B}",
            "a ${X} b",
            "{{a}}{{b}}",
            "$PORT",
            "",
        ] {
            assert!(!is_placeholder(value), "{value} is a value");
        }
    }
}
