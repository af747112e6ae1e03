//! Giving the lock back to a database that is slow, or does not answer at all.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fleet::Fleet;
use crate::postgres::Postgres;
use crate::server::Sql;
use crate::support::Running;

/// A step that ends once `$SHARED/go` is there.
const STEPS: &str = "  - name: migrate
    command: [sh, -c, 'echo started; while [ ! -e $SHARED/go ]; do sleep 0.01; done; echo migrated']
    lock: {postgres: DATABASE_URL, timeout: 1m}";

/// A server's process that is stopped as long as this lives.
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

/// A guard whose step has ended, while the server does not answer. A server of its own: others would wait for
/// the process that is stopped.
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
    // How long it is slow is what is tested: longer than one look at a free lock may take, too.
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
fn a_stop_while_the_lock_is_given_back_ends_the_start_at_once() {
    let postgres = Postgres::start();
    let (fleet, sql) = (Fleet::new(&postgres.url, STEPS), Sql::on(&postgres.url));
    let (guard, _stopped) = migrated(&fleet, &sql);
    guard.signal(Signal::SIGTERM);
    guard
        .end_within(Duration::from_secs(3))
        .expect_code(143)
        .expect_never("served");
}
