//! A secret that comes as a file.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::resolve::ReadFile;

/// The largest secret, in bytes; Linux admits no longer string in an environment (`MAX_ARG_STRLEN`).
const MAX_SIZE: usize = 128 * 1024;

/// Why a file is no secret: the rest of a sentence that begins with the file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileProblem {
    NotFound,
    Directory,
    NotPermitted,
    /// What it is instead: the rest of a sentence that begins with "is".
    NotRegular(String),
    TooLarge,
    HasNul,
    /// Another error, as the system names it.
    Other(ErrorKind),
}

impl FileProblem {
    /// What to do about it, as an order; `variable` names the file.
    pub fn fix(&self, variable: &str) -> String {
        match self {
            FileProblem::NotFound => format!("mount the secret there, or correct {variable}"),
            FileProblem::Directory => format!(
                "name the file itself in {variable} (Docker makes a directory of a mounted file that the host does not have)"
            ),
            FileProblem::NotPermitted => {
                "let the user that starts the container read it: its mode, or the uid of the secret"
                    .to_owned()
            }
            FileProblem::NotRegular(_)
            | FileProblem::TooLarge
            | FileProblem::HasNul
            | FileProblem::Other(_) => {
                format!("name a text file with the value alone in {variable}")
            }
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileProblem::NotFound => out.write_str("does not exist"),
            FileProblem::Directory => out.write_str("is a directory"),
            FileProblem::NotPermitted => out.write_str("this user may not read"),
            FileProblem::NotRegular(what) => write!(out, "is {what}"),
            FileProblem::TooLarge => out.write_str("is larger than 128 KiB"),
            FileProblem::HasNul => out.write_str("has a NUL byte in it"),
            FileProblem::Other(kind) => write!(out, "cannot be read: {kind}"),
        }
    }
}

impl From<std::io::Error> for FileProblem {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => FileProblem::NotFound,
            ErrorKind::IsADirectory => FileProblem::Directory,
            ErrorKind::PermissionDenied => FileProblem::NotPermitted,
            // The reader's own word, and not the system's.
            ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
                FileProblem::NotRegular(error.to_string())
            }
            other => FileProblem::Other(other),
        }
    }
}

/// The content of a secret's file less its trailing newlines.
///
/// # Errors
/// When it cannot be read, or cannot be a variable's value.
pub fn read(file: &OsStr, read_file: ReadFile) -> Result<OsString, FileProblem> {
    let mut content = read_file(Path::new(file), MAX_SIZE)?;
    if content.len() > MAX_SIZE {
        return Err(FileProblem::TooLarge);
    }
    while content.ends_with(b"\n") {
        content.pop();
        if content.ends_with(b"\r") {
            content.pop();
        }
    }
    if content.contains(&0) {
        return Err(FileProblem::HasNul);
    }
    Ok(OsString::from_vec(content))
}
