//! Tests of the recipes, of the completions and of the pages about adopting and operating the guard, with the tools
//! that read them.
//!
//! Not every machine has all of these tools. Tests whose tool is missing are reported as ignored, with the reason, for
//! which these tests need their own harness.
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

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test: its name, the programs that it needs, and its function. `ROOT` is not a program.
type Test = (&'static str, &'static [&'static str], fn());

/// The permission to become other users.
const ROOT: &str = "root";

/// Whether PATH has a program with this name. System administration tools may be outside of a user's PATH.
fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':')
        .any(|folder| Path::new(folder).join(program).is_file())
}

/// Turns a test into a trial. `tests/ignored.py` knows the reason for which it may be ignored.
fn trial((name, programs, function): Test) -> Trial {
    let kind = programs.iter().find_map(|program| match *program {
        ROOT => (!nix::unistd::geteuid().is_root())
            .then(|| "becoming another user needs root".to_owned()),
        program => (!has(program)).then(|| format!("there is no {program}")),
    });
    let trial = Trial::test(name, move || {
        function();
        Ok(())
    });
    trial
        .with_ignored_flag(kind.is_some())
        .with_kind(kind.unwrap_or_default())
}

fn main() -> ExitCode {
    let tests = [
        alerts::TESTS,
        ci::TESTS,
        completions::TESTS,
        examples::TESTS,
        export::TESTS,
        local_runs::TESTS,
        migrate_from::TESTS,
        runbook::TESTS,
        services::TESTS,
    ];
    let trials = tests.into_iter().flatten().copied().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
