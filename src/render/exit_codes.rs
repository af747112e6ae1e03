//! The table of exit codes.

use serde::Serialize;

/// One row, as it is shown.
#[derive(Serialize)]
pub struct Row {
    pub code: String,
    pub meaning: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<&'static str>,
}

/// The table for people.
pub fn text(rows: &[Row]) -> String {
    let mut text = format!("{:<6}  {:<7}  meaning\n", "code", "retry?");
    for row in rows {
        let line = format!(
            "{:<6}  {:<7}  {}\n",
            row.code,
            row.retry.unwrap_or(""),
            row.meaning
        );
        text.push_str(&line);
    }
    text
}

/// The table for machines.
pub fn json(rows: &[Row]) -> String {
    let mut text = serde_json::to_string_pretty(rows).expect("texts are always JSON");
    text.push('\n');
    text
}
