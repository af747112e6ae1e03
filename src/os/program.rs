//! Finds the file that a command names, executes it, and describes the errors of both.
//!
//! PATH is searched here and not by `execvp`, because glibc's `execvp` runs a script without a `#!` line in a shell. So
//! the rules are the same with every C library.

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

/// The folders that are searched if PATH is unset: the usual PATH of container images.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many bytes at the beginning of a program are read: its `#!` line, or the headers of an ELF file.
const HEAD: u64 = 4096;

/// The programs that take a script after `-c`.
pub const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];

/// Commands of a shell that are not programs.
const BUILTINS: [&[u8]; 11] = [
    b"cd", b"exit", b"export", b"source", b".", b"set", b"unset", b"ulimit", b"umask", b"if",
    b"eval",
];

/// Words that only a shell understands. `;` is not one of them, because `find -exec` needs it.
const OPERATORS: [&[u8]; 8] = [b"&&", b"||", b"|", b">", b">>", b"<", b"2>&1", b"&"];

/// The processors of ELF files (`e_machine`), named as in the image of a container.
const MACHINES: [(u64, &str); 7] = [
    (3, "x86"),
    (22, "s390x"),
    (21, "powerpc64"),
    (40, "arm"),
    (62, "x86-64"),
    (183, "aarch64"),
    (243, "riscv64"),
];

/// The beginnings of other files that cannot be executed, and what these files are.
const OTHER_FILES: [(&[u8], &str); 4] = [
    (
        b"\xcf\xfa\xed\xfe",
        "is a program for macOS; build it for Linux",
    ),
    (
        b"\xca\xfe\xba\xbe\0\0\0\x02",
        "is a program for macOS; build it for Linux",
    ),
    (b"MZ", "is a program for Windows; build it for Linux"),
    (
        b"\xef\xbb\xbf#!",
        "begins with a byte order mark before `#!`; save it as UTF-8 without one",
    ),
];

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
    pub fn look_up(&self) -> Result<(), (StartError, bool)> {
        let place = self.find().map_err(|cause| (self.error(cause), true))?;
        let file = Path::new(OsStr::from_bytes(self.candidates[place].as_bytes()));
        match defect(file, self.path(), false) {
            Some(defect) => Err((self.defective(&defect), defect.is_certain)),
            None => Ok(()),
        }
    }

    /// The PATH of the new program.
    fn path(&self) -> Option<&OsStr> {
        let mut entries = self.strings[1].iter();
        let path = entries.find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        path.map(OsStr::from_bytes)
    }

    fn defective(&self, defect: &Defect) -> StartError {
        let text = format!("the command `{}` {}", self.shown, defect.text);
        match defect.is_missing {
            true => StartError::NotFound(text),
            false => StartError::NotExecutable(text),
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
        let command = format!("the command `{}`", self.shown);
        let not_found = |what: &str| StartError::NotFound(format!("{command} {what}"));
        let place = usize::try_from(place).ok();
        let Some(file) = place.and_then(|place| self.candidates.get(place)) else {
            // A name with a slash is the only candidate.
            let is_path = self.candidates.first() == self.strings[0].first();
            let advice = shell_syntax(self.strings[0].iter().map(|word| word.as_bytes()));
            let advice = advice.unwrap_or(if is_path {
                "there is no such file"
            } else {
                "check its spelling, and PATH"
            });
            return not_found(&format!("was not found; {advice}"));
        };
        let file = Path::new(OsStr::from_bytes(file.as_bytes()));
        let unusable = |what: &str| StartError::NotExecutable(format!("{command} {what}"));
        let errno = Errno::from_raw(errno);
        match errno {
            Errno::ENOENT if !file.exists() => not_found("was not found; there is no such file"),
            Errno::ENOENT | Errno::ENOEXEC => match (defect(file, self.path(), true), errno) {
                (Some(defect), _) => self.defective(&defect),
                (None, Errno::ENOENT) => {
                    not_found("cannot start: its interpreter or loader was not found")
                }
                (None, _) => unusable("is neither a program nor a script with a `#!` line"),
            },
            Errno::EISDIR => unusable("is a directory"),
            Errno::EACCES | Errno::EPERM => {
                unusable("may not be executed: check its permissions (chmod +x)")
            }
            Errno::E2BIG => {
                unusable("cannot start: its arguments and environment are too long for the system")
            }
            // A lack of resources, or an I/O error. The command itself may be usable.
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
        // An empty entry means the working directory, as in a shell.
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        let folder = Path::new(OsStr::from_bytes(folder));
        folder.join(word).into_os_string()
    }))
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
    let is_part_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let name = first.split(|&byte| byte == b'=').next()?;
    if name.len() < first.len() && !name.is_empty() && name.iter().all(is_part_of_name) {
        Some(
            "an assignment needs a shell or `env`: set the variable in the environment, or begin the command with `env`",
        )
    } else if first == b"exec" {
        Some("`exec` is a command of the shell: leave it out, because no shell stays here anyway")
    } else if BUILTINS.contains(&first) {
        Some("it is a command of the shell, not a program: write [sh, -c, \"…\"]")
    } else if first.iter().any(u8::is_ascii_whitespace) {
        Some(
            "its name contains a space: write each word of a command as a word of its own, because no shell splits it",
        )
    } else if words.any(|word| OPERATORS.contains(&word)) {
        Some(
            "its words contain an operator such as `&&`, `|` or `>`, which only a shell understands: write [sh, -c, \"…\"], or one step per command",
        )
    } else {
        None
    }
}

/// Why a file cannot be executed.
struct Defect {
    /// Whether its interpreter or its loader is missing.
    is_missing: bool,
    is_certain: bool,
    /// The predicate of a sentence whose subject is the command.
    text: String,
}

impl Defect {
    fn missing(text: String) -> Option<Self> {
        let (is_missing, is_certain) = (true, true);
        Some(Self {
            is_missing,
            is_certain,
            text,
        })
    }

    fn unusable(is_certain: bool, text: impl Into<String>) -> Option<Self> {
        let (is_missing, text) = (false, text.into());
        Some(Self {
            is_missing,
            is_certain,
            text,
        })
    }
}

fn head(file: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut file = File::open(file).ok()?.take(HEAD);
    file.read_to_end(&mut head).ok()?;
    Some(head)
}

/// Looks for a defect at the beginning of a file. `has_failed` tells that the kernel has rejected the file.
fn defect(file: &Path, path: Option<&OsStr>, has_failed: bool) -> Option<Defect> {
    let head = head(file)?;
    if let Some(script) = head.strip_prefix(b"#!") {
        return defect_of_script(script, path, has_failed);
    }
    if head.starts_with(b"\x7fELF") {
        return defect_of_elf(&head, has_failed);
    }
    let mut others = OTHER_FILES.iter();
    let other = others.find(|(beginning, _)| head.starts_with(beginning))?;
    Defect::unusable(false, other.1)
}

/// Looks for a defect in a script's first line, which is given without the `#!`.
fn defect_of_script(script: &[u8], path: Option<&OsStr>, has_failed: bool) -> Option<Defect> {
    const WINDOWS: &str = "has Windows line endings (CRLF); save it with LF";
    let line = script.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // Only these are removed by the kernel. A carriage return becomes part of the last word.
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim_start_matches([' ', '\t']);
    // `env` looks its only argument up in PATH, unless that is an option or an assignment.
    let is_name = |word: &&str| !word.is_empty() && !word.starts_with('-') && !word.contains('=');
    let looked_up = Some(argument).filter(|word| interpreter.ends_with("/env") && is_name(word));
    let interpreter_file = c_strings([interpreter.into()]);
    let looked_up = looked_up.map(|name| (name, candidates(OsStr::new(name), path)));
    for (name, files) in [(interpreter, interpreter_file)]
        .into_iter()
        .chain(looked_up)
    {
        let is_absent = |file: &CString| {
            let file = Path::new(OsStr::from_bytes(file.as_bytes()));
            matches!(file.try_exists(), Ok(false))
        };
        if name.is_empty() || !files.iter().all(is_absent) {
            continue;
        }
        return match name.ends_with('\r') {
            true => Defect::unusable(true, WINDOWS),
            false => {
                let name = name.escape_debug();
                Defect::missing(format!(
                    "cannot start: its interpreter `{name}` was not found"
                ))
            }
        };
    }
    if line.ends_with('\r') {
        // The interpreter may ignore it.
        return Defect::unusable(false, WINDOWS);
    }
    let defect = defect_of_elf(&head(Path::new(interpreter))?, has_failed)?;
    let text = format!(
        "cannot start: its interpreter `{}` {}",
        interpreter.escape_debug(),
        defect.text
    );
    Some(Defect { text, ..defect })
}

/// Looks for a defect in the headers of an ELF file: another processor, or a loader that does not exist.
fn defect_of_elf(head: &[u8], has_failed: bool) -> Option<Defect> {
    const LOADER: u64 = 3;
    let is_64 = *head.strip_prefix(b"\x7fELF")?.first()? == 2;
    let is_big_endian = *head.get(5)? == 2;
    let number = |at: u64, size: u64| {
        let at = usize::try_from(at).ok()?;
        let bytes = head.get(at..)?.get(..usize::try_from(size).ok()?)?;
        let push = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(match is_big_endian {
            true => bytes.iter().fold(0, push),
            false => bytes.iter().rev().fold(0, push),
        })
    };
    let machine = number(18, 2)?;
    let own = std::env::consts::ARCH.replace('_', "-");
    let named = MACHINES.iter().find(|(number, _)| *number == machine);
    let name = named.map_or("another processor", |(_, name)| name);
    // A kernel of 64 bits usually executes programs of 32 bits.
    if name != own && (is_64 || has_failed) {
        let text = format!(
            "is a program for {name}, and this machine is {own}; build the image for this platform"
        );
        return Defect::unusable(false, text);
    }
    let [table, size, count, offset, length, width] = match is_64 {
        true => [32, 54, 56, 8, 32, 8],
        false => [28, 42, 44, 4, 16, 4],
    };
    let (table, size) = (number(table, width)?, number(size, 2)?);
    let mut entries = (0..number(count, 2)?).map(|index| table.saturating_add(index * size));
    let entry = entries.find(|&entry| number(entry, 4) == Some(LOADER))?;
    let at = usize::try_from(number(entry.checked_add(offset)?, width)?).ok()?;
    let length = usize::try_from(number(entry.checked_add(length)?, width)?).ok()?;
    let loader = head
        .get(at..)?
        .get(..length)?
        .split(|&byte| byte == 0)
        .next()?;
    let loader = Path::new(OsStr::from_bytes(loader));
    if !matches!(loader.try_exists(), Ok(false)) {
        return None;
    }
    let loader = loader.to_string_lossy();
    let library = match () {
        () if loader.contains("ld-musl") => {
            "; it is built for musl, the C library of Alpine images"
        }
        () if loader.contains("ld-linux") => {
            "; it is built for glibc, which Alpine images do not have"
        }
        () => "",
    };
    Defect::missing(format!(
        "cannot start: the loader `{}` that it is linked with was not found{library}",
        loader.escape_debug()
    ))
}
