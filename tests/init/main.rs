//! Tests of the guard as an init, as PID 1, and as root. They need a special server program, a terminal, a namespace or
//! another user.
//!
//! Not every machine allows all of that. Tests that this machine does not allow are reported as ignored, with the
//! reason, for which these tests need their own harness.
#![allow(
    clippy::disallowed_methods,
    reason = "the rule is for the guard, not for its tests"
)]

mod calls;
mod codes;
mod faults;
mod grace;
mod leftovers;
mod namespace;
mod orphans;
mod privileges;
mod quiet;
mod roles;
mod sandbox;
mod settings;
mod sidecars;
mod signals;
mod stops;
#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "it serves the other tests, too")]
mod support;
mod terminal;
mod tracer;
mod user;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// What a test needs from the machine.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    /// Permission to become other users.
    Root,
    /// `strace`, to see system calls and make them fail.
    Strace,
    StraceAsRoot,
    /// Permission to trace processes and change their system calls.
    Tracing,
    /// Permission to create PID namespaces.
    Namespaces,
}

/// A test: its name, its needs, and its function.
type Test = (&'static str, Needs, fn());

impl Needs {
    /// The reason why the machine does not meet the need, or `None` if it does.
    fn absence(self) -> Option<String> {
        match self {
            Needs::Nothing => None,
            Needs::StraceAsRoot => Needs::Root.absence().or_else(|| Needs::Strace.absence()),
            Needs::Root => (!nix::unistd::geteuid().is_root())
                .then(|| "becoming another user needs root".to_owned()),
            Needs::Strace => std::process::Command::new("strace")
                .args(["-o", "/dev/null", "true"])
                .output()
                .map_or_else(
                    |error| Some(error.to_string()),
                    |output| {
                        (!output.status.success()).then(|| "it traces nothing here".to_owned())
                    },
                )
                .map(|reason| format!("there is no strace to be used: {reason}")),
            Needs::Tracing => tracer::refusal(),
            Needs::Namespaces => namespace::refusal()
                .map(|reason| format!("this machine gives no PID namespace: {reason}")),
        }
    }
}

fn main() -> ExitCode {
    if let Some(code) = roles::play() {
        return code;
    }
    roles::reset_signals();
    let tests = [
        calls::TESTS,
        codes::TESTS,
        faults::TESTS,
        grace::TESTS,
        leftovers::TESTS,
        orphans::TESTS,
        privileges::TESTS,
        quiet::TESTS,
        sandbox::TESTS,
        settings::TESTS,
        sidecars::TESTS,
        signals::TESTS,
        stops::TESTS,
        terminal::TESTS,
        user::TESTS,
    ];
    let trials = tests.into_iter().flatten().map(|&(name, needs, test)| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        match needs.absence() {
            None => trial,
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Whether the tests run with their full number of cases.
fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}
