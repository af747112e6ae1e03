//! Causes that lie in the form of a value. The value is looked at, and never told.

use super::reference::{self, Reference};
use super::{Cause, CauseCode, Facts};
use crate::platform::Platform;
use crate::report::{Code, Finding};
use crate::rule::{List, Type};
use crate::text::{are, names, verb};
use crate::url::Url;

/// Several placeholders are a file that was taken over; one may be anything.
const MIN_PLACEHOLDERS: usize = 2;

/// So many services are looked for in references.
const MAX_SERVICES: usize = 6;

/// All of them, in the order in which they are told.
pub fn causes(facts: &Facts<'_>) -> Vec<Cause> {
    [
        unresolved_reference(facts),
        empty_reference(facts),
        empty_parts(facts),
        workflow_expression(facts),
        other_reference(facts),
        example_copied(facts),
        secret_file(facts),
        quoted(facts),
        scheme_of_sqlalchemy(facts),
        unescaped_credentials(facts),
        list_form(facts),
        copied_secret(facts),
        local_address(facts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn likely(code: CauseCode, variables: &[&str], text: String) -> Option<Cause> {
    cause(code, false, variables, text)
}

fn certain(code: CauseCode, variables: &[&str], text: String) -> Option<Cause> {
    cause(code, true, variables, text)
}

fn cause(code: CauseCode, is_certain: bool, variables: &[&str], text: String) -> Option<Cause> {
    (!variables.is_empty()).then(|| Cause {
        code,
        is_certain,
        variables: variables.iter().map(|&name| name.to_owned()).collect(),
        text,
    })
}

/// The variables with a finding of a kind whose own value fits.
fn with<'a>(facts: &Facts<'a>, code: Code, fits: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let mut variables: Vec<&str> = Vec::new();
    for Finding { variable, .. } in facts.findings(code) {
        let is_fit = facts.environment.text(variable).is_some_and(&fits);
        if is_fit && variables.last() != Some(&variable.as_str()) {
            variables.push(variable);
        }
    }
    variables
}

fn platform(facts: &Facts<'_>) -> Option<Platform> {
    facts.circumstances.place.map(|place| place.platform)
}

/// `${{Service.NAME}}`, as it was written.
fn unresolved_reference(facts: &Facts<'_>) -> Option<Cause> {
    let is_railways = |value: &str| matches!(reference::of(value), Some(Reference::Railway { .. }));
    let variables = with(facts, Code::Placeholder, is_railways);
    let mut services: Vec<&str> = Vec::new();
    let mut are_whole = true;
    for name in &variables {
        if let Some(Reference::Railway { service, is_whole }) =
            facts.environment.text(name).and_then(reference::of)
        {
            are_whole &= is_whole;
            let service = service
                .filter(|service| services.len() < MAX_SERVICES && !services.contains(service));
            services.extend(service);
        }
    }
    let hold = verb(variables.len(), "holds", "hold");
    let text = format!(
        "{} {hold} a `${{{{…}}}}` as it was written",
        names(&variables)
    );
    let text = if platform(facts) != Some(Platform::Railway) {
        format!("{text}: only Railway replaces such a reference. Give the value itself here.")
    } else if services.is_empty() {
        format!(
            "{text}: Railway found nothing to replace it with. Check the name in it, and that its changes are deployed."
        )
    } else {
        let called: Vec<String> = services
            .iter()
            .map(|service| format!("\"{service}\""))
            .collect();
        let within = if are_whole {
            ""
        } else {
            " It stands within another text, too: perhaps it was appended to an example; then it must be the whole value."
        };
        format!(
            "{text}, which asks for {}: there is probably no service of that very name in this project and environment (upper and lower case count), or it has no such variable.{within}",
            names(&called)
        )
    };
    likely(CauseCode::UnresolvedReference, &variables, text)
}

/// Railway replaces a reference to nothing with nothing.
fn empty_reference(facts: &Facts<'_>) -> Option<Cause> {
    if platform(facts) != Some(Platform::Railway) {
        return None;
    }
    let is_empty = |name: &str| {
        facts
            .environment
            .get(name)
            .is_some_and(std::ffi::OsStr::is_empty)
    };
    let is_alone = |name: &str| {
        facts
            .declared
            .get(name)
            .is_none_or(|variable| facts.file_of(variable).is_none())
    };
    let missing = facts.missing().map(|variable| variable.name.as_str());
    let variables: Vec<&str> = missing
        .filter(|name| is_empty(name) && is_alone(name))
        .collect();
    let text = format!(
        "{} {} set, but empty: on Railway that is what a reference to a service or a variable that does not exist becomes. Check the names in it (upper and lower case count).",
        names(&variables),
        are(variables.len())
    );
    likely(CauseCode::UnresolvedReference, &variables, text)
}

/// A URL that was put together from references to nothing: `postgresql://:@:/`.
fn empty_parts(facts: &Facts<'_>) -> Option<Cause> {
    let is_url = |name: &&str| {
        let variable = facts.declared.get(name);
        variable.is_some_and(|variable| variable.rule.value_type == Type::Url)
    };
    let has_empty_parts = |name: &&str| {
        let value = facts.environment.text(name);
        value.is_some_and(|value| value.contains("://:@"))
    };
    let declared = facts.manifest.variables.iter();
    let names_of_all = declared.map(|variable| variable.name.as_str());
    let variables: Vec<&str> = names_of_all
        .filter(is_url)
        .filter(has_empty_parts)
        .collect();
    let text = format!(
        "{} {} neither a user nor a password between :// and @: it was probably put together from references to variables that are not set there. Refer to the whole URL instead, or check each name.",
        names(&variables),
        verb(variables.len(), "has", "have")
    );
    likely(CauseCode::UnresolvedReference, &variables, text)
}

fn workflow_expression(facts: &Facts<'_>) -> Option<Cause> {
    let is_one = |value: &str| reference::of(value) == Some(Reference::Workflow);
    let variables = with(facts, Code::Placeholder, is_one);
    let text = format!(
        "{} {} an expression of a GitHub workflow, which only the workflow replaces. Pass the secret's value on from there.",
        names(&variables),
        verb(variables.len(), "holds", "hold")
    );
    certain(CauseCode::UnresolvedReference, &variables, text)
}

fn other_reference(facts: &Facts<'_>) -> Option<Cause> {
    let is_one = |value: &str| {
        matches!(
            reference::of(value),
            Some(Reference::Shell | Reference::Template)
        )
    };
    let variables = with(facts, Code::Placeholder, is_one);
    let text = format!(
        "{} {} a reference to another variable as it was written: what set {} here replaces none. Give the value itself.",
        names(&variables),
        verb(variables.len(), "holds", "hold"),
        verb(variables.len(), "it", "them")
    );
    certain(CauseCode::UnresolvedReference, &variables, text)
}

fn example_copied(facts: &Facts<'_>) -> Option<Cause> {
    let variables = with(facts, Code::Placeholder, |value| {
        reference::of(value).is_none()
    });
    if variables.len() < MIN_PLACEHOLDERS {
        return None;
    }
    let text = format!(
        "{} still hold the texts of an example, such as a .env.example that was taken over as it stands. Put the values in.",
        names(&variables)
    );
    likely(CauseCode::ExampleCopied, &variables, text)
}

fn secret_file(facts: &Facts<'_>) -> Option<Cause> {
    let unreadable = facts
        .findings(Code::FileUnreadable)
        .map(|finding| finding.variable.as_str());
    let unreadable: Vec<&str> = unreadable.collect();
    let empty: Vec<&str> = facts
        .missing()
        .filter(|variable| facts.file_of(variable).is_some())
        .map(|variable| variable.name.as_str())
        .collect();
    let mut sentences = Vec::new();
    if !unreadable.is_empty() {
        sentences.push(format!(
            "{} should come from a file that this container does not have in a readable form: a secret that is not mounted, or not for this user.",
            names(&unreadable)
        ));
    }
    if !empty.is_empty() {
        sentences.push(format!(
            "{} {} from a file that is empty: the secret was probably made from an empty value.",
            names(&empty),
            verb(empty.len(), "comes", "come")
        ));
    }
    let variables = [unreadable, empty].concat();
    certain(CauseCode::SecretFile, &variables, sentences.join(" "))
}

fn quoted(facts: &Facts<'_>) -> Option<Cause> {
    let quoted = with(facts, Code::Quoted, |_| true);
    let windows = with(facts, Code::WhiteSpace, |value| value.contains('\r'));
    let mut sentences = Vec::new();
    if !quoted.is_empty() {
        sentences.push(format!(
            "the quotes around {} are part of the value: compose and python-dotenv strip them, `docker run --env-file`, Kubernetes and most dashboards keep them. Remove them where the value is set.",
            names(&quoted)
        ));
    }
    if !windows.is_empty() {
        sentences.push(format!(
            "{} {} with a carriage return: the file was saved with Windows line breaks. Save it with Unix ones.",
            names(&windows),
            verb(windows.len(), "comes", "come")
        ));
    }
    let more = windows.into_iter().filter(|name| !quoted.contains(name));
    let variables: Vec<&str> = quoted.iter().copied().chain(more).collect();
    likely(
        CauseCode::QuotedForAnotherReader,
        &variables,
        sentences.join(" "),
    )
}

fn scheme_of_sqlalchemy(facts: &Facts<'_>) -> Option<Cause> {
    let mut variables = with(facts, Code::WrongScheme, |value| {
        bare(value).starts_with("postgres://")
    });
    variables.retain(|name| {
        let schemes = facts
            .declared
            .get(name)
            .map(|variable| variable.rule.schemes.as_slice());
        schemes
            .unwrap_or_default()
            .iter()
            .any(|scheme| scheme.starts_with("postgresql"))
    });
    let begin = verb(variables.len(), "begins", "begin");
    let order = if platform(facts) == Some(Platform::Heroku) {
        "Heroku sets it so, and sets it again: let the application replace the scheme, and admit `postgres` under `schemes`."
    } else {
        "Write postgresql:// there; the rest of the URL stays."
    };
    let text = format!(
        "{} {begin} with postgres://, which SQLAlchemy does not know since 1.4. {order}",
        names(&variables)
    );
    certain(CauseCode::SchemeOfSqlalchemy, &variables, text)
}

fn unescaped_credentials(facts: &Facts<'_>) -> Option<Cause> {
    let variables = with(facts, Code::Unescaped, |_| true);
    let text = format!(
        "the password in {} has characters in it that end it early in a URL. Write each as % and its two hexadecimal digits (@ is %40, / is %2F, # is %23, : is %3A), or choose a password of letters and digits.",
        names(&variables)
    );
    certain(CauseCode::UnescapedCredentials, &variables, text)
}

fn list_form(facts: &Facts<'_>) -> Option<Cause> {
    let of_form = |list: List, is_json: bool| {
        let mut variables = with(facts, Code::WrongType, |value| {
            bare(value).starts_with('[') == is_json
        });
        variables.retain(|name| {
            facts
                .declared
                .get(name)
                .is_some_and(|variable| variable.rule.list == Some(list))
        });
        variables
    };
    let json_for_csv = of_form(List::Csv, true);
    let csv_for_json = of_form(List::Json, false);
    let mut sentences = Vec::new();
    if !json_for_csv.is_empty() {
        sentences.push(format!(
            "{} {} a JSON list where commas alone are expected: write a,b instead of [\"a\",\"b\"].",
            names(&json_for_csv),
            verb(json_for_csv.len(), "holds", "hold")
        ));
    }
    if !csv_for_json.is_empty() {
        sentences.push(format!(
            "{} {} no JSON list, which the application parses: write [\"a\",\"b\"] instead of a,b.",
            names(&csv_for_json),
            verb(csv_for_json.len(), "holds", "hold")
        ));
    }
    let variables = [json_for_csv, csv_for_json].concat();
    certain(CauseCode::ListForm, &variables, sentences.join(" "))
}

fn copied_secret(facts: &Facts<'_>) -> Option<Cause> {
    let mut variables: Vec<&str> = facts
        .findings(Code::SameSecret)
        .map(|finding| finding.variable.as_str())
        .collect();
    variables.dedup();
    let text = format!(
        "{} {} the value of another secret: one output of a generator was probably pasted into both. Generate one for each.",
        names(&variables),
        verb(variables.len(), "has", "have")
    );
    likely(CauseCode::CopiedSecret, &variables, text)
}

/// A URL that leads into the container itself. Told as an addition: it is no finding.
fn local_address(facts: &Facts<'_>) -> Option<Cause> {
    let is_alone = match platform(facts) {
        // No other process serves there, but the service's own.
        Some(Platform::Railway | Platform::Fly | Platform::Render | Platform::Heroku) => true,
        // Containers beside it share its addresses: a proxy may well listen there.
        Some(Platform::Kubernetes | Platform::CloudRun | Platform::Ecs) => false,
        None => facts.circumstances.is_in_container && facts.circumstances.only_file.is_none(),
    };
    if !is_alone {
        return None;
    }
    let leads_here = |name: &str, value: &str| {
        let is_server = facts.declared.get(name).is_some_and(|variable| {
            variable.rule.value_type == Type::Url && variable.rule.list.is_none()
        });
        // An http URL may be for a browser, which is where localhost is then.
        is_server && Url::cut(bare(value)).is_some_and(|url| url.is_local() && !url.is_web())
    };
    let declared = facts
        .manifest
        .variables
        .iter()
        .map(|variable| variable.name.as_str());
    let variables: Vec<&str> = declared
        .filter(|name| {
            facts
                .environment
                .text(name)
                .is_some_and(|value| leads_here(name, value))
        })
        .collect();
    let text = format!(
        "{} {} to this container itself: in a container localhost is not the machine that it runs on. Name the host of the service there.",
        names(&variables),
        verb(variables.len(), "leads", "lead")
    );
    likely(CauseCode::LocalAddress, &variables, text)
}

/// A value without what may be wrapped around it.
fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}
