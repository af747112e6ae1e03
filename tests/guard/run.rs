//! The main job: check, steps and server, in this order. An error ends the start.

use std::fs;

use crate::support::Guard;

#[test]
fn check_steps_and_server_come_in_order() {
    let manifest = "version: 1
announce: first
variables: {A: {level: optional, default: x}}
steps:
  - {name: one, announce: {start: one starts, done: one is done}, command: [sh, -c, 'echo one >> log']}
  - {name: two, command: [sh, -c, 'echo two >> log']}
server: {announce: 'serving on ${PORT:-8000}', command: [sh, -c, 'echo server >> log; exec cat log']}
";
    let ended = Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("one\ntwo\nserver\n");
    let stderr = ended.stderr();
    // Without the durations.
    let lines: Vec<_> = stderr
        .lines()
        .map(|line| line.split(" in ").next())
        .map(Option::unwrap_or_default)
        .collect();
    assert_eq!(
        lines,
        [
            "first",
            "one starts",
            "startup-guard: step one: done",
            "one is done",
            "startup-guard: step two: sh -c echo two >> log",
            "startup-guard: step two: done",
            "serving on 8000",
        ]
    );
}

#[test]
fn the_server_is_the_same_process_and_nothing_is_left_beside_it() {
    let manifest = "version: 1
steps: [{name: s, command: ['true']}]
server: {command: [sh, -c, 'echo $$ > pid; cat /proc/$$/task/$$/children > children; echo >> children']}
";
    let running = Guard::with_manifest(manifest).start();
    let pid = running.pid();
    let ended = running.end().expect_code(0);
    let file = |name: &str| {
        fs::read_to_string(ended.folder.path().join(name)).expect("the server wrote it")
    };
    assert_eq!(file("pid").trim(), pid.to_string());
    // The server's only child is the `cat` that reads.
    assert_eq!(file("children").split_whitespace().count(), 1);
}

#[test]
fn the_guards_exit_code_is_the_servers() {
    for code in [0, 1, 3, 78, 255] {
        let guard = Guard::new().args([
            "run",
            "--no-manifest",
            "--",
            "sh",
            "-c",
            &format!("exit {code}"),
        ]);
        guard.run().expect_code(code);
    }
}

#[test]
fn a_command_replaces_the_manifests_server_and_only_whole_references_in_it_expand() {
    let manifest = "version: 1\nserver: {announce: hello, command: [echo, manifest]}\n";
    let words = [
        "run",
        "--",
        "printf",
        "%s|",
        "$PORT",
        "${PORT}",
        "${NONE:-d}",
        "x$PORT",
        "$$",
        "%",
    ];
    let ended = Guard::with_manifest(manifest)
        .env("PORT", "9000")
        .args(words)
        .run()
        .expect_code(0);
    ended
        .expect_stdout("9000|9000|d|x$PORT|$$|%|")
        .expect_stderr("hello\n");
}

#[test]
fn without_a_manifest_nothing_is_checked_or_expanded() {
    let guard =
        Guard::with_manifest("this is: [no manifest").env("STARTUP_GUARD_MANIFEST", "nowhere");
    let ended = guard
        .args([
            "run",
            "--no-manifest",
            "--",
            "printf",
            "%s|",
            "$PORT",
            "${X}",
        ])
        .run();
    ended
        .expect_code(0)
        .expect_stdout("$PORT|${X}|")
        .expect_stderr("");
}

#[test]
fn no_server_ends_with_0_after_the_steps() {
    let manifest = "version: 1\nsteps: [{name: s, command: [echo, migrated]}]\nserver: {command: [echo, served]}\n";
    Guard::with_manifest(manifest)
        .line("run --no-server")
        .run()
        .expect_code(0)
        .expect_stdout("migrated\n");
    let manifest = "version: 1\nsteps: [{name: s, command: ['false']}]\n";
    Guard::with_manifest(manifest)
        .line("run --no-server")
        .run()
        .expect_code(70);
}

#[test]
fn an_invalid_environment_ends_with_78_before_anything_runs() {
    let manifest = "version: 1
variables: {A: {}, B: {type: port}}
steps: [{name: s, command: [touch, ran]}]
server: {command: [touch, ran]}
";
    let ended = Guard::with_manifest(manifest)
        .env("B", "canary")
        .run()
        .expect_code(78)
        .expect_stdout("");
    assert!(!ended.folder.path().join("ran").exists());
    assert_eq!(
        ended.last_line(),
        "startup-guard: the environment is invalid: 2 errors (phase check, exit code 78, a retry does not help)"
    );
    ended.expect_never("canary");
}

#[test]
fn dollars_that_begin_no_reference_stay() {
    let manifest =
        "version: 1\nserver: {command: [printf, '%s|', '$HOME', 'a$${PORT}b', '100$']}\n";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("$HOME|a${PORT}b|100$|");
}

#[test]
fn the_program_may_have_any_name() {
    Guard::new()
        .arg0("entrypoint")
        .args(["run", "--no-manifest", "--", "echo", "x"])
        .run()
        .expect_stdout("x\n");
}
