//! From a command's name to a file to execute, and from a refusal to a sentence.
//!
//! PATH is searched here, not by `execvp`: glibc's runs a script without a `#!` line through a shell, and the
//! steps and the server must be found and refused in the same way.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{SFlag, stat};
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
    #[error("the command has no program: its first word is empty")]
    Nameless,
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
            | Refusal::Nameless
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
    /// Where it may be: itself when its name has a slash, else in each folder of PATH.
    candidates: Vec<CString>,
    arguments: Strings,
    environment: Strings,
    /// What messages call it.
    shown: String,
    /// Whether its name has a slash, so that PATH was not searched.
    is_path: bool,
}

/// The place among the candidates of the one to execute.
#[derive(Clone, Copy)]
pub(super) struct Found(usize);

/// Why no candidate was executed, in numbers, as they come from a child.
#[derive(Clone, Copy)]
pub(super) struct NotExecuted {
    pub errno: Errno,
    /// The place of the candidate; none when there is not one.
    pub candidate: Option<usize>,
}

impl Program {
    /// The command of these words. PATH is that of the environment it will get. Messages call the program
    /// `shown`: its name as the user wrote it, since what that came to may be a variable's value.
    ///
    /// # Errors
    /// When the words name no program. Whether there is one of that name is not looked at yet.
    pub fn new(
        words: Vec<OsString>,
        shown: &OsStr,
        environment: &[(OsString, OsString)],
    ) -> Result<Self, Refusal> {
        // Beside a folder of PATH an empty word would name the folder.
        let named = words.first().filter(|word| !word.is_empty());
        let word = named.cloned().ok_or(Refusal::Nameless)?;
        let path = environment
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, path)| path.as_os_str());
        let entries = environment.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            entry
        });
        Ok(Self {
            candidates: candidates(&word, path),
            arguments: Strings::new(words),
            environment: Strings::new(entries),
            shown: shown.to_string_lossy().into_owned(),
            is_path: word.as_bytes().contains(&b'/'),
        })
    }

    /// The first candidate that this process, as the user that it now is, may execute. Like `execute` it
    /// allocates nothing: both are called between fork and exec.
    pub(super) fn find(&self) -> Result<Found, NotExecuted> {
        let mut refused = None;
        for (place, file) in self.candidates.iter().enumerate() {
            let errno = match access(file.as_c_str(), AccessFlags::X_OK) {
                Ok(()) if is_directory(file) => Errno::EISDIR,
                Ok(()) => return Ok(Found(place)),
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                Err(errno) => errno,
            };
            refused.get_or_insert(NotExecuted {
                errno,
                candidate: Some(place),
            });
        }
        Err(refused.unwrap_or(NotExecuted {
            errno: Errno::ENOENT,
            candidate: None,
        }))
    }

    /// Becomes the program; gives why not when it comes back.
    pub(super) fn execute(&self, Found(place): Found) -> NotExecuted {
        let (arguments, environment) = (&self.arguments, &self.environment);
        // SAFETY: the file is a string that ends in NUL, both lists are of such strings and end in null, and
        // all of them live as long as `self`.
        unsafe {
            libc::execve(
                self.candidates[place].as_ptr(),
                arguments.pointers.as_ptr(),
                environment.pointers.as_ptr(),
            )
        };
        NotExecuted {
            errno: Errno::last(),
            candidate: Some(place),
        }
    }

    /// What it means for a person that the command was not executed.
    pub(super) fn refusal(&self, why: NotExecuted) -> Refusal {
        let command = self.shown.clone();
        let Some(file) = why.candidate.and_then(|place| self.candidates.get(place)) else {
            return if self.is_path {
                Refusal::NoSuchFile(command)
            } else {
                Refusal::NotFoundInPath(command)
            };
        };
        let file = Path::new(OsStr::from_bytes(file.as_bytes()));
        match why.errno {
            Errno::ENOENT if !file.exists() => Refusal::NoSuchFile(command),
            Errno::ENOENT => match interpreter(file) {
                Some(interpreter) => Refusal::NoInterpreter {
                    command,
                    interpreter,
                },
                None => Refusal::NoLoader(command),
            },
            Errno::EISDIR => Refusal::Directory(command),
            Errno::EACCES | Errno::EPERM => Refusal::NotPermitted(command),
            Errno::ENOEXEC => Refusal::NotExecutable(command),
            Errno::E2BIG => Refusal::TooLong(command),
            errno => Refusal::System { command, errno },
        }
    }
}

fn candidates(word: &OsStr, path: Option<&OsStr>) -> Vec<CString> {
    if word.as_bytes().contains(&b'/') {
        return super::c_strings([word.to_owned()]);
    }
    let folders = path
        .unwrap_or(OsStr::new(DEFAULT_PATH))
        .as_bytes()
        .split(|&byte| byte == b':');
    super::c_strings(folders.map(|folder| {
        // An empty entry is the working directory, as for the shell.
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        Path::new(OsStr::from_bytes(folder))
            .join(word)
            .into_os_string()
    }))
}

fn is_directory(file: &CStr) -> bool {
    stat(file).is_ok_and(|status| {
        SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
    })
}

/// Strings as `execve` takes them, made before a fork, after which nothing may be allocated.
struct Strings {
    /// Into `_owned`, with null at the end.
    pointers: Vec<*const c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    fn new(texts: impl IntoIterator<Item = OsString>) -> Self {
        let owned = super::c_strings(texts);
        let pointers = owned
            .iter()
            .map(|text| text.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self {
            pointers,
            _owned: owned,
        }
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
