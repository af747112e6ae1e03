//! Finds out from the beginning of a file why the kernel cannot execute it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many bytes at the beginning of a program are read: its `#!` line, or the headers of an ELF file.
const HEAD: u64 = 4096;

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

/// Why a file cannot be executed.
pub(super) struct Defect {
    /// Whether its interpreter or its loader is missing.
    pub is_missing: bool,
    pub is_certain: bool,
    /// The predicate of a sentence whose subject is the command.
    pub text: String,
}

impl Defect {
    fn missing(text: String) -> Self {
        Self {
            is_missing: true,
            is_certain: true,
            text,
        }
    }

    fn unusable(is_certain: bool, text: impl Into<String>) -> Self {
        Self {
            is_missing: false,
            is_certain,
            text: text.into(),
        }
    }
}

fn head(file: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut file = File::open(file).ok()?.take(HEAD);
    file.read_to_end(&mut head).ok()?;
    Some(head)
}

/// Looks for a defect at the beginning of a file. `is_in_path` looks a name up as `env` does, and `has_failed` tells that
/// the kernel has rejected the file.
pub(super) fn defect(
    file: &Path,
    is_in_path: impl Fn(&str) -> bool,
    has_failed: bool,
) -> Option<Defect> {
    let head = head(file)?;
    if let Some(script) = head.strip_prefix(b"#!") {
        return defect_of_script(script, is_in_path, has_failed);
    }
    let mut others = OTHER_FILES.iter();
    match others.find(|(beginning, _)| head.starts_with(beginning)) {
        Some((_, what)) => Some(Defect::unusable(false, *what)),
        None => defect_of_elf(&head, has_failed),
    }
}

/// Looks for a defect in a script's first line, which is given without the `#!`.
fn defect_of_script(
    script: &[u8],
    is_in_path: impl Fn(&str) -> bool,
    has_failed: bool,
) -> Option<Defect> {
    let line = script.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    // Only these are removed by the kernel. A carriage return becomes part of the last word.
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim_start_matches([' ', '\t']);
    // `env` looks its only argument up in PATH, unless that is an option or an assignment.
    let is_looked_up = interpreter.ends_with("/env")
        && !(argument.is_empty() || argument.starts_with('-') || argument.contains('='));
    let missing = if is_missing(Path::new(interpreter)) {
        Some(interpreter)
    } else {
        Some(argument).filter(|name| is_looked_up && !is_in_path(name))
    };
    if line.ends_with('\r') {
        // An interpreter that exists may ignore it.
        let text = "has Windows line endings (CRLF); save it with LF";
        return Some(Defect::unusable(missing.is_some(), text));
    }
    if let Some(name) = missing {
        let name = name.escape_debug();
        return Some(Defect::missing(format!(
            "cannot start: its interpreter `{name}` was not found"
        )));
    }
    let defect = defect_of_elf(&head(Path::new(interpreter))?, has_failed)?;
    let name = interpreter.escape_debug();
    let text = format!("cannot start: its interpreter `{name}` {}", defect.text);
    Some(Defect { text, ..defect })
}

/// Whether a file certainly does not exist.
fn is_missing(file: &Path) -> bool {
    matches!(file.try_exists(), Ok(false))
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
        Some(if is_big_endian {
            bytes.iter().fold(0, push)
        } else {
            bytes.iter().rev().fold(0, push)
        })
    };
    let machine = number(18, 2)?;
    let own = std::env::consts::ARCH.replace('_', "-");
    let named = MACHINES.iter().find(|(number, _)| *number == machine);
    let other = named.map(|(_, name)| *name).filter(|name| *name != own);
    // A kernel of 64 bits usually executes programs of 32 bits.
    if let Some(name) = other.filter(|_| is_64 || has_failed) {
        let text = format!(
            "is a program for {name}, and this machine is {own}; build the image for this platform"
        );
        return Some(Defect::unusable(false, text));
    }
    let [table, size, count, offset, length, width] = if is_64 {
        [32, 54, 56, 8, 32, 8]
    } else {
        [28, 42, 44, 4, 16, 4]
    };
    let (table, size) = (number(table, width)?, number(size, 2)?);
    let mut entries = (0..number(count, 2)?).map(|index| table.saturating_add(index * size));
    let entry = entries.find(|&entry| number(entry, 4) == Some(LOADER))?;
    let at = usize::try_from(number(entry.checked_add(offset)?, width)?).ok()?;
    let length = usize::try_from(number(entry.checked_add(length)?, width)?).ok()?;
    let loader = head.get(at..)?.get(..length)?;
    let loader = Path::new(OsStr::from_bytes(loader.strip_suffix(b"\0")?));
    if !is_missing(loader) {
        return None;
    }
    let loader = loader.to_string_lossy();
    let library = if loader.contains("ld-musl") {
        "; it is built for musl, the C library of Alpine images"
    } else if loader.contains("ld-linux") {
        "; it is built for glibc, which Alpine images do not have"
    } else {
        ""
    };
    Some(Defect::missing(format!(
        "cannot start: the loader `{}` that it is linked with was not found{library}",
        loader.escape_debug()
    )))
}
