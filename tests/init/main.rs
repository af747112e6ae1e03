//! The guard as an init, as PID 1, and as root: what needs a program of the test's own as the server, a
//! terminal, a namespace or another user.
//!
//! Not every machine admits all of that. What this one refuses is reported as ignored, with the reason; so
//! these tests have a harness of their own.
#![allow(
    clippy::disallowed_methods,
    reason = "the rule is for the guard, not for its tests"
)]

mod calls;
mod codes;
mod faults;
mod leftovers;
mod musl;
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

/// What a test needs of the machine.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    /// To become other users.
    Root,
    /// To see system calls, and to have them fail.
    Strace,
    StraceAsRoot,
    /// To trace processes, and change what they do.
    Tracing,
    /// To make PID namespaces.
    Namespaces,
    /// To build for musl.
    Musl,
}

/// A test: its name, what it needs, and what it does.
type Test = (&'static str, Needs, fn());

impl Needs {
    /// Why the machine does not have it.
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
            Needs::Musl => musl::absence(),
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
        leftovers::TESTS,
        musl::TESTS,
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

/// Whether the counts are to be the full ones.
fn is_soak() -> bool {
    std::env::var_os("STARTUP_GUARD_SOAK").is_some_and(|value| value == "1")
}
