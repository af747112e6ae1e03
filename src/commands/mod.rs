//! The subcommands.

pub mod check;
mod env_files;
pub mod healthcheck;
pub mod run;
mod settings;

use crate::error::Error;
use crate::os::output::STDOUT;

pub use settings::log_format;

/// Writes the whole text to standard output.
///
/// # Errors
/// If standard output cannot be written to.
pub fn print(text: &str) -> Result<(), Error> {
    STDOUT.push(text.as_bytes());
    let written = STDOUT.drain();
    written.map_err(Error::system("write to standard output"))
}
