//! `retries` and `retry_delay`: a step that has failed is run again.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Ended, Guard};

/// A guard with a step that notes each run in the file `runs`, and then executes this script. `$RUN` is the number of
/// the run.
fn retried(script: &str, keys: &str) -> Guard {
    let manifest = format!(
        "version: 1
steps:
  - name: migrate
    announce: {{start: begin, done: done}}
    command: [sh, step.sh]
{keys}
server: {{command: [echo, served]}}
"
    );
    let guard = Guard::with_manifest(&manifest);
    let count = "echo run >> runs; RUN=$(wc -l < runs)";
    guard.folder.file("step.sh", format!("{count}\n{script}\n"));
    guard
}

fn runs(ended: &Ended) -> usize {
    let runs = fs::read_to_string(ended.folder.path().join("runs"));
    runs.unwrap_or_default().lines().count()
}

/// The announced pauses in seconds.
fn pauses(ended: &Ended) -> Vec<f64> {
    let text = ended.stderr();
    let lines = text.lines().filter(|line| line.contains("; try "));
    let pause = |line: &str| {
        let (_, pause) = line.rsplit_once(" in ")?;
        pause.strip_suffix('s')?.parse().ok()
    };
    lines
        .map(|line| pause(line).unwrap_or_else(|| panic!("{line}")))
        .collect()
}

#[test]
fn a_step_that_fails_is_run_again_until_it_succeeds() {
    let keys = "    retries: 5\n    retry_delay: 10ms";
    let ended = retried("test $RUN = 3", keys)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    assert_eq!(runs(&ended), 3);
    assert_eq!(
        ended.stderr_without_times(),
        "begin
startup-guard: step migrate: failed with exit code 1 after …; try 2 of 6 in …
startup-guard: step migrate: failed with exit code 1 after …; try 3 of 6 in …
startup-guard: step migrate: done in …
done
"
    );
}

#[test]
fn after_the_last_try_the_error_names_the_number_of_tries() {
    let keys = "    retries: 2\n    retry_delay: 10ms";
    let ended = retried("test $RUN != 3 || kill -KILL $$; exit 9", keys)
        .run()
        .expect_code(70)
        .expect_stdout("");
    assert_eq!(runs(&ended), 3);
    let told = ended.stderr_without_times();
    assert_eq!(
        told.lines().last(),
        Some(
            "startup-guard: step migrate: failed with SIGKILL (137) after …; this was the last of 3 tries (phase step, exit code 70, a retry may help)"
        )
    );
    let ended = retried("exit 9", "    retries: 0").run().expect_code(70);
    assert_eq!(runs(&ended), 1);
    let told = ended.stderr_without_times();
    assert!(
        told.contains("step migrate: failed with exit code 9 after … (phase step"),
        "{ended}"
    );
}

#[test]
fn with_allow_failure_the_retries_come_first() {
    let keys = "    retries: 1\n    retry_delay: 10ms\n    allow_failure: true";
    let ended = retried("exit 9", keys)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    assert_eq!(runs(&ended), 2);
    let told = "step migrate: failed with exit code 9 after …; this was the last of 2 tries; ignored because of allow_failure\n";
    assert!(ended.stderr_without_times().contains(told), "{ended}");
}

#[test]
fn the_pauses_double_and_are_shortened_at_random() {
    let ended = retried("exit 1", "    retries: 4\n    retry_delay: 200ms")
        .run()
        .expect_code(70);
    let pauses = pauses(&ended);
    for (pause, longest) in pauses.iter().zip([0.2, 0.4, 0.8, 1.6]) {
        // The pauses are shown with one decimal.
        let range = longest / 2.0 - 0.05..=longest + 0.05;
        assert!(range.contains(pause), "{pauses:?}");
    }
    let waited = Duration::from_secs_f64(pauses.iter().sum::<f64>() - 0.2);
    assert!(ended.took >= waited, "{:?}, {pauses:?}", ended.took);
}

#[test]
fn only_the_steps_own_failure_is_retried() {
    for (script, keys, code) in [
        ("sleep 100", "timeout: 100ms", 124),
        ("exit 126", "", 70),
        ("exec no-such-program", "", 70),
        (
            "echo \"FAILED: Can't locate revision identified by '0004'\" >&2; exit 255",
            "",
            70,
        ),
        ("kill -TERM $(ps -o ppid= -p $PPID); sleep 100", "", 143),
    ] {
        let keys = format!("    retries: 5\n    retry_delay: 10ms\n    {keys}");
        let ended = retried(script, &keys)
            .run()
            .expect_code(code)
            .expect_stdout("")
            .expect_never("; try ");
        assert_eq!(runs(&ended), 1, "{script}\n{ended}");
    }
    let manifest = "version: 1\nsteps: [{name: s, command: [no-such-program], retries: 5}]\n";
    Guard::with_manifest(manifest)
        .line("run --no-server")
        .run()
        .expect_code(127)
        .expect_never("; try ");
}

#[test]
fn a_program_that_disappears_between_two_tries_ends_the_start() {
    let manifest = "version: 1
steps: [{name: s, command: [./tool], retries: 5, retry_delay: 10ms}]
server: {command: [echo, served]}
";
    let guard = Guard::with_manifest(manifest);
    guard.folder.script("tool", "#!/bin/sh\nrm tool; exit 1\n");
    guard
        .run()
        .expect_code(127)
        .expect_stdout("")
        .expect_stderr("try 2 of 6");
}

#[test]
fn a_stop_during_the_pause_ends_the_start_at_once() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let keys = "    retries: 5\n    retry_delay: 1h\n    allow_failure: true";
        let running = retried("exit 1", keys).start();
        running.wait_for("; try 2 of 6 in ");
        // Other signals do not shorten the pause.
        running.signal(Signal::SIGUSR1);
        running.signal(signal);
        let stopped = Instant::now();
        let ended = running.end().expect_code(code).expect_stdout("");
        assert!(
            stopped.elapsed() < Duration::from_secs(10),
            "{:?}",
            stopped.elapsed()
        );
        assert_eq!(runs(&ended), 1);
    }
}

#[test]
fn whether_the_step_is_up_to_date_is_asked_once() {
    let keys = "    retries: 5
    retry_delay: 10ms
    up_to_date: [sh, -c, 'echo asked >> asked; exit 1']";
    let ended = retried("test $RUN = 3", keys).run().expect_code(0);
    assert_eq!(runs(&ended), 3);
    let asked = fs::read_to_string(ended.folder.path().join("asked"));
    assert_eq!(asked.expect("it was asked"), "asked\n");
}

#[test]
fn secrets_are_masked_in_the_output_of_every_try() {
    let manifest = "version: 1
variables: {TOKEN: {secret: true}}
steps: [{name: s, command: [sh, -c, 'echo \"<$TOKEN>\"; echo $TOKEN >&2; exit 1'], retries: 3, retry_delay: 10ms}]
server: {command: [echo, served]}
";
    for format in ["text", "json"] {
        let ended = Guard::with_manifest(manifest)
            .env("TOKEN", "canary-of-the-retries")
            .env("STARTUP_GUARD_LOG", format)
            .run()
            .expect_code(70)
            .expect_never("canary");
        let shown = ended.stdout() + &ended.stderr();
        assert_eq!(shown.matches("<***>").count(), 4, "{ended}");
    }
}

#[test]
fn retries_that_make_no_sense_are_faults() {
    let manifest = "version: 1
steps:
  - {name: a, command: [x], retries: 1001}
  - {name: b, command: [x], retries: -1}
  - {name: c, command: [x], retries: 3, retry_delay: 0s}
  - {name: d, command: [x], retries: 3, retry_delay: 61m}
  - {name: e, command: [x], retry_delay: 5s}
  - {name: f, command: [x], retires: 3}
  - {name: g, command: [x], retries: 1000, retry_delay: 1h}
  - {name: h, command: [x], retries: 0, retry_delay: 5s}
server: {command: [echo, served], retries: 3}
";
    let ended = Guard::with_manifest(manifest)
        .line("check")
        .run()
        .expect_code(65);
    insta::assert_snapshot!(ended.stderr());
}
