//! The files of a history, as alembic's `Script._list_py_dir` and `Script._from_path` choose them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::Places;
use super::{Error, base_name, uncertain};

/// How many files and folders the folders of a history may contain.
const MAX_ENTRIES: usize = 10_000;

/// The revision files in the order in which alembic loads them.
pub fn list(places: &Places) -> Result<Vec<PathBuf>, Error> {
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut count = 0;
    let mut open: Vec<PathBuf> = places.versions.iter().rev().cloned().collect();
    while let Some(folder) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(&folder)
            .and_then(|entries| entries.take(MAX_ENTRIES + 1).collect())
            .or_else(|_| uncertain("a folder of the revision files cannot be listed"))?;
        count += entries.len();
        if count > MAX_ENTRIES {
            return uncertain(format!("there are more than {MAX_ENTRIES} files"));
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        // Symbolic links to folders are not followed.
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_folder);
        let name = folder.file_name().unwrap_or_default();
        // alembic ignores the files of such a folder, but not of those in it.
        let is_cache = name.as_bytes().ends_with(b"__pycache__");
        for file in files.iter().filter(|_| !is_cache) {
            // What counts is the name after all symbolic links.
            if let Some(real) = revision_file(&file.path())?
                && seen.insert(real.clone())
            {
                found.push(real);
            }
        }
        if places.is_recursive || is_cache {
            open.extend(folders.iter().rev().map(fs::DirEntry::path));
        }
    }
    Ok(found)
}

/// The file after all symbolic links, if it is a revision file by its name.
fn revision_file(path: &Path) -> Result<Option<PathBuf>, Error> {
    let real = path.canonicalize().ok();
    // A link to nothing, such as an editor's lock, matters only if it looks like a revision file.
    let target = real.clone().or_else(|| fs::read_link(path).ok());
    let name = target.as_deref().and_then(Path::file_name);
    let name = name.map_or(&[][..], std::ffi::OsStr::as_bytes);
    if name.contains(&b'\n') {
        return uncertain("the name of a revision file has a line break");
    }
    if !name.ends_with(b".py") || name.starts_with(b".#") || name.starts_with(b"__init__") {
        return Ok(None);
    }
    match real {
        Some(real) => Ok(Some(real)),
        None => uncertain(format!("{} cannot be read", base_name(path))),
    }
}
