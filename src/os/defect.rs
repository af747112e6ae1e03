//! Finds out from the beginning of a file why the kernel cannot execute it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many bytes at the beginning of a program are read: its `#!` line, or the headers of an ELF file.
const HEAD: usize = 4096;

/// The processors of little-endian ELF files: `e_machine`, and the name in the platform of a container image.
const MACHINES: &str = "3 x86,21 powerpc64,40 arm,62 x86-64,183 aarch64,243 riscv64";

/// The beginnings of other files that cannot be executed, and what these files are.
const OTHER_FILES: [(&[u8], &str); 3] = [
    (b"\xcf\xfa\xed\xfe", "is a program for macOS"),
    (b"MZ", "is a program for Windows"),
    (
        b"\xef\xbb\xbf#!",
        "begins with a byte order mark; save it without one",
    ),
];

/// When a file is inspected.
#[derive(Clone, Copy, PartialEq)]
pub enum Moment {
    /// Long before it is executed.
    Early,
    /// Right before. What the kernel itself finds out is not looked for.
    Last,
    /// After the kernel has rejected it.
    Failed,
}

/// Why a file cannot be executed: the predicate of a sentence whose subject is the command.
pub(super) enum Defect {
    /// Its interpreter or its loader does not exist.
    Missing(String),
    Unusable(String),
    /// The kernel may have an emulator for it, or the interpreter may ignore it.
    Doubtful(String),
}

fn head(file: &Path) -> Option<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let count = File::open(file).ok()?.read(&mut head).ok()?;
    head.truncate(count);
    Some(head)
}

/// Looks for a defect at the beginning of a file. `is_in_path` looks a name up as `env` does.
pub(super) fn defect(
    file: &Path,
    is_in_path: impl Fn(&str) -> bool,
    moment: Moment,
) -> Option<Defect> {
    let head = head(file)?;
    if let Some(script) = head.strip_prefix(b"#!") {
        return defect_of_script(script, is_in_path, moment);
    }
    let mut others = OTHER_FILES.iter();
    match others.find(|(beginning, _)| head.starts_with(beginning)) {
        Some((_, what)) => Some(Defect::Doubtful((*what).to_owned())),
        None => defect_of_elf("", &head, moment),
    }
}

/// Looks for a defect in a script's first line, which is given without the `#!`.
fn defect_of_script(
    script: &[u8],
    is_in_path: impl Fn(&str) -> bool,
    moment: Moment,
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
    let name = missing.unwrap_or(interpreter).escape_debug();
    let windows = "has Windows line endings (CRLF); save it with LF".to_owned();
    match missing {
        Some(_) if line.ends_with('\r') => Some(Defect::Unusable(windows)),
        Some(_) => Some(Defect::Missing(format!(
            "cannot start: its interpreter `{name}` was not found"
        ))),
        None if line.ends_with('\r') => Some(Defect::Doubtful(windows)),
        None => {
            let of = format!("cannot start: its interpreter `{name}` ");
            defect_of_elf(&of, &head(Path::new(interpreter))?, moment)
        }
    }
}

/// Whether a file certainly does not exist.
fn is_missing(file: &Path) -> bool {
    matches!(file.try_exists(), Ok(false))
}

/// Looks for a defect in the headers of an ELF file: another processor, or a loader that does not exist. `of` begins the
/// sentence.
fn defect_of_elf(of: &str, head: &[u8], moment: Moment) -> Option<Defect> {
    const LOADER: usize = 3;
    if moment == Moment::Last {
        return None;
    }
    let is_64 = *head.strip_prefix(b"\x7fELF")?.first()? == 2;
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..)?.get(..size)?.iter().rev();
        Some(bytes.fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let machine = number(18, 2)?;
    let own = std::env::consts::ARCH.replace('_', "-");
    let mut machines = MACHINES.split(',').filter_map(|each| each.split_once(' '));
    let named = machines.find(|(number, _)| number.parse() == Ok(machine));
    let other = named.map(|(_, name)| name).filter(|name| *name != own);
    // A kernel of 64 bits usually executes programs of 32 bits.
    if let Some(name) = other.filter(|_| is_64 || moment == Moment::Failed) {
        return Some(Defect::Doubtful(format!(
            "{of}is a program for {name}, and this machine is {own}; build the image for this platform"
        )));
    }
    let (table, size) = (number(32, 8).filter(|_| is_64)?, number(54, 2)?);
    let mut entries = (0..number(56, 2)?).map(|index| table.saturating_add(index * size));
    let entry = entries.find(|&entry| number(entry, 4) == Some(LOADER))?;
    let (at, length) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
    let loader = head.get(at..)?.get(..length)?;
    let loader = Path::new(OsStr::from_bytes(loader.strip_suffix(b"\0")?));
    if !is_missing(loader) {
        return None;
    }
    let loader = loader.to_string_lossy();
    let library = match () {
        () if loader.contains("ld-musl") => "; it is built for musl, as in Alpine images",
        () if loader.contains("ld-linux") => "; it is built for glibc, which Alpine images lack",
        () => "",
    };
    Some(Defect::Missing(format!(
        "{of}cannot start: the loader `{}` that it is linked with was not found{library}",
        loader.escape_debug()
    )))
}
