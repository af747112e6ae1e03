//! The manifest: YAML text in, a `Manifest` out, or every fault in it.
//!
//! The text becomes a tree (`node`), which is read key by key (`keys`): `load` reads the root, `variable` and
//! `process` what is below it.

mod keys;
mod load;
mod node;
mod process;
mod template;
mod variable;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::os::signals::Signal;
use crate::rule::Rule;
use crate::targets::Protocol;

pub use load::{Error, load};
pub use template::Template;

/// The file's name where nobody says otherwise.
pub const DEFAULT_FILE: &str = "required-vars.yaml";

/// Everything that a service says about its start.
#[derive(Debug, Default)]
pub struct Manifest {
    pub service: Option<String>,
    /// Logged first.
    pub announce: Option<Template>,
    pub fail_on: FailOn,
    /// Who the steps and the server run as: a name or uid, and perhaps a group.
    pub user: Option<String>,
    pub variables: Vec<Variable>,
    /// What must be ready before the first step.
    pub waits: Vec<Wait>,
    pub steps: Vec<Step>,
    pub server: Option<Server>,
}

/// From which level on a fault keeps the server from starting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    #[default]
    Required,
    Critical,
}

/// How much a variable matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    Critical,
    #[default]
    Required,
    Optional,
}

impl Level {
    pub const fn name(self) -> &'static str {
        match self {
            Level::Critical => "critical",
            Level::Required => "required",
            Level::Optional => "optional",
        }
    }
}

/// One declared variable.
#[derive(Debug)]
pub struct Variable {
    pub name: String,
    /// Where the manifest declares it, counted from 1.
    pub line: Option<usize>,
    pub level: Level,
    pub rule: Rule,
    /// Other variables whose value must not be the same.
    pub distinct_from: Vec<String>,
    /// Required only when each of these variables has one of these values; empty: no condition.
    pub required_when: Vec<(String, Vec<String>)>,
    /// Fills a missing value.
    pub default: Option<String>,
    pub secret: bool,
    /// Whether a secret may come as a file that `NAME_FILE` names.
    pub file: bool,
    pub example: Option<String>,
    pub description: Option<String>,
    pub hint: Option<String>,
    pub docs: Option<String>,
    pub generate: Option<Generate>,
    /// Names that this variable had before.
    pub renamed_from: Vec<String>,
}

/// How a secret can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generate {
    /// Of randomness, before the encoding.
    pub bytes: u32,
    pub format: GenerateFormat,
}

/// How random bytes become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GenerateFormat {
    #[default]
    Base64,
    Hex,
}

impl Generate {
    /// The shell command that prints a new value, without line breaks in it.
    pub fn command(self) -> String {
        let bytes = self.bytes;
        match self.format {
            // openssl breaks the lines of base64 after 64 characters, which encode 48 bytes.
            GenerateFormat::Base64 if bytes > 48 => {
                format!("openssl rand -base64 {bytes} | tr -d '\\n'")
            }
            GenerateFormat::Base64 => format!("openssl rand -base64 {bytes}"),
            GenerateFormat::Hex => format!("openssl rand -hex {bytes}"),
        }
    }
}

/// A command that is run, and must succeed, before the server starts.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    /// Logged before the command starts.
    pub announce_start: Option<Template>,
    /// Logged when it has succeeded.
    pub announce_done: Option<Template>,
    pub command: Vec<Template>,
    /// None: as long as it takes.
    pub timeout: Option<Duration>,
    /// What a stop or a time-out sends to the step's group first.
    pub stop_signal: Signal,
    /// How long the step may take to end after `stop_signal`.
    pub stop_grace: Duration,
    /// A failure or a time-out of this step is a warning.
    pub allow_failure: bool,
    /// Ends with 0 when there is nothing to do.
    pub up_to_date: Option<Vec<Template>>,
    /// Held while the command runs.
    pub lock: Option<Lock>,
}

/// Something that must be ready before the first step.
#[derive(Debug)]
pub struct Wait {
    pub protocol: Protocol,
    pub place: Place,
    pub timeout: Duration,
}

/// A lock that one process at a time can hold, among all that start the same service.
#[derive(Debug)]
pub struct Lock {
    /// The PostgreSQL that keeps it.
    pub place: Place,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// Where something is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// As a declared variable of this name says.
    Variable(String),
    /// As the manifest says.
    Literal(String),
}

/// The process that the guard becomes.
#[derive(Debug)]
pub struct Server {
    /// Logged last before the server takes over.
    pub announce: Option<Template>,
    /// Empty when only COMMAND on the command line says what to run.
    pub command: Vec<Template>,
    /// The guard stays as the server's init.
    pub init: bool,
}

impl Variable {
    /// The name of the variable that may name a file with this one's value.
    pub fn file_name(&self) -> Option<String> {
        (self.secret && self.file).then(|| format!("{}_FILE", self.name))
    }
}
