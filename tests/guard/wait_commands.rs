//! Waits for a command that ends with 0.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Folder, Guard, is_alive};

/// A guard that waits for a shell's text, with further keys of the wait.
fn asking(script: &str, keys: &str) -> Guard {
    Guard::with_manifest(&format!(
        "version: 1
variables: {{TOKEN: {{secret: true, default: canary-of-a-token}}}}
wait_for:
  - command: [sh, -c, '{script}']
{keys}
server: {{command: [echo, served]}}
"
    ))
}

#[test]
fn a_command_is_asked_until_it_ends_with_0() {
    let running = asking("echo x >> asked; test -e ready", "    interval: 20ms").start();
    running.wait_for("it ends with exit code 1");
    std::fs::write(running.folder.path().join("ready"), "").expect("the file can be written");
    let ended = running.end().expect_code(0).expect_stdout("served\n");
    ended.expect_stderr(": command sh -c echo x >> asked; test -e ready\n");
}

#[test]
fn the_interval_is_between_the_end_of_one_run_and_the_next() {
    let folder = Folder::new();
    let file = folder.path().join("asked");
    let script = format!("echo x >> {}; exit 1", file.display());
    asking(&script, "    interval: 400ms\n    timeout: 1s")
        .run()
        .expect_code(69);
    let asked = std::fs::read_to_string(file).expect("it was asked");
    assert!((1..=3).contains(&asked.lines().count()), "{asked}");
}

#[test]
fn a_run_that_hangs_is_killed_with_its_tree() {
    let script = "trap \"\" TERM; sleep 1000 & echo $! > child; setsid sleep 1000 & echo $! > other; echo $$ > pid; wait";
    for has_stop in [false, true] {
        let timeout = if has_stop { "60s" } else { "2s" };
        let running = asking(script, &format!("    timeout: {timeout}")).start();
        let pids = ["pid", "child", "other"].map(|name| running.wait_for_pid(name));
        if has_stop {
            running.signal(Signal::SIGTERM);
            running.end().expect_code(143).expect_stdout("");
        } else {
            running
                .end()
                .expect_code(69)
                .expect_stdout("")
                .expect_stderr("wait: it was still running (phase wait, exit code 69");
        }
        for pid in pids {
            assert!(!is_alive(pid), "the guard ended before its command");
        }
    }
}

#[test]
fn the_last_line_of_a_command_is_told_with_secrets_masked() {
    let script = "echo noise; printf \"no %s\\n\\n\" \"$TOKEN\" >&2; exit 3";
    asking(script, "    timeout: 300ms")
        .run()
        .expect_code(69)
        .expect_stderr("exit 3: its last line: no ***\n")
        .expect_stderr("exit 3: it ends with exit code 3 (phase wait, exit code 69, a retry helps)")
        .expect_never("noise\n")
        .expect_never("canary");
}

#[test]
fn a_command_that_cannot_be_started_ends_the_wait_at_once() {
    let manifest = "version: 1
wait_for: [{command: [no-such-program, ping]}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(127)
        .expect_stdout("")
        .expect_stderr("command no-such-program ping: ")
        .expect_stderr("(phase wait, exit code 127, a retry does not help)");
    for (script, code) in [("no-such-program", 127), ("/", 126)] {
        let ended = asking(script, "").run().expect_code(code);
        let told =
            format!(": it ends with exit code {code}: it cannot start a program (phase wait");
        let ended = ended.expect_stdout("").expect_stderr(&told);
        assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    }
}

#[test]
fn the_other_dependencies_are_asked_while_a_command_runs() {
    let keys = "    timeout: 60s\n  - {tcp: '127.0.0.1:1', timeout: 1s}";
    let ended = asking("sleep 1000", keys).run().expect_code(69);
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    ended.expect_stderr("not ready in time: tcp 127.0.0.1:1: connection refused (phase");
}

#[test]
fn several_commands_wait_in_turn() {
    let keys = "    interval: 20ms
  - {command: [sh, -c, 'test -e first && touch second'], interval: 20ms}";
    asking("touch first; test -e second", keys)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn a_command_that_hangs_does_not_keep_another_from_being_asked() {
    let keys = "    timeout: 2m
  - {command: [touch, asked], timeout: 2s}
  - {command: [sh, -c, 'test -e never'], timeout: 3s}";
    let ended = asking("test -e asked || sleep 1000", keys).run();
    ended.expect_code(69).expect_stderr(
        "not ready in time: command sh -c test -e never: it ends with exit code 1 (",
    );
}

#[test]
fn a_long_command_is_cut_in_messages() {
    for (script, shown) in [
        ("test -e ready\n\n    exit 1".to_owned(), "test -e ready …"),
        (format!("exit 1 # {}", "ä".repeat(200)), "ä …"),
    ] {
        let ended = asking(&script, "    timeout: 300ms").run().expect_code(69);
        ended.expect_stderr(&format!("{shown}: it ends with exit code 1 (phase"));
    }
}
