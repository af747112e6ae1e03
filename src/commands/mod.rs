//! One file per subcommand; each reads as its flow.

pub mod check;
mod env_files;
pub mod exit_codes;
pub mod healthcheck;
mod init;
#[cfg(debug_assertions)]
mod panic;
mod plan;
pub mod run;
mod settings;
mod verdict;

pub use settings::log_format;
