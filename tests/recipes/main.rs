//! Tests of the recipes, of the completions and of the pages about adopting and operating the guard, with the tools
//! that read them.
#![allow(
    clippy::disallowed_methods,
    reason = "the rule is for the guard, not for its tests"
)]

mod alerts;
mod ci;
mod completions;
#[path = "../service/environment.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod environment;
mod examples;
mod export;
#[path = "../author/export/hostile.rs"]
mod hostile;
mod local_runs;
mod migrate_from;
#[path = "../service/postgres.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod postgres;
mod runbook;
mod services;
#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod support;
#[path = "../support/trials.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod trials;

use std::process::ExitCode;

use trials::{ROOT, Test};

fn main() -> ExitCode {
    trials::run(&[
        alerts::TESTS,
        ci::TESTS,
        completions::TESTS,
        examples::TESTS,
        export::TESTS,
        local_runs::TESTS,
        migrate_from::TESTS,
        runbook::TESTS,
        services::TESTS,
    ])
}
