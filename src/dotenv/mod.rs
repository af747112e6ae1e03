//! `.env` files. There is no standard: the same line means different things to different readers. Each of them has
//! its dialect here, as its source reads and as it was measured.

mod compose;
mod cursor;
mod docker;
mod kv;
mod python;
mod remarks;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::mem;

use cursor::{Budget, Lookup, Statement, TOO_MUCH};
use remarks::Remarks;
pub use remarks::{Remark, RemarkKind};

/// The largest env file that is read, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// The reader whose understanding of a file counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `env_file` and `.env` of docker compose v2.
    #[default]
    Compose,
    /// `docker run --env-file`.
    Docker,
    /// The Python library of that name.
    PythonDotenv,
    /// `NAME=VALUE` with values as they are, as `railway variables --kv` prints them.
    Kv,
}

/// Variables that Railway injects, so they stand in a file only if its command line printed it.
const RAILWAYS: [&str; 3] = [
    "RAILWAY_PROJECT_ID=",
    "RAILWAY_SERVICE_ID=",
    "RAILWAY_SERVICE_NAME=",
];

impl Dialect {
    /// Every dialect, with its name on the command line.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the command line has its own table")
    )]
    pub const NAMES: [(&'static str, Dialect); 4] = [
        ("compose", Dialect::Compose),
        ("docker", Dialect::Docker),
        ("python-dotenv", Dialect::PythonDotenv),
        ("kv", Dialect::Kv),
    ];

    /// The dialect of a text: `Kv` for a listing that Railway's command line printed, else `Compose`.
    fn of(text: &str) -> Self {
        let is_listed = |line: &str| RAILWAYS.iter().any(|name| line.starts_with(name));
        if text.lines().any(is_listed) {
            Self::Kv
        } else {
            Self::Compose
        }
    }

    fn statements(self, text: &str, lookup: Lookup<'_>) -> Vec<Statement> {
        match self {
            Self::Compose => cursor::statements(text, lookup, &compose::RULES),
            Self::Docker => docker::statements(text),
            Self::PythonDotenv => cursor::statements(text, lookup, &python::RULES),
            Self::Kv => kv::statements(text),
        }
    }
}

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// In the order of the file, each name once, with the value that counts.
    pub entries: Vec<Entry>,
    /// In the order of the lines.
    pub remarks: Vec<Remark>,
}

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: String,
    /// The first line, counted from 1.
    pub line: usize,
}

/// An env file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", shown(name))]
pub struct Error {
    /// As the user gave it; `-` is standard input.
    pub name: String,
    pub fault: Fault,
}

/// Why an env file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("there is no such file")]
    NotFound,
    #[error("it is a directory; name the file in it")]
    Directory,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("it is larger than 1 MiB")]
    TooLarge,
    #[error("it sets no variable")]
    Empty,
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    #[error("it is not text: line {line} {what}")]
    NotText { line: usize, what: &'static str },
    #[error("it has {} line{} that cannot be read", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Lines(Vec<LineFault>),
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Counted from 1.
    pub line: usize,
    /// The rest of a sentence that begins with the line. It contains no text of the line.
    pub text: &'static str,
}

fn shown(name: &str) -> String {
    match name {
        "-" => "the env file on standard input".to_owned(),
        _ => format!("the env file {}", name.escape_debug()),
    }
}

/// Reads an env file. Without a dialect, the text decides which one counts. `read` returns the content, given the
/// limit in bytes, and of a larger file no more than one byte over the limit.
///
/// # Errors
/// When the file cannot be read, or any of its lines.
pub fn load(
    name: &str,
    dialect: Option<Dialect>,
    lookup: Lookup<'_>,
    read: impl FnOnce(usize) -> io::Result<Vec<u8>>,
) -> Result<EnvFile, Error> {
    let content = read(MAX_SIZE).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Fault::NotFound,
        ErrorKind::IsADirectory => Fault::Directory,
        _ => Fault::Unreadable(error),
    });
    let file = content.and_then(|content| {
        let text = text_of(&content)?;
        let dialect = dialect.unwrap_or_else(|| Dialect::of(text));
        let file = parse(text, dialect, lookup).map_err(Fault::Lines)?;
        if file.entries.is_empty() && file.remarks.is_empty() {
            return Err(Fault::Empty);
        }
        Ok(file)
    });
    file.map_err(|fault| Error {
        name: name.to_owned(),
        fault,
    })
}

fn text_of(content: &[u8]) -> Result<&str, Fault> {
    let not_text = |at: usize, what| Fault::NotText {
        line: 1 + content[..at].iter().filter(|&&byte| byte == b'\n').count(),
        what,
    };
    if content.len() > MAX_SIZE {
        return Err(Fault::TooLarge);
    }
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Err(Fault::Utf16);
    }
    if let Some(at) = memchr::memchr(0, content) {
        // Every other byte of Latin text in UTF-16 is NUL.
        let count = content.iter().filter(|&&byte| byte == 0).count();
        return Err(if at < 2 && count * 3 > content.len() {
            Fault::Utf16
        } else {
            not_text(at, "contains a NUL byte")
        });
    }
    let text =
        str::from_utf8(content).map_err(|error| not_text(error.valid_up_to(), "is not UTF-8"))?;
    // Every reader skips a byte-order mark.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Reads a text.
///
/// # Errors
/// Every line that cannot be read.
fn parse(text: &str, dialect: Dialect, lookup: Lookup<'_>) -> Result<EnvFile, Vec<LineFault>> {
    let asks_caller = dialect != Dialect::PythonDotenv;
    let mut entries: Vec<Entry> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut remarks = Remarks::default();
    let mut faults = Vec::new();
    let budget = Budget::default();
    for statement in dialect.statements(text, lookup) {
        let Statement { line, name, value } = statement;
        let inherited = || lookup(&name).map(|found| budget.spend(found).map(str::to_owned));
        let value = match value {
            Ok(None) if asks_caller => inherited().transpose(),
            read => read,
        };
        let text = match value {
            Err(text) => {
                faults.push(LineFault { line, text });
                if text == TOO_MUCH {
                    break;
                }
                continue;
            }
            Ok(None) if asks_caller => {
                "is a name without a value, which the caller's environment does not have: it sets nothing"
                    .to_owned()
            }
            Ok(None) => "is a name without a value: it sets nothing".to_owned(),
            Ok(Some(value)) => {
                let name = name.clone();
                let entry = Entry { name, value, line };
                let Some(&position) = positions.get(&entry.name) else {
                    positions.insert(entry.name.clone(), entries.len());
                    entries.push(entry);
                    continue;
                };
                let earlier = mem::replace(&mut entries[position], entry).line;
                format!(
                    "sets a name again, after line {earlier}; the last one counts (docker passes both on)"
                )
            }
        };
        remarks.push(line, RemarkKind::Effect, &name, text);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if dialect != Dialect::Kv {
        let readers = [Dialect::Compose, Dialect::PythonDotenv, Dialect::Docker];
        remarks.compare(text, readers.map(|reader| reader.statements(text, lookup)));
    }
    let remarks = remarks.into_list();
    Ok(EnvFile { entries, remarks })
}

#[cfg(test)]
mod tests;
