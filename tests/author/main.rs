//! Tests of the commands for the authors of a manifest, with the real binary and the tools that read its output.

#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the guard alone")]
mod support;

mod audit;
mod export;
mod generate;
mod init;
mod merge;
mod peers;
mod schema;
mod template;
