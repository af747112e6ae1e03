//! Processes that a server leaves running, and all processes after the init was killed.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Guard, is_alive, until};
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    (
        "processes_that_the_server_leaves_running_are_stopped_and_waited_for",
        Needs::Nothing,
        asked,
    ),
    (
        "leftovers_that_ignore_the_stop_are_killed",
        Needs::Nothing,
        killed,
    ),
    (
        "a_stop_while_leftovers_are_waited_for_kills_them_at_once",
        Needs::Nothing,
        cut_short,
    ),
    (
        "the_server_dies_with_an_init_that_is_killed",
        Needs::Nothing,
        init_killed,
    ),
    (
        "an_inherited_child_of_the_init_is_not_the_servers",
        Needs::Nothing,
        given,
    ),
];

fn shell(options: &str, script: &str) -> Guard {
    Guard::new()
        .line(&format!("run --no-manifest --init {options} -- sh -c"))
        .args([script])
}

/// A server that starts two of these scripts, one of them in its own session, and exits with 3.
fn with_leftovers(script: &str) -> String {
    format!(
        "leave() {{ {script}; }}; export FILE=inside; \
         (sh -c '{script}' &); FILE=outside setsid sh -c '{script}' & \
         while [ ! -s inside ] || [ ! -s outside ]; do sleep 0.01; done; exit 3"
    )
}

fn asked() {
    let script = "trap \"echo asked > $FILE.asked; exit\" TERM; echo $$ > $FILE; while :; do sleep 0.01; done";
    for options in ["", "--forward group"] {
        let running = shell(options, &with_leftovers(script)).start();
        let pids = [
            running.wait_for_pid("inside"),
            running.wait_for_pid("outside"),
        ];
        let ended = running.end().expect_code(3);
        for pid in pids {
            assert!(!is_alive(pid), "{pid} is left");
        }
        for file in ["inside.asked", "outside.asked"] {
            assert!(ended.folder.path().join(file).exists(), "{options}: {file}");
        }
    }
}

const STUBBORN: &str = "trap \"\" TERM; echo $$ > $FILE; while :; do sleep 0.01; done";

fn killed() {
    let running = shell("", &with_leftovers(STUBBORN)).start();
    let pids = [
        running.wait_for_pid("inside"),
        running.wait_for_pid("outside"),
    ];
    let ended = running.end().expect_code(3);
    assert!(pids.into_iter().all(|pid| !is_alive(pid)), "{pids:?}");
    assert!(
        ended.took >= Duration::from_secs(2) && ended.took < Duration::from_secs(8),
        "{:?}",
        ended.took
    );
}

fn cut_short() {
    let script =
        "trap \"echo asked > $FILE.asked\" TERM; echo $$ > $FILE; while :; do sleep 0.01; done";
    let running = shell("", &with_leftovers(script)).start();
    let pids = [
        running.wait_for_pid("inside"),
        running.wait_for_pid("outside"),
    ];
    running.wait_for_file("inside.asked");
    running.signal(Signal::SIGTERM);
    let stopped = std::time::Instant::now();
    running.end().expect_code(3);
    assert!(
        stopped.elapsed() < Duration::from_millis(1900),
        "{:?}",
        stopped.elapsed()
    );
    assert!(pids.into_iter().all(|pid| !is_alive(pid)), "{pids:?}");
}

fn init_killed() {
    for options in ["", "--forward group"] {
        let running = shell(options, "echo $$ > pid; while :; do sleep 1; done").start();
        let server = running.wait_for_pid("pid");
        assert!(is_alive(server));
        running.signal(Signal::SIGKILL);
        running.end().expect_code(137);
        until("the server is gone", || !is_alive(server));
    }
}

fn given() {
    let guard = Guard::new();
    let binary = env!("CARGO_BIN_EXE_startup-guard");
    let script = guard.folder.script(
        "wrapper",
        &format!("#!/bin/sh\nsleep 99 & echo $! > given\nexec {binary} run --no-manifest --init -- sh -c 'sleep 98 & exit 5'\n"),
    );
    let running = guard.line("run --no-manifest --").args([script]).start();
    let given = running.wait_for_pid("given");
    // The process has the guard's streams, and would keep this test's pipes open, so it is ended after the guard.
    let pid = running.pid();
    until("the guard has ended", || !is_alive(pid));
    assert!(is_alive(given), "it was ended with the server");
    // SAFETY: kill takes any numbers.
    unsafe { nix::libc::kill(given, nix::libc::SIGKILL) };
    running.end().expect_code(5);
}
