//! Parses `.env` files. There is no standard for them: the programs that read them (readers) parse the same line
//! differently. A dialect has the rules of one reader, taken from its source and from recordings of its behaviour.

mod compose;
mod cursor;
mod python;
mod raw;
mod remarks;
mod suspicion;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::ops::Range;

use crate::report::{Note, NoteCode, ValueFinding};
use cursor::{Budget, Statement, TOO_MUCH};
use remarks::{compare, limit, note};

pub use cursor::Lookup;

/// The largest env file that is read, in bytes.
pub const MAX_SIZE: usize = 1024 * 1024;

/// The reader whose rules apply to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `env_file` and `.env` of docker compose v2.
    #[default]
    Compose,
    /// `docker run --env-file`.
    Docker,
    /// The Python library python-dotenv.
    PythonDotenv,
    /// `NAME=VALUE` lines with raw values, as `railway variables --kv` prints them.
    Kv,
}

/// Variables that Railway injects, separated by spaces. A file that sets one of them is the output of Railway's command
/// line.
const RAILWAYS: &str = "RAILWAY_PROJECT_ID= RAILWAY_SERVICE_ID= RAILWAY_SERVICE_NAME=";

impl Dialect {
    /// Every dialect, with its name on the command line.
    pub const NAMES: [(&'static str, Dialect); 4] = [
        ("compose", Dialect::Compose),
        ("docker", Dialect::Docker),
        ("python-dotenv", Dialect::PythonDotenv),
        ("kv", Dialect::Kv),
    ];

    /// Detects the dialect of a text: `Kv` for the output of Railway's command line, else `Compose`.
    pub fn of(text: &str) -> Self {
        let is_listed = |line: &&str| RAILWAYS.split(' ').any(|name| line.starts_with(name));
        let listed = text.lines().find(is_listed);
        listed.map_or(Self::Compose, |_| Self::Kv)
    }

    /// Quotes and escapes a value so that this dialect reads it unchanged. It must not contain control characters.
    pub fn written(self, value: &str) -> String {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
        let escaped = match self {
            _ if is_plain_value(value) => return value.to_owned(),
            Self::Docker | Self::Kv => return value.to_owned(),
            Self::Compose => escaped.replace('$', r"\$"),
            // python-dotenv has no escape for `${`. So `${` is written as the default of a variable with an empty name,
            // which is never set.
            Self::PythonDotenv => escaped.replace("${", "${:-${}"),
        };
        format!("\"{escaped}\"")
    }

    /// A shell pipe that quotes and escapes a line as `written` does; empty if it would change nothing.
    pub fn shell_filter(self) -> &'static str {
        match self {
            Self::Compose => r#" | sed 's/["$\\]/\\&/g; s/^/"/; s/$/"/'"#,
            Self::PythonDotenv => r#" | sed 's/["\\]/\\&/g; s/[$]{/${:-${}/g; s/^/"/; s/$/"/'"#,
            Self::Docker | Self::Kv => "",
        }
    }

    fn statements(self, text: &str, lookup: Lookup<'_>) -> Vec<Statement> {
        match self {
            Self::Compose => cursor::statements(text, lookup, &compose::RULES),
            Self::Docker => raw::docker(text),
            Self::PythonDotenv => cursor::statements(text, lookup, &python::RULES),
            Self::Kv => raw::kv(text),
        }
    }
}

/// Whether every dialect reads the value unchanged when it is written without quotes.
pub fn is_plain_value(value: &str) -> bool {
    value.trim() == value && !value.contains(['$', '\\', '"', '\'', '#'])
}

/// The content of an env file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// In the order of the file. If a name occurs several times, its last entry applies.
    pub entries: Vec<Entry>,
    /// In the order of the lines. A name in them can be secret text, because a line of a key can look like an assignment.
    pub notes: Vec<Note>,
}

/// A variable that a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: String,
    /// The reason why this is probably not the value that is meant, if there is one.
    pub finding: Option<ValueFinding>,
    /// The line where the entry begins, counted from 1.
    pub line: usize,
    /// Where the entry is in the text, in bytes: from its name, or the word `export`, to the end of its value or of the
    /// comment behind it. Further white space can be included.
    pub range: Range<usize>,
}

/// An env file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", shown(name))]
pub struct Error {
    /// The file's name, as the user gave it; `-` is standard input.
    pub name: String,
    pub fault: Fault,
}

/// Why an env file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It does not exist, is a directory, or cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It is too large, empty or not UTF-8.
    #[error("{0}")]
    Invalid(String),
    #[error("it has {} line{} that cannot be read", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Lines(Vec<LineFault>),
}

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} {text}")]
pub struct LineFault {
    /// Counted from 1.
    pub line: usize,
    /// The predicate of a sentence whose subject is the line. It contains no text of the line.
    pub text: &'static str,
}

fn shown(name: &str) -> String {
    match name {
        "-" => "the env file on standard input".to_owned(),
        _ => format!("the env file {}", name.escape_debug()),
    }
}

/// Reads and parses an env file. If `dialect` is `None`, it is detected. `read` gets a limit in bytes and returns the
/// content; of a larger file it returns one byte more than the limit.
///
/// # Errors
/// If the file cannot be read, or if any of its lines cannot be parsed.
pub fn load(
    name: &str,
    dialect: Option<Dialect>,
    lookup: Lookup<'_>,
    read: impl FnOnce(usize) -> io::Result<Vec<u8>>,
) -> Result<EnvFile, Error> {
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::IsADirectory => "it is a directory; name the file in it".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let file = || {
        let content = read(MAX_SIZE).map_err(|error| Fault::Unreadable(unreadable(error)))?;
        let text = text_of(&content)?;
        let dialect = dialect.unwrap_or_else(|| Dialect::of(text));
        let file = parse(name, text, dialect, lookup).map_err(Fault::Lines)?;
        let is_empty = file.entries.is_empty() && file.notes.is_empty();
        let fault = || Fault::Invalid("it sets no variable".to_owned());
        (!is_empty).then_some(file).ok_or_else(fault)
    };
    let name = name.to_owned();
    file().map_err(|fault| Error { name, fault })
}

/// The text of a file, without its byte-order mark.
///
/// # Errors
/// If it is too large, or is not UTF-8 text.
pub fn text_of(content: &[u8]) -> Result<&str, Fault> {
    let not_text = |at: usize, what| {
        let line = 1 + memchr::memchr_iter(b'\n', &content[..at]).count();
        Fault::Invalid(format!("it is not text: line {line} {what}"))
    };
    if content.len() > MAX_SIZE {
        return Err(Fault::Invalid("it is larger than 1 MiB".to_owned()));
    }
    let has_mark = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    let first = memchr::memchr(0, content);
    let count = memchr::memchr_iter(0, content).count();
    // In Latin text in UTF-16, every other byte is NUL.
    if has_mark || first.is_some_and(|at| at < 2) && count * 3 > content.len() {
        return Err(Fault::Invalid("it is UTF-16; save it as UTF-8".to_owned()));
    }
    if let Some(at) = first {
        return Err(not_text(at, "contains a NUL byte"));
    }
    let text =
        str::from_utf8(content).map_err(|error| not_text(error.valid_up_to(), "is not UTF-8"))?;
    // Every reader skips a byte-order mark.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Parses the text of the file `source`.
///
/// # Errors
/// The faults of all lines that cannot be parsed.
pub fn parse(
    source: &str,
    text: &str,
    dialect: Dialect,
    lookup: Lookup<'_>,
) -> Result<EnvFile, Vec<LineFault>> {
    let asks_caller = dialect != Dialect::PythonDotenv;
    let mut file = EnvFile::default();
    let mut lines: HashMap<String, usize> = HashMap::new();
    let mut faults = Vec::new();
    let budget = Budget::default();
    let raw: Vec<&str> = text.split('\n').collect();
    // The first and the last line of a value that goes on in the next lines.
    let (mut begin, mut end) = (0, 0);
    let goes_on = suspicion::goes_on(dialect);
    for statement in dialect.statements(text, lookup) {
        let (line, name) = (statement.line, statement.name);
        let inherited = || lookup(&name).map(|found| budget.spend(found).map(str::to_owned));
        let value = match statement.value {
            Ok(None) if asks_caller => inherited().transpose(),
            read => read,
        };
        let mut remark = |code, text| file.notes.push(note((source, line), code, &name, text));
        match value {
            Err(text) => {
                // All faults within such a value are one fault of its first line.
                let is_inside = line <= end;
                let line = if is_inside { begin } else { line };
                let told = if is_inside { goes_on } else { text };
                let last = faults.last().map(|last: &LineFault| last.line);
                faults.extend((last != Some(line)).then_some(LineFault { line, text: told }));
                if text == TOO_MUCH {
                    break;
                }
            }
            Ok(None) => {
                let text = "has a name without a value, and no such variable is set";
                remark(NoteCode::Line, format!("{text}: it sets nothing"));
            }
            Ok(Some(value)) => {
                if line > end
                    && let Some(further) = suspicion::further_lines(value.trim(), &raw[line..])
                {
                    (begin, end) = (line, line + further);
                }
                let finding = suspicion::reason(raw[line - 1], &value, statement.is_lossy, dialect);
                if let Some(ValueFinding { problem, fix, .. }) = &finding {
                    remark(NoteCode::Misread, format!("{problem}; {fix}"));
                }
                if let Some(earlier) = lines.insert(name.clone(), line) {
                    let text = format!("sets a name that line {earlier} already sets");
                    let applies = "the last value applies (docker passes on both)";
                    remark(NoteCode::Line, format!("{text}; {applies}"));
                }
                file.entries.push(Entry {
                    name,
                    value,
                    finding,
                    line,
                    range: statement.range,
                });
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if dialect != Dialect::Kv {
        let readers = [Dialect::Compose, Dialect::PythonDotenv, Dialect::Docker];
        let readers = readers.map(|reader| reader.statements(text, lookup));
        compare(source, text, readers, &mut file.notes);
    }
    limit(&mut file.notes);
    Ok(file)
}

#[cfg(test)]
mod tests;
