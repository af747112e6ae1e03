//! `startup-guard template`: prints an env file or a table with every variable of the manifest.

use super::arguments::Template;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, or an output cannot be written.
pub fn run(arguments: &Template, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    super::failure(
        Exit::USAGE,
        format!("{} variables", manifest.variables.len()),
    )
}
