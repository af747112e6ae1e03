//! The value that each variable has for the service: its own, a file's, or its default.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::secret_file::{self, FileProblem};
use crate::environment::Environment;
use crate::manifest::Variable;
use crate::rule::is_placeholder;

/// Reads a file, and of a large one no more than one byte over the limit.
pub type ReadFile = fn(&Path, usize) -> io::Result<Vec<u8>>;

/// A variable with the value that it has for the service.
pub struct Resolved<'a> {
    pub variable: &'a Variable,
    pub value: Value,
    /// A former name of the variable, when that is set.
    pub former: Option<&'a str>,
    source: Source,
}

impl Resolved<'_> {
    /// What the file that `NAME_FILE` names holds, if the value comes from there.
    pub fn file_content(&self) -> Option<&OsStr> {
        match &self.source {
            Source::File(content) => Some(content),
            Source::Own | Source::Default => None,
        }
    }
}

/// Where a value comes from.
enum Source {
    /// The process's environment, or nowhere.
    Own,
    /// The file that `NAME_FILE` names: its content, whatever the check says of it.
    File(OsString),
    Default,
}

pub enum Value {
    /// Unset, empty or only white space.
    Missing,
    Placeholder,
    Text(String),
    NotUtf8,
    /// Both `NAME` and `NAME_FILE` are set.
    FileAndValue,
    File(FileProblem),
}

impl Value {
    fn of(raw: Option<&OsStr>, variable: &Variable) -> Self {
        let Some(raw) = raw else {
            return Value::Missing;
        };
        match raw.to_str() {
            None => Value::NotUtf8,
            Some(text) if text.trim().is_empty() => Value::Missing,
            Some(text) if is_placeholder(text) || is_own_example(text, variable) => {
                Value::Placeholder
            }
            Some(text) => Value::Text(text.to_owned()),
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A secret's example, taken over as it stands.
fn is_own_example(text: &str, variable: &Variable) -> bool {
    variable.secret
        && variable
            .example
            .as_deref()
            .is_some_and(|example| example == text.trim())
}

/// Finds out the value. The environment's own comes first, then the file's, then the default.
pub fn resolve<'a>(
    variable: &'a Variable,
    environment: &Environment,
    read_file: ReadFile,
) -> Resolved<'a> {
    let is_set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let own = is_set(&variable.name);
    let file_variable = variable.file_name().filter(|name| is_set(name).is_some());
    let (value, source) = match (own, file_variable) {
        (Some(_), Some(_)) => (Value::FileAndValue, Source::Own),
        (None, Some(file_variable)) => {
            match secret_file::read(is_set(&file_variable).unwrap_or_default(), read_file) {
                Ok(content) => (Value::of(Some(&content), variable), Source::File(content)),
                Err(problem) => (Value::File(problem), Source::Own),
            }
        }
        (own, None) => (Value::of(own, variable), Source::Own),
    };
    let (value, source) = match (value, &variable.default) {
        (Value::Missing, Some(default)) => (Value::Text(default.clone()), Source::Default),
        (value, _) => (value, source),
    };
    let former = variable
        .renamed_from
        .iter()
        .map(String::as_str)
        .find(|name| is_set(name).is_some());
    Resolved {
        variable,
        value,
        former,
        source,
    }
}

/// What the steps and the server get on top of the environment as it came: the contents of files, and
/// defaults.
pub struct Overlay<'a> {
    /// Sorted by name.
    set: Vec<(&'a str, OsString)>,
    /// Names of files whose content is the value now, sorted.
    removed: Vec<String>,
}

impl<'a> Overlay<'a> {
    pub fn of(resolved: &[Resolved<'a>]) -> Self {
        let mut set: Vec<(&str, OsString)> = Vec::new();
        let mut removed = Vec::new();
        for each in resolved {
            let value = match (&each.source, &each.variable.default) {
                (Source::Own, _) | (Source::Default, None) => continue,
                (Source::File(content), _) => content.clone(),
                (Source::Default, Some(default)) => default.into(),
            };
            set.push((&each.variable.name, value));
            removed.extend(each.variable.file_name());
        }
        set.sort_by_key(|(name, _)| *name);
        removed.sort();
        Self { set, removed }
    }

    /// The value of a name as the server will have it.
    pub fn get<'b>(&'b self, name: &str, environment: &'b Environment) -> Option<&'b OsStr> {
        match self.set.binary_search_by(|(other, _)| (*other).cmp(name)) {
            Ok(position) => Some(&self.set[position].1),
            Err(_)
                if self
                    .removed
                    .binary_search_by(|other| other.as_str().cmp(name))
                    .is_ok() =>
            {
                None
            }
            Err(_) => environment.get(name),
        }
    }

    /// The environment for the steps and the server.
    pub fn onto(self, environment: Environment) -> Environment {
        environment.with(&self.set, &self.removed)
    }
}
