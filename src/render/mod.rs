//! Reports and tables as text for people and JSON for machines. Data in, a text out.

pub mod exit_codes;
pub mod json;
pub mod text;
