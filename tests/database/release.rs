//! Releasing the lock on a database that is slow or does not answer.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fleet::Fleet;
use crate::postgres::Postgres;
use crate::server::Sql;
use crate::support::Running;

/// A step that ends when `$SHARED/go` exists.
const STEPS: &str = "  - name: migrate
    command: [sh, -c, 'echo started; while [ ! -e $SHARED/go ]; do sleep 0.01; done; echo migrated']
    lock: {postgres: DATABASE_URL, timeout: 1m}";

/// A server process that is stopped (SIGSTOP) until this is dropped.
struct Stopped(Pid);

impl Stopped {
    /// The process of the session that holds the guard's lock.
    fn holder(sql: &Sql) -> Self {
        let pid = sql
            .run("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'startup-guard%'")
            .remove(0);
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        kill(pid, Signal::SIGSTOP).expect("it can be stopped");
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// A guard whose step has ended while the server does not answer. Uses its own server, because other tests would wait
/// for the stopped process.
fn migrated(fleet: &Fleet, sql: &Sql) -> (Running, Stopped) {
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    let stopped = Stopped::holder(sql);
    fleet.shared.file("go", "");
    guard.wait_for("migrated\n");
    (guard, stopped)
}

#[test]
fn a_slow_database_after_a_migration_does_not_fail_the_start() {
    let postgres = Postgres::start();
    let (fleet, sql) = (Fleet::new(&postgres.url, STEPS), Sql::on(&postgres.url));
    let (guard, stopped) = migrated(&fleet, &sql);
    // This delay is what is tested. It is also longer than the time limit of an attempt to take a lock.
    std::thread::sleep(Duration::from_secs(12));
    assert!(!guard.shown().contains("served"), "{}", guard.shown());
    drop(stopped);
    guard
        .end()
        .expect_code(0)
        .expect_stdout("started\nmigrated\nserved\n");
}

#[test]
fn a_database_that_never_answers_after_a_migration_ends_with_75() {
    let postgres = Postgres::start();
    let (fleet, sql) = (Fleet::new(&postgres.url, STEPS), Sql::on(&postgres.url));
    let (guard, _stopped) = migrated(&fleet, &sql);
    let asked = Instant::now();
    let ended = guard.end_within(Duration::from_mins(1)).expect_code(75);
    let took = asked.elapsed().as_secs();
    assert!((15..35).contains(&took), "{took} s");
    ended
        .expect_stdout("started\nmigrated\n")
        .expect_stderr("step migrate: the lock was lost: it does not answer (phase lock, exit code 75, a retry helps)");
}

#[test]
fn a_stop_while_the_lock_is_released_ends_the_start_at_once() {
    let postgres = Postgres::start();
    let (fleet, sql) = (Fleet::new(&postgres.url, STEPS), Sql::on(&postgres.url));
    let (guard, _stopped) = migrated(&fleet, &sql);
    guard.signal(Signal::SIGTERM);
    guard
        .end_within(Duration::from_secs(3))
        .expect_code(143)
        .expect_never("served");
}
