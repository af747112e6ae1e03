//! The files of a history, as alembic's `Script._list_py_dir` and `Script._from_path` choose them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::Places;
use super::{Error, base_name, uncertain};

/// How many files and folders the folders of a history may contain.
const MAX_ENTRIES: usize = 10_000;

/// The revision files in the order in which alembic loads them.
pub fn list(places: &Places) -> Result<Vec<PathBuf>, Error> {
    let mut walk = Walk {
        places,
        seen: HashSet::new(),
        found: Vec::new(),
        entries: 0,
    };
    for folder in &places.versions {
        if is_cache(folder) {
            return uncertain("a folder of `version_locations` is a cache");
        }
        walk.folder(folder)?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    places: &'a Places,
    seen: HashSet<PathBuf>,
    found: Vec<PathBuf>,
    entries: usize,
}

impl Walk<'_> {
    /// Adds the files of a folder and of the folders in it.
    fn folder(&mut self, start: &Path) -> Result<(), Error> {
        let mut open = vec![start.to_owned()];
        while let Some(folder) = open.pop() {
            let (mut folders, mut files) = (Vec::new(), Vec::new());
            for entry in self.entries(&folder)? {
                // Symbolic links to folders are not followed.
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder { &mut folders } else { &mut files }.push(entry.path());
            }
            let cache = folder.join("__pycache__");
            if self.places.is_sourceless && !is_cache(&folder) && cache.is_dir() {
                let stems: HashSet<&[u8]> = files.iter().map(|file| stem(file)).collect();
                let compiled = self.entries(&cache)?.into_iter().map(|entry| entry.path());
                let compiled = compiled
                    .filter(|file| !stems.contains(stem(file)))
                    .collect::<Vec<_>>();
                files.sort();
                files.extend(compiled);
            } else {
                files.sort();
            }
            for file in files.iter().filter(|_| !is_cache(&folder)) {
                self.file(file)?;
            }
            if self.places.is_recursive {
                folders.sort();
                open.extend(folders.into_iter().rev());
            }
        }
        Ok(())
    }

    fn entries(&mut self, folder: &Path) -> Result<Vec<DirEntry>, Error> {
        let entries = fs::read_dir(folder)
            .and_then(|entries| entries.take(MAX_ENTRIES + 1).collect::<Result<Vec<_>, _>>());
        let Ok(entries) = entries else {
            return uncertain("a folder of the revision files cannot be listed");
        };
        self.entries += entries.len();
        if self.entries > MAX_ENTRIES {
            return uncertain(format!("there are more than {MAX_ENTRIES} files"));
        }
        Ok(entries)
    }

    /// Adds a file if its name is that of a revision file. What counts is the name after all symbolic links.
    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let Ok(real) = path.canonicalize() else {
            // A link to nothing, such as an editor's lock, matters only if it looks like a revision file.
            let target = fs::read_link(path).unwrap_or_else(|_| path.to_owned());
            return match self.kind(&target) {
                None => Ok(()),
                Some(_) => uncertain(format!("{} cannot be read", base_name(path))),
            };
        };
        let Some(kind) = self.kind(&real) else {
            return Ok(());
        };
        match kind {
            Kind::Source if self.seen.insert(real.clone()) => self.found.push(real),
            Kind::Source => {}
            Kind::Compiled if real.with_extension("py").exists() => {}
            Kind::Compiled => return uncertain(format!("{} has no source", base_name(&real))),
        }
        Ok(())
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let name = path.file_name()?.as_bytes();
        if name.starts_with(b".#") || name.starts_with(b"__init__") {
            None
        } else if name.ends_with(b".py") {
            Some(Kind::Source)
        } else if self.places.is_sourceless && (name.ends_with(b".pyc") || name.ends_with(b".pyo"))
        {
            Some(Kind::Compiled)
        } else {
            None
        }
    }
}

enum Kind {
    Source,
    Compiled,
}

fn is_cache(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| name.as_bytes().ends_with(b"__pycache__"))
}

/// The name of a file up to its first dot.
fn stem(file: &Path) -> &[u8] {
    let name = file.file_name().map_or(&[][..], OsStr::as_bytes);
    name.split(|byte| *byte == b'.').next().unwrap_or_default()
}
