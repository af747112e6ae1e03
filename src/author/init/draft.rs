//! Combines what the files and the code tell about each variable to the keys of the manifest.

use std::collections::{BTreeMap, HashSet};

use super::names::{has_credentials, is_own_key, is_secret_name, is_showable, is_showable_comment};
use super::sources::Listed;
use crate::author::scan::Read;
use crate::platform::is_injected;
use crate::rule::{List, Rule, Type};
use crate::url::{Url, port};

/// The group of a variable in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Required,
    Optional,
    /// A file lists it, but no code that was read reads it.
    Listed,
}

/// A variable of the new manifest.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the manifest of its own"
)]
pub struct Draft {
    pub name: String,
    /// Where it was found, each as `file:line`.
    pub places: Vec<String>,
    pub group: Group,
    pub value_type: Type,
    pub list: Option<List>,
    pub is_secret: bool,
    /// Whether it certainly holds the URL of a `PostgreSQL` database.
    pub is_postgres: bool,
    /// Whether `NAME_FILE` is another variable.
    pub excludes_file: bool,
    /// Whether the service makes the secret for itself.
    pub is_generated: bool,
    pub description: Option<String>,
    pub example: Option<String>,
}

/// What is known about a variable before the decisions.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that a file or the code tells"
)]
struct Known {
    /// The order in which it was found.
    index: usize,
    places: Vec<String>,
    is_read: bool,
    is_required: bool,
    is_listed: bool,
    is_secret: bool,
    /// Each type that the code tells.
    types: Vec<(Type, Option<List>)>,
    /// The values of examples, compose files and the code.
    values: Vec<String>,
    comment: Option<String>,
    /// Values that may be shown if they are harmless.
    examples: Vec<String>,
}

/// The variables of a service, and the names that were left out because a platform or an image sets them.
pub struct Drafts {
    pub variables: Vec<Draft>,
    pub injected: Vec<String>,
}

/// Creates the variables in the order in which they were found. `has_code` says whether the code was read;
/// `only_postgres` whether the only database that the service has a driver for is `PostgreSQL`.
pub fn drafts(
    listed: Vec<Listed>,
    reads: Vec<Read>,
    has_code: bool,
    only_postgres: bool,
) -> Drafts {
    let mut known = BTreeMap::new();
    // Another variable can take the place of these, so they are not required.
    let alternatives = reads.iter().filter_map(|read| read.instead_of.clone());
    let alternatives: HashSet<String> = alternatives.collect();
    for each in listed {
        entry(&mut known, &each.name).add_listed(each);
    }
    for each in reads {
        let name = if each.ignores_case {
            let mut names = known.keys();
            names.find(|name| name.eq_ignore_ascii_case(&each.name))
        } else {
            None
        };
        let name = name.unwrap_or(&each.name).clone();
        let is_only = !alternatives.contains(&name);
        entry(&mut known, &name).add_read(each, is_only);
    }
    join_files(&mut known);
    let names: Vec<String> = known.keys().cloned().collect();
    let mut all: Vec<(String, Known)> = known.into_iter().collect();
    all.sort_by_key(|(_, known)| known.index);
    let (own, injected): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(name, known)| known.is_listed || name == "PORT" || !is_injected(name));
    let draft = |(name, known): (String, Known)| {
        let file = format!("{name}_FILE");
        known.draft(
            name,
            has_code,
            only_postgres,
            names.binary_search(&file).is_ok(),
        )
    };
    Drafts {
        variables: own.into_iter().map(draft).collect(),
        injected: injected.into_iter().map(|(name, _)| name).collect(),
    }
}

fn entry<'k>(known: &'k mut BTreeMap<String, Known>, name: &str) -> &'k mut Known {
    let index = known.len();
    let entry = known.entry(name.to_owned());
    entry.or_insert_with(|| Known {
        index,
        ..Known::default()
    })
}

/// Replaces each listed `NAME_FILE` that no code reads with the secret NAME, which it stands for in a compose file.
fn join_files(known: &mut BTreeMap<String, Known>) {
    let bases = known.iter().filter_map(|(name, file)| {
        let base = name.strip_suffix("_FILE").filter(|base| !base.is_empty())?;
        let is_secret = is_secret_name(base) || known.contains_key(base);
        (is_secret && !file.is_read).then(|| base.to_owned())
    });
    for base in bases.collect::<Vec<_>>() {
        if let Some(file) = known.remove(&format!("{base}_FILE")) {
            let secret = entry(known, &base);
            // A new one takes the place of the file.
            secret.index = secret.index.min(file.index);
            secret.is_secret = true;
            secret.is_listed = true;
            secret.places.extend(file.places);
        }
    }
}

impl Known {
    fn add_listed(&mut self, listed: Listed) {
        self.places.push(listed.place);
        self.is_listed = true;
        self.comment = self.comment.take().or(listed.comment);
        if listed.is_example {
            self.examples.push(listed.value.clone());
        }
        self.values.push(listed.value);
    }

    fn add_read(&mut self, read: Read, is_only: bool) {
        self.places.push(format!("{}:{}", read.file, read.line));
        self.is_read = true;
        self.is_required |= read.is_required && is_only;
        self.is_secret |= read.is_secret;
        self.types
            .extend(read.value_type.map(|value_type| (value_type, read.list)));
        self.examples.extend(read.default.clone());
        self.values.extend(read.default);
    }

    fn draft(self, name: String, has_code: bool, only_postgres: bool, has_file: bool) -> Draft {
        let group = match () {
            () if self.is_required || !has_code => Group::Required,
            () if self.is_read => Group::Optional,
            () => Group::Listed,
        };
        let has_credentials = self.values.iter().any(|value| has_credentials(value));
        let is_secret = self.is_secret || has_credentials || is_secret_name(&name);
        let is_postgres = self.is_postgres(&name, only_postgres);
        let (value_type, list) = if is_postgres {
            (Type::Url, None)
        } else {
            self.kind(&name)
        };
        let rule = Rule {
            value_type,
            is_secret,
            list,
            ..Rule::default()
        };
        let fits = |value: &String| is_showable(value) && rule.findings(value).is_empty();
        let example = self.examples.into_iter().find(fits);
        let is_text = value_type == Type::String && list.is_none();
        let is_shown = |comment: &String| is_showable_comment(comment, is_secret);
        Draft {
            is_generated: is_secret && is_text && is_own_key(&name),
            name,
            places: self.places,
            group,
            value_type: rule.value_type,
            list: rule.list,
            is_secret,
            is_postgres,
            excludes_file: is_secret && has_file,
            description: self.comment.filter(is_shown),
            example: example.filter(|_| !is_secret),
        }
    }

    /// The type and the kind of list, where they are certain.
    fn kind(&self, name: &str) -> (Type, Option<List>) {
        let values = self.values.iter().map(String::as_str);
        let values: Vec<&str> = values.filter(|value| !value.trim().is_empty()).collect();
        let upper = name.to_ascii_uppercase();
        let is_url = |value: &&str| {
            let url = Url::cut(value);
            url.is_some_and(|url| !url.whole.is_empty()) && !value.contains([',', ' ', ';'])
        };
        let is_all =
            |is_one: &dyn Fn(&&str) -> bool| !values.is_empty() && values.iter().all(is_one);
        let told = self.types.first().copied();
        let told = told.filter(|first| self.types.iter().all(|other| other == first));
        let (value_type, list) = match told {
            Some((Type::Integer, None)) if upper == "PORT" || upper.ends_with("_PORT") => {
                (Type::Port, None)
            }
            Some(told) if told != (Type::String, None) => told,
            _ if !self.types.is_empty() && told.is_none() => (Type::String, None),
            _ if is_all(&is_url) && !upper.ends_with('S') => (Type::Url, None),
            _ if upper.ends_with("EMAIL") && is_all(&|value| value.contains('@')) => {
                (Type::Email, None)
            }
            _ if upper.ends_with("ORIGINS")
                && values.iter().any(|value| value.starts_with('[')) =>
            {
                (Type::Origin, Some(List::Json))
            }
            _ if upper.ends_with("ORIGINS") && values.iter().any(|value| value.contains(',')) => {
                (Type::Origin, Some(List::Csv))
            }
            _ if upper == "PORT" => (Type::Port, None),
            _ if upper.ends_with("_PORT") && is_all(&|value| port(value).is_some()) => {
                (Type::Port, None)
            }
            _ => (Type::String, None),
        };
        // A value that is in use refutes the type.
        let rule = Rule {
            value_type,
            list,
            ..Rule::default()
        };
        let is_refuted = values.iter().any(|value| {
            rule.findings(value)
                .iter()
                .any(|finding| finding.is_certain)
        });
        if is_refuted {
            (Type::String, None)
        } else {
            (value_type, list)
        }
    }

    /// Whether the value is certainly the URL of a `PostgreSQL` database.
    fn is_postgres(&self, name: &str, only_postgres: bool) -> bool {
        let upper = name.to_ascii_uppercase();
        let is_named = ["DATABASE_URL", "DATABASE_URI", "POSTGRES_URL"]
            .iter()
            .any(|end| upper.ends_with(end));
        let values = self.values.iter().filter(|value| !value.trim().is_empty());
        let is_postgres = |value: &String| Url::cut(value).is_some_and(|url| url.is_postgres());
        let mut is_known = values.clone().map(is_postgres);
        let has_value = values.count() > 0;
        let is_text = self
            .types
            .iter()
            .all(|told| matches!(told, (Type::String | Type::Url, None)));
        is_text && is_known.all(|is_one| is_one) && (has_value || is_named && only_postgres)
    }
}
