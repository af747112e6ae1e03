//! The subcommands.

pub mod check;
pub mod healthcheck;
pub mod run;
mod settings;

pub use settings::log_format;
