//! The guard built with musl: its code does not depend on glibc.

use std::path::Path;
use std::process::Command;

use crate::{Needs, Test};

pub const TESTS: &[Test] = &[(
    "the_guard_builds_and_runs_with_musl_as_its_c_library",
    Needs::Musl,
    builds_and_runs,
)];

const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

/// The reason why this machine cannot build for musl, if it cannot.
pub fn absence() -> Option<String> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8_lossy(&sysroot.map(|output| output.stdout).unwrap_or_default())
        .trim()
        .to_owned();
    let library = Path::new(&sysroot).join("lib/rustlib").join(TARGET);
    if !library.exists() {
        return Some(format!("the Rust target {TARGET} is not installed"));
    }
    Command::new("musl-gcc")
        .arg("--version")
        .output()
        .err()
        .map(|error| format!("there is no musl-gcc: {error}"))
}

fn builds_and_runs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("musl");
    let built = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--target", TARGET, "--target-dir"])
        .arg(&folder)
        .output()
        .expect("cargo runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let guard = folder.join(TARGET).join("debug/startup-guard");
    let ended = Command::new(guard)
        .args(["run", "--no-manifest", "--", "sh", "-c", "exit 7"])
        .status()
        .expect("the guard starts");
    assert_eq!(ended.code(), Some(7));
}
