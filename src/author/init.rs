//! `startup-guard init`: writes a first manifest.

use super::arguments::Init;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, or an output cannot be written.
pub fn run(arguments: &Init, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    super::failure(
        Exit::USAGE,
        format!("{} variables", manifest.variables.len()),
    )
}
