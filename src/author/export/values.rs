//! The values to export.

use crate::environment::Environment;
use crate::manifest::{Manifest, Scope, Variable};
use crate::url::passwords;

/// A variable to export.
pub struct Item {
    pub name: String,
    pub value: String,
    /// Whether the manifest declares it as a secret, or its value contains a password.
    pub is_secret: bool,
}

impl Item {
    fn new(variable: &Variable, value: &str) -> Self {
        Self {
            name: variable.name.clone(),
            value: value.to_owned(),
            is_secret: variable.secret && !is_reference(value) || !passwords(value).is_empty(),
        }
    }
}

/// The declared variables of a scope that the files set, in the order of the manifest. A blank value counts as unset. A
/// file that a variable names is not read: its path is exported.
pub fn items(manifest: &Manifest, scope: Scope<'_>, environment: &Environment) -> Vec<Item> {
    let set = |name: &str| environment.text(name).filter(|value| !is_blank(value));
    let mut items = Vec::new();
    let variables = manifest.variables.iter();
    for variable in variables.filter(|each| scope.includes(&each.processes)) {
        let value = set(&variable.name).map(|value| Item::new(variable, value));
        let file = variable.file.clone().and_then(|name| {
            let value = set(&name)?.to_owned();
            let is_secret = false;
            Some(Item {
                name,
                value,
                is_secret,
            })
        });
        items.extend([value, file].into_iter().flatten());
    }
    items
}

/// Whether a value is empty or only white space.
pub fn is_blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// Whether a value contains a reference that Railway replaces, such as `${{Postgres.DATABASE_URL}}`.
pub fn has_reference(value: &str) -> bool {
    let reference = value.split_once("${{");
    reference.is_some_and(|(_, rest)| rest.contains("}}"))
}

/// Whether a value is nothing but one reference.
fn is_reference(value: &str) -> bool {
    let inside = value.trim().strip_prefix("${{");
    let inside = inside.and_then(|rest| rest.strip_suffix("}}"));
    inside.is_some_and(|inside| !inside.contains(['{', '}']))
}

/// Whether a reference to a whole URL comes after the beginning of another one, such as an example that was not removed.
pub fn has_url_in_url(value: &str) -> bool {
    let Some((before, rest)) = value.split_once("${{") else {
        return false;
    };
    let name = rest.split("}}").next().unwrap_or_default();
    name.trim_end().ends_with("URL") && before.contains("://") && !before.contains('?')
}
