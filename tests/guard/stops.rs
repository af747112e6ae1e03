//! Stops: SIGTERM, SIGINT, SIGHUP and SIGQUIT.

use std::io::{PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Guard, Running, code_of, is_alive, is_polling, until};

const STOPS: [(Signal, i32); 4] = [
    (Signal::SIGTERM, 143),
    (Signal::SIGINT, 130),
    (Signal::SIGHUP, 129),
    (Signal::SIGQUIT, 131),
];

fn slow_step(script: &str, keys: &str) -> Guard {
    let manifest = format!(
        "version: 1\nsteps:\n  - name: migrate\n    command: [sh, step.sh]\n{keys}\nserver: {{command: [echo, served]}}\n"
    );
    let guard = Guard::with_manifest(&manifest);
    guard.folder.file("step.sh", script);
    guard
}

#[test]
fn a_stop_during_a_step_ends_its_group_and_then_the_guard_and_never_in_the_server() {
    for (signal, code) in STOPS {
        let running = slow_step("sleep 100 & echo $! > child; echo ready; wait", "").start();
        running.wait_for("ready");
        let child = running.wait_for_pid("child");
        running.signal(signal);
        let ended = running.end().expect_code(code).expect_stdout("ready\n");
        assert!(
            ended.took < Duration::from_secs(5),
            "it took {:?}",
            ended.took
        );
        assert!(!is_alive(child), "the step's child is left");
        let name = signal.as_str();
        ended.expect_stderr(&format!(
            "step migrate: stopped by {name} before the server started"
        ));
    }
}

#[test]
fn the_group_gets_the_steps_own_stop_signal() {
    let script = "trap 'echo got INT; exit 1' INT; trap 'echo got TERM; exit 1' TERM; echo ready; while :; do sleep 0.01; done";
    let running = slow_step(script, "    stop_signal: INT").start();
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    running
        .end()
        .expect_code(143)
        .expect_stdout("ready\ngot INT\n");
}

#[test]
fn a_step_that_succeeds_in_spite_of_the_stop_still_leads_to_no_server() {
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let running = slow_step(script, "    allow_failure: true").start();
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    running.end().expect_code(143).expect_stdout("ready\n");
}

#[test]
fn a_second_stop_ends_the_grace_period() {
    let script = "trap 'echo asked' TERM; echo $$ > pid; echo ready; while :; do sleep 0.01; done";
    let running = slow_step(script, "    stop_grace: 60s").start();
    running.wait_for("ready");
    let step = running.wait_for_pid("pid");
    running.signal(Signal::SIGTERM);
    running.wait_for("asked");
    // Two stops within a tenth of a second count as one.
    std::thread::sleep(Duration::from_millis(150));
    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(143);
    assert!(
        ended.took < Duration::from_secs(10),
        "it took {:?}",
        ended.took
    );
    assert!(!is_alive(step), "the guard ended before its step");
}

#[test]
fn a_repeated_stop_within_a_tenth_of_a_second_counts_once() {
    // Like `timeout`, which signals its child and then the whole group, which contains the child.
    let script = "trap 'echo asked; sleep 0.2; echo rolled back; exit 1' TERM; echo ready; while :; do sleep 0.01; done";
    let running = slow_step(script, "").start();
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    running.wait_for("asked");
    running.signal(Signal::SIGTERM);
    running
        .end()
        .expect_code(143)
        .expect_stdout("ready\nasked\nrolled back\n");
}

#[test]
fn a_step_that_ignores_the_stop_is_killed_after_the_grace() {
    let running = slow_step(
        "trap '' TERM; echo ready; while :; do sleep 0.01; done",
        "    stop_grace: 200ms",
    )
    .start();
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(143);
    assert!(
        ended.took >= Duration::from_millis(200) && ended.took < Duration::from_secs(5),
        "{:?}",
        ended.took
    );
}

#[test]
fn other_signals_are_forwarded_as_they_are() {
    let script = "trap 'echo one' USR1; trap 'echo two; exit 0' USR2; echo ready; while :; do sleep 0.01; done";
    let running = slow_step(script, "").start();
    running.wait_for("ready");
    running.signal(Signal::SIGUSR1);
    running.wait_for("one");
    running.signal(Signal::SIGUSR2);
    running
        .end()
        .expect_code(0)
        .expect_stdout("ready\none\ntwo\nserved\n");
}

/// A guard that waits for its manifest, and the pipe from which it reads it.
fn waiting(line: &str) -> (Running, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let running = Guard::new().line(line).stdin(reader).start();
    until("the guard waits", || running.is_polling());
    (running, writer)
}

#[test]
fn a_stop_while_the_manifest_is_awaited_ends_at_once() {
    let (running, writer) = waiting("run --manifest /dev/stdin -- echo served");
    running.signal(Signal::SIGTERM);
    running.end().expect_code(143).expect_stdout("");
    drop(writer);
}

#[test]
fn a_stop_while_nobody_reads_the_log_ends_at_once() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let script = "while :; do echo a line to fill the pipe; done & echo $$ > pid; wait";
    let manifest = "version: 1\nsteps: [{name: s, command: [sh, step.sh], stop_grace: 1s}]\nserver: {command: [echo, served]}\n";
    for format in ["text", "json"] {
        let guard = Guard::with_manifest(manifest).env("STARTUP_GUARD_LOG", format);
        guard.folder.file("step.sh", script);
        let writer = writer.try_clone().expect("the pipe can be cloned");
        let other = writer.try_clone().expect("the pipe can be cloned");
        let guard = guard.stdout(writer).stderr(other);
        let (status, took, _) = guard.run_quietly_and(|folder, pid| {
            until("the step runs", || folder.path().join("pid").exists());
            until("the pipe is full", || is_full(&reader));
            kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the guard is there");
        });
        assert_eq!(code_of(status), 143, "{format}");
        assert!(took < Duration::from_secs(5), "{format}: {took:?}");
    }
}

/// Whether a pipe is full. With small writes it holds about half of its 64 KiB, because each write uses its own page.
fn is_full(reader: &impl AsRawFd) -> bool {
    let mut held = 0;
    // SAFETY: FIONREAD writes one number.
    let asked = unsafe { nix::libc::ioctl(reader.as_raw_fd(), nix::libc::FIONREAD, &raw mut held) };
    asked == 0 && held > 30_000
}

#[test]
fn a_signal_from_before_a_step_is_not_forwarded_to_it() {
    let (running, mut manifest) = waiting("run --manifest /dev/stdin --no-server");
    running.signal(Signal::SIGUSR1);
    // The signal would end the step, which has no handler for it.
    let text = "version: 1\nsteps: [{name: s, command: [sh, -c, 'sleep 0.1; echo done']}]\n";
    manifest
        .write_all(text.as_bytes())
        .expect("the guard reads it");
    drop(manifest);
    running.end().expect_code(0).expect_stdout("done\n");
}

#[test]
fn a_wait_for_the_manifest_does_not_spin_after_another_signal() {
    let (running, writer) = waiting("run --manifest /dev/stdin --no-server");
    running.signal(Signal::SIGWINCH);
    let used = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid()));
        let stat = stat.expect("the guard runs");
        let fields: Vec<&str> = stat.split_whitespace().collect();
        // User and system time, in hundredths of a second. The process's name contains no space.
        fields[13].parse::<u32>().expect("a number") + fields[14].parse::<u32>().expect("a number")
    };
    let before = used();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        used() - before < 10,
        "it used {} hundredths of a second",
        used() - before
    );
    drop(writer);
    running.end().expect_code(65);
}

#[test]
fn a_stop_overrides_a_time_out_in_progress() {
    let script =
        "trap 'echo asked; while :; do sleep 0.01; done' TERM; while :; do sleep 0.01; done";
    let running = slow_step(script, "    timeout: 100ms\n    stop_grace: 1s").start();
    running.wait_for("asked");
    running.signal(Signal::SIGINT);
    running
        .end()
        .expect_code(130)
        .expect_stderr("step migrate: stopped by SIGINT before the server started");
}

#[test]
fn a_stop_between_two_steps_starts_no_other() {
    // The first step signals the guard to stop, and succeeds.
    let manifest = "version: 1
steps: [{name: one, command: [sh, -c, 'kill -HUP $PPID; trap \"\" TERM; exit 0']}, {name: two, command: [touch, two]}]
server: {command: [touch, served]}
";
    let ended = Guard::with_manifest(manifest).run().expect_code(129);
    for file in ["two", "served"] {
        assert!(!ended.folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_stop_right_before_the_hand_over_ends_at_once() {
    // The guard's output is not read, and must be written before the server starts.
    let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
    for options in ["run", "run --init"] {
        fill(&mut writer);
        let manifest = "version: 1\nserver: {announce: serving, command: [touch, served]}\n";
        let guard = Guard::with_manifest(manifest).line(options);
        let guard = guard.stderr(writer.try_clone().expect("the pipe can be cloned"));
        let (status, took, folder) = guard.run_quietly_and(|_, pid| {
            until("the guard waits for its reader", || is_polling(pid));
            kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the guard is there");
        });
        assert_eq!(code_of(status), 143, "{options}");
        assert!(took < Duration::from_secs(5), "{options}: {took:?}");
        assert!(!folder.path().join("served").exists(), "{options}");
    }
    drop(reader);
}

/// Writes until the pipe is full.
fn fill(writer: &mut PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(&*writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag can be set");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    fcntl(&*writer, FcntlArg::F_SETFL(OFlag::empty())).expect("a flag can be set");
}
