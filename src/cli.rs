//! The command line's types and help texts: what a user can ask for.

mod parse;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::dotenv::Dialect;
use crate::os::signals::{Forward, Rewrite};

pub use parse::parse;

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Run),
    Check(Check),
    /// The URL to ask, unexpanded.
    Healthcheck(String),
    ExitCodes(TableFormat),
    /// A help text or the version, to be printed as it is.
    Print(&'static str),
}

/// The arguments of `startup-guard run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub manifest: ManifestChoice,
    /// Names of steps to leave out.
    pub skip: Vec<String>,
    /// End with 0 after the steps.
    pub no_server: bool,
    /// Stay as the server's init.
    pub init: bool,
    /// Which processes an init passes signals on to.
    pub forward: Option<Forward>,
    /// Signals that an init passes on as others.
    pub rewrites: Vec<Rewrite>,
    /// Replaces the manifest's `server.command`.
    pub command: Option<Vec<OsString>>,
}

/// The arguments of `startup-guard check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub manifest: ManifestChoice,
    pub format: ReportFormat,
    /// In their order; `-` is standard input.
    pub env_files: Vec<OsString>,
    /// `None`: chosen by the content of each file.
    pub dialect: Option<Dialect>,
    /// Check the files alone, without the process's environment.
    pub only_file: bool,
}

/// The manifest that the command line names.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ManifestChoice {
    /// Neither option is given: `STARTUP_GUARD_MANIFEST` or the default file name decides.
    #[default]
    Default,
    File(PathBuf),
    /// `--no-manifest`.
    None,
}

/// The value of `check --format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

/// The value of `exit-codes --format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    #[default]
    Text,
    Json,
}

/// Wrong usage: what is wrong with which argument, and what would be right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UsageError(String);

/// The help text of the program.
const OVERVIEW: &str = include_str!("cli/help/all.txt");

/// The subcommands and their help texts. A line that begins with two spaces and an option documents that option.
const SUBCOMMANDS: [(&str, &str); 4] = [
    ("run", include_str!("cli/help/run.txt")),
    ("check", include_str!("cli/help/check.txt")),
    ("healthcheck", include_str!("cli/help/healthcheck.txt")),
    ("exit-codes", include_str!("cli/help/exit-codes.txt")),
];
