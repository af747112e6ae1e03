//! Combines what the files and the code tell about each variable to the keys of the manifest.

use super::names::{
    has_credentials, is_own_key, is_plain_word, is_secret_name, is_showable, is_showable_comment,
};
use super::sources::Listed;
use crate::author::scan::{Read, is_usual};
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
    /// The code's default, if it is known, and certainly no secret.
    pub fallback: Option<String>,
}

/// What is known about a variable before the decisions.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that a file or the code tells"
)]
struct Known {
    name: String,
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
    /// The first default of the code.
    default: Option<String>,
}

/// The variables of a service, and the names that were left out because a platform, an image or Python has them.
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
    let mut all = Vec::new();
    // Another variable can take the place of these, so they are not required.
    let alternatives = reads.iter().filter_map(|read| read.instead_of.clone());
    let alternatives: Vec<String> = alternatives.collect();
    for each in listed {
        entry(&mut all, &each.name, false).add_listed(each);
    }
    for each in reads {
        let known = entry(&mut all, &each.name, each.ignores_case);
        let is_only = !alternatives.contains(&known.name);
        known.add_read(each, is_only);
    }
    join_files(&mut all);
    let names: Vec<String> = all.iter().map(|known| known.name.clone()).collect();
    let mut drafts = Drafts {
        variables: Vec::new(),
        injected: Vec::new(),
    };
    for known in all {
        if known.is_listed || known.name == "PORT" || !is_usual(&known.name) {
            let has_file = names.contains(&format!("{}_FILE", known.name));
            let draft = known.draft(has_code, only_postgres, has_file);
            drafts.variables.push(draft);
        } else {
            drafts.injected.push(known.name);
        }
    }
    drafts
}

/// What is known about the variable with this name, which is added if it is new.
fn entry<'k>(all: &'k mut Vec<Known>, name: &str, ignores_case: bool) -> &'k mut Known {
    let is_it =
        |known: &Known| known.name == name || ignores_case && known.name.eq_ignore_ascii_case(name);
    let index = all.iter().position(is_it).unwrap_or(all.len());
    if index == all.len() {
        all.push(Known {
            name: name.to_owned(),
            ..Known::default()
        });
    }
    &mut all[index]
}

/// Replaces each listed `NAME_FILE` that no code reads with the secret NAME, which it stands for in a compose file.
fn join_files(all: &mut Vec<Known>) {
    let mut index = 0;
    while index < all.len() {
        let file = &all[index];
        let base = file
            .name
            .strip_suffix("_FILE")
            .unwrap_or_default()
            .to_owned();
        let existing = all.iter().position(|known| known.name == base);
        let is_one = !base.is_empty() && !file.is_read;
        if !is_one || existing.is_none() && !is_secret_name(&base) {
            index += 1;
            continue;
        }
        let file = all.remove(index);
        let existing = existing.map(|other| other - usize::from(other > index));
        let place = existing.unwrap_or(index);
        if existing.is_none() {
            all.insert(
                place,
                Known {
                    name: base,
                    ..Known::default()
                },
            );
        }
        let secret = &mut all[place];
        secret.is_secret = true;
        secret.is_listed = true;
        secret.places.extend(file.places);
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
        self.default = self.default.take().or(read.default.clone());
        self.values.extend(read.default);
    }

    fn draft(self, has_code: bool, only_postgres: bool, has_file: bool) -> Draft {
        let name = self.name.as_str();
        let group = match () {
            () if self.is_required || !has_code => Group::Required,
            () if self.is_read => Group::Optional,
            () => Group::Listed,
        };
        let has_credentials = self.values.iter().any(|value| has_credentials(value));
        let is_secret = self.is_secret || has_credentials || is_secret_name(name);
        let is_postgres = self.is_postgres(name, only_postgres);
        let (value_type, list) = if is_postgres {
            (Type::Url, None)
        } else {
            self.kind(name)
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
        let is_harmless = |text: &String| text.is_empty() || !is_secret && is_plain_word(text);
        let is_shown = |comment: &String| is_showable_comment(comment, is_secret);
        Draft {
            is_generated: is_secret && is_text && is_own_key(name),
            name: self.name,
            places: self.places,
            group,
            value_type: rule.value_type,
            list: rule.list,
            is_secret,
            is_postgres,
            excludes_file: is_secret && has_file,
            description: self.comment.filter(is_shown),
            example: example.filter(|_| !is_secret),
            fallback: self.default.filter(is_harmless),
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
