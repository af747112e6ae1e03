//! One file per subcommand; each reads as its flow.

pub mod check;
mod env_files;
pub mod healthcheck;
pub mod run;
mod settings;
mod verdict;

use crate::cli::TableFormat;
use crate::error::Error;
use crate::exit::TABLE;
use crate::os::output::STDOUT;
use crate::render::exit_codes::{Row, json, text};

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
    let rows = TABLE.map(|exit| {
        let row = exit.row();
        Row {
            code: exit.label(),
            meaning: row.meaning,
            retry: row.retry.word(),
        }
    });
    let table = match format {
        TableFormat::Text => text(&rows),
        TableFormat::Json => json(&rows),
    };
    print(&table, "write the table")
}
