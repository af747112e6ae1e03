//! The command line's types: what a user can ask for. `parse` reads them; what the commands do stands in
//! `commands/`.

mod parse;

use std::ffi::OsString;
use std::path::PathBuf;

pub use parse::parse;

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(Run),
    Check(Check),
    /// The URL to ask, unexpanded.
    Healthcheck(String),
    ExitCodes(TableFormat),
    Help(Topic),
    Version,
}

/// `startup-guard run`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub manifest: ManifestChoice,
    /// Names of steps to leave out.
    pub skip: Vec<String>,
    /// End with 0 after the steps.
    pub no_server: bool,
    /// Stay as the server's init.
    pub init: bool,
    /// Who gets the signals then.
    pub forward: Option<Forward>,
    /// Signals that are passed on as others then.
    pub rewrites: Vec<Rewrite>,
    /// Replaces the manifest's `server.command`.
    pub command: Option<Vec<OsString>>,
}

/// `--forward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    Child,
    Group,
}

/// `--rewrite FROM:TO`: two signals, as they were written.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub from: String,
    pub to: String,
}

/// `startup-guard check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub manifest: ManifestChoice,
    pub format: ReportFormat,
    /// In order; `-` is standard input.
    pub env_files: Vec<OsString>,
    /// None: by what is in the file.
    pub dialect: Option<Dialect>,
    /// The files alone, without the process's environment.
    pub only_file: bool,
}

/// Whose reading of an env file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Compose,
    Docker,
    PythonDotenv,
    Kv,
}

/// Which manifest, by the command line alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ManifestChoice {
    /// Not said here: the variable or the default decides.
    #[default]
    Default,
    File(PathBuf),
    /// `--no-manifest`.
    None,
}

/// How `check` prints its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
    /// Annotations of a workflow.
    Github,
}

/// How `exit-codes` prints its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    #[default]
    Text,
    Json,
}

/// What `--help` was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    All,
    Run,
    Check,
    Healthcheck,
    ExitCodes,
}

/// Wrong usage: what is wrong with which argument, and what would be right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UsageError(String);

/// The help text of a topic.
pub fn help(topic: Topic) -> &'static str {
    match topic {
        Topic::All => include_str!("cli/help/all.txt"),
        Topic::Run => include_str!("cli/help/run.txt"),
        Topic::Check => include_str!("cli/help/check.txt"),
        Topic::Healthcheck => include_str!("cli/help/healthcheck.txt"),
        Topic::ExitCodes => include_str!("cli/help/exit-codes.txt"),
    }
}
