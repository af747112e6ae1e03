//! The guard is for every 64-bit architecture that has Linux and Rust's standard library: nothing names one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{AARCH64, Test, root, succeeds};

pub const TESTS: &[Test] = &[
    (
        "no_architecture_is_named_in_the_code_or_the_dockerfile",
        &[],
        no_architecture_is_named_in_the_code_or_the_dockerfile,
    ),
    (
        "the_code_is_valid_for_aarch64",
        &[AARCH64],
        the_code_is_valid_for_aarch64,
    ),
];

/// Words that only code for one architecture has.
const WORDS: [&str; 10] = [
    "x86_",
    "x86-",
    "amd64",
    "i686",
    "aarch64",
    "arm64",
    "armv7",
    "riscv",
    "target_arch",
    "asm!",
];
/// The lines that may name architectures: the names by which a message tells for which processor a file is, where cargo
/// binstall finds the archives of a release, and what rustc does by itself.
const ALLOWED: [&str; 4] = [
    "const MACHINES: &str = ",
    "[package.metadata.binstall.overrides.",
    "pkg-url = ",
    "# rustc links ",
];

fn files(path: PathBuf, found: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        found.push(path);
        return;
    }
    for entry in fs::read_dir(path).expect("the folder can be listed") {
        files(entry.expect("the entry can be read").path(), found);
    }
}

/// The lines that name an architecture, each with its file.
fn named(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the file is text");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    });
    let of_file = |line: &str| format!("{}: {line}", path.display());
    lines.map(of_file).collect()
}

fn no_architecture_is_named_in_the_code_or_the_dockerfile() {
    let mut found = Vec::new();
    for top in [
        "src",
        ".cargo/config.toml",
        "Cargo.toml",
        "Dockerfile",
        "docker-compose.yml",
    ] {
        files(root().join(top), &mut found);
    }
    let is_test = |path: &PathBuf| {
        path.iter()
            .any(|part| part == "tests" || part == "tests.rs")
    };
    found.retain(|path| !is_test(path));
    assert!(found.len() > 50, "the sources are found");
    let lines: Vec<String> = found.iter().flat_map(|path| named(path)).collect();
    let is_allowed = |line: &&String| ALLOWED.iter().any(|part| line.contains(part));
    let (allowed, other): (Vec<_>, Vec<_>) = lines.iter().partition(is_allowed);
    assert_eq!(allowed.len(), 6, "the lines are found: {allowed:?}");
    assert!(other.is_empty(), "{other:?}");
}

/// Checks the types alone. `true` takes the place of the C compiler that ring asks for, whose output nothing reads.
fn the_code_is_valid_for_aarch64() {
    let target = "aarch64-unknown-linux-gnu";
    succeeds(
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["check", "--locked", "--target", target])
            .env(format!("CC_{target}"), "true")
            .env(format!("AR_{target}"), "true"),
    );
}
