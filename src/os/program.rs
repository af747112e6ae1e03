//! Finds the file that a command names, executes it, and describes the errors of both.
//!
//! PATH is searched here and not by `execvp`, because glibc's `execvp` runs a script without a `#!` line in a shell. So
//! the rules are the same with every C library.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access};

pub use super::defect::Moment;
use super::defect::{Defect, defect};
use super::file_type;
use super::signal::Signal;

/// The folders that are searched if PATH is unset: the usual PATH of container images.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The programs that take a script after `-c`.
pub const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// Commands of a shell that are not programs.
const BUILTINS: &str = ". cd eval exit export if set source ulimit umask unset";

/// Words that only a shell understands. `;` is not one of them, because `find -exec` needs it.
const OPERATORS: &str = "&& || | & > >> < 2>&1";

/// Why a program was not started. The variants differ in what the user must do next; each text is a whole sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program, or its interpreter, does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The program exists but cannot be executed.
    #[error("{0}")]
    NotExecutable(String),
    /// This process has no permission to become the user that the program is to run as.
    #[error("{0}")]
    NotPermitted(String),
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    /// A system call has failed, for example because of a lack of memory.
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
    /// The paths to try: the name itself if it contains a slash, otherwise the name in each folder of PATH.
    candidates: Vec<CString>,
    /// Null-terminated lists of pointers for `execve`. Built before a fork, because nothing may be allocated after it.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// The strings that these lists point to.
    strings: [Vec<CString>; 2],
    /// The command's name in messages.
    shown: String,
}

/// Why no program was executed, as a child sends it through a pipe: the index of the candidate, and the errno. Instead
/// of an index it may have `Program::NO_CANDIDATE` or one of the smaller numbers that `spawn` defines.
pub(super) type Cause = [i32; 2];

impl Program {
    /// The index in a `Cause` when no candidate exists.
    pub(super) const NO_CANDIDATE: i32 = -1;

    /// Creates a command from its words. PATH is taken from `environment`, the environment of the new program. Messages
    /// call the program `shown`: the word as the user wrote it, because the expanded word may contain a variable's
    /// value.
    ///
    /// # Errors
    /// If the first word is missing or empty. Whether the program exists is checked later, by `find`.
    pub fn new(
        words: Vec<OsString>,
        shown: &OsStr,
        environment: &[(OsString, OsString)],
    ) -> Result<Self, StartError> {
        // An empty word would match each folder of PATH itself.
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
            shown: first_part(&shown.to_string_lossy()),
        })
    }

    /// Looks the program up, as this process's current user.
    ///
    /// # Errors
    /// If it cannot be started, and whether that is certain. It is not for a program of another platform: the kernel may
    /// have an emulator for it.
    pub fn look_up(&self, moment: Moment) -> Result<(), (StartError, bool)> {
        let place = self.find().map_err(|cause| (self.error(cause), true))?;
        let Some(defect) = self.defect(path_of(&self.candidates[place]), moment) else {
            return Ok(());
        };
        let is_certain = !matches!(defect, Defect::Doubtful(_));
        Err((self.defective(defect), is_certain))
    }

    fn defect(&self, file: &Path, moment: Moment) -> Option<Defect> {
        let mut entries = self.strings[1].iter();
        let path = entries.find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        let is_in_path = |name: &str| {
            let files = candidates(OsStr::new(name), path.map(OsStr::from_bytes));
            let mut files = files.iter().map(path_of);
            // One that cannot be examined may exist.
            files.any(|file| file.try_exists().unwrap_or(true))
        };
        defect(file, is_in_path, moment)
    }

    fn defective(&self, defect: Defect) -> StartError {
        let text = |what| format!("the command `{}` {what}", self.shown);
        match defect {
            Defect::Missing(what) => StartError::NotFound(text(what)),
            Defect::Unusable(what) | Defect::Doubtful(what) => {
                StartError::NotExecutable(text(what))
            }
        }
    }

    /// The index of the first candidate that this process, as its current user, may execute. Like `execute`, it
    /// allocates nothing, because both are called between fork and exec.
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

    /// Executes the candidate with this index. Returns only if that fails.
    pub(super) fn execute(&self, place: usize) -> Cause {
        let file = self.candidates[place].as_ptr();
        // SAFETY: the path ends in NUL, both lists hold pointers to strings that end in NUL and end in a null pointer,
        // and all of them live as long as `self`.
        unsafe { libc::execve(file, self.arguments.as_ptr(), self.environment.as_ptr()) };
        cause_at(place, Errno::last())
    }

    /// Translates a cause into a message.
    pub(super) fn error(&self, [place, errno]: Cause) -> StartError {
        let place = usize::try_from(place).ok();
        let Some(file) = place.and_then(|place| self.candidates.get(place)) else {
            // A name with a slash is the only candidate.
            let is_path = self.candidates.first() == self.strings[0].first();
            let usual = if is_path {
                NO_FILE
            } else if Path::new(&self.shown).is_file() {
                NOT_A_PATH
            } else {
                NOT_IN_PATH
            };
            let advice = shell_syntax(self.strings[0].iter().map(CString::as_bytes));
            let advice = advice.map(|advice| format!("was not found; {advice}"));
            return self.defective(Defect::Missing(advice.unwrap_or(usual.to_owned())));
        };
        let file = path_of(file);
        let errno = Errno::from_raw(errno);
        let missing = |what: &str| Defect::Missing(what.to_owned());
        let unusable = |what: &str| Defect::Unusable(what.to_owned());
        self.defective(match errno {
            Errno::ENOENT if !file.exists() => missing(NO_FILE),
            Errno::ENOENT => self.defect(file, Moment::Failed).unwrap_or_else(|| {
                missing("cannot start: its interpreter or loader was not found")
            }),
            Errno::ENOEXEC => self
                .defect(file, Moment::Failed)
                .unwrap_or_else(|| unusable("is neither a program nor a script with a `#!` line")),
            Errno::EISDIR => unusable("is a directory"),
            Errno::EACCES | Errno::EPERM => unusable(
                "may not be executed: check its permissions (chmod +x), and those of its folders",
            ),
            Errno::E2BIG => {
                unusable("cannot start: its arguments and environment are too long for the system")
            }
            // A lack of resources, or an I/O error. The command itself may be usable.
            Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE | Errno::EIO => {
                let command = &self.shown;
                let text = format!("the command `{command}` cannot start: {errno}");
                return StartError::System(text);
            }
            _ => unusable(&format!("cannot start: {errno}")),
        })
    }
}

const NO_FILE: &str = "was not found; there is no such file";
const NOT_IN_PATH: &str = "was not found; check its spelling, and PATH";
const NOT_A_PATH: &str =
    "was not found; write `./` before the name of a file in the working directory";

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
        // An empty entry means the working directory, as in a shell.
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        let folder = Path::new(OsStr::from_bytes(folder));
        folder.join(word).into_os_string()
    }))
}

fn path_of(file: &CString) -> &Path {
    Path::new(OsStr::from_bytes(file.as_bytes()))
}

fn is_directory(file: &CStr) -> bool {
    stat(file).is_ok_and(|status| file_type(&status) == SFlag::S_IFDIR)
}

/// Converts strings to C strings. Skips strings that contain NUL, of which there are none: the environment and
/// arguments cannot contain NUL, and the manifest's strings are checked.
fn c_strings(texts: impl IntoIterator<Item = OsString>) -> Vec<CString> {
    let texts = texts.into_iter().map(OsString::into_vec);
    texts.filter_map(|text| CString::new(text).ok()).collect()
}

/// A list of pointers to these strings with a null pointer at the end, as `execve` needs it.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|text| text.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

/// A program's name as messages show it. The rest of an assignment or of a whole command line can be a secret.
fn first_part(word: &str) -> String {
    match word.find(|character: char| character == '=' || character.is_whitespace()) {
        Some(end) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// Advice on a command that is written as for a shell. Its words are not shown.
pub fn shell_syntax<'w>(mut words: impl Iterator<Item = &'w [u8]>) -> Option<&'static str> {
    let first = words.next()?;
    let is_among = |list: &str, word: &[u8]| list.split(' ').any(|each| each.as_bytes() == word);
    let is_part_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let name = first.split(|&byte| byte == b'=').next()?;
    Some(
        if name.len() < first.len() && !name.is_empty() && name.iter().all(is_part_of_name) {
            "an assignment needs a shell or `env`: set the variable in the environment, or begin the command with `env`"
        } else if first == b"exec" {
            "`exec` is a command of the shell: leave it out, because no shell stays here anyway"
        } else if is_among(BUILTINS, first) {
            "it is a command of the shell, not a program: write [sh, -c, \"…\"]"
        } else if first.iter().any(u8::is_ascii_whitespace) {
            "its name contains a space: write each word of a command as a word of its own, because no shell splits it"
        } else if words.any(|word| is_among(OPERATORS, word)) {
            "its words contain an operator such as `&&`, `|` or `>`, which only a shell understands: write [sh, -c, \"…\"], or one step per command"
        } else {
            return None;
        },
    )
}
