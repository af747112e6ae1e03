//! `startup-guard audit`: compares the variables that code reads with those that the manifest declares.

use super::arguments::Audit;
use crate::environment::Environment;
use crate::error::Error;

/// Runs the command.
///
/// # Errors
/// If an input cannot be read, or an output cannot be written.
pub fn run(arguments: &Audit, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    let scan = super::scan::scan(&arguments.path)?;
    let lines = scan.reads.iter().map(|read| format!("{read:?}\n"));
    let notes = scan.notes.iter().map(|note| format!("{note:?}\n"));
    let text: String = lines.chain(notes).collect();
    let count = format!(
        "{} variables, {} files\n",
        manifest.variables.len(),
        scan.files
    );
    super::print(&(text + &count))
}
