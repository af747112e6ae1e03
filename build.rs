//! Whether the program may enter the C library by itself (`src/os/start.rs`): only where that library is the
//! very version that was read and tested.
#![allow(
    clippy::disallowed_methods,
    reason = "the rules are for the guard, not for its build"
)]

use std::env;
use std::fs;
use std::process::Command;

/// Stands in the `libc.a` that `src/os/start.rs` was written for.
const KNOWN: &[u8] = b"stable release version 2.36.";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(quick_start)");
    if env::var_os("CARGO_FEATURE_QUICK_START").is_some()
        && is_static_binary_for_this_machine()
        && is_known_libc()
    {
        println!("cargo::rustc-cfg=quick_start");
    }
}

/// At a fixed address, and for the machine whose C library is asked about.
fn is_static_binary_for_this_machine() -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    variable("TARGET") == "x86_64-unknown-linux-gnu"
        && variable("TARGET") == variable("HOST")
        && variable("CARGO_CFG_TARGET_FEATURE")
            .split(',')
            .any(|feature| feature == "crt-static")
        && variable("CARGO_ENCODED_RUSTFLAGS").contains("relocation-model=static")
}

/// Asks the compiler driver that links, which knows where its library is.
fn is_known_libc() -> bool {
    let linker = env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let Ok(answer) = Command::new(linker).arg("-print-file-name=libc.a").output() else {
        return false;
    };
    let path = String::from_utf8_lossy(&answer.stdout);
    println!("cargo::rerun-if-changed={}", path.trim());
    fs::read(path.trim())
        .is_ok_and(|library| library.windows(KNOWN.len()).any(|part| part == KNOWN))
}
