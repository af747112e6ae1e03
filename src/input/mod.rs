//! What a command reads: the manifest and the env files that the command line or a variable names.

pub mod env_files;

use std::path::{Path, PathBuf};

use crate::cli::ManifestChoice;
use crate::environment::Environment;
use crate::manifest::{self, Manifest};

const MANIFEST: &str = "STARTUP_GUARD_MANIFEST";

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
