//! Tests of the real binary with real processes. One file per behaviour.

// The built-in question needs the PostgreSQL client.
#[cfg(feature = "postgres")]
mod alembic;
mod bad_streams;
mod canaries;
mod check;
// The pages describe the build with the PostgreSQL client.
#[cfg(feature = "postgres")]
mod docs;
mod env_files;
mod environment;
mod exec;
mod exit_codes;
mod fixes;
mod hardening;
mod healthcheck;
mod json_lines;
mod local_runs;
mod logs;
mod manifest;
mod processes;
mod relay;
// These reports are about the example's manifest, which has a lock.
#[cfg(feature = "postgres")]
mod report;
mod retries;
mod run;
mod secret_files;
mod secrets;
mod steps;
mod stops;
#[allow(dead_code, reason = "shared with the tests of the service")]
mod support;
mod usage;
mod values;
mod wait_addresses;
mod wait_commands;
mod waits;
