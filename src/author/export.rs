//! `startup-guard export`: writes the values of env files in the form of a platform.

use super::arguments::Export;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, or an output cannot be written.
pub fn run(arguments: &Export, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    super::failure(
        Exit::USAGE,
        format!("{} variables", manifest.variables.len()),
    )
}
