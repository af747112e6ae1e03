//! Reads alembic's configuration and revision files without Python, and compares them with the version table's rows.
//!
//! The answer "nothing to do" is never a guess. Whatever cannot be read for certain is [`Error::Uncertain`] or
//! [`Status::Uncertain`]; the caller then asks alembic itself, or runs the step.

mod command_line;
mod config;
mod history;
mod ini;
mod python;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::os::file;

pub use command_line::{CommandLine, behind_env, command_line};
pub use history::{History, Status, Targets};

/// Where alembic's configuration is, and what the manifest says about `env.py`.
pub struct Settings<'a> {
    /// The files that the manifest or `-c` of the step's command names: an ini file, a pyproject.toml, or one of each.
    /// Empty: the defaults.
    pub files: &'a [PathBuf],
    /// `ALEMBIC_CONFIG` of the effective environment.
    pub variable: Option<&'a OsStr>,
    /// `PYTHONPATH` of the effective environment, for `script_location = package:path`.
    pub python_path: Option<&'a OsStr>,
    /// The section of the ini file (`-n`), by default `alembic`.
    pub section: &'a str,
    /// Whether the manifest names the version table, so that `env.py` need not be searched for it.
    pub names_table: bool,
    /// Whether the manifest names the version table's schema, so that `env.py` need not be searched for it.
    pub names_schema: bool,
}

/// Why there is no history. The texts contain base names of files, revisions and names of keys, but no values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that cannot be read for certain. The text is a clause such as "`0003_x.py`
    /// computes its revision".
    #[error("{0}")]
    Uncertain(String),
    /// A history that alembic itself rejects, whatever the database contains. The text is a clause such as
    /// "`0003_x.py` refers to the revision 0002, which no file has".
    #[error("{0}")]
    Broken(String),
}

/// Reads the configuration, the revision files and `env.py`. Relative paths are relative to the working directory.
///
/// # Errors
/// [`Error::Uncertain`] if anything cannot be read for certain, and [`Error::Broken`] if alembic rejects the history.
pub fn read(settings: &Settings<'_>) -> Result<History, Error> {
    let places = config::read(settings)?;
    with_source(&places.scripts.join("env.py"), |source| {
        python::check_environment(source, settings.names_table, settings.names_schema)
    })?;
    let mut revisions = Vec::new();
    let mut size = 0;
    for path in config::revision_files(&places)? {
        size += fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if size > MAX_HISTORY {
            return uncertain("the revision files are larger than 64 MiB");
        }
        revisions.push((base_name(&path), with_source(&path, python::variables)?));
    }
    History::new(&revisions)
}

/// The size limit of each file, and of all revision files together, in bytes.
const MAX_FILE: usize = 1024 * 1024;
const MAX_HISTORY: u64 = 64 * 1024 * 1024;

/// The longest text of a file's or a database's that a message contains, in characters.
const MAX_SHOWN: usize = 64;

fn uncertain<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Uncertain(text.into()))
}

/// Reads the source of a Python file. What is wrong is a clause that follows the file's name.
fn with_source<T>(path: &Path, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Error> {
    let name = base_name(path);
    let Some(source) = read_file(path, &name)? else {
        return uncertain(format!("{name} does not exist"));
    };
    read(&source).map_err(|reason| Error::Uncertain(format!("{name} {reason}")))
}

/// Reads a text in UTF-8, with `\n` as the only line break. Returns `None` if the file does not exist.
fn read_file(path: &Path, name: &str) -> Result<Option<String>, Error> {
    match file::read(path, MAX_FILE) {
        Ok(source) if source.len() > MAX_FILE => uncertain(format!("{name} is larger than 1 MiB")),
        Ok(source) => {
            let text = str::from_utf8(&source).map(|text| text.replace("\r\n", "\n"));
            match text {
                Ok(text) if !text.contains('\r') => Ok(Some(text)),
                Ok(_) | Err(_) => uncertain(format!("{name} is no plain text in UTF-8")),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(_) => uncertain(format!("{name} cannot be read")),
    }
}

/// The last part of a path, for messages.
fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    shown(&name.to_string_lossy())
}

/// A text from a file or the database, for messages.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.replace(char::is_control, "\u{fffd}")
}
