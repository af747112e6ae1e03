//! Tests of what is published: the wheel, the archives and their installer, the workflows that make them, the action,
//! the hooks, the picture in the README, and the names of all of them.
//!
//! Tests whose tool is missing are reported as ignored, with the reason, for which these tests need their own harness.
#![allow(
    clippy::disallowed_methods,
    reason = "the rule is for the guard, not for its tests"
)]

mod action;
mod architecture;
mod archive;
#[path = "../service/environment.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod environment;
mod hooks;
mod identity;
mod install;
mod names;
mod package;
mod picture;
#[path = "../service/postgres.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod postgres;
#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod support;
mod wheel;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

/// A test: its name, the programs that it needs, and its function. `ROOT`, `AARCH64` and `SOAK` are not programs.
type Test = (&'static str, &'static [&'static str], fn());

/// The permission to change the root folder of a process.
const ROOT: &str = "root";

/// Rust's standard library for aarch64.
const AARCH64: &str = "aarch64";

/// The many minutes of `make soak`.
const SOAK: &str = "soak";

/// The top of the checkout.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command that must succeed, and returns what it printed on standard output.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the program can be started");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout
}

/// Whether PATH has a program with this name.
fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .any(|folder| Path::new(folder).join(program).is_file())
}

/// Turns a test into a trial. `tests/ignored.py` knows the reason for which it may be ignored.
fn trial((name, programs, function): Test) -> Trial {
    let kind = programs.iter().find_map(|program| match *program {
        ROOT => (!nix::unistd::geteuid().is_root())
            .then(|| "becoming another user needs root".to_owned()),
        AARCH64 => {
            let sysroot = succeeds(Command::new("rustc").args(["--print", "sysroot"]));
            let library = Path::new(sysroot.trim()).join("lib/rustlib/aarch64-unknown-linux-gnu");
            (!library.exists()).then(|| "no Rust target for aarch64 is installed".to_owned())
        }
        SOAK => (std::env::var("STARTUP_GUARD_SOAK").as_deref() != Ok("1"))
            .then(|| "it is part of `make soak`".to_owned()),
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
        action::TESTS,
        architecture::TESTS,
        archive::TESTS,
        hooks::TESTS,
        identity::TESTS,
        install::TESTS,
        names::TESTS,
        package::TESTS,
        picture::TESTS,
        wheel::TESTS,
        workflows::TESTS,
    ];
    let trials = tests.into_iter().flatten().copied().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
