//! Tests of what is published: the wheel, the archives and their installer, the workflows that make them, the action,
//! the hooks, the picture in the README, and the names of all of them.
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
#[path = "../support/trials.rs"]
mod trials;
mod wheel;
mod workflows;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use trials::{AARCH64, ROOT, SOAK, Test};

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

/// `make` in a folder, without what these tests have inherited from a `make` around them.
fn make(folder: &Path, target: &str) -> Command {
    let mut command = Command::new("make");
    command.args(["--no-print-directory", target]);
    let is_of_make = |name: &str| {
        name.ends_with("RUSTFLAGS") || ["MAKEFLAGS", "STARTUP_GUARD_COMMIT"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_make) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder);
    command
}

/// The target of this machine.
fn host() -> String {
    let told = succeeds(Command::new("rustc").arg("-vV"));
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// The release binary that `make guard` builds, and all targets that pack it.
fn release_binary() -> PathBuf {
    root().join(format!("target/{}/release/startup-guard", host()))
}

/// Whether a program needs no loader.
fn is_static(path: &Path) -> bool {
    let content = std::fs::read(path).expect("the program can be read");
    let elf: ElfFile64 = ElfFile64::parse(&*content).expect("it is an ELF file");
    let header: &FileHeader64<_> = elf.elf_header();
    let segments = header.program_headers(elf.endian(), &*content);
    let mut segments = segments.expect("it has program headers").iter();
    segments.all(|segment| segment.p_type(elf.endian()) != PT_INTERP)
}

fn main() -> ExitCode {
    trials::run(&[
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
    ])
}
