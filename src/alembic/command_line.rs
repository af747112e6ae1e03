//! alembic's own command line, as the command of a step has it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

use super::{Error, uncertain};

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

/// Commands that run the words after their subcommand `run`, in the same folder.
const RUNNERS: [&str; 5] = ["uv", "poetry", "pdm", "pipenv", "hatch"];

/// What an assignment of `env` begins with or contains if it may change the files or the version table.
const SETTINGS: [&str; 3] = ["ALEMBIC_CONFIG=", "PYTHONPATH=", "search_path"];

/// Parses `alembic …` and `python -m alembic …`, also behind a runner such as `uv run` and behind `env NAME=value`.
/// Returns `None` for any other command.
///
/// # Errors
/// [`Error::Uncertain`] if it is not certain how alembic would read the words.
pub fn command_line(words: &[OsString]) -> Result<Option<CommandLine>, Error> {
    let Some(arguments) = arguments(words) else {
        return Ok(None);
    };
    let before = &words[..words.len() - arguments.len()];
    let is_setting = |word: &OsString| {
        let word = word.to_string_lossy();
        SETTINGS.iter().any(|setting| word.contains(setting))
    };
    if before.iter().any(is_setting) {
        return uncertain("its `env` sets ALEMBIC_CONFIG, PYTHONPATH or a search_path");
    }
    let parsed = parse(arguments);
    let reason = "the arguments of its alembic command are not understood";
    parsed.map_or_else(|| uncertain(reason), |parsed| Ok(Some(parsed)))
}

/// The command behind `env NAME=value …`. Any other command is returned as it is.
pub fn behind_env(words: &[OsString]) -> &[OsString] {
    let program = words.first().map(Path::new).and_then(Path::file_name);
    if program != Some(OsStr::new("env")) {
        return words;
    }
    let is_assignment = |word: &&OsString| {
        let word = word.as_bytes();
        word.contains(&b'=') && !word.starts_with(b"-")
    };
    let count = words[1..].iter().take_while(is_assignment).count();
    &words[1 + count..]
}

/// The arguments of alembic.
fn arguments(words: &[OsString]) -> Option<&[OsString]> {
    let words = behind_env(words);
    let program = Path::new(words.first()?).file_name()?.to_str()?;
    let is_digit_or_dot = |next: char| next.is_ascii_digit() || next == '.';
    let version = program.strip_prefix("python");
    let is_python = version.is_some_and(|version| version.chars().all(is_digit_or_dot));
    match &words[1..] {
        words if program == "alembic" => Some(words),
        [option, module, words @ ..] if is_python && option == "-m" && module == "alembic" => {
            Some(words)
        }
        [run, words @ ..] if RUNNERS.contains(&program) && run == "run" => arguments(words),
        _ => None,
    }
}

fn parse(words: &[OsString]) -> Option<CommandLine> {
    // Versions of Python read what follows `--` differently.
    if words.iter().any(|word| word == "--") {
        return None;
    }
    let mut parser = Parser::from_args(words);
    let mut parsed = CommandLine::default();
    while let Some(argument) = parser.next().ok()? {
        match argument {
            Short('q') | Long("quiet" | "raiseerr") => {}
            Short('c') | Long("config") => parsed.files.push(value(&mut parser)?.into()),
            Short('n') | Long("name") => {
                parsed.section = Some(value(&mut parser)?.into_string().ok()?);
            }
            Short('x') => drop(value(&mut parser)?),
            Value(command) => {
                if command == "upgrade" {
                    parsed.upgrade = Some(target(parser)?);
                }
                return Some(parsed);
            }
            Short(_) | Long(_) => return None,
        }
    }
    None
}

/// The only argument of `upgrade`. `--sql` would not run anything.
fn target(mut parser: Parser) -> Option<String> {
    let mut target = None;
    while let Some(argument) = parser.next().ok()? {
        match argument {
            Long("tag") => drop(value(&mut parser)?),
            Value(word) if target.is_none() => target = Some(word.into_string().ok()?),
            Short(_) | Long(_) | Value(_) => return None,
        }
    }
    target
}

/// The value of an option, if alembic cannot take it for something else.
fn value(parser: &mut Parser) -> Option<OsString> {
    let value = parser.value().ok()?;
    (!value.is_empty() && !value.as_bytes().starts_with(b"-")).then_some(value)
}
