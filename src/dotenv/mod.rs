//! `.env` files. There is no one format: the same line means different things to different readers. So each
//! reader has its dialect here, as its source reads and as it was measured, and a line that they do not
//! understand alike is told.

mod compose;
mod differences;
mod docker;
mod kv;
mod limits;
mod load;
mod python;

use std::collections::HashMap;

use limits::{Budget, Remarks};
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
    /// What the line has as a name. It may be anything: a line of a key looks like an assignment, too.
    pub name: String,
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
    pub problem: &'static str,
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
    Fault(&'static str),
}

impl Statement {
    fn fault(line: usize, problem: &'static str) -> Self {
        Self {
            line,
            name: String::new(),
            reading: Reading::Fault(problem),
        }
    }
}

/// Looks up a variable of whoever reads the file. Takes no longer for a long value: it is asked for each reference.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

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
    let mut budget = Budget::default();
    let mut faults = Vec::new();
    let mut entries = Entries::default();
    for mut statement in dialect.statements(text, lookup) {
        match take_value(dialect, &mut statement, lookup, &mut budget) {
            Ok(value) => entries.add(dialect, statement, value),
            Err(problem) => faults.push(LineFault {
                line: statement.line,
                problem,
            }),
        }
        if budget.is_spent() {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut remarks = entries.remarks;
    if dialect != Dialect::Kv {
        differences::tell(text, lookup, &mut remarks);
    }
    Ok(EnvFile {
        entries: entries.list,
        remarks: remarks.told(),
    })
}

/// The value that a statement sets; none for a name alone that the caller does not have.
fn take_value(
    dialect: Dialect,
    statement: &mut Statement,
    lookup: Lookup<'_>,
    budget: &mut Budget,
) -> Result<Option<String>, &'static str> {
    let value = match std::mem::replace(&mut statement.reading, Reading::Inherited) {
        Reading::Fault(problem) => return Err(problem),
        Reading::Value(value) => value,
        Reading::Inherited => match inherited(dialect, &statement.name, lookup) {
            Some(inherited) => {
                let mut value = String::new();
                budget.push(&mut value, inherited)?;
                value
            }
            None => return Ok(None),
        },
    };
    limits::check_length(&statement.name, &value)?;
    if value.contains('\0') {
        return Err(NUL);
    }
    Ok(Some(value))
}

/// The variables so far.
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    /// Of each name, its position in the list.
    positions: HashMap<String, usize>,
    remarks: Remarks,
}

impl Entries {
    fn add(&mut self, dialect: Dialect, statement: Statement, value: Option<String>) {
        let Statement { line, name, .. } = statement;
        let remark = |text: String, name: &str| Remark {
            line,
            kind: RemarkKind::Effect,
            name: name.to_owned(),
            text,
        };
        let Some(value) = value else {
            let text = nothing_inherited(dialect).to_owned();
            self.remarks.push(remark(text, &name));
            return;
        };
        let entry = Entry { name, value, line };
        match self.positions.get(&entry.name) {
            None => {
                self.positions.insert(entry.name.clone(), self.list.len());
                self.list.push(entry);
            }
            Some(&position) => {
                let earlier = &mut self.list[position];
                let text = format!(
                    "sets a name again, after line {}; the last one counts (docker passes both on)",
                    earlier.line
                );
                self.remarks.push(remark(text, &entry.name));
                *earlier = entry;
            }
        }
    }
}

/// python-dotenv sets nothing for a name alone; the others pass the caller's value on.
fn inherited<'a>(dialect: Dialect, name: &str, lookup: Lookup<'a>) -> Option<&'a str> {
    match dialect {
        Dialect::Compose | Dialect::Docker => lookup(name),
        Dialect::PythonDotenv | Dialect::Kv => None,
    }
}

fn nothing_inherited(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Compose | Dialect::Docker => {
            "is a name alone, which the caller's environment does not have: it sets nothing"
        }
        Dialect::PythonDotenv | Dialect::Kv => "is a name alone: it sets nothing",
    }
}

/// Cuts a text into the part before a separator and the rest from it on.
fn split_before<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(separators).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
