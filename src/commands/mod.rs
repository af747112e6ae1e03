//! One file per subcommand; each reads as its flow.

pub mod check;
mod env_files;
pub mod healthcheck;
pub mod run;
mod settings;

use crate::error::Error;
use crate::exit;
use crate::os::output::STDOUT;

pub use settings::log_format;

/// Writes a text to standard output, all of it.
///
/// # Errors
/// If it cannot be written.
pub fn print(text: &str) -> Result<(), Error> {
    STDOUT.push(text.as_bytes());
    STDOUT
        .drain()
        .map_err(Error::system("write to standard output"))
}

/// `startup-guard exit-codes`: prints the table.
///
/// # Errors
/// If it cannot be written.
pub fn exit_codes(as_json: bool) -> Result<(), Error> {
    let table = if as_json { &exit::json() } else { exit::TABLE };
    print(table)
}
