//! References that somebody should have replaced before they came here.

/// What kind of reference a value holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// Railway's `${{…}}`, with the service that it asks for where it names one that can be shown, and
    /// whether it is the whole value.
    Railway {
        service: Option<&'a str>,
        is_whole: bool,
    },
    /// GitHub's `${{ secrets.X }}`.
    Workflow,
    /// `${X}` as a whole.
    Shell,
    /// `{{x}}` as a whole.
    Template,
}

/// The contexts of a workflow's expressions.
const CONTEXTS: [&str; 9] = [
    "secrets", "vars", "env", "github", "inputs", "steps", "needs", "matrix", "job",
];

/// A longer name is none of a service.
const MAX_SERVICE: usize = 40;

/// The reference in a value, if that is why it is a placeholder.
pub fn of(value: &str) -> Option<Reference<'_>> {
    let value = value.trim().trim_matches(['"', '\'']).trim();
    if let Some((before, inside, after)) = braced(value, "${{", "}}") {
        let inside = inside.trim();
        let is_whole = before.is_empty() && after.is_empty();
        let Some((service, name)) = inside.split_once('.') else {
            return Some(Reference::Railway {
                service: None,
                is_whole,
            });
        };
        if CONTEXTS.contains(&service) {
            return Some(Reference::Workflow);
        }
        let service = Some(service).filter(|service| is_service(service) && is_name(name));
        return Some(Reference::Railway { service, is_whole });
    }
    let is_whole = |open, close| {
        braced(value, open, close)
            .is_some_and(|(before, _, after)| before.is_empty() && after.is_empty())
    };
    if is_whole("${", "}") {
        Some(Reference::Shell)
    } else {
        is_whole("{{", "}}").then_some(Reference::Template)
    }
}

/// The text before, within and behind the first pair.
fn braced<'a>(value: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = value.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

/// Whether a text looks like the name of a service. Whatever else stands there may be anything.
fn is_service(text: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || matches!(other, '-' | '_' | ' ');
    text.len() <= MAX_SERVICE
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(is_part)
        && text.trim() == text
}

/// Names of variables on both sides of the dot are in upper case nearly always.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{Reference, of};

    #[test]
    fn references_are_told_apart_and_only_a_services_name_is_taken() {
        let railway = |service, is_whole| Some(Reference::Railway { service, is_whole });
        for (value, expected) in [
            (
                "${{Postgres.DATABASE_URL}}",
                railway(Some("Postgres"), true),
            ),
            (
                "\"${{ Postgres-aBcD.DATABASE_URL }}\"",
                railway(Some("Postgres-aBcD"), true),
            ),
            ("${{shared.KEY}}", railway(Some("shared"), true)),
            ("${{KEY}}", railway(None, true)),
            (
                "postgresql://u:p@h/${{Postgres.DATABASE_URL}}",
                railway(Some("Postgres"), false),
            ),
            ("${{s3cr3t:x/y.KEY}}", railway(None, true)),
            ("${{Postgres.not a name}}", railway(None, true)),
            ("${{ secrets.DATABASE_URL }}", Some(Reference::Workflow)),
            ("${DATABASE_URL}", Some(Reference::Shell)),
            ("{{ db_url }}", Some(Reference::Template)),
            ("changeme", None),
            ("<your key>", None),
            ("a ${X} b", None),
        ] {
            assert_eq!(of(value), expected, "{value}");
        }
    }
}
