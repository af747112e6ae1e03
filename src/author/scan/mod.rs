//! Finds the environment variables that Python code reads, without running it. docs/audit.md lists the idioms.
//!
//! `files` lists and reads the files, `module` parses each of them, and `project` finds out what a name stands for
//! across the files. `calls` finds the reads by calls and subscripts, and `settings` those by pydantic's classes.

mod calls;
mod files;
mod module;
mod project;
mod settings;
mod values;

use std::path::Path;

use crate::error::Error;
use crate::platform::is_injected;
use crate::rule::{List, Type};

use module::Module;
use project::Project;

/// Names that Python, its servers and its tools read themselves, or that operating systems set, beside those of
/// [`is_injected`]. A `*` at the end of a name matches any text.
const USUAL: &str = "APPDATA COLUMNS ComSpec DJANGO_SETTINGS_MODULE FORWARDED_ALLOW_IPS GUNICORN_CMD_ARGS LINES \
    LOCALAPPDATA PROGRAMDATA ProgramFiles PYTEST_* PYTHON* SSL_CERT_DIR SSL_CERT_FILE SYSTEMROOT SystemRoot TEMP TMP \
    USERNAME USERPROFILE UVICORN_* VIRTUAL_ENV WINDIR windir XDG_*";

/// A place where code reads an environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub name: String,
    /// The path of the file, which begins with the scanned folder as the user wrote it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Whether the code fails without the variable. False for `os.getenv("X")`, which returns None.
    pub is_required: bool,
    /// The code's default as it is written, such as `True` or `8000`; a text without its quotes. `None` if there is no
    /// default, or if it is computed.
    pub default: Option<String>,
    /// The type that the code converts the value to. `None` if the code does not tell.
    pub value_type: Option<Type>,
    pub list: Option<List>,
    /// Whether the code declares it a secret, such as `SecretStr`.
    pub is_secret: bool,
    /// Whether a name in other case is read, too.
    pub ignores_case: bool,
    /// The first name of the same field, if the code reads this name only in its place.
    pub instead_of: Option<String>,
}

/// Something that the scanner cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub file: String,
    /// Counted from 1. `None` for the whole file.
    pub line: Option<usize>,
    /// A sentence about this place.
    pub text: String,
}

/// What a scan has found.
#[derive(Debug, Default)]
pub struct Scan {
    /// In the order of their files and lines.
    pub reads: Vec<Read>,
    pub notes: Vec<Note>,
    /// The number of Python files.
    pub files: usize,
}

/// Whether code can read this name without a declaration, because a platform, an operating system, Python or a server
/// has it.
pub fn is_usual(name: &str) -> bool {
    USUAL.split(' ').any(|pattern| matches(pattern, name)) || is_injected(name)
}

/// Whether a pattern, which can end with `*`, matches a name.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Scans a file, or all Python files of a folder.
///
/// # Errors
/// If the path does not exist or cannot be read, or if it contains too much.
pub fn scan(path: &Path) -> Result<Scan, Error> {
    let mut scan = Scan::default();
    let sources = files::read(path, &mut scan)?;
    let modules = sources
        .iter()
        .map(|source| Module::parse(source, &mut scan.notes));
    let project = Project::new(modules.collect());
    calls::find(&project, &mut scan);
    settings::find(&project, &mut scan);
    scan.files = sources.len();
    scan.reads.sort_by(|one, other| {
        (&one.file, one.line, &one.name).cmp(&(&other.file, other.line, &other.name))
    });
    scan.reads.dedup();
    Ok(scan)
}
