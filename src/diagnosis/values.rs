//! Causes that lie in the form of a value. The value is read here and never shown.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::sync::LazyLock;

use regex_lite::Regex;

use super::{Facts, Grounds, about, told};
use crate::platform::{HEROKU, RAILWAY};
use crate::report::Code;
use crate::rule::{List, Type};
use crate::text::names;
use crate::url::Url;

/// The variables with a placeholder for which `fits` holds, given the reference in their value.
fn placeholders<'a>(facts: &Facts<'a>, fits: fn(Option<Reference<'_>>) -> bool) -> Vec<&'a str> {
    facts.found_where(Code::Placeholder, |value, _| fits(Reference::of(value)))
}

/// A value still contains a `${{Service.NAME}}`.
pub fn railway_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = placeholders(facts, |found| {
        matches!(found, Some(Reference::Railway { .. }))
    });
    let (mut services, mut are_whole) = (Vec::new(), true);
    for name in &variables {
        let reference = facts.environment.text(name).and_then(Reference::of);
        if let Some(Reference::Railway { service, is_whole }) = reference {
            are_whole &= is_whole;
            services.extend(service.map(|service| format!("\"{service}\"")));
        }
    }
    let mut seen = HashSet::new();
    services.retain(|service| seen.insert(service.clone()));
    let within = if are_whole {
        ""
    } else {
        " It stands within another text, too: perhaps it was appended to an example; then it must be the whole value."
    };
    let reason = if !facts.is_on(&RAILWAY) {
        ": only Railway replaces such a reference. Give the value itself here.".to_owned()
    } else if services.is_empty() {
        ": Railway found nothing to replace it with. Check the name in it, and that its changes are deployed.".to_owned()
    } else {
        format!(
            ", which asks for {}: there is probably no service of that very name in this project and environment (upper and lower case count), or it has no such variable.{within}",
            names(&services)
        )
    };
    let hold = about(&variables, "{} {holds|hold}");
    let text = format!("{hold} a `${{{{…}}}}` as it was written{reason}");
    (!variables.is_empty()).then_some((variables, text))
}

/// Railway replaces a reference to nothing with an empty text.
pub fn empty_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    if !facts.is_on(&RAILWAY) {
        return None;
    }
    let is_empty = |name: &str| facts.environment.get(name).is_some_and(OsStr::is_empty);
    told([(
        facts.missing_where(|each| is_empty(&each.name) && !facts.has_file(each)),
        "{} {is|are} set, but empty: on Railway that is what a reference to a service or a variable that does not exist becomes. Check the names in it (upper and lower case count).",
    )])
}

/// A URL that was put together from references that were replaced with nothing: `postgresql://:@:/`.
pub fn empty_parts<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = facts.set_where(|value, variable| {
        variable.rule.value_type == Type::Url && value.contains("://:@")
    });
    told([(
        variables,
        "{} {has|have} neither a user nor a password between :// and @: it was probably put together from references to variables that are not set there. Refer to the whole URL instead, or check each name.",
    )])
}

pub fn workflow_expression<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([(
        placeholders(facts, |found| found == Some(Reference::Workflow)),
        "{} {holds|hold} an expression of a GitHub workflow, which only the workflow replaces. Pass the secret's value on from there.",
    )])
}

pub fn other_reference<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([(
        placeholders(facts, |found| found == Some(Reference::Other)),
        "{} {holds|hold} a reference to another variable as it was written, because nothing replaces references here. Give the value itself.",
    )])
}

/// Several placeholders suggest that an example was copied. A single one does not.
pub fn example_copied<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    const MIN_PLACEHOLDERS: usize = 2;
    let variables = placeholders(facts, |found| found.is_none());
    if variables.len() < MIN_PLACEHOLDERS {
        return None;
    }
    told([(
        variables,
        "{} still hold the texts of an example, such as a .env.example that was copied as it is. Put the values in.",
    )])
}

pub fn secret_file<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([
        (
            facts.found(Code::FileUnreadable),
            "{} should come from a file that this container does not have in a readable form: a secret that is not mounted, or not for this user.",
        ),
        (
            facts.missing_where(|variable| facts.has_file(variable)),
            "{} {comes|come} from a file that is empty: the secret was probably made from an empty value.",
        ),
    ])
}

pub fn quoted<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([
        (
            facts.found_where(Code::Quoted, |_, _| true),
            "the quotes around {} are part of the value: compose and python-dotenv strip them, `docker run --env-file`, Kubernetes and most dashboards keep them. Remove them where the value is set.",
        ),
        (
            facts.found_where(Code::WhiteSpace, |value, _| value.contains('\r')),
            "{} {comes|come} with a carriage return: the file was saved with Windows line breaks. Save it with Unix ones.",
        ),
    ])
}

pub fn postgres_scheme<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = facts.found_where(Code::WrongScheme, |value, variable| {
        let mut schemes = variable.rule.schemes.iter();
        bare(value).starts_with("postgres://")
            && schemes.any(|scheme| scheme.starts_with("postgresql"))
    });
    let order = if facts.is_on(&HEROKU) {
        "Heroku sets it so, and sets it again: let the application replace the scheme, and admit `postgres` under `schemes`."
    } else {
        "Write postgresql:// there; the rest of the URL stays."
    };
    let sentence = "{} {begins|begin} with postgres://, which SQLAlchemy does not know since 1.4.";
    told([(variables, &format!("{sentence} {order}"))])
}

pub fn unescaped<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([(
        facts.found_where(Code::Unescaped, |_, _| true),
        "the password in {} has characters in it that end it early in a URL. Write each as % and its two hexadecimal digits (@ is %40, / is %2F, # is %23, : is %3A), or choose a password of letters and digits.",
    )])
}

pub fn list_form<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let of_form = |list: List, is_json: bool| {
        facts.found_where(Code::WrongType, |value, variable| {
            variable.rule.list == Some(list) && bare(value).starts_with('[') == is_json
        })
    };
    told([
        (
            of_form(List::Csv, true),
            "{} {holds|hold} a JSON list where commas alone are expected: write a,b instead of [\"a\",\"b\"].",
        ),
        (
            of_form(List::Json, false),
            "{} {holds|hold} no JSON list, which the application parses: write [\"a\",\"b\"] instead of a,b.",
        ),
    ])
}

pub fn copied_secret<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    told([(
        facts.found(Code::SameSecret),
        "{} {has|have} the value of another secret: one output of a generator was probably pasted into both. Generate one for each.",
    )])
}

/// A URL that leads into the container itself. It has no finding of its own.
pub fn local_address<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let circumstances = facts.circumstances;
    let is_alone = match circumstances.place {
        Some(place) => !place.platform.shares_localhost,
        None => circumstances.is_in_container && circumstances.only_file.is_none(),
    };
    if !is_alone {
        return None;
    }
    let variables = facts.set_where(|value, variable| {
        let rule = &variable.rule;
        // A browser may use an http URL, and then localhost is the machine that the browser runs on.
        let is_url = rule.value_type == Type::Url && rule.list.is_none();
        is_url && Url::cut(bare(value)).is_some_and(|url| url.is_local() && !url.is_web())
    });
    told([(
        variables,
        "{} {leads|lead} to this container itself: in a container localhost is not the machine that it runs on. Name the host of the service there.",
    )])
}

/// The value without white space and quotes around it.
fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// The kind of reference that a value holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// Railway's `${{…}}`.
    Railway {
        /// The service that it names. `None` if the text does not look like a name, because it may be a secret.
        service: Option<&'a str>,
        /// Whether the value holds nothing else.
        is_whole: bool,
    },
    /// GitHub's `${{ secrets.X }}`.
    Workflow,
    /// `${X}` or `{{x}}` as a whole.
    Other,
}

/// The contexts of a workflow's expressions, separated by spaces.
const CONTEXTS: &str = "secrets vars env github inputs steps needs matrix job";

/// A service and its variable in a reference of Railway. Any other text may be a secret.
static SERVICE_AND_NAME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^([A-Za-z](?:[\w -]{0,38}[\w-])?)\.[A-Z_][A-Z0-9_]*$";
    Regex::new(pattern).expect("the pattern is well-formed")
});

impl<'a> Reference<'a> {
    /// The reference in a value, if it is the reason why the value is a placeholder.
    pub fn of(value: &'a str) -> Option<Self> {
        let value = value.trim().trim_matches(['"', '\'']).trim();
        if let Some((before, inside, after)) = braced(value, "${{", "}}") {
            let inside = inside.trim();
            let (context, _) = inside.split_once('.').unwrap_or_default();
            if CONTEXTS.split(' ').any(|known| known == context) {
                return Some(Reference::Workflow);
            }
            let names = SERVICE_AND_NAME.captures(inside);
            return Some(Reference::Railway {
                service: names.and_then(|names| Some(names.get(1)?.as_str())),
                is_whole: before.is_empty() && after.is_empty(),
            });
        }
        let is_whole = |(open, close)| matches!(braced(value, open, close), Some(("", _, "")));
        let is_other = [("${", "}"), ("{{", "}}")].into_iter().any(is_whole);
        is_other.then_some(Reference::Other)
    }
}

/// The texts before, in and after the first pair of braces.
fn braced<'a>(value: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = value.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::Reference;

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
            ("${DATABASE_URL}", Some(Reference::Other)),
            ("{{ db_url }}", Some(Reference::Other)),
            ("changeme", None),
            ("<your key>", None),
            ("a ${X} b", None),
        ] {
            assert_eq!(Reference::of(value), expected, "{value}");
        }
    }
}
