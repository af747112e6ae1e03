//! One file per subcommand; each reads as its flow.

pub mod check;
mod env_files;
pub mod healthcheck;
pub mod run;
mod settings;
mod verdict;

use crate::cli::TableFormat;
use crate::error::Error;
use crate::exit;
use crate::os::output::STDOUT;

pub use settings::log_format;

/// Writes a text to the standard output, all of it.
///
/// # Errors
/// If it cannot be written; `what` says what was to be done, such as "write the table".
pub fn print(text: &str, what: &'static str) -> Result<(), Error> {
    STDOUT.push(text.as_bytes());
    STDOUT
        .drain()
        .map_err(|cause| Error::System { what, cause })
}

/// `startup-guard exit-codes`: prints the table.
///
/// # Errors
/// If it cannot be written.
pub fn exit_codes(format: TableFormat) -> Result<(), Error> {
    let table = match format {
        TableFormat::Text => exit::text(),
        TableFormat::Json => exit::json(),
    };
    print(&table, "write the table")
}
