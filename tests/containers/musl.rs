//! The Dockerfile on an image of Rust with musl: its steps need no glibc, and no more tools than `busybox` has.

use crate::Test;
use crate::engine::{both, docker, try_docker};
use crate::images::{self, MUSL};
use crate::scratch::{ask_for_names, expected_labels, labels};

pub const TESTS: &[Test] = &[
    (
        "a_release_with_musl_tells_its_version_and_commit",
        a_release_with_musl_tells_its_version_and_commit,
    ),
    (
        "with_musl_the_guard_becomes_the_server_and_resolves_names",
        with_musl_the_guard_becomes_the_server_and_resolves_names,
    ),
];

const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn build() {
    images::build_musl(&[
        ("STARTUP_GUARD_VERSION", VERSION),
        ("STARTUP_GUARD_COMMIT", COMMIT),
    ]);
}

fn a_release_with_musl_tells_its_version_and_commit() {
    build();
    assert_eq!(labels(MUSL), expected_labels(VERSION, COMMIT));
    let printed = docker(&["run", "--rm", MUSL, "--version"]);
    let target = images::musl_target();
    let expected = format!("startup-guard {VERSION} ({}, {target})", &COMMIT[..12]);
    assert_eq!(printed, expected);
}

fn with_musl_the_guard_becomes_the_server_and_resolves_names() {
    build();
    images::build();
    ask_for_names(MUSL);
    // Nothing listens there, so that the server, the guard itself, ends with 1.
    let server = ["/startup-guard", "healthcheck", "http://127.0.0.1:9/"];
    let run = ["run", "--rm", MUSL, "run", "--no-manifest", "--"];
    let output = try_docker(&[&run[..], &server].concat());
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}
