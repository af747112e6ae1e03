//! `--stop-grace`: a server that ignores a stop is killed.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Guard, Running, is_alive, until};
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    (
        "a_server_that_ignores_a_stop_is_killed_after_the_grace",
        Needs::Nothing,
        killed,
    ),
    (
        "a_server_that_ends_in_time_is_not_killed",
        Needs::Nothing,
        ends_in_time,
    ),
    (
        "further_signals_are_forwarded_and_do_not_change_the_grace",
        Needs::Nothing,
        further_signals,
    ),
    (
        "with_forward_group_the_whole_group_is_killed_at_once",
        Needs::Nothing,
        whole_group,
    ),
    (
        "only_a_signal_that_asks_the_server_to_end_begins_the_grace",
        Needs::Nothing,
        what_begins,
    ),
];

/// An init whose server ignores every signal but records it in the file `record`.
fn stubborn(options: &str) -> Running {
    let running = Guard::new()
        .line(&format!("run --no-manifest --init {options} --"))
        .args(roles::command(&["record", "record"]))
        .start();
    until("the server runs", || lines(&running).len() == 1);
    running
}

/// The lines of the record: `ready PID`, and one for each signal.
fn lines(running: &Running) -> Vec<String> {
    let record = fs::read_to_string(running.folder.path().join("record"));
    let record = record.unwrap_or_default();
    // Skips a line that is not complete yet.
    let whole = record.rfind('\n').map_or(0, |end| end + 1);
    record[..whole].lines().map(str::to_owned).collect()
}

fn server_of(running: &Running) -> i32 {
    let pid = lines(running)[0].strip_prefix("ready ").map(str::parse);
    pid.expect("it begins so").expect("it is a number")
}

fn killed() {
    for (signal, options, code) in [
        (Signal::SIGTERM, "", 137),
        (Signal::SIGINT, "--forward group", 137),
        (Signal::SIGQUIT, "--remap-exit 137:0", 0),
    ] {
        let running = stubborn(&format!("--stop-grace 400ms {options}"));
        let server = server_of(&running);
        let stopped = Instant::now();
        running.signal(signal);
        let ended = running.end().expect_code(code);
        assert!(stopped.elapsed() >= Duration::from_millis(400));
        assert!(!is_alive(server));
        assert_eq!(
            ended.stderr(),
            "startup-guard: the server has not ended within 400ms after the stop; it is killed\n"
        );
    }
}

fn ends_in_time() {
    for grace in ["1h", "400000000years"] {
        let running = Guard::new()
            .line(&format!(
                "run --no-manifest --init --stop-grace {grace} -- sh -c"
            ))
            .args(["trap 'exit 42' TERM; echo $$ > pid; while :; do sleep 0.01; done"])
            .start();
        running.wait_for_pid("pid");
        running.signal(Signal::SIGTERM);
        running.end().expect_code(42).expect_stderr("");
    }
}

fn further_signals() {
    let running = stubborn("--stop-grace 1s");
    let server = server_of(&running);
    let stopped = Instant::now();
    running.signal(Signal::SIGTERM);
    until("the first stop arrives", || lines(&running).len() == 2);
    running.signal(Signal::SIGTERM);
    until("the second stop arrives", || lines(&running).len() == 3);
    assert_eq!(lines(&running)[1..], ["15 -", "15 -"]);
    // Signals that keep arriving do not postpone the end.
    while is_alive(server) {
        let late = stopped.elapsed() > Duration::from_secs(15);
        assert!(!late, "the server is not killed");
        running.signal(Signal::SIGWINCH);
    }
    running.end().expect_code(137);
    assert!(stopped.elapsed() >= Duration::from_secs(1));
}

fn whole_group() {
    let script = "trap : TERM; \
                  sh -c 'trap : TERM; echo $$ > second; while :; do sleep 0.01; done' & \
                  while :; do sleep 0.01; done";
    for (forward, is_at_once) in [("group", true), ("child", false)] {
        let options = format!("--stop-grace 300ms --forward {forward}");
        let running = Guard::new()
            .line(&format!("run --no-manifest --init {options} -- sh -c"))
            .args([script])
            .start();
        let second = running.wait_for_pid("second");
        let stopped = Instant::now();
        running.signal(Signal::SIGTERM);
        running.end().expect_code(137);
        assert!(!is_alive(second), "{forward}");
        // Otherwise the second process has the 2 seconds of processes that the server has left running.
        let took = stopped.elapsed();
        assert_eq!(took < Duration::from_secs(2), is_at_once, "{took:?}");
    }
}

fn what_begins() {
    for (options, signal, begins) in [
        ("", Signal::SIGHUP, false),
        ("", Signal::SIGUSR1, false),
        ("--rewrite TERM:0", Signal::SIGTERM, false),
        ("--rewrite HUP:TERM", Signal::SIGHUP, true),
        ("--rewrite TERM:USR1", Signal::SIGTERM, true),
    ] {
        let running = stubborn(&format!("--stop-grace 100ms {options}"));
        let server = server_of(&running);
        running.signal(signal);
        if !begins {
            let sent = Instant::now();
            while sent.elapsed() < Duration::from_millis(400) {
                assert!(is_alive(server), "{options} {signal} began the grace");
                std::thread::sleep(Duration::from_millis(5));
            }
            running.signal(Signal::SIGINT);
        }
        running.end().expect_code(137);
    }
}
