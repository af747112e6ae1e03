//! Causes that are recognised by the form of a value. Values are read here but never shown.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Facts, Grounds, about, grounds};
use crate::platform::RAILWAY;
use crate::report::Code;
use crate::rule::{List, Placeholder, placeholder};
use crate::text::names;

/// The variables whose value is a placeholder, and for the reference in which `fits` returns true.
fn placeholders<'a>(facts: &Facts<'a>, fits: fn(Option<Reference<'_>>) -> bool) -> Vec<&'a str> {
    facts.found_where(Code::Placeholder, |value, _| fits(Reference::of(value)))
}

/// A value still contains a `${{Service.NAME}}`.
pub fn railway_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = placeholders(facts, |found| matches!(found, Some(Reference::Railway(_))));
    let values = variables.iter();
    let values = values.filter_map(|name| facts.environment.text(name));
    let services = values.filter_map(|value| match Reference::of(value)? {
        Reference::Railway(service) => Some(format!("\"{}\"", service?)),
        _ => None,
    });
    let services = Vec::from_iter(services.collect::<BTreeSet<String>>());
    let reason = if !facts.is_on(&RAILWAY) {
        ": only Railway replaces such a reference. Set the variable to the value itself.".to_owned()
    } else if services.is_empty() {
        ": Railway did not find the variable that it refers to. Check the name in the reference, and whether the changes of that variable are deployed.".to_owned()
    } else {
        format!(
            ", which refers to the service {}: probably this project and environment have no service with exactly that name (names are case-sensitive), or the service has no such variable. If the reference was appended to an example, remove the rest: it must be the whole value.",
            names(&services)
        )
    };
    let hold = about(&variables, "{} {holds|hold}");
    let text = format!("{hold} an unresolved `${{{{…}}}}` reference{reason}");
    (!variables.is_empty()).then_some((variables, text))
}

/// On Railway a reference to a service or variable that does not exist becomes an empty value.
pub fn empty_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    if !facts.is_on(&RAILWAY) {
        return None;
    }
    let is_empty = |name: &str| facts.environment.get(name).is_some_and(OsStr::is_empty);
    let variables = facts.missing_where(|each| is_empty(&each.name) && !facts.has_file(each));
    let sentence = "{} {is|are} set, but empty: on Railway a reference to a service or a variable that does not exist becomes an empty value. Check the names in the reference (they are case-sensitive).";
    grounds(variables, sentence)
}

pub fn workflow_expression<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = placeholders(facts, |found| found == Some(Reference::Workflow));
    let sentence = "{} {holds|hold} an expression of a GitHub workflow, which is only evaluated in the workflow. Pass the value from the workflow to the service.";
    grounds(variables, sentence)
}

/// Kubernetes replaces only references to what stands before them.
pub fn ordered_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = placeholders(facts, |found| found == Some(Reference::Kubernetes));
    let sentence = "{} {holds|hold} an unresolved `$(…)` reference: Kubernetes only replaces references to variables that stand before {it|them} in the container's list `env`, and nothing else replaces them. Define those variables first.";
    grounds(variables, sentence)
}

pub fn other_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = placeholders(facts, |found| found == Some(Reference::Other));
    let sentence = "{} {holds|hold} an unresolved reference to another variable, because nothing replaces references here. Set the variable to the value itself.";
    grounds(variables, sentence)
}

/// Several placeholders suggest that an example file was copied. A single one does not.
pub fn example_copied<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    const MIN_PLACEHOLDERS: usize = 2;
    // Other tools than an example leave the other kinds.
    let mut variables = facts.found_where(Code::Placeholder, |value, _| match placeholder(value) {
        Some(Placeholder::Unfilled) => Reference::of(value).is_none(),
        found => matches!(found, None | Some(Placeholder::Example)),
    });
    if variables.len() < MIN_PLACEHOLDERS {
        variables.clear();
    }
    let sentence = "{} still hold placeholders of an example, such as a .env.example that was copied. Replace them with real values.";
    grounds(variables, sentence)
}

pub fn unreadable_file<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "the secret files of {} cannot be read: probably a secret is not mounted, or this user may not read it.";
    grounds(facts.found(Code::FileUnreadable), sentence)
}

pub fn empty_file<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence =
        "{} {comes|come} from an empty file: the secret was probably created from an empty value.";
    grounds(facts.missing_where(|each| facts.has_file(each)), sentence)
}

pub fn quoted<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "the quotes around {} are part of the value: compose and python-dotenv remove quotes in an env file, but the list form of compose's `environment:`, `docker run --env-file`, Kubernetes and most dashboards keep them. Remove them where the value is set.";
    grounds(facts.found_where(Code::Quoted, |_, _| true), sentence)
}

pub fn carriage_return<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = facts.found_where(Code::WhiteSpace, |value, _| value.contains('\r'));
    let sentence = "{} {contains|contain} a carriage return: the file was saved with Windows line breaks. Save it with Unix line breaks.";
    grounds(variables, sentence)
}

/// The lists of this form that are expected in the other form.
fn lists<'a>(facts: &Facts<'a>, expected: List, is_json: bool) -> Vec<&'a str> {
    facts.found_where(Code::WrongType, |value, variable| {
        variable.rule.list == Some(expected) && bare(value).starts_with('[') == is_json
    })
}

pub fn json_for_csv<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "{} {is a JSON list|are JSON lists}, but values separated by commas are expected: write a,b instead of [\"a\",\"b\"].";
    grounds(lists(facts, List::Csv, true), sentence)
}

pub fn csv_for_json<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "{} {is not a JSON list|are not JSON lists}, which the application expects: write [\"a\",\"b\"] instead of a,b.";
    grounds(lists(facts, List::Json, false), sentence)
}

pub fn copied_secret<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let sentence = "{} {has|have} the same value as another secret: probably the output of a generator was used twice. Generate a new value for each.";
    grounds(facts.found(Code::SameSecret), sentence)
}

/// The value without surrounding white space and quotes.
pub fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// The kind of reference that a value contains.
#[derive(Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// Railway's `${{…}}`, and the service that it names. `None` if the text does not look like a name, because then it
    /// may be a secret.
    Railway(Option<&'a str>),
    /// GitHub's `${{ secrets.X }}`.
    Workflow,
    /// Kubernetes' `$(X)`.
    Kubernetes,
    /// `${X}`, `$X` or `{{x}}` as the whole value, or `${X}` in a URL.
    Other,
}

/// The contexts of GitHub's workflow expressions, separated by spaces.
const CONTEXTS: &str = "secrets vars env github inputs steps needs matrix job";

/// The service and the variable in a Railway reference. A text that does not match may be a secret.
static SERVICE_AND_NAME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^([A-Za-z](?:[\w -]{0,38}[\w-])?)\.[A-Z_][A-Z0-9_]*$";
    Regex::new(pattern).expect("the pattern is well-formed")
});

impl<'a> Reference<'a> {
    /// The reference in a value, if it is the reason why the value is a placeholder.
    pub fn of(value: &'a str) -> Option<Self> {
        let value = bare(value).trim();
        if let Some((_, inside, _)) = braced(value, "${{", "}}") {
            let inside = inside.trim();
            let (context, _) = inside.split_once('.').unwrap_or_default();
            if CONTEXTS.split(' ').any(|known| known == context) {
                return Some(Reference::Workflow);
            }
            let names = SERVICE_AND_NAME.captures(inside);
            let service = names.and_then(|names| Some(names.get(1)?.as_str()));
            return Some(Reference::Railway(service));
        }
        let is_name = |other: char| other.is_ascii_alphanumeric() || other == '_';
        if let Some((_, name, _)) = braced(value, "$(", ")")
            && name.chars().all(is_name)
        {
            return Some(Reference::Kubernetes);
        }
        let is_whole = |(open, close)| matches!(braced(value, open, close), Some(("", _, "")));
        let is_other = [("${", "}"), ("{{", "}}")].into_iter().any(is_whole);
        let is_shell =
            || value.starts_with('$') && placeholder(value) == Some(Placeholder::Unfilled);
        let is_inside = || value.contains("://") && braced(value, "${", "}").is_some();
        (is_other || is_shell() || is_inside()).then_some(Reference::Other)
    }
}

/// The texts before, between and after the first `open` and the next `close`.
fn braced<'a>(value: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = value.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn the_kind_of_a_reference_is_recognised_and_only_the_name_of_a_service_is_extracted() {
        let railway = |service| Some(Reference::Railway(service));
        for (value, expected) in [
            ("${{Postgres.DATABASE_URL}}", railway(Some("Postgres"))),
            (
                "\"${{ Postgres-aBcD.DATABASE_URL }}\"",
                railway(Some("Postgres-aBcD")),
            ),
            ("${{shared.KEY}}", railway(Some("shared"))),
            ("${{KEY}}", railway(None)),
            (
                "postgresql://u:p@h/${{Postgres.DATABASE_URL}}",
                railway(Some("Postgres")),
            ),
            ("${{s3cr3t:x/y.KEY}}", railway(None)),
            ("${{Postgres.not a name}}", railway(None)),
            ("${{ secrets.DATABASE_URL }}", Some(Reference::Workflow)),
            ("${DATABASE_URL}", Some(Reference::Other)),
            ("{{ db_url }}", Some(Reference::Other)),
            ("$DATABASE_URL", Some(Reference::Other)),
            ("$ecret", None),
            (
                "postgresql://app:${PASSWORD}@db/app",
                Some(Reference::Other),
            ),
            ("changeme", None),
            ("<your key>", None),
            ("a ${X} b", None),
            ("$(DB_PASSWORD)", Some(Reference::Kubernetes)),
            ("postgresql://app:$(PW)@db/app", Some(Reference::Kubernetes)),
            ("$(openssl rand -hex 32)", None),
        ] {
            assert_eq!(Reference::of(value), expected, "{value}");
        }
    }
}
