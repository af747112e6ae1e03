//! alembic's own command line, as the command of a step has it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

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
    let program = Path::new(words.first()?).file_name()?.as_bytes();
    let is_digit_or_dot = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let version = program.strip_prefix(b"python");
    let is_python = version.is_some_and(|version| version.iter().all(is_digit_or_dot));
    let words = match &words[1..] {
        words if program == b"alembic" => words,
        [option, module, words @ ..] if is_python && option == "-m" && module == "alembic" => words,
        _ => return None,
    };
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
