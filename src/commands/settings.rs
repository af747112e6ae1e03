//! What the command line leaves open: a flag comes before a variable, a variable before the manifest, and an
//! empty variable is none.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::ManifestChoice;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::manifest::{self, Manifest};
use crate::os::file;
use crate::os::terminal;
use crate::platform::{self, Platform};
use crate::render::github::ManifestLines;

const MANIFEST: &str = "STARTUP_GUARD_MANIFEST";
const SKIP: &str = "STARTUP_GUARD_SKIP";
const LOG: &str = "STARTUP_GUARD_LOG";

/// The manifest that the choice comes to; an empty one for `--no-manifest`.
pub fn load_manifest(
    choice: &ManifestChoice,
    environment: &Environment,
) -> Result<Manifest, Error> {
    match manifest_file(choice, environment) {
        None => Ok(Manifest::default()),
        Some(file) => Ok(manifest::load(&file, file::read_input)?),
    }
}

/// The manifest's file; none for `--no-manifest`.
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

/// Where the manifest declares its variables.
pub fn manifest_lines(file: Option<&Path>) -> ManifestLines {
    let file = file.unwrap_or(Path::new(manifest::DEFAULT_FILE));
    // What is no plain file was read to its end already.
    let is_plain = file.metadata().is_ok_and(|metadata| metadata.is_file());
    ManifestLines {
        file: file.display().to_string(),
        by_variable: if is_plain {
            manifest::lines_of_variables(file, file::read)
        } else {
            HashMap::new()
        },
    }
}

/// The names of steps to leave out, and where they were given.
///
/// # Errors
/// When the variable's value is no text.
pub fn skipped(
    flags: &[String],
    environment: &Environment,
) -> Result<(Vec<String>, &'static str), Error> {
    if !flags.is_empty() {
        return Ok((flags.to_vec(), "--skip"));
    }
    let value = environment.get(SKIP).unwrap_or_default();
    let names = value.to_str().ok_or(Error::NotText { variable: SKIP })?;
    let names = names.split(',').map(str::trim);
    Ok((
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        SKIP,
    ))
}

/// How to log: as asked for, or JSON where lines are read by a machine that wants it so.
///
/// # Errors
/// When something unknown is asked for.
pub fn log_format(environment: &Environment) -> Result<log::Format, Error> {
    let text = || log::Format::Text {
        colour: terminal::is_terminal_on_stderr() && admits_colour(environment),
    };
    let wanted = match environment.get(LOG) {
        Some(value) => value.to_str().ok_or(Error::UnknownLogFormat)?,
        None => "",
    };
    match wanted {
        "" | "auto" => {
            let place = platform::detect(environment);
            Ok(
                if place.is_some_and(|place| place.platform == Platform::Railway) {
                    log::Format::Json
                } else {
                    text()
                },
            )
        }
        "text" => Ok(text()),
        "json" => Ok(log::Format::Json),
        _ => Err(Error::UnknownLogFormat),
    }
}

/// Whether colour is welcome on a terminal: `NO_COLOR` is unset or empty (<https://no-color.org>).
pub fn admits_colour(environment: &Environment) -> bool {
    environment.get("NO_COLOR").is_none_or(OsStr::is_empty)
}
