//! Tests that need programs which not every machine has. They are reported as ignored, with the reason, where these are
//! missing, for which they need their own harness.

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

/// A test: its name, the programs that it needs, and its function. `ROOT`, `AARCH64` and `SOAK` are not programs.
pub type Test = (&'static str, &'static [&'static str], fn());

/// The permission to become another user, or to change the root folder of a process.
pub const ROOT: &str = "root";

/// Rust's standard library for aarch64.
pub const AARCH64: &str = "aarch64";

/// The many minutes of `make soak`.
pub const SOAK: &str = "soak";

/// The reason why this machine does not meet a need, or `None` if it does. `tests/ignored.py` knows each reason.
fn missing(need: &str) -> Option<String> {
    match need {
        ROOT => (!nix::unistd::geteuid().is_root())
            .then(|| "becoming another user needs root".to_owned()),
        AARCH64 => {
            let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
            let sysroot = sysroot.expect("rustc starts").stdout;
            let sysroot = String::from_utf8(sysroot).expect("the path is text");
            let library = Path::new(sysroot.trim()).join("lib/rustlib/aarch64-unknown-linux-gnu");
            (!library.exists()).then(|| "no Rust target for aarch64 is installed".to_owned())
        }
        SOAK => (std::env::var("STARTUP_GUARD_SOAK").as_deref() != Ok("1"))
            .then(|| "it is part of `make soak`".to_owned()),
        program => (!has(program)).then(|| format!("there is no {program}")),
    }
}

/// Whether PATH has a program with this name. System administration tools may be outside of a user's PATH.
fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':')
        .any(|folder| Path::new(folder).join(program).is_file())
}

fn trial(&(name, needs, function): &Test) -> Trial {
    let missing = needs.iter().find_map(|need| missing(need));
    let trial = Trial::test(name, move || {
        function();
        Ok(())
    });
    trial
        .with_ignored_flag(missing.is_some())
        .with_kind(missing.unwrap_or_default())
}

/// Runs the tests of all modules.
pub fn run(tests: &[&[Test]]) -> ExitCode {
    let trials = tests.iter().copied().flatten().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
