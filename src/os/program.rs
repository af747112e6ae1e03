//! From a command's name to a file to execute, and from a refusal to a sentence.
//!
//! PATH is searched here, not by `execvp`: glibc's runs a script without a `#!` line through a shell, and the
//! steps and the server must be found and refused in the same way.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

/// Where commands are looked for when PATH is unset: what container images have.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of a file can be its `#!` line, in bytes (`BINPRM_BUF_SIZE`).
const INTERPRETER_LINE: u64 = 256;

/// Why a command cannot be executed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the command `{0}` was not found; check its spelling, and PATH")]
    NotFoundInPath(String),
    #[error("the command `{0}` was not found: there is no such file")]
    NoSuchFile(String),
    #[error("the command `{command}` cannot start: its interpreter `{interpreter}` was not found")]
    NoInterpreter {
        command: String,
        interpreter: String,
    },
    #[error("the command `{0}` cannot start: the loader that it is linked with was not found")]
    NoLoader(String),
    #[error("the command `{0}` is a directory")]
    Directory(String),
    #[error("the command `{0}` may not be executed: check its permissions (chmod +x)")]
    NotPermitted(String),
    #[error("the command `{0}` is neither a program nor a script with a `#!` line")]
    NotExecutable(String),
    #[error(
        "the command `{0}` cannot start: its arguments and environment are too long for the system"
    )]
    TooLong(String),
    #[error("the command `{command}` cannot start: {errno}")]
    System { command: String, errno: Errno },
}

impl Refusal {
    /// Whether the file, or its interpreter, is not there at all.
    pub fn is_absence(&self) -> bool {
        match self {
            Refusal::NotFoundInPath(_)
            | Refusal::NoSuchFile(_)
            | Refusal::NoInterpreter { .. }
            | Refusal::NoLoader(_) => true,
            Refusal::Directory(_)
            | Refusal::NotPermitted(_)
            | Refusal::NotExecutable(_)
            | Refusal::TooLong(_)
            | Refusal::System { .. } => false,
        }
    }

    /// Whether the system was short of something, and the command may be sound.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Refusal::System { errno, .. } if matches!(
            errno,
            Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::EIO
        ))
    }
}

/// A command that is ready for `execve`, in this process or in a child.
pub struct Program {
    pub(super) file: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    name: String,
}

impl Program {
    /// Finds the command by its first word. PATH is that of the environment it will get.
    ///
    /// # Errors
    /// When there is no such file, or none that may be executed.
    pub fn find(
        words: Vec<OsString>,
        environment: &[(OsString, OsString)],
    ) -> Result<Self, Refusal> {
        let word = words.first().cloned().unwrap_or_default();
        let name = word.to_string_lossy().into_owned();
        let path = environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path.as_os_str());
        let file = search(&word, path)?;
        let entries = environment.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            entry
        });
        Ok(Self {
            file: CString::new(file.into_os_string().into_vec())
                .map_err(|_| Refusal::NoSuchFile(name.clone()))?,
            arguments: super::c_strings(words),
            environment: super::c_strings(entries),
            name,
        })
    }

    /// What an `execve` that was refused means for this command.
    pub(super) fn refusal(&self, errno: Errno) -> Refusal {
        let command = self.name.clone();
        let file = Path::new(OsStr::from_bytes(self.file.as_bytes()));
        match errno {
            Errno::ENOENT if !file.exists() => Refusal::NoSuchFile(command),
            Errno::ENOENT => match interpreter(file) {
                Some(interpreter) => Refusal::NoInterpreter {
                    command,
                    interpreter,
                },
                None => Refusal::NoLoader(command),
            },
            Errno::EACCES if file.is_dir() => Refusal::Directory(command),
            Errno::EACCES | Errno::EPERM => Refusal::NotPermitted(command),
            Errno::ENOEXEC => Refusal::NotExecutable(command),
            Errno::E2BIG => Refusal::TooLong(command),
            errno => Refusal::System { command, errno },
        }
    }
}

/// The file of a command: itself when it has a slash in it, else the first in PATH that may be executed.
fn search(word: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Refusal> {
    let name = || word.to_string_lossy().into_owned();
    if word.as_bytes().contains(&b'/') {
        let file = PathBuf::from(word);
        return judge(&file, name()).map(|()| file);
    }
    let mut refused = None;
    for folder in path
        .unwrap_or(OsStr::new(DEFAULT_PATH))
        .as_bytes()
        .split(|&byte| byte == b':')
    {
        // An empty entry is the working directory, as for the shell.
        let folder = if folder.is_empty() {
            OsStr::new(".")
        } else {
            OsStr::from_bytes(folder)
        };
        let file = Path::new(folder).join(word);
        match judge(&file, name()) {
            Ok(()) => return Ok(file),
            Err(Refusal::NoSuchFile(_)) => {}
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    Err(refused.unwrap_or_else(|| Refusal::NotFoundInPath(name())))
}

fn judge(file: &Path, name: String) -> Result<(), Refusal> {
    match access(file, AccessFlags::X_OK) {
        Ok(()) if file.is_dir() => Err(Refusal::Directory(name)),
        Ok(()) => Ok(()),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Err(Refusal::NoSuchFile(name)),
        Err(Errno::EACCES) => Err(Refusal::NotPermitted(name)),
        Err(errno) => Err(Refusal::System {
            command: name,
            errno,
        }),
    }
}

/// The interpreter in a script's `#!` line.
fn interpreter(file: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    File::open(file)
        .ok()?
        .take(INTERPRETER_LINE)
        .read_to_end(&mut beginning)
        .ok()?;
    let line = beginning
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    // Not trimmed at its end: a carriage return there is the usual reason for its absence.
    let word = line
        .trim_start_matches([' ', '\t'])
        .split([' ', '\t'])
        .next()?;
    Some(word.escape_debug().to_string())
}
