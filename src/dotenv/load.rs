//! From a file to its variables, or to everything that is wrong with it.

use std::io::{self, ErrorKind};

use super::{Dialect, EnvFile, LineFault, Lookup, parse};

/// The largest env file that is read, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// Why an env file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", shown(name))]
pub struct Error {
    /// As the user gave it; `-` is standard input.
    pub name: String,
    pub problem: Problem,
}

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("there is no such file")]
    NotFound,
    #[error("it is a directory; name the file in it")]
    Directory,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("it is larger than 1 MiB")]
    TooLarge,
    #[error("it has no variable in it")]
    Empty,
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    #[error("it is no text: line {line} {what}")]
    NoText { line: usize, what: &'static str },
    #[error("{}", count(.0.len()))]
    Invalid(Vec<LineFault>),
}

fn shown(name: &str) -> String {
    if name == "-" {
        "the env file on standard input".to_owned()
    } else {
        format!("the env file {}", name.escape_debug())
    }
}

fn count(faults: usize) -> String {
    if faults == 1 {
        "it has 1 line that cannot be read".to_owned()
    } else {
        format!("it has {faults} lines that cannot be read")
    }
}

/// Reads an env file, without a dialect in the one that its text tells. `read` gives its content, and of a large one no more than one byte over the limit.
///
/// # Errors
/// When it cannot be read, or not all of it can be understood.
pub fn load(
    name: &str,
    dialect: Option<Dialect>,
    lookup: Lookup<'_>,
    read: impl FnOnce(usize) -> io::Result<Vec<u8>>,
) -> Result<EnvFile, Error> {
    let fail = |problem| Error {
        name: name.to_owned(),
        problem,
    };
    let content = read(MAX_SIZE).map_err(|cause| fail(unreadable(cause)))?;
    if content.len() > MAX_SIZE {
        return Err(fail(Problem::TooLarge));
    }
    let text = text_of(&content).map_err(fail)?;
    let dialect = dialect.unwrap_or_else(|| Dialect::of(text));
    let file = parse(text, dialect, lookup).map_err(|faults| fail(Problem::Invalid(faults)))?;
    if file.entries.is_empty() && file.remarks.is_empty() {
        return Err(fail(Problem::Empty));
    }
    Ok(file)
}

fn unreadable(cause: io::Error) -> Problem {
    match cause.kind() {
        ErrorKind::NotFound => Problem::NotFound,
        ErrorKind::IsADirectory => Problem::Directory,
        _ => Problem::Unreadable(cause),
    }
}

fn text_of(content: &[u8]) -> Result<&str, Problem> {
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Err(Problem::Utf16);
    }
    let line_at = |at: usize| content[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
    if let Some(at) = memchr::memchr(0, content) {
        let what = "has a NUL byte in it";
        let line = line_at(at);
        // Every other byte of Latin text in UTF-16 is one.
        let is_utf16 =
            at < 2 && content.iter().filter(|&&byte| byte == 0).count() * 3 > content.len();
        return Err(if is_utf16 {
            Problem::Utf16
        } else {
            Problem::NoText { line, what }
        });
    }
    let text = str::from_utf8(content).map_err(|error| Problem::NoText {
        line: line_at(error.valid_up_to()),
        what: "is not UTF-8",
    })?;
    // All of these readers pass over it.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
