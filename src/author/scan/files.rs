//! Lists and reads the Python files of a folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Note, Scan};
use crate::author::failure;
use crate::error::Error;
use crate::exit::Exit;
use crate::os::file;

/// Folders that contain no code of the service itself, or only code that runs elsewhere. Folders whose name begins with
/// a dot are skipped, too.
const SKIPPED: &str = "__pycache__ node_modules site-packages venv test tests build dist";

/// How many files and folders are listed.
const MAX_ENTRIES: usize = 100_000;

/// How many folders may be inside each other.
const MAX_DEPTH: usize = 64;

/// The size limits of a file, and of all files together, in bytes.
const MAX_FILE: usize = 1024 * 1024;
const MAX_TOTAL: usize = 128 * 1024 * 1024;

/// The source of a file.
pub struct Source {
    /// The path as messages show it.
    pub file: String,
    /// The dotted name of the module from the root of the file system, with a dot at its beginning.
    pub module: String,
    /// Whether the file is the `__init__.py` of its package.
    pub is_package: bool,
    /// Without carriage returns.
    pub text: String,
}

/// Reads the file, or all Python files of the folder in the order of their names. A file that cannot be read becomes a
/// note.
pub fn read(path: &Path, scan: &mut Scan) -> Result<Vec<Source>, Error> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = format!("there is no {shown}; name the folder with the Python code");
            return failure(Exit::NO_INPUT, text);
        }
        Err(error) => {
            return failure(Exit::NO_INPUT, format!("{shown} cannot be read: {error}"));
        }
    };
    let files = if metadata.is_dir() {
        list(path, scan)?
    } else {
        vec![path.to_owned()]
    };
    let (mut sources, mut total) = (Vec::new(), 0);
    for path in files {
        let file = path.display().to_string();
        let file = file.strip_prefix("./").unwrap_or(&file).to_owned();
        match text(&path) {
            Ok(text) => {
                total += text.len();
                sources.push(source(&path, file, text));
            }
            Err(text) => scan.notes.push(Note {
                file,
                line: None,
                text,
            }),
        }
        if total > MAX_TOTAL {
            let text = format!(
                "the Python files in {shown} are larger than {} MiB; name a smaller folder",
                MAX_TOTAL >> 20
            );
            return failure(Exit::INVALID_INPUT, text);
        }
    }
    Ok(sources)
}

fn list(root: &Path, scan: &mut Scan) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut count) = (Vec::new(), 0);
    let mut open = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = fs::read_dir(&folder);
        let entries = entries.and_then(|entries| entries.take(MAX_ENTRIES + 1).collect());
        let entries: Vec<fs::DirEntry> = match entries {
            Ok(entries) => entries,
            Err(error) if depth == 0 => {
                let text = format!("{} cannot be listed: {error}", folder.display());
                return failure(Exit::NO_INPUT, text);
            }
            Err(error) => {
                scan.notes.push(Note {
                    file: folder.display().to_string(),
                    line: None,
                    text: format!("the folder cannot be listed: {error}"),
                });
                continue;
            }
        };
        count += entries.len();
        if count > MAX_ENTRIES {
            let text = format!(
                "{} contains more than {MAX_ENTRIES} files; name a smaller folder",
                root.display()
            );
            return failure(Exit::INVALID_INPUT, text);
        }
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Symbolic links to folders are not followed.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                let is_skipped = name.starts_with('.')
                    || SKIPPED.split(' ').any(|skipped| skipped == name)
                    || path.join("pyvenv.cfg").exists();
                if !is_skipped && depth < MAX_DEPTH {
                    open.push((path, depth + 1));
                }
            } else if is_code(&name) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file contains Python code that is not a test.
fn is_code(name: &str) -> bool {
    name.strip_suffix(".py").is_some_and(|stem| {
        !stem.starts_with('.')
            && !stem.starts_with("test_")
            && !stem.ends_with("_test")
            && stem != "conftest"
    })
}

/// The text of a file, or why it cannot be read.
fn text(path: &Path) -> Result<String, String> {
    match file::read(path, MAX_FILE) {
        Ok(bytes) if bytes.len() > MAX_FILE => {
            Err("the file is larger than 1 MiB, so it is not read".to_owned())
        }
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
            }
            Err(_) => Err("the file is not UTF-8, so it is not read".to_owned()),
        },
        Err(error) => Err(format!("the file cannot be read: {error}")),
    }
}

fn source(path: &Path, file: String, text: String) -> Source {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = real.with_extension("");
    let parts = stem.iter().skip(1).map(|part| part.to_string_lossy());
    let mut parts: Vec<_> = parts.collect();
    let is_package = parts.last().is_some_and(|last| last == "__init__");
    if is_package {
        parts.pop();
    }
    Source {
        file,
        module: format!(".{}", parts.join(".")),
        is_package,
        text,
    }
}
