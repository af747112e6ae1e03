//! Causes that are recognised by the form of a URL. URLs are read here but never shown.

use std::collections::BTreeSet;

use super::values::bare;
use super::{Facts, Grounds, grounds};
use crate::manifest::Variable;
use crate::platform::HEROKU;
use crate::report::Code;
use crate::rule::Type;
use crate::url::Url;

/// A URL that was composed of references which became empty, such as `postgresql://:@:/`.
pub fn empty_parts<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    let variables = facts.set_where(|value, variable| {
        variable.rule.value_type == Type::Url && value.contains("://:@")
    });
    let sentence = "{} {has|have} neither a user nor a password between :// and @: probably it was composed of references to variables that are not set. Refer to the whole URL instead, or check the name in each reference.";
    grounds(variables, sentence)
}

pub fn postgres_scheme<'a>(facts: &Facts<'a>) -> Grounds<'a> {
    // The plain scheme, if it is admitted, else the first one with a driver.
    let admitted = |variable: &Variable| {
        let schemes = variable.rule.schemes.iter();
        let schemes = schemes.filter(|scheme| scheme.starts_with("postgresql"));
        let scheme = schemes.min_by_key(|scheme| scheme.contains('+'))?;
        Some(format!("{scheme}://"))
    };
    let variables = facts.found_where(Code::WrongScheme, |value, variable| {
        bare(value).starts_with("postgres://") && admitted(variable).is_some()
    });
    let schemes = variables.iter().map(|name| facts.declared[name]);
    let schemes: BTreeSet<String> = schemes.filter_map(admitted).collect();
    let schemes = Vec::from_iter(schemes).join(" or ");
    let order = if facts.is_on(&HEROKU) {
        "Heroku sets this scheme, and resets it if it is changed: let the application replace the scheme, and add `postgres` to `schemes`.".to_owned()
    } else if schemes.contains('+') {
        format!(
            "Change it to {schemes}, and keep the rest, but for parameters that its driver refuses."
        )
    } else {
        format!("Change it to {schemes}, and keep the rest of the URL.")
    };
    let sentence =
        "{} {begins|begin} with postgres://, which SQLAlchemy has not accepted since version 1.4.";
    grounds(variables, &format!("{sentence} {order}"))
}

/// A URL whose host is this container itself. There is no finding for it, because the URL is valid.
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
        // An http URL may be for browsers, for which localhost is the machine that they run on.
        let is_url = rule.value_type == Type::Url && rule.list.is_none();
        is_url && Url::cut(bare(value)).is_some_and(|url| url.is_local() && !url.is_web())
    });
    let sentence = "{} {points|point} to localhost, which in a container is the container itself and not the machine that it runs on. Use the host name of the service instead.";
    grounds(variables, sentence)
}
