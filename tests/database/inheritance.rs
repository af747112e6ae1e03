//! The lock is held as long as any process of the step lives.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fleet::Fleet;
use crate::server::Database;
use crate::support::{is_alive, until};

/// The process ID in a file of the fleet.
fn process_in(fleet: &Fleet, file: &str) -> i32 {
    let text = fleet.file(file);
    text.trim().parse().expect("the file holds a number")
}

#[test]
fn a_killed_guards_lock_is_held_until_the_last_process_of_its_step_has_ended() {
    let database = Database::new();
    let steps = "  - name: migrate
    command: [sh, -c, '(setsid sleep 100 & echo $! > $SHARED/left); echo started; while :; do sleep 0.1; done']
    lock: {postgres: DATABASE_URL, timeout: 1s}";
    let fleet = Fleet::new(&database.url, steps);
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    guard.signal(Signal::SIGKILL);
    guard.end().expect_code(137);
    let left = process_in(&fleet, "left");
    assert!(is_alive(left));
    assert_eq!(database.sql().guards(), ["startup-guard fleet/migrate"]);

    fleet.guard().run().expect_code(75).expect_never("started");
    assert!(is_alive(left), "nothing of another's step is touched");

    kill(Pid::from_raw(left), Signal::SIGKILL).expect("it is there to be killed");
    until("the lock is free", || database.sql().guards().is_empty());
    let next = fleet.guard().start();
    next.wait_for("started\n");
    next.signal(Signal::SIGTERM);
    next.end_within(Duration::from_secs(15)).expect_code(143);
    let left = process_in(&fleet, "left");
    assert!(!is_alive(left), "a guard that is alive ends its step whole");
}

#[test]
fn the_step_inherits_the_locks_socket_and_nothing_else_and_the_server_nothing() {
    let database = Database::new();
    // Shells and `ls` open descriptors themselves, so only sockets are counted, and all descriptors of the process
    // itself.
    let steps = "  - name: migrate
    command: [sh, -c, 'exec ls -l /proc/self/fd']
    up_to_date: [sh, -c, 'ls -l /proc/self/fd > $SHARED/asked; exit 1']
    lock: {postgres: DATABASE_URL}";
    let fleet = Fleet::with_server(
        &database.url,
        steps,
        "echo SERVER; exec ls -l /proc/self/fd",
    );
    let ended = fleet.run(1).remove(0).expect_code(0);
    let shown = ended.stdout();
    let (step, server) = shown.split_once("SERVER\n").expect("both are shown");
    let sockets = |listing: &str| listing.matches("socket:").count();
    assert_eq!(sockets(step), 1, "{step}");
    assert_eq!(sockets(server), 0, "{server}");
    assert_eq!(sockets(&fleet.file("asked")), 0);
    assert!(
        !shown.contains("eventfd") && !shown.contains("eventpoll"),
        "{shown}"
    );
}

#[test]
fn a_stopped_guards_lock_is_free_at_once() {
    let database = Database::new();
    let steps = "  - name: migrate
    command: [sh, -c, 'echo started; while :; do sleep 0.1; done']
    lock: {postgres: DATABASE_URL}";
    let fleet = Fleet::new(&database.url, steps);
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    guard.signal(Signal::SIGTERM);
    guard.end().expect_code(143).expect_never("served");
    until("the session is gone", || database.sql().guards().is_empty());
}

#[test]
fn a_lock_is_not_released_while_processes_are_left_that_the_guard_cannot_end() {
    let database = Database::new();
    // Without its reaper, the guard cannot find the step's processes any more.
    let steps = "  - name: migrate
    command: [sh, -c, 'sleep 100 & echo $! > $SHARED/left; echo started; kill -KILL $PPID; while :; do :; done']
    lock: {postgres: DATABASE_URL, timeout: 1s}";
    let fleet = Fleet::new(&database.url, steps);
    fleet.guard().run().expect_code(71).expect_never("served");
    let left = process_in(&fleet, "left");
    assert!(is_alive(left));
    fleet.guard().run().expect_code(75).expect_never("started");
    kill(Pid::from_raw(left), Signal::SIGKILL).expect("it is there to be killed");
    until("the lock is free", || database.sql().guards().is_empty());
}
