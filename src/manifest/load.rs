//! From a file to a manifest, or to everything that is wrong with it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::keys::{Fault, Keys, MAPPING, MAX_FAULTS, Reading};
use super::node::{Node, Value};
use super::process;
use super::variable::{Declared, variables};
use super::{DEFAULT_FILE, FailOn, Manifest};

/// The largest manifest that is read, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// More open brackets than any manifest has. The parser itself refuses a depth of 128.
const MAX_DEPTH: usize = 1000;

/// The manifest's one version so far.
const VERSION: u32 = 1;

const FAIL_ON: [(&str, FailOn); 2] = [
    ("required", FailOn::Required),
    ("critical", FailOn::Critical),
];

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "there is no manifest {}; write one, or name it with --manifest or STARTUP_GUARD_MANIFEST{}",
        path.display(),
        absent_hint(path)
    )]
    NotFound { path: PathBuf },
    #[error("the manifest {} cannot be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("the manifest {} is a directory; name the file in it", path.display())]
    Directory { path: PathBuf },
    #[error("the manifest {} is larger than 1 MiB", path.display())]
    TooLarge { path: PathBuf },
    #[error("the manifest {} is invalid: {}", path.display(), count(faults))]
    Invalid {
        path: PathBuf,
        /// In the order of their lines.
        faults: Vec<Fault>,
    },
}

fn absent_hint(path: &Path) -> &'static str {
    if path == Path::new(DEFAULT_FILE) {
        " (it is looked for in the working directory only)"
    } else {
        ""
    }
}

fn count(faults: &[Fault]) -> String {
    match faults.len() {
        1 => "1 fault".to_owned(),
        MAX_FAULTS => format!("{MAX_FAULTS} faults or more"),
        count => format!("{count} faults"),
    }
}

/// Reads a manifest from a file, by `read_file`, which of a large one reads no more than one byte over the
/// limit that it is given.
///
/// # Errors
/// When the file cannot be read, or is not a sound manifest: then with every fault in it.
pub fn load(
    path: &Path,
    read_file: fn(&Path, usize) -> io::Result<Vec<u8>>,
) -> Result<Manifest, Error> {
    let text = read_file(path, MAX_SIZE).map_err(|cause| unreadable(path, cause))?;
    if text.len() > MAX_SIZE {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    Manifest::parse(&text).map_err(|faults| Error::Invalid {
        path: path.to_owned(),
        faults,
    })
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    let path = path.to_owned();
    match cause.kind() {
        ErrorKind::NotFound => Error::NotFound { path },
        ErrorKind::IsADirectory => Error::Directory { path },
        _ => Error::Unreadable { path, cause },
    }
}

impl Manifest {
    /// Reads a manifest from a text.
    ///
    /// # Errors
    /// Every fault in it, in the order of their lines, up to [`MAX_FAULTS`].
    pub fn parse(text: &[u8]) -> Result<Self, Vec<Fault>> {
        let text = str::from_utf8(text).map_err(|error| {
            let valid = &text[..error.valid_up_to()];
            let breaks = memchr::memchr_iter(b'\n', valid).count();
            fault_of_text(Some(breaks + 1), "the file is not UTF-8")
        })?;
        // Editors on Windows begin a file with it; the parser's message for it misleads.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_blank(text) {
            let message = "the file is empty; it needs at least `version: 1`";
            return Err(fault_of_text(None, message));
        }
        if let Some(line) = too_deep(text) {
            return Err(fault_of_text(Some(line), "the file is nested too deep"));
        }
        let mut tree = Node::parse(text).map_err(|error| syntax_fault(&error))?;
        let Value::Mapping(_) = tree.value else {
            let message = "the manifest must be a mapping of keys such as version and variables";
            return Err(fault_of_text(None, message));
        };
        let mut reading = Reading::new(text);
        let mut manifest = read(&tree, &reading);
        if reading.lacks_spelling.get() {
            tree.spell(text).map_err(|error| syntax_fault(&error))?;
            reading = Reading::new(text);
            manifest = read(&tree, &reading);
        }
        let faults = reading.into_faults();
        if faults.is_empty() {
            Ok(manifest)
        } else {
            Err(faults)
        }
    }
}

/// The manifest that a tree holds. It is of use only when no fault has been found.
fn read(tree: &Node<'_>, reading: &Reading) -> Manifest {
    let mut root = Keys::new(tree, String::new(), None, MAPPING, reading);
    let version = root.whole("version");
    let message = "is missing; write `version: 1`";
    root.fault_if(!root.has("version"), "version", message);
    if let Some(other) = version.filter(|&version| version != VERSION) {
        let message =
            format_args!("version {other} is not known; this startup-guard reads version 1");
        root.fault("version", message);
    }
    let (variables, mut keys): (Vec<_>, Vec<_>) = variables(&mut root).into_iter().unzip();
    let declared = Declared::new(&variables, reading);
    for (variable, keys) in variables.iter().zip(&mut keys) {
        declared.check(variable, keys);
    }
    let manifest = Manifest {
        service: process::printed(&mut root, "service"),
        announce: process::announcement(&mut root, "announce", &declared),
        fail_on: root.choice("fail_on", &FAIL_ON).unwrap_or_default(),
        user: process::user(&mut root),
        waits: process::waits(&mut root, &declared),
        steps: process::steps(&mut root, &declared),
        server: process::server(&mut root, &declared),
        variables: Vec::new(),
    };
    root.finish();
    Manifest {
        variables,
        ..manifest
    }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// The line, counted from 1, on which a text is nested too deep; nothing where it is not.
///
/// The YAML parser looks at every open bracket again at every token, so a text of nothing but brackets would keep
/// it busy for hours before it refuses the depth. Only brackets that stand where a value may begin are counted as
/// open, so that one in the middle of a text, such as a pattern's, is not.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut may_begin = true;
    for (position, &byte) in text.as_bytes().iter().enumerate() {
        match byte {
            b'[' | b'{' if may_begin => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(text[..position].matches('\n').count() + 1);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            // They leave it as it is.
            b' ' | b'\t' | b'\r' => continue,
            _ => {}
        }
        may_begin = matches!(byte, b'[' | b'{' | b',' | b':' | b'-' | b'?' | b'\n');
    }
    None
}

fn fault_of_text(line: Option<usize>, message: impl Into<String>) -> Vec<Fault> {
    let message = message.into();
    vec![Fault { line, message }]
}

fn syntax_fault(error: &serde_yaml::Error) -> Vec<Fault> {
    let message = error.to_string();
    // The place is told once, at the beginning of the line.
    let message = message.split(" at line ").next().unwrap_or_default();
    let place = error.location().map_or_else(String::new, |place| {
        format!("line {}, column {}: ", place.line(), place.column())
    });
    let message = format!("{place}the file is not valid YAML: {message}");
    fault_of_text(None, message)
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn open_brackets_are_too_many_on_one_line_or_on_several() {
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1000))), None);
        assert_eq!(too_deep(&format!("a: {}", "[".repeat(1001))), Some(1));
        assert_eq!(
            too_deep(&format!("a:\n{}", "{b:\n".repeat(2000))),
            Some(1002)
        );
        assert_eq!(too_deep(&"- [ ".repeat(2000)), Some(1));
    }

    #[test]
    fn brackets_in_texts_and_closed_ones_are_not_deep() {
        let pattern = "A: {pattern: \"^\\\\[x\", hint: 'a [ in a text'}\n";
        assert_eq!(too_deep(&pattern.repeat(5000)), None);
        assert_eq!(too_deep(&"a: [[x], {y: z}]\n".repeat(5000)), None);
        assert_eq!(too_deep(""), None);
    }
}
