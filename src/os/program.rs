//! From a command's name to a file to execute, and from an error to a sentence.
//!
//! PATH is searched here, not by `execvp`: glibc's runs a script without a `#!` line through a shell, and the same
//! rules must hold for the steps and the server.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access};

use super::file_type;
use super::signal::Signal;

/// Where commands are looked for when PATH is unset: what container images have.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of a file the kernel reads as its `#!` line, in bytes (`BINPRM_BUF_SIZE`).
const INTERPRETER_LINE: u64 = 256;

/// Why a program was not started: a sentence, by what a person or a platform must do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program, or its interpreter, does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It exists and cannot be executed.
    #[error("{0}")]
    NotExecutable(String),
    /// This process may not become the user that the program is to run as.
    #[error("{0}")]
    NotPermitted(String),
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    /// The system is short of something, or refuses a call that always works.
    #[error("{0}")]
    System(String),
}

impl From<Errno> for StartError {
    fn from(errno: Errno) -> Self {
        Self::System(format!("the system refused to start the program: {errno}"))
    }
}

/// A command that is ready for `execve`, in this process or in a child.
pub struct Program {
    /// The files that may be it: the name itself if it has a slash, else one in each folder of PATH.
    candidates: Vec<CString>,
    /// As `execve` takes them. Made before a fork, after which nothing may be allocated.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// The strings that these point to.
    strings: [Vec<CString>; 2],
    /// Its name in messages.
    shown: String,
}

/// Why no program was executed, in numbers, as a child sends them through a pipe: the place of the candidate (or
/// `Program::NO_CANDIDATE`, or a number below that, which `spawn` defines), and the error.
pub(super) type Cause = [i32; 2];

impl Program {
    /// The place in a `Cause` when no candidate exists.
    pub(super) const NO_CANDIDATE: i32 = -1;

    /// The command of these words. PATH is that of the environment it will get. Messages call the program
    /// `shown`: its name as the user wrote it, since what that came to may be a variable's value.
    ///
    /// # Errors
    /// When the first word is missing or empty. Whether the program exists is looked at by `find`.
    pub fn new(
        words: Vec<OsString>,
        shown: &OsStr,
        environment: &[(OsString, OsString)],
    ) -> Result<Self, StartError> {
        // An empty word would name each folder of PATH itself.
        let named = words.first().filter(|word| !word.is_empty());
        let word = named.cloned().ok_or_else(|| {
            let text = "the command has no program: its first word is empty";
            StartError::NotFound(text.to_owned())
        })?;
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str());
        let entries = environment.iter().map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            entry
        });
        let strings = [c_strings(words), c_strings(entries)];
        Ok(Self {
            candidates: candidates(&word, path),
            arguments: pointers(&strings[0]),
            environment: pointers(&strings[1]),
            strings,
            shown: shown.to_string_lossy().into_owned(),
        })
    }

    /// The place of the first candidate that this process, as the user that it now is, may execute. Like `execute`
    /// it allocates nothing: both are called between fork and exec.
    pub(super) fn find(&self) -> Result<usize, Cause> {
        let mut cause = None;
        for (place, file) in self.candidates.iter().enumerate() {
            let errno = match access(file.as_c_str(), AccessFlags::X_OK) {
                Ok(()) if is_directory(file) => Errno::EISDIR,
                Ok(()) => return Ok(place),
                Err(Errno::ENOENT | Errno::ENOTDIR) => continue,
                Err(errno) => errno,
            };
            cause.get_or_insert(cause_at(place, errno));
        }
        Err(cause.unwrap_or([Self::NO_CANDIDATE, Errno::ENOENT as i32]))
    }

    /// Becomes the program of this place. Returns only when that fails.
    pub(super) fn execute(&self, place: usize) -> Cause {
        let file = self.candidates[place].as_ptr();
        // SAFETY: the file is a string that ends in NUL, both lists are of such strings and end in null, and
        // all of them live as long as `self`.
        unsafe { libc::execve(file, self.arguments.as_ptr(), self.environment.as_ptr()) };
        cause_at(place, Errno::last())
    }

    /// What a cause means for a person.
    pub(super) fn error(&self, [place, errno]: Cause) -> StartError {
        let command = format!("the command `{}`", self.shown);
        let not_found = |what: &str| StartError::NotFound(format!("{command} {what}"));
        let place = usize::try_from(place).ok();
        let Some(file) = place.and_then(|place| self.candidates.get(place)) else {
            // A name with a slash is its own only candidate.
            let is_path = self.candidates.first() == self.strings[0].first();
            return not_found(if is_path {
                "was not found: there is no such file"
            } else {
                "was not found; check its spelling, and PATH"
            });
        };
        let file = Path::new(OsStr::from_bytes(file.as_bytes()));
        let unusable = |what: &str| StartError::NotExecutable(format!("{command} {what}"));
        let errno = Errno::from_raw(errno);
        match errno {
            Errno::ENOENT => match interpreter(file) {
                _ if !file.exists() => not_found("was not found: there is no such file"),
                Some(name) => not_found(&format!(
                    "cannot start: its interpreter `{name}` was not found"
                )),
                None => not_found("cannot start: the loader that it is linked with was not found"),
            },
            Errno::EISDIR => unusable("is a directory"),
            Errno::EACCES | Errno::EPERM => {
                unusable("may not be executed: check its permissions (chmod +x)")
            }
            Errno::ENOEXEC => unusable("is neither a program nor a script with a `#!` line"),
            Errno::E2BIG => {
                unusable("cannot start: its arguments and environment are too long for the system")
            }
            // The system is short of something. The command may be usable.
            Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::EIO => {
                StartError::System(format!("{command} cannot start: {errno}"))
            }
            _ => unusable(&format!("cannot start: {errno}")),
        }
    }
}

fn cause_at(place: usize, errno: Errno) -> Cause {
    let place = i32::try_from(place).unwrap_or(Program::NO_CANDIDATE);
    [place, errno as i32]
}

fn candidates(word: &OsStr, path: Option<&OsStr>) -> Vec<CString> {
    if word.as_bytes().contains(&b'/') {
        return c_strings([word.to_owned()]);
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes();
    c_strings(path.split(|&byte| byte == b':').map(|folder| {
        // An empty entry is the working directory, as for the shell.
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        let folder = Path::new(OsStr::from_bytes(folder));
        folder.join(word).into_os_string()
    }))
}

fn is_directory(file: &CStr) -> bool {
    stat(file).is_ok_and(|status| file_type(&status) == SFlag::S_IFDIR)
}

/// Strings that end in NUL. A string that contains NUL is left out: none comes from an environment or from
/// arguments, and the manifest's strings are checked.
fn c_strings(texts: impl IntoIterator<Item = OsString>) -> Vec<CString> {
    let texts = texts.into_iter().map(OsString::into_vec);
    texts.filter_map(|text| CString::new(text).ok()).collect()
}

/// A list as `execve` takes it: pointers to these strings, and null at the end.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|text| text.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

/// The interpreter in a script's `#!` line.
fn interpreter(file: &Path) -> Option<String> {
    let mut beginning = Vec::new();
    let mut file = File::open(file).ok()?.take(INTERPRETER_LINE);
    file.read_to_end(&mut beginning).ok()?;
    let line = beginning.strip_prefix(b"#!")?;
    let line = String::from_utf8_lossy(line.split(|&byte| byte == b'\n').next()?);
    // Not trimmed at its end: a carriage return there is the usual reason why it is not found.
    let line = line.trim_start_matches([' ', '\t']);
    let word = line.split([' ', '\t']).next()?;
    Some(word.escape_debug().to_string())
}
