//! The effective environment of the steps and the server.

use std::ffi::{CString, OsStr};
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
fn undeclared_variables_are_passed_on_unchanged() {
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
fn variables_with_names_that_other_tools_use_reach_the_server_after_a_wait() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it has an address");
    let manifest = format!(
        "version: 1
wait_for: [{{tcp: '{address}'}}]
server: {{command: [env, '-0']}}
"
    );
    let mut guard = Guard::with_manifest(&manifest);
    let mut expected = vec!["PATH=/usr/bin:/bin".to_owned()];
    for name in ["HOST", "PORT", "TIMEOUT", "PROTOCOL", "WAIT_HOSTS", "QUIET"] {
        guard = guard.env(name, "the service's own");
        expected.push(format!("{name}=the service's own"));
    }
    let ended = guard.run().expect_code(0);
    expected.sort();
    assert_eq!(entries(&ended.stdout), expected);
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

/// Starts the guard with an environment that contains a name several times, which no shell could create.
fn with_duplicates(
    guard: Guard,
    entries: &'static [&'static str],
    arguments: &'static str,
) -> Guard {
    guard.before_exec(move || {
        let strings = |texts: &[&str]| -> Vec<CString> {
            let texts = texts.iter();
            texts
                .map(|text| CString::new(*text).expect("no NUL"))
                .collect()
        };
        let words: Vec<&str> = std::iter::once("startup-guard")
            .chain(arguments.split_whitespace())
            .collect();
        let program = CString::new(env!("CARGO_BIN_EXE_startup-guard")).expect("no NUL");
        let _ = nix::unistd::execve(&program, &strings(&words), &strings(entries));
    })
}

#[test]
fn of_a_name_that_is_set_twice_only_the_first_value_is_checked_and_passed_on_and_both_are_masked() {
    let manifest = "version: 1
variables: {TOKEN: {secret: true, min_length: 9}}
steps:
  - {name: echo, command: [echo, one-canary, two-canary]}
  - {name: env, command: [env]}
";
    let guard = Guard::with_manifest(manifest);
    let entries = &[
        "PATH=/usr/bin:/bin",
        "TOKEN=one-canary",
        "TOKEN=two-canary",
        "A=1",
        "A=2",
        "TOKEN=3",
    ];
    with_duplicates(guard, entries, "run --no-server")
        .run()
        .expect_code(0)
        .expect_stdout("*** ***\nPATH=/usr/bin:/bin\nTOKEN=***\nA=1\n");
}

#[test]
fn a_second_value_does_not_hide_that_the_first_is_wrong() {
    let manifest = "version: 1\nvariables: {TOKEN: {secret: true, min_length: 9}}\n";
    let entries = &["PATH=/usr/bin:/bin", "TOKEN=short", "TOKEN=long-enough"];
    with_duplicates(
        Guard::with_manifest(manifest),
        entries,
        "run -- echo served",
    )
    .run()
    .expect_code(78)
    .expect_stdout("");
}
