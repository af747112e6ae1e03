//! From a file to a manifest, or to everything that is wrong with it.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path as FilePath, PathBuf};

use super::depth::too_deep;
use super::fault::{Fault, Path};
use super::raw::RawManifest;
use super::salvage::salvage;
use super::tree::Node;
use super::validate::validate;
use super::{DEFAULT_FILE, Manifest};

/// The largest manifest that is read, in bytes.
const MAX_SIZE: usize = 1024 * 1024;

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
    Unreadable {
        path: PathBuf,
        cause: std::io::Error,
    },
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

fn absent_hint(path: &FilePath) -> &'static str {
    if path == FilePath::new(DEFAULT_FILE) {
        " (it is looked for in the working directory only)"
    } else {
        ""
    }
}

fn count(faults: &[Fault]) -> String {
    if faults.len() == 1 {
        "1 fault".to_owned()
    } else {
        format!("{} faults", faults.len())
    }
}

/// Reads a manifest from a file, by `read_file`, which of a large one reads no more than one byte over the
/// limit that it is given.
///
/// # Errors
/// When the file cannot be read, or is not a sound manifest: then with every fault in it.
pub fn load(
    path: &FilePath,
    read_file: fn(&FilePath, usize) -> io::Result<Vec<u8>>,
) -> Result<Manifest, Error> {
    let text = read_file(path, MAX_SIZE).map_err(|cause| unreadable(path, cause))?;
    if text.len() > MAX_SIZE {
        return Err(Error::TooLarge {
            path: path.to_owned(),
        });
    }
    parse(&text).map_err(|faults| Error::Invalid {
        path: path.to_owned(),
        faults,
    })
}

/// The line of each variable in a manifest's file; empty when it can no longer be read.
pub fn lines_of_variables(
    path: &FilePath,
    read_file: fn(&FilePath, usize) -> io::Result<Vec<u8>>,
) -> HashMap<String, usize> {
    let content = read_file(path, MAX_SIZE).unwrap_or_default();
    let text = str::from_utf8(&content).unwrap_or_default();
    let tree = Node::read(text.strip_prefix('\u{feff}').unwrap_or(text));
    tree.map(|tree| tree.lines_below("variables"))
        .unwrap_or_default()
}

fn unreadable(path: &FilePath, cause: io::Error) -> Error {
    let path = path.to_owned();
    match cause.kind() {
        ErrorKind::NotFound => Error::NotFound { path },
        ErrorKind::IsADirectory => Error::Directory { path },
        _ => Error::Unreadable { path, cause },
    }
}

/// Reads a manifest from a text.
///
/// # Errors
/// Every fault in it.
pub fn parse(text: &[u8]) -> Result<Manifest, Vec<Fault>> {
    let whole = |message: &str| vec![Fault::at(Path::default(), message)];
    let text = str::from_utf8(text).map_err(|error| {
        let line = text[..error.valid_up_to()]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1;
        let mut faults = whole("the file is not UTF-8");
        faults[0].line = Some(line);
        faults
    })?;
    // Editors on Windows begin a file so; the parser would tell something misleading.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_blank(text) {
        return Err(whole("the file is empty; it needs at least `version: 1`"));
    }
    if let Some(line) = too_deep(text) {
        let mut faults = whole("the file is nested too deep");
        faults[0].line = Some(line);
        return Err(faults);
    }
    if let Ok(raw) = serde_yaml::from_str::<RawManifest>(text) {
        let (manifest, faults) = validate(raw);
        if faults.is_empty() {
            return Ok(manifest);
        }
    }
    Err(faults_of(text))
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// Every fault of a text that is known to have some.
fn faults_of(text: &str) -> Vec<Fault> {
    let tree = match Node::read(text) {
        Ok(tree) => tree,
        Err(error) => return vec![syntax_fault(&error)],
    };
    let (raw, mut faults) = salvage(&tree);
    // What could not be read is not missing, too.
    let unread = faults.clone();
    let judged = validate(raw).1.into_iter();
    faults.extend(judged.filter(|fault| unread.iter().all(|other| other.path != fault.path)));
    for fault in &mut faults {
        fault.line = fault.line.or_else(|| tree.line_of(&fault.path));
    }
    // Stable: faults of one line stay in the order in which they were found.
    faults.sort_by_key(|fault| fault.line);
    faults
}

fn syntax_fault(error: &serde_yaml::Error) -> Fault {
    let place = error.location();
    let message = error.to_string();
    // The place is told once, at the beginning of the line.
    let message = message.split(" at line ").next().unwrap_or_default();
    Fault {
        path: Path::default(),
        line: place.as_ref().map(serde_yaml::Location::line),
        column: place.as_ref().map(serde_yaml::Location::column),
        message: format!("the file is not sound YAML: {message}"),
    }
}
