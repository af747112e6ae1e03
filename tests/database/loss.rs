//! A lock that is lost while the step runs: all processes of the step end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::fleet::Fleet;
use crate::postgres::Postgres;
use crate::server::Database;
use crate::support::is_alive;

/// A step that ignores its stop signal.
const STUBBORN: &str = "  - name: migrate
    command: [sh, -c, 'trap : TERM INT; echo $$ > $SHARED/pid; echo started; while :; do sleep 0.1; done']
    stop_grace: 1m
    allow_failure: true
    lock: {postgres: DATABASE_URL, timeout: 20s}";

#[test]
fn a_terminated_connection_kills_the_step_at_once_and_ends_with_75() {
    let database = Database::new();
    let fleet = Fleet::new(&database.url, STUBBORN);
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    let lost = Instant::now();
    assert_eq!(database.sql().terminate_guards(), 1);
    let ended = guard.end().expect_code(75).expect_never("served");
    // Far less than the step's grace period, even on a loaded machine.
    assert!(
        lost.elapsed() < Duration::from_secs(30),
        "{:?}",
        lost.elapsed()
    );
    let pid: i32 = fleet
        .file("pid")
        .trim()
        .parse()
        .expect("the file holds a number");
    assert!(!is_alive(pid));
    ended
        .expect_stderr("the lock is lost (it ended the connection (57P01)); the step is killed")
        .expect_stderr("step migrate: the lock was lost while it ran, so it was killed (phase lock, exit code 75, a retry helps)");
}

#[test]
fn a_server_that_restarts_during_the_step_ends_it_with_75() {
    let mut postgres = Postgres::start();
    let fleet = Fleet::new(&postgres.url, STUBBORN);
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    postgres.stop();
    guard.end().expect_code(75).expect_never("served");
    postgres.start_again();
    let next = fleet.guard().start();
    next.wait_for("started\n");
    next.signal(Signal::SIGKILL);
    next.end().expect_code(137);
}

#[test]
fn a_server_that_restarts_while_the_lock_is_waited_for_is_waited_for_too() {
    let mut postgres = Postgres::start();
    let steps = "  - name: migrate
    command: [sh, -c, 'echo started; while [ ! -e $SHARED/go ]; do sleep 0.05; done']
    up_to_date: [sh, -c, 'test -e $SHARED/go']
    lock: {postgres: DATABASE_URL, timeout: 1m}";
    let fleet = Fleet::new(&postgres.url, steps);
    let holder = fleet.guard().start();
    holder.wait_for("started\n");
    let waiter = fleet.guard().start();
    waiter.wait_for("another process holds it");
    postgres.stop();
    holder.end().expect_code(75);
    waiter.wait_for("connection refused");
    postgres.start_again();
    // Nothing was migrated yet, so the waiter runs the step.
    waiter.wait_for("started\n");
    fleet.shared.file("go", "");
    waiter
        .end()
        .expect_code(0)
        .expect_stdout("started\nserved\n");
}
