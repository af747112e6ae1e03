//! The effective environment: what the steps and the server get.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::Guard;

fn entries(output: &[u8]) -> Vec<String> {
    let entries = output
        .split(|&byte| byte == 0)
        .filter(|entry| !entry.is_empty());
    let mut entries: Vec<String> = entries
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect();
    entries.sort();
    entries
}

#[test]
fn everything_passes_unchanged_but_for_what_is_declared() {
    let manifest = "version: 1
variables:
  PORT: {type: port, default: 8000}
  MODE: {level: optional, default: dev}
  KEPT: {level: optional, default: unused}
  TOKEN: {secret: true}
server: {command: [env, '-0']}
";
    let guard = Guard::with_manifest(manifest);
    let file = guard.folder.file("token", "fake-token\n");
    let ended = guard
        .env("KEPT", "mine")
        .env("MODE", "")
        .env("TOKEN_FILE", file)
        .env("UNDECLARED", OsStr::from_bytes(b"\xff\xfe"))
        .env("EMPTY", "")
        .env("WITH=EQUALS", "a=b")
        .env("HOST", "0.0.0.0")
        .env("STARTUP_GUARD_LOG", "text")
        .run()
        .expect_code(0);
    assert_eq!(
        entries(&ended.stdout),
        [
            "EMPTY=",
            "HOST=0.0.0.0",
            "KEPT=mine",
            "MODE=dev",
            "PATH=/usr/bin:/bin",
            "PORT=8000",
            "STARTUP_GUARD_LOG=text",
            "TOKEN=fake-token",
            "UNDECLARED=\u{fffd}\u{fffd}",
            "WITH=EQUALS=a=b",
        ]
    );
}

#[test]
fn steps_get_the_same_environment_as_the_server() {
    let manifest = "version: 1
variables: {PORT: {default: 8000}}
steps: [{name: s, command: [env, '-0']}]
";
    let ended = Guard::with_manifest(manifest)
        .env("A", "1")
        .line("run --no-server")
        .run()
        .expect_code(0);
    assert_eq!(
        entries(ended.stdout.trim_ascii_end()),
        ["A=1", "PATH=/usr/bin:/bin", "PORT=8000"]
    );
}

#[test]
fn a_thousand_variables_and_long_values_pass() {
    let mut guard =
        Guard::with_manifest("version: 1\nserver: {command: [sh, -c, 'env -0 | wc -c']}\n");
    for number in 0..1000 {
        guard = guard.env(format!("VARIABLE_{number:04}"), "x".repeat(100));
    }
    let ended = guard.run().expect_code(0);
    let count: usize = ended.stdout().trim().parse().expect("wc counts");
    assert!(count > 1000 * 115, "{count}");
}
