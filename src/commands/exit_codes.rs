//! `startup-guard exit-codes`: the table.

use crate::cli::TableFormat;
use crate::error::Error;
use crate::exit::TABLE;
use crate::os::output::STDOUT;
use crate::render::exit_codes::{Row, json, text};

/// Prints the table.
///
/// # Errors
/// When it cannot be written.
pub fn run(format: TableFormat) -> Result<(), Error> {
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
    STDOUT.push(table.as_bytes());
    STDOUT.drain().map_err(|cause| Error::System {
        what: "write the table",
        cause,
    })
}
