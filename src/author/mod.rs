//! The commands for the authors of a manifest and for CI. Nothing on the way to the server imports them.

mod arguments;
mod audit;
mod completions;
mod export;
mod generate;
mod init;
mod scan;
mod schema;
mod template;

use crate::cli::{Given, ManifestChoice};
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::{self, Exit};
use crate::input::{load_manifest, manifest_file};
use crate::manifest::Manifest;
use crate::os::output::STDOUT;
pub use arguments::SUBCOMMANDS;

/// Runs the subcommand for which these arguments are given.
///
/// # Errors
/// If the arguments are wrong, if an input cannot be read, if an output cannot be written, or if the command finds what
/// it looks for.
pub fn run(given: &Given, environment: &Environment) -> Result<(), Error> {
    match given.subcommand.name {
        "template" => template::run(&arguments::template(given)?, environment),
        "generate" => generate::run(&arguments::generate(given)?, environment),
        "export" => export::run(&arguments::export(given)?, environment),
        "init" => init::run(&arguments::init(given)?, environment),
        "audit" => audit::run(&arguments::audit(given)?, environment),
        "schema" => print(schema::TEXT),
        "completions" => print(&completions::script(arguments::shell(given)?)),
        "exit-codes" if arguments::as_json(given) => print(&exit::json()),
        "exit-codes" => print(exit::TABLE),
        other => failure(Exit::USAGE, format!("`{other}` is not a subcommand")),
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
