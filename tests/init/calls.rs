//! The guard's system calls between the end of the last step, or of the check, and the server's start.

use std::process::Command;

use crate::support::Folder;
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    (
        "the_hand_over_takes_no_more_than_20_system_calls",
        Needs::Strace,
        hand_over,
    ),
    (
        "a_check_opens_no_socket_and_starts_no_program",
        Needs::Strace,
        check_is_alone,
    ),
    (
        "a_start_without_waits_and_locks_opens_no_socket",
        Needs::Strace,
        start_is_alone,
    ),
];

/// The guard's own system calls and received signals, one per line.
fn traced(manifest: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.file("required-vars.yaml", manifest);
    let traced = Command::new("strace")
        .args(["-o", "calls", env!("CARGO_BIN_EXE_startup-guard"), "run"])
        .current_dir(folder.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .expect("strace starts");
    assert!(traced.status.success(), "{traced:?}");
    let calls = std::fs::read_to_string(folder.path().join("calls"));
    let calls = calls.expect("strace has written it");
    // Not counted: the check of each file descriptor before it is closed, in a build with assertions, and reads, here
    // of the end of the step's output.
    let is_counted = |call: &&str| !call.contains("F_GETFD") && !call.contains(", \"\", 65536)");
    let calls = calls.lines().filter(is_counted);
    calls.map(str::to_owned).collect()
}

fn hand_over() {
    for (steps, last) in [
        (
            "[{name: s, announce: {start: a, done: b}, command: [sleep, '0.2']}]",
            // Begins with the wake-up for the end of the step.
            "poll(",
        ),
        // Without a step: from the reading of the manifest on, so the check is included.
        ("[]", "required-vars.yaml"),
    ] {
        let manifest = format!(
            "version: 1\nvariables: {{A: {{default: x}}}}\nsteps: {steps}\nserver: {{announce: c, command: ['true', '${{A}}']}}\n"
        );
        let calls = traced(&manifest);
        let executed = calls
            .iter()
            .rposition(|call| call.starts_with("execve("))
            .expect("the guard becomes the server");
        let begin = calls[..executed]
            .iter()
            .rposition(|call| call.contains(last))
            .expect("the last phase ended");
        let between = &calls[begin + 1..executed];
        println!("{} system calls", between.len());
        assert!(
            between.len() <= 20,
            "{} calls:\n{}",
            between.len(),
            between.join("\n")
        );
    }
}

/// The guard's system calls that open a socket or start a program, with those of the threads and processes that it starts.
fn outside(subcommand: &str, manifest: &str) -> Vec<String> {
    let folder = Folder::new();
    folder.file("required-vars.yaml", manifest);
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=socket,connect,execve", "-o", "calls"])
        .args([env!("CARGO_BIN_EXE_startup-guard"), subcommand])
        .current_dir(folder.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .expect("strace starts");
    assert!(traced.status.success(), "{traced:?}");
    let calls = std::fs::read_to_string(folder.path().join("calls"));
    let calls = calls.expect("strace has written it");
    let calls = calls.lines().filter(|call| call.contains('('));
    // The first call starts the guard.
    calls.skip(1).map(str::to_owned).collect()
}

fn check_is_alone() {
    let everything = "version: 1
variables: {A: {default: 'postgresql://u:p@127.0.0.1:1/d'}}
wait_for: [{postgres: A}, {tcp: '127.0.0.1:1'}, {http: 'http://127.0.0.1:1/'}, {command: ['true']}]
steps: [{name: s, command: ['true'], up_to_date: ['true'], lock: {postgres: A}}]
server: {command: ['true']}
";
    assert_eq!(outside("check", everything), [""; 0]);
}

fn start_is_alone() {
    let steps = "version: 1
variables: {A: {default: 'postgresql://u:p@127.0.0.1:1/d'}}
steps: [{name: s, command: ['true']}]
server: {command: ['true']}
";
    let calls = outside("run", steps);
    assert!(
        calls.iter().all(|call| call.contains("execve(")),
        "{calls:?}"
    );
    // The step and the server.
    let is_done = |call: &&String| call.ends_with(" = 0");
    assert_eq!(calls.iter().filter(is_done).count(), 2, "{calls:?}");
}
