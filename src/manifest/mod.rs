//! Parses the manifest, a YAML text. Returns a `Manifest` or every fault in the text.
//!
//! `node` parses the text to a tree. `keys` reads the tree key by key. This file reads the keys of the root, `variable`,
//! `process` and `wait` those below it. `declared` has the variables to which the others refer.

mod compose;
mod declared;
mod forms;
mod keys;
mod node;
mod process;
mod processes;
mod template;
mod variable;
mod wait;
mod words;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alembic::Targets;
use crate::os::file;
use crate::os::signals::Signal;
use crate::rule::{Rule, placeholder};
use crate::targets::Protocol;
use crate::text::count;

use declared::Declared;
use keys::{Cursor, Keys, MAX_FAULTS};
use node::Fault;
use processes::Processes;

pub use compose::{NotComposed, Piece, in_order};
pub use node::{Node, Value};
pub use template::{Template, takes_text, unbraced};

/// The default name of the manifest's file.
pub const DEFAULT_FILE: &str = "required-vars.yaml";

/// The largest manifest that is read, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// The supported version of the manifest.
const VERSION: u32 = 1;

const FAIL_ON: [(&str, FailOn); 2] = [
    ("required", FailOn::Required),
    ("critical", FailOn::Critical),
];

const EMPTY: [(&str, Empty); 2] = [("keep", Empty::Keep), ("unset", Empty::Unset)];

/// A service's start, as its manifest declares it.
#[derive(Debug, Default)]
pub struct Manifest {
    pub service: Option<String>,
    /// Logged at the beginning of the start.
    pub announce: Option<Template>,
    pub fail_on: FailOn,
    pub empty: Empty,
    /// Further values that count as placeholders. Case is ignored.
    pub placeholders: Vec<String>,
    /// The names that `audit` does not report. A `*` at the end of a name matches any text.
    pub audit_ignored: Vec<String>,
    /// The user of the steps and the server: a name or uid, and optionally a group.
    pub user: Option<String>,
    pub variables: Vec<Variable>,
    /// What must be ready before the first step.
    pub waits: Vec<Wait>,
    pub steps: Vec<Step>,
    pub server: Option<Server>,
    /// The processes that the guard can become instead of one `server`, with their names.
    pub processes: Vec<(String, Server)>,
}

/// The part of a manifest that counts: what is for all processes, and what is limited to some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Everything, for a check of the whole manifest.
    #[default]
    Everything,
    /// What is for all processes, and what is for the one with this name.
    Process(&'a str),
    /// Only what is for all processes.
    Unlimited,
}

impl<'a> Scope<'a> {
    /// The name of the process, if there is only one.
    pub fn process(self) -> Option<&'a str> {
        match self {
            Scope::Process(name) => Some(name),
            Scope::Everything | Scope::Unlimited => None,
        }
    }

    /// Whether something that is limited to these processes belongs to this part. Empty limits are none.
    pub fn includes(self, limits: &[String]) -> bool {
        limits.is_empty()
            || match self {
                Scope::Everything => true,
                Scope::Process(name) => limits.iter().any(|limit| limit == name),
                Scope::Unlimited => false,
            }
    }
}

/// The lowest level at which a finding keeps the server from starting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    #[default]
    Required,
    Critical,
}

/// What to do with a declared variable that is set to an empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// Pass it on, with a warning if its type does not admit an empty text.
    #[default]
    Warn,
    /// Pass it on.
    Keep,
    /// Take it out of the environment of the steps and the server.
    Unset,
}

/// The importance of a variable.
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
    /// The line of the manifest that declares it, counted from 1. `None` unless the caller needs lines.
    pub line: Option<usize>,
    pub level: Level,
    pub rule: Rule,
    /// Whether no value of it is taken for a placeholder.
    pub not_placeholder: bool,
    /// Other variables that must not have the same value.
    pub distinct_from: Vec<String>,
    /// Variables with some of their values. The condition holds if each of them has one of its values. If empty, there is
    /// no such condition. A variable with any conditions is required only if one of them holds.
    pub required_when: Vec<(String, Vec<String>)>,
    /// The condition holds if any of these variables is set.
    pub required_with: Vec<String>,
    /// The condition holds if none of these variables is set.
    pub required_without: Vec<String>,
    /// The value if none is set.
    pub default: Option<String>,
    /// The value if none is set, composed of other variables.
    pub value: Option<Template>,
    /// Whether the manifest declares it as a secret, or composes it of one.
    pub secret: bool,
    /// The name of the variable that can name a file with this variable's value, if there is one.
    pub file: Option<String>,
    pub example: Option<String>,
    pub description: Option<String>,
    pub hint: Option<String>,
    pub docs: Option<String>,
    pub generate: Option<Generate>,
    /// Whether the value belongs to more than this service, so that it must not be generated.
    pub shared: bool,
    /// Former names of this variable.
    pub renamed_from: Vec<String>,
    /// The processes that it is for. If empty, it is for all.
    pub processes: Vec<String>,
}

/// How to generate a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generate {
    /// The number of random bytes, before they are encoded. For `Alphanumeric`, the number of characters.
    pub size: u32,
    pub format: GenerateFormat,
}

/// The encoding of random bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GenerateFormat {
    /// With padding.
    #[default]
    Base64,
    /// With `-` and `_`, and without padding.
    Base64Url,
    Hex,
    /// Letters and digits, each random by itself.
    Alphanumeric,
}

impl GenerateFormat {
    /// The characters of a value, without the padding.
    pub fn alphabet(self) -> &'static str {
        match self {
            Self::Base64 => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            Self::Base64Url => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            Self::Hex => "0123456789abcdef",
            Self::Alphanumeric => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        }
    }

    /// The smallest number of bytes that is encoded without a rest, and the number of characters for them.
    fn group(self) -> (u32, u32) {
        match self {
            Self::Base64 | Self::Base64Url => (3, 4),
            Self::Hex => (1, 2),
            Self::Alphanumeric => (1, 1),
        }
    }
}

impl Generate {
    /// The number of random characters of a value, and the number of padding characters after them.
    pub fn length(self) -> (usize, usize) {
        let (group, encoded) = self.format.group();
        let length = (self.size * encoded).div_ceil(group);
        let padding = match self.format {
            GenerateFormat::Base64 => length.next_multiple_of(4) - length,
            _ => 0,
        };
        (length as usize, padding as usize)
    }

    /// Texts of the same form as the command's output. Each begins with another character, and together they have every
    /// character at every position.
    fn samples(self) -> impl Iterator<Item = String> {
        let (alphabet, (length, padding)) = (self.format.alphabet(), self.length());
        (0..alphabet.len()).map(move |first| {
            let digits = alphabet.chars().cycle().skip(first).take(length);
            digits.chain(std::iter::repeat_n('=', padding)).collect()
        })
    }

    /// The shell command that prints a new value on one line.
    pub fn command(self) -> String {
        let size = self.size;
        match self.format {
            // openssl breaks base64 into lines of 64 characters, which encode 48 bytes.
            GenerateFormat::Base64 if size > 48 => {
                format!("openssl rand -base64 {size} | tr -d '\\n'")
            }
            GenerateFormat::Base64 => format!("openssl rand -base64 {size}"),
            GenerateFormat::Base64Url => {
                format!("openssl rand -base64 {size} | tr '/+' '_-' | tr -d '=\\n'")
            }
            GenerateFormat::Hex => format!("openssl rand -hex {size}"),
            GenerateFormat::Alphanumeric => {
                format!("LC_ALL=C tr -dc A-Za-z0-9 </dev/urandom | head -c {size}")
            }
        }
    }
}

/// A command that must succeed before the server starts.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    /// Logged before the command starts.
    pub announce_start: Option<Template>,
    /// Logged after the command has succeeded.
    pub announce_done: Option<Template>,
    pub command: Vec<Template>,
    /// The time limit of the command, or `None` if there is none.
    pub timeout: Option<Duration>,
    /// The signal that is sent first to the step's process group after a stop or a time-out.
    pub stop_signal: Signal,
    /// How long the step may take to end after `stop_signal`.
    pub stop_grace: Duration,
    /// Whether an error or a time-out of this step is only a warning.
    pub allow_failure: bool,
    /// How often the command is run again after it has failed.
    pub retries: u32,
    /// The longest pause before the first retry.
    pub retry_delay: Duration,
    pub up_to_date: Option<UpToDate>,
    /// The time limit of the command of `up_to_date`.
    pub up_to_date_limit: Duration,
    /// The lock that is held while the command runs.
    pub lock: Option<Lock>,
    /// The processes that it is for. If empty, it is for all.
    pub processes: Vec<String>,
}

/// How to find out whether a step has nothing to do. One of the two is set.
#[derive(Debug)]
pub struct UpToDate {
    /// Compares alembic's version table with its revision files.
    pub alembic: Option<Alembic>,
    /// A command that exits with 0 if there is nothing to do. With `alembic`, it is only asked if the files cannot be
    /// read for certain.
    pub command: Option<Vec<Template>>,
}

/// What the guard must know about alembic that is not in alembic's own configuration.
#[derive(Debug)]
pub struct Alembic {
    /// The database with the version table.
    pub place: Place,
    /// The configuration files. If empty, those of the step's command or alembic's default ones.
    pub files: Vec<PathBuf>,
    /// The name of the version table, if env.py does not use alembic's default one.
    pub version_table: Option<String>,
    pub version_table_schema: Option<String>,
    /// What the step upgrades to. `None` if its command tells.
    pub heads: Option<Targets>,
    pub on_ahead: OnAhead,
}

/// What to do if the database has a revision that no file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAhead {
    /// Run the step.
    #[default]
    Run,
    /// Treat the step as up to date.
    Skip,
    /// Fail.
    Fail,
}

/// Something that must be ready before the first step.
#[derive(Debug)]
pub struct Wait {
    pub awaited: Awaited,
    pub timeout: Duration,
    /// The processes that it is for. If empty, it is for all.
    pub processes: Vec<String>,
    /// The statuses with which an `http` dependency is ready. If empty, those from 200 to 299.
    pub statuses: Vec<u16>,
}

/// What a wait waits for.
#[derive(Debug)]
pub enum Awaited {
    Server(Protocol, Place),
    /// A command ends with 0. It runs again after each pause of this length.
    Command(Vec<Template>, Duration),
    /// The step with this name has nothing to do, because another process has run it.
    Step(String),
}

/// A lock that only one of the processes that start the same service can hold at a time.
#[derive(Debug)]
pub struct Lock {
    /// The PostgreSQL server that keeps it.
    pub place: Place,
    /// How long to wait for it.
    pub timeout: Duration,
}

/// The address of a dependency.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// The name of the declared variable that holds it.
    Variable(String),
    /// The address itself, which can have references.
    Literal(Template),
}

/// The process that the guard becomes.
#[derive(Debug)]
pub struct Server {
    /// Logged right before the server starts.
    pub announce: Option<Template>,
    /// The command. Empty if it is given on the command line.
    pub command: Vec<Template>,
    /// Whether the guard stays as the server's init.
    pub init: bool,
}

impl Alembic {
    /// The version table with its schema, quoted for a query.
    pub fn quoted_table(&self) -> String {
        let table = self.version_table.as_deref().unwrap_or("alembic_version");
        let schema = self.version_table_schema.as_ref();
        let schema = schema.map(|schema| format!("\"{schema}\"."));
        format!("{}\"{table}\"", schema.unwrap_or_default())
    }
}

impl Variable {
    /// Whether a shell can set the variable, and a `${NAME}` can refer to it.
    pub fn has_shell_name(&self) -> bool {
        template::is_name(&self.name)
    }

    /// The usual name of a variable that names a file with this variable's value.
    pub fn usual_file(&self) -> String {
        format!("{}_FILE", self.name)
    }

    /// Whether the variable is required only under conditions.
    pub fn has_conditions(&self) -> bool {
        self.conditions().next().is_some()
    }

    /// The names of the variables on which it depends whether this one is required.
    pub fn conditions(&self) -> impl Iterator<Item = &String> {
        let named = self.required_when.iter().map(|(name, _)| name);
        let named = named.chain(&self.required_with);
        named.chain(&self.required_without)
    }

    /// Whether the check accepts this value.
    pub fn admits(&self, value: &str) -> bool {
        let mut findings = self.rule.findings(value).into_iter();
        // A value that the manifest admits explicitly is meant, unless it is a secret.
        let is_meant = self.not_placeholder || !self.secret && !self.rule.one_of.is_empty();
        (is_meant || placeholder(value).is_none()) && !findings.any(|finding| finding.is_certain)
    }

    /// The shell command that generates a value. `None` if there is none, if the value is shared with other services,
    /// or if the check may reject a generated value.
    pub fn generator(&self) -> Option<String> {
        let how = self.generate.filter(|_| !self.shared)?;
        // Only a pattern can tell the samples apart: they have the same length.
        let count = self.rule.pattern.as_ref().map_or(1, |_| usize::MAX);
        let mut samples = how.samples().take(count);
        let are_admitted = samples.all(|sample| self.admits(&sample));
        are_admitted.then(|| how.command())
    }
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", unreadable(path, cause, other.as_deref()))]
    Unreadable {
        path: PathBuf,
        cause: io::Error,
        /// A file of a similar name, if there is no file with this one.
        other: Option<PathBuf>,
    },
    #[error(
        "the manifest {} is invalid: {}{}",
        path.display(),
        count(faults.len(), "fault"),
        if faults.len() == MAX_FAULTS { " or more" } else { "" }
    )]
    Invalid {
        path: PathBuf,
        /// In the order of their lines.
        faults: Vec<Fault>,
    },
}

fn unreadable(path: &Path, cause: &io::Error, other: Option<&Path>) -> String {
    let file = path.display();
    match cause.kind() {
        ErrorKind::NotFound => {
            let is_default = path == Path::new(DEFAULT_FILE);
            let hint = ["", " (it is looked for in the working directory only)"];
            let hint = hint[usize::from(is_default)];
            let advice = match other.map(Path::display) {
                Some(other) => format!(", but there is {other}; rename it, or name it"),
                None => "; write one, or name it".to_owned(),
            };
            let how = "with --manifest or STARTUP_GUARD_MANIFEST";
            format!("there is no manifest {file}{hint}{advice} {how}")
        }
        ErrorKind::IsADirectory => {
            format!("the manifest {file} is a directory; name the file in it")
        }
        _ => format!("the manifest {file} cannot be read: {cause}"),
    }
}

/// A file with another extension, or with `_` in the place of `-`.
fn of_similar_name(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    let stems = [stem, &stem.replace('-', "_"), &stem.replace('_', "-")];
    let names =
        stems.map(|stem| [".yaml", ".yml"].map(|end| path.with_file_name([stem, end].concat())));
    names.into_iter().flatten().find(|other| other.is_file())
}

/// Reads a manifest from a file. `needs_lines` asks for the line of each variable.
///
/// # Errors
/// If the file cannot be read, or has faults.
pub fn load(path: &Path, needs_lines: bool) -> Result<Manifest, Error> {
    let text = file::read_input(path, MAX_SIZE).map_err(|cause| Error::Unreadable {
        path: path.to_owned(),
        other: Some(&cause)
            .filter(|cause| cause.kind() == ErrorKind::NotFound)
            .and_then(|_| of_similar_name(path)),
        cause,
    })?;
    Manifest::parse(&text, needs_lines).map_err(|faults| Error::Invalid {
        path: path.to_owned(),
        faults,
    })
}

impl Manifest {
    /// The process that the guard becomes; `None` if the manifest does not declare it, or nothing chooses one of several.
    pub fn server_of(&self, scope: Scope<'_>) -> Option<&Server> {
        let Scope::Process(wanted) = scope else {
            return self.server.as_ref();
        };
        let mut processes = self.processes.iter();
        let process = processes.find(|(name, _)| name == wanted);
        process.map(|(_, server)| server)
    }

    /// Reads a manifest from a text. With `needs_lines` each variable has its line.
    ///
    /// # Errors
    /// All faults in the order of their lines, at most [`MAX_FAULTS`].
    pub fn parse(text: &[u8], needs_lines: bool) -> Result<Self, Vec<Fault>> {
        if text.len() > MAX_SIZE {
            return Err(vec![Fault::of_text(None, "the file is larger than 1 MiB")]);
        }
        let text = str::from_utf8(text).map_err(|error| {
            let valid = &text[..error.valid_up_to()];
            let line = memchr::memchr_iter(b'\n', valid).count() + 1;
            vec![Fault::of_text(Some(line), "the file is not UTF-8")]
        })?;
        // Editors on Windows write a byte order mark, for which the parser's message is misleading.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut tree = Node::parse(text).map_err(|fault| vec![fault])?;
        let mut manifest = read(&tree);
        if manifest.is_err() {
            // The first tree does not have the spelling of numbers, so a number where a text is expected is a fault.
            tree = tree.spelled(text).map_err(|fault| vec![fault])?;
            manifest = read(&tree);
        }
        if manifest.is_err() || needs_lines {
            tree.locate(text);
            manifest = read(&tree);
        }
        manifest
    }
}

/// Reads a manifest from a tree.
///
/// # Errors
/// All faults in the order of their lines.
fn read(tree: &Node<'_>) -> Result<Manifest, Vec<Fault>> {
    let faults = RefCell::default();
    let mut root = Cursor::root(tree, &faults).keys(forms::root());
    check_version(&mut root);
    let processes = Processes::of(&root);
    let mut variables = variable::variables(&mut root, &processes);
    compose::settle(&mut variables);
    let declared = Declared::new(&variables, processes);
    for (variable, keys) in &variables {
        declared.check(variable, keys);
    }
    let steps = process::steps(&mut root, &declared);
    let mut manifest = Manifest {
        service: process::printed(&mut root, "service"),
        announce: process::announcement(&mut root, "announce", &declared),
        fail_on: root.choice("fail_on", &FAIL_ON).unwrap_or_default(),
        empty: root.choice("empty", &EMPTY).unwrap_or_default(),
        placeholders: variable::placeholders(&mut root),
        audit_ignored: variable::audit_ignored(&mut root),
        user: process::user(&mut root),
        waits: wait::waits(&mut root, &declared, &steps),
        steps,
        server: process::server(&mut root, &declared),
        processes: process::processes(&mut root, &declared),
        variables: Vec::new(),
    };
    root.finish();
    let variables = variables.into_iter().map(|(variable, _)| variable);
    manifest.variables = variables.collect();
    let mut faults = faults.take();
    // The sort is stable, so faults of the same line stay in the order in which they were found.
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() {
        Ok(manifest)
    } else {
        Err(faults)
    }
}

fn check_version(root: &mut Keys<'_>) {
    let Some(version) = root.get("version") else {
        return root.fault("version", "is missing; write `version: 1`");
    };
    let number = version.whole_number("the version of this format, `version: 1` without quotes");
    if let Some(other) = number.filter(|number| *number != VERSION) {
        let known = "this startup-guard reads version 1";
        version.fault(format_args!("version {other} is not known; {known}"));
    }
}
