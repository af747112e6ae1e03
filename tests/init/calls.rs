//! How little there is between the end of the last step, or of the check, and the server.

use std::process::Command;

use crate::support::Folder;
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[(
    "the_hand_over_takes_no_more_than_20_system_calls",
    Needs::Strace,
    hand_over,
)];

/// The guard's own calls, one a line, and the signals that came.
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
    // A build with assertions looks at each descriptor before it closes it; and what is read, here the end of
    // the step's output, is not counted.
    let is_counted = |call: &&str| !call.contains("F_GETFD") && !call.contains(", \"\", 65536)");
    let calls = calls.lines().filter(is_counted);
    calls.map(str::to_owned).collect()
}

fn hand_over() {
    for (steps, last) in [
        (
            "[{name: s, announce: {start: a, done: b}, command: [sleep, '0.2']}]",
            // Wakes for the end of the step.
            "poll(",
        ),
        // Without a step: since the manifest was read, so the check is in it.
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
