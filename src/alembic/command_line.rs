//! alembic's own command line, as the command of a step has it.

use std::ffi::OsString;
use std::path::PathBuf;

/// What an alembic command line says about the configuration and the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The files of `-c` and `--config`.
    pub files: Vec<PathBuf>,
    /// The section of `-n` and `--name`.
    pub section: Option<String>,
    /// The argument of `upgrade`. `None` for every other command.
    pub upgrade: Option<String>,
}

/// Parses `alembic …` and `python -m alembic …`. Returns `None` if it is not certain how alembic would read the words.
pub fn command_line(words: &[OsString]) -> Option<CommandLine> {
    let _ = words;
    None
}
