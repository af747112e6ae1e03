//! `.env` files. There is no one format: the same line means different things to different readers. So each
//! reader has its dialect here, as its source reads and as it was measured, and a line that they do not
//! understand alike is told.

mod compose;
mod differences;
mod docker;
mod kv;
mod load;
mod python;

use std::collections::HashMap;

pub use load::{Error, Problem, load};

/// Whose reading counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `env_file` and `.env` of docker compose v2.
    #[default]
    Compose,
    /// `docker run --env-file`.
    Docker,
    /// The library of that name.
    PythonDotenv,
    /// `NAME=VALUE` with raw values, as `railway variables --kv` prints them.
    Kv,
}

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: String,
    /// Counted from 1: where it begins.
    pub line: usize,
}

/// A line that is no fault, but not what it may seem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub line: usize,
    pub kind: RemarkKind,
    /// The variable, where its name can be shown.
    pub name: Option<String>,
    /// The rest of a sentence that begins with the line.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// Its readers do not understand it alike.
    Portability,
    /// It sets nothing, or something else than it seems.
    Effect,
}

/// What a file comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// In the order of the file, of each name the one that counts.
    pub entries: Vec<Entry>,
    /// In the order of the lines.
    pub remarks: Vec<Remark>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Counted from 1.
    pub line: usize,
    /// The rest of a sentence that begins with the line. Nothing of the line is in it.
    pub problem: String,
}

/// How one reader understands what begins at one line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    line: usize,
    name: String,
    reading: Reading,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reading {
    Value(String),
    /// A name alone: its value is the caller's, where there is one.
    Inherited,
    Fault(String),
}

impl Statement {
    fn fault(line: usize, problem: &str) -> Self {
        Self {
            line,
            name: String::new(),
            reading: Reading::Fault(problem.to_owned()),
        }
    }
}

/// Looks up a variable of whoever reads the file.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

const NO_NAME: &str = "has no name before its `=`";
const NO_EQUALS_SIGN: &str = "is no assignment; write NAME=value";
const COLON: &str = "has a `:` where `=` belongs; write NAME=value";
const WHITE_SPACE_IN_NAME: &str = "has white space in its name";
const UNTERMINATED: &str = "opens a quote that is never closed";
const NUL: &str = "sets a value with a NUL character in it, which no variable can have";

/// Railway injects these, so no hand wrote a file that has one.
const OF_LISTINGS: [&str; 3] = [
    "RAILWAY_PROJECT_ID=",
    "RAILWAY_SERVICE_ID=",
    "RAILWAY_SERVICE_NAME=",
];

impl Dialect {
    /// A listing that Railway's command line printed is read as such; else it is compose's file.
    fn of(text: &str) -> Self {
        let is_listed = |line: &str| OF_LISTINGS.iter().any(|name| line.starts_with(name));
        if text.lines().any(is_listed) {
            Self::Kv
        } else {
            Self::default()
        }
    }

    fn statements(self, text: &str, lookup: Lookup<'_>) -> Vec<Statement> {
        match self {
            Dialect::Compose => compose::statements(text, lookup),
            Dialect::Docker => docker::statements(text),
            Dialect::PythonDotenv => python::statements(text, lookup),
            Dialect::Kv => kv::statements(text),
        }
    }
}

/// Reads a text.
///
/// # Errors
/// Every line that cannot be read.
pub fn parse(text: &str, dialect: Dialect, lookup: Lookup<'_>) -> Result<EnvFile, Vec<LineFault>> {
    let statements = dialect.statements(text, lookup);
    let faults: Vec<LineFault> = statements.iter().filter_map(fault_of).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut file = EnvFile::default();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for statement in statements {
        let value = match statement.reading {
            Reading::Value(value) => value,
            // Told above; nothing is left of it.
            Reading::Fault(_) => continue,
            Reading::Inherited => {
                let inherited = inherited(dialect, &statement.name, lookup);
                file.remarks
                    .extend(inherited_remark(dialect, &statement, inherited.is_some()));
                let Some(value) = inherited else { continue };
                value
            }
        };
        let entry = Entry {
            name: statement.name,
            value,
            line: statement.line,
        };
        match positions.get(&entry.name) {
            None => {
                positions.insert(entry.name.clone(), file.entries.len());
                file.entries.push(entry);
            }
            Some(&position) => {
                file.remarks.push(Remark {
                    line: entry.line,
                    kind: RemarkKind::Effect,
                    name: shown_name(&entry.name),
                    text: format!(
                        "sets a name again, after line {}; the last one counts (docker passes both on)",
                        file.entries[position].line
                    ),
                });
                file.entries[position] = entry;
            }
        }
    }
    if dialect != Dialect::Kv {
        file.remarks.extend(differences::remarks(text, lookup));
    }
    file.remarks.sort_by_key(|remark| remark.line);
    Ok(file)
}

fn fault_of(statement: &Statement) -> Option<LineFault> {
    let problem = match &statement.reading {
        Reading::Fault(problem) => problem,
        Reading::Value(value) if value.contains('\0') => NUL,
        Reading::Value(_) | Reading::Inherited => return None,
    };
    Some(LineFault {
        line: statement.line,
        problem: problem.to_owned(),
    })
}

/// python-dotenv sets nothing for a name alone; the others pass the caller's value on.
fn inherited(dialect: Dialect, name: &str, lookup: Lookup<'_>) -> Option<String> {
    match dialect {
        Dialect::Compose | Dialect::Docker => lookup(name),
        Dialect::PythonDotenv | Dialect::Kv => None,
    }
}

fn inherited_remark(dialect: Dialect, statement: &Statement, is_set: bool) -> Option<Remark> {
    let text = match dialect {
        Dialect::Compose | Dialect::Docker if is_set => return None,
        Dialect::Compose | Dialect::Docker => {
            "is a name alone, which the caller's environment does not have: it sets nothing"
        }
        Dialect::PythonDotenv | Dialect::Kv => "is a name alone: it sets nothing",
    };
    Some(Remark {
        line: statement.line,
        kind: RemarkKind::Effect,
        name: None,
        text: text.to_owned(),
    })
}

/// A name, if it can be shown: what a reader takes for a name can be the second line of somebody's key.
pub fn shown_name(name: &str) -> Option<String> {
    let is_plain = name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_plain.then(|| name.to_owned())
}

/// Cuts a text into the part before a separator and the rest from it on.
fn split_before<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(separators).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
