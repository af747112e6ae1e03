//! The commands for the authors of a manifest and for CI. Nothing on the way to the server imports them.

mod audit;
mod completions;
mod export;
mod generate;
mod init;
mod scan;
mod schema;
mod template;

use crate::cli::{Author, ManifestChoice};
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::input::{load_manifest, manifest_file};
use crate::manifest::Manifest;
use crate::os::output::STDOUT;

/// Runs a command.
///
/// # Errors
/// If an input cannot be read, if an output cannot be written, or if the command finds what it looks for.
pub fn run(command: &Author, environment: &Environment) -> Result<(), Error> {
    match command {
        Author::Template(arguments) => template::run(arguments, environment),
        Author::Generate(arguments) => generate::run(arguments, environment),
        Author::Export(arguments) => export::run(arguments, environment),
        Author::Init(arguments) => init::run(arguments, environment),
        Author::Audit(arguments) => audit::run(arguments, environment),
        Author::Schema => print(schema::TEXT),
        Author::Completions(shell) => print(&completions::script(*shell)),
    }
}

/// The manifest that the command line or the environment names.
///
/// # Errors
/// If it cannot be read, or has faults.
fn manifest(
    choice: &ManifestChoice,
    environment: &Environment,
    needs_lines: bool,
) -> Result<Manifest, Error> {
    let file = manifest_file(choice, environment);
    Ok(load_manifest(file.as_deref(), needs_lines)?)
}

/// Writes the whole text to standard output.
///
/// # Errors
/// If standard output cannot be written to.
fn print(text: &str) -> Result<(), Error> {
    let printed = STDOUT.print(text);
    printed.map_err(Error::system("write to standard output"))
}

/// An error with this exit code and this text.
fn failure<T>(exit: Exit, text: impl Into<String>) -> Result<T, Error> {
    let text = text.into();
    Err(Error::Author { exit, text })
}
