//! `startup-guard audit`: compares the variables that code reads with those that the manifest declares.

use super::arguments::Audit;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, or an output cannot be written.
pub fn run(arguments: &Audit, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    super::failure(
        Exit::USAGE,
        format!("{} variables", manifest.variables.len()),
    )
}
