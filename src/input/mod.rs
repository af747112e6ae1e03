//! What a command reads: the manifest and the env files that the command line or a variable names.

pub mod env_files;

use std::path::{Path, PathBuf};

use crate::cli::{ManifestChoice, UsageError, wrong};
use crate::environment::Environment;
use crate::manifest::{self, Manifest};
use crate::text::{did_you_mean, names};

const MANIFEST: &str = "STARTUP_GUARD_MANIFEST";
const PROCESS: &str = "STARTUP_GUARD_PROCESS";

/// Loads the manifest, or an empty one if there is no file. With `needs_lines` each variable has its line.
///
/// # Errors
/// If the manifest cannot be read, or has faults.
pub fn load_manifest(file: Option<&Path>, needs_lines: bool) -> Result<Manifest, manifest::Error> {
    let manifest = file.map(|file| manifest::load(file, needs_lines));
    Ok(manifest.transpose()?.unwrap_or_default())
}

/// The path of the manifest; `None` for `--no-manifest`.
pub fn manifest_file(choice: &ManifestChoice, environment: &Environment) -> Option<PathBuf> {
    match choice {
        ManifestChoice::None => None,
        ManifestChoice::File(file) => Some(file.clone()),
        ManifestChoice::Default => {
            let named = environment.get(MANIFEST).filter(|name| !name.is_empty());
            Some(named.map_or_else(|| PathBuf::from(manifest::DEFAULT_FILE), PathBuf::from))
        }
    }
}

/// The name of the process that the command line, or else a variable of this environment, chooses. Without a choice it
/// is the only process of the manifest; `None` if that has several, or none.
///
/// # Errors
/// If the manifest does not have the chosen process.
pub fn process<'m>(
    named: Option<&str>,
    environment: &Environment,
    manifest: &'m Manifest,
) -> Result<Option<&'m str>, UsageError> {
    let known = || manifest.processes.iter().map(|(name, _)| name.as_str());
    let variable = environment.get(PROCESS).unwrap_or_default();
    let (place, name) = match named {
        Some(name) => ("--process", name.into()),
        None => (PROCESS, variable.to_string_lossy()),
    };
    if name.is_empty() {
        let only = known().next().filter(|_| manifest.processes.len() == 1);
        return Ok(only);
    }
    if let found @ Some(_) = known().find(|known| *known == name) {
        return Ok(found);
    }
    let all: Vec<&str> = known().collect();
    let has = match (did_you_mean(&name, known()), all.is_empty()) {
        (_, true) => "; it has no `processes`".to_owned(),
        (near, _) if near.is_empty() => format!("; it has {}", names(&all)),
        (near, _) => near,
    };
    wrong(format!(
        "{place} names the process `{name}`, which is not in the manifest{has}"
    ))
}
