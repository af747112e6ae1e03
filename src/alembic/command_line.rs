//! alembic's own command line, as the command of a step has it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
    let is_python = program.strip_prefix(b"python").is_some_and(|version| {
        version
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    });
    let mut words = match &words[1..] {
        words if program == b"alembic" => words.iter(),
        [option, module, words @ ..] if is_python && option == "-m" && module == "alembic" => {
            words.iter()
        }
        _ => return None,
    };
    let mut parsed = CommandLine::default();
    loop {
        let word = words.next()?.as_bytes();
        let (option, value) = match word {
            b"-q" | b"--quiet" | b"--raiseerr" => continue,
            [b'-', b'-', ..] => match word.iter().position(|byte| *byte == b'=') {
                Some(end) => (&word[..end], Some(&word[end + 1..])),
                None => (word, None),
            },
            // The value of a short option can follow it in the same word, with or without `=`.
            [b'-', _, b'=', value @ ..] | [b'-', _, value @ ..] if word.len() > 2 => {
                (&word[..2], Some(value))
            }
            [b'-', ..] => (word, None),
            b"upgrade" => {
                parsed.upgrade = Some(target(words.as_slice())?);
                return Some(parsed);
            }
            _ => return Some(parsed),
        };
        let value = match value {
            Some([]) => return None,
            Some(value) => OsStr::from_bytes(value),
            None => words
                .next()
                .filter(|value| !value.as_bytes().starts_with(b"-"))?,
        };
        match option {
            b"-c" | b"--config" => parsed.files.push(value.into()),
            b"-n" | b"--name" => parsed.section = Some(value.to_str()?.to_owned()),
            b"-x" => {}
            _ => return None,
        }
    }
}

/// The only argument of `upgrade`. `--sql` would not run anything.
fn target(words: &[OsString]) -> Option<String> {
    let mut target = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = word.to_str()?;
        match word {
            "--tag" => {
                words
                    .next()
                    .filter(|value| !value.as_bytes().starts_with(b"-"))?;
            }
            _ if word.starts_with("--tag=") => {}
            _ if word.starts_with('-') || target.is_some() => return None,
            _ => target = Some(word.to_owned()),
        }
    }
    target
}
