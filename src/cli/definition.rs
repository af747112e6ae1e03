//! The definition of the command line. The parser, the help texts and the completions are made from it.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::{FORWARDS, ManifestChoice, REPORT_FORMATS, UsageError, wrong};
use crate::dotenv::Dialect;
use crate::text::{either, wrapped};

/// The width of the help texts, in characters.
const WIDTH: usize = 100;

/// The definition of a subcommand.
#[derive(Debug, PartialEq, Eq)]
pub struct Subcommand {
    pub name: &'static str,
    /// The name and the arguments, as a line about the usage shows them.
    pub usage: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What it does, in sentences.
    pub about: &'static str,
    pub arguments: &'static [Argument],
    /// Lines at the end of the help text; may be empty.
    pub examples: &'static str,
}

/// The definition of an option or of an operand.
#[derive(Debug, PartialEq, Eq)]
pub struct Argument {
    /// The name of an option begins with `--`.
    pub name: &'static str,
    /// What the help text calls the value of an option; empty if the option has none, and for an operand.
    /// If this or the name of an operand ends with `…`, the argument can be given several times.
    pub value: &'static str,
    pub takes: Takes,
    pub help: &'static str,
}

/// What an argument admits.
#[derive(Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Text,
    /// The path of a file.
    File,
    /// The path of a folder or of a file.
    Path,
    OneOf(&'static [&'static str]),
    /// The words of a command after `--`.
    Command,
}

/// The names of values, for `Takes::OneOf`.
pub const fn names<T: Copy, const N: usize>(values: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = values[index].0;
        index += 1;
    }
    names
}

// Options of several subcommands.
#[rustfmt::skip]
pub const MANIFEST: Argument = Argument { name: "--manifest", value: "FILE", takes: Takes::File,
    help: "the manifest (default: $STARTUP_GUARD_MANIFEST, or required-vars.yaml)" };
#[rustfmt::skip]
pub const PROCESS: Argument = Argument { name: "--process", value: "NAME", takes: Takes::Text,
    help: "the process, if the manifest has several (or $STARTUP_GUARD_PROCESS)" };
#[rustfmt::skip]
pub const DIALECT: Argument = Argument { name: "--dialect", value: "NAME", takes: Takes::OneOf(&names(&Dialect::NAMES)),
    help: "the syntax of env files: compose (default), docker, python-dotenv, or kv (raw NAME=VALUE \
           lines; the default for the output of railway variables --kv)" };
#[rustfmt::skip]
pub const REPORT_FORMAT: Argument = Argument { name: "--format", value: "FORMAT", takes: Takes::OneOf(&names(&REPORT_FORMATS)),
    help: "text (default), json (one object per line), or github (annotations)" };

/// The subcommands that the image of a service uses.
#[rustfmt::skip]
pub static SUBCOMMANDS: [Subcommand; 3] = [
    Subcommand { name: "run", usage: "[run] [OPTIONS] [-- COMMAND…]",
        summary: "check, wait, run the steps, become the server",
        about: "Checks the environment, waits for the dependencies in the manifest, runs its steps in order, and \
                then becomes the server, or stays as the server's init with --init.",
        arguments: &[
            MANIFEST,
            Argument { name: "--no-manifest", value: "", takes: Takes::Nothing,
                help: "skip the check, the waits and the steps, and become COMMAND" },
            PROCESS,
            Argument { name: "--env-file", value: "FILE…", takes: Takes::File,
                help: "add the variables of FILE. The process's own environment takes precedence. Repeatable; a later \
                       file overrides an earlier one (or $STARTUP_GUARD_ENV_FILE, separated by commas)" },
            DIALECT,
            Argument { name: "--skip", value: "STEP…", takes: Takes::Text,
                help: "leave this step out (repeatable; or $STARTUP_GUARD_SKIP, separated by commas)" },
            Argument { name: "--no-server", value: "", takes: Takes::Nothing, help: "exit with 0 after the steps" },
            Argument { name: "--init", value: "", takes: Takes::Nothing,
                help: "stay as the server's init: forward signals, reap orphans, and exit with the server's exit code \
                       (or $STARTUP_GUARD_INIT, or server.init in the manifest)" },
            Argument { name: "--forward", value: "MODE", takes: Takes::OneOf(&names(&FORWARDS)),
                help: "with --init: child (default) forwards signals to the server only, like tini; group runs the \
                       server in a session of its own, and forwards signals to its process group, like dumb-init" },
            Argument { name: "--rewrite", value: "FROM:TO…", takes: Takes::Text,
                help: "with --init: forward the signal FROM as the signal TO, or drop it if TO is 0 (repeatable; \
                       names or numbers, such as TERM:INT)" },
            Argument { name: "--remap-exit", value: "FROM:TO…", takes: Takes::Text,
                help: "with --init: exit with TO if the server's exit code is FROM, such as 143:0 (repeatable)" },
            Argument { name: "--stop-grace", value: "DURATION", takes: Takes::Text,
                help: "with --init: kill a server that has not ended so long after a stop (TERM, INT or QUIT), such as 8s" },
            Argument { name: "COMMAND…", value: "", takes: Takes::Command,
                help: "replaces the command in the manifest. An argument that consists of $NAME, ${NAME} or \
                       ${NAME:-text} alone is expanded" },
        ], examples: "" },
    Subcommand { name: "check", usage: "check [OPTIONS]", summary: "only check the environment",
        about: "Checks the environment against the manifest. Runs nothing and waits for nothing.\n\
                Exits with 0 if the environment is sound, and with 78 if it is invalid.",
        arguments: &[
            MANIFEST, PROCESS,
            Argument { name: "--env-file", value: "FILE…", takes: Takes::File,
                help: "add the variables of FILE (- is standard input). They take precedence over the process's \
                       environment. Repeatable; a later file overrides an earlier one" },
            Argument { name: "--only-file", value: "", takes: Takes::Nothing, help: "ignore the process's environment" },
            DIALECT, REPORT_FORMAT,
        ], examples: "Before a deployment:
  startup-guard check --only-file --env-file .env.production
  railway variables --kv | startup-guard check --only-file --env-file -" },
    Subcommand { name: "healthcheck", usage: "healthcheck [OPTIONS] URL",
        summary: "exit with 0 if URL answers with a 2xx, else with 1",
        about: "Requests URL once. Exits with 0 if it answers with a 2xx in time, else with 1.\n\
                Use it as the HEALTHCHECK of an image that has neither a shell nor curl.",
        arguments: &[
            Argument { name: "--timeout", value: "DURATION", takes: Takes::Text,
                help: "the time limit for the answer, such as 2s or 500ms (default: 5s)" },
            Argument { name: "--status", value: "N,…", takes: Takes::Text,
                help: "the statuses of a healthy service, separated by commas, such as 200,401 (default: every 2xx)" },
            Argument { name: "URL", value: "", takes: Takes::Text,
                help: "http[s]://HOST[:PORT]/PATH; ${NAME} and ${NAME:-text} are expanded, for example \
                       startup-guard healthcheck 'http://127.0.0.1:${PORT:-8000}/health'" },
        ], examples: "" },
];

impl Argument {
    pub fn is_option(&self) -> bool {
        self.name.starts_with("--")
    }

    fn is_repeatable(&self) -> bool {
        self.takes == Takes::Nothing || self.name.ends_with('…') || self.value.ends_with('…')
    }

    /// Checks a value.
    fn admit(&self, value: &OsStr) -> Result<(), UsageError> {
        let name = self.name;
        let text = value.to_string_lossy();
        match self.takes {
            Takes::OneOf(names) if !names.contains(&&*text) => {
                wrong(format!("`{name}` must be {}, not `{text}`", either(names)))
            }
            Takes::File | Takes::Path | Takes::Text if text.is_empty() => {
                wrong(format!("`{name}` must not be empty"))
            }
            Takes::Text if value.to_str().is_none() => wrong(format!("`{name}` must be UTF-8")),
            _ => Ok(()),
        }
    }
}

impl Subcommand {
    /// The argument with this name.
    pub fn argument(&self, name: &str) -> Option<&'static Argument> {
        self.arguments.iter().find(|known| known.name == name)
    }

    /// The operand, unless that is the command after `--`.
    pub fn operand(&self) -> Option<&'static Argument> {
        let mut operands = self.arguments.iter().filter(|known| !known.is_option());
        operands.find(|operand| operand.takes != Takes::Command)
    }

    /// The help text.
    pub fn help(&self) -> String {
        let row = |known: &Argument| (format!("{} {}", known.name, known.value), known.help);
        let rows = table(self.arguments.iter().map(row).collect());
        let about = wrapped(self.about, "", WIDTH);
        let mut help = format!("{about}\n\nUsage: startup-guard {}\n", self.usage);
        let parts = [&*rows, self.examples].into_iter();
        let parts = parts.filter(|part| !part.is_empty());
        help.extend(parts.flat_map(|part| ["\n", part, "\n"]));
        help
    }
}

/// The help text of the program.
pub fn overview(others: &[Subcommand]) -> String {
    let known = SUBCOMMANDS.iter().chain(others);
    let row = |known: &Subcommand| (format!("startup-guard {}", known.usage), known.summary);
    let rows = table(known.map(row).collect());
    format!(
        "startup-guard checks a container's environment against required-vars.yaml, waits for its
dependencies, runs its steps (such as migrations), and then becomes its server.

Usage:
{rows}
  startup-guard SUBCOMMAND --help
  startup-guard --version

Variables (flags take precedence):
  STARTUP_GUARD_MANIFEST   path of the manifest (default: required-vars.yaml)
  STARTUP_GUARD_PROCESS    the process to become, if the manifest has several
  STARTUP_GUARD_ENV_FILE   env files whose variables run adds, separated by commas
  STARTUP_GUARD_SKIP       steps to leave out, separated by commas
  STARTUP_GUARD_INIT       true or false: whether to stay as the server's init
  STARTUP_GUARD_LOG        log format: auto (default), text or json
"
    )
}

/// Aligned rows of a label and a text.
fn table(rows: Vec<(String, &str)>) -> String {
    let widths = rows.iter().map(|(label, _)| label.chars().count());
    let width = widths.max().unwrap_or_default() + 2;
    let indent = " ".repeat(width + 2);
    let row = |(label, text)| wrapped(&format!("  {label:width$}{text}"), &indent, WIDTH);
    rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
}

/// What a command line gives to a subcommand.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    pub subcommand: &'static Subcommand,
    /// The name and the value of each argument, in the order of the command line.
    values: Vec<(&'static str, OsString)>,
}

impl Given {
    pub fn new(subcommand: &'static Subcommand) -> Self {
        let values = Vec::new();
        Self { subcommand, values }
    }

    /// The argument for the next operand. `None` if there can be no more.
    pub fn next_operand(&self) -> Option<&'static Argument> {
        let operand = self.subcommand.operand();
        operand.filter(|operand| operand.is_repeatable() || !self.has(operand.name))
    }

    /// Adds an argument.
    ///
    /// # Errors
    /// If it does not admit the value, or cannot be given again.
    pub fn add(&mut self, argument: &'static Argument, value: OsString) -> Result<(), UsageError> {
        argument.admit(&value)?;
        let loses_a_value = argument.takes != Takes::Nothing && self.has(argument.name);
        if loses_a_value && !argument.is_repeatable() {
            return wrong(format!("`{}` can be given only once", argument.name));
        }
        self.values.push((argument.name, value));
        Ok(())
    }

    /// The values of an argument, which is defined for the subcommand.
    fn values(&self, name: &str) -> impl Iterator<Item = &OsString> {
        debug_assert!(self.subcommand.argument(name).is_some(), "{name} exists");
        let values = self.values.iter().filter(move |(given, _)| *given == name);
        values.map(|(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    pub fn files(&self, name: &str) -> Vec<OsString> {
        self.values(name).cloned().collect()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let text = |value: &OsString| value.to_string_lossy().into_owned();
        self.values(name).map(text).collect()
    }

    /// The last value of an argument that admits text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.texts(name).pop()
    }

    /// The last value of an argument that admits these names.
    pub fn choice<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let chosen = values.iter().find(|(name, _)| *name == text);
        chosen.map(|(_, value)| *value)
    }

    /// The value of an argument that admits a duration of more than 0.
    ///
    /// # Errors
    /// If it is another text.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, UsageError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let duration = humantime::parse_duration(&text).ok();
        match duration.filter(|duration| !duration.is_zero()) {
            None => wrong(format!(
                "`{name}` must be a duration with its unit, such as 90s or 10m, not `{text}`"
            )),
            duration => Ok(duration),
        }
    }

    /// The value of `--manifest` or `--no-manifest`.
    ///
    /// # Errors
    /// If there is more than one.
    pub fn manifest(&self) -> Result<ManifestChoice, UsageError> {
        let given = self.values.iter();
        let mut choices = given.filter(|(name, _)| name.ends_with("manifest"));
        match (choices.next(), choices.next()) {
            (None, _) => Ok(ManifestChoice::Default),
            (Some(("--no-manifest", _)), None) => Ok(ManifestChoice::None),
            (Some((_, file)), None) => Ok(ManifestChoice::File(file.into())),
            _ => wrong("give one manifest: `--manifest FILE` or `--no-manifest`, once"),
        }
    }

    /// The value of the operand, which must be given.
    pub fn needed<T>(&self, value: Option<T>) -> Result<T, UsageError> {
        let name = self.subcommand.name;
        let operand = self.subcommand.operand().expect("it has an operand");
        let (operand, help) = (operand.name, operand.help);
        value.ok_or_else(|| UsageError(format!("`{name}` needs a {operand}: {help}")))
    }
}
