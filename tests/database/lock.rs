//! Waiting for the lock: messages, time-outs and errors.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::fleet::Fleet;
use crate::server::Database;
use crate::support::{Guard, until};

/// The key of the service `fleet` and the step `migrate`:
/// `printf 'startup-guard\0fleet\0migrate' | sha256sum | cut -c-16`
const KEY: i64 = -1_985_617_930_422_074_838;

fn locked(database: &Database, keys: &str) -> Fleet {
    let steps = format!(
        "  - name: migrate
    command: [sh, -c, 'echo ran >> $SHARED/log']
    lock: {{postgres: DATABASE_URL{keys}}}"
    );
    Fleet::new(&database.url, &steps)
}

#[test]
fn a_lock_that_is_not_free_in_time_ends_with_75_and_the_query_that_shows_its_holder() {
    let database = Database::new();
    let holder = database.sql();
    holder.run("SET application_name = 'somebody else'");
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    // Every database of a server has its own locks, with the same keys.
    let elsewhere = Database::new();
    let stranger = elsewhere.sql();
    stranger.run(&format!("SELECT pg_advisory_lock({KEY})"));
    let fleet = locked(&database, ", timeout: 1500ms");
    let ended = fleet.run(1).remove(0).expect_code(75).expect_stdout("");
    let query = ended.stderr();
    let (_, query) = query
        .split_once("who holds it: ")
        .expect("the query is told");
    let query = query.lines().next().unwrap_or_default();
    let holders = database
        .sql()
        .run(&format!("SELECT application_name FROM ({query}) q"));
    assert_eq!(holders, ["somebody else"]);
    let address = database.address();
    ended
        .expect_stderr(&format!("the lock {KEY} of the step migrate on {address}: another process holds it"))
        .expect_stderr(&format!(
            "step migrate: the lock on {address} was not free within 1s 500ms: another process holds it (phase lock, exit code 75, a retry helps)"
        ))
        .expect_never(database.password());
    assert_eq!(fleet.file("log"), "");
}

#[test]
fn waiters_hold_no_connection_between_attempts() {
    let database = Database::new();
    let holder = database.sql();
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    let fleet = locked(&database, ", timeout: 1m");
    let guards = fleet.start(5);
    for guard in &guards {
        guard.wait_for("another process holds it");
    }
    // Attempts are short and rare, so usually there is no connection.
    let mut seen = 0;
    for _ in 0..40 {
        seen += holder.guards().len();
        std::thread::sleep(Duration::from_millis(25));
    }
    assert!(seen < 5 * 40 / 4, "{seen} connections in 40 looks");
    holder.run(&format!("SELECT pg_advisory_unlock({KEY})"));
    for guard in guards {
        guard.end().expect_code(0);
    }
}

#[test]
fn the_holder_has_its_name_in_the_server_and_leaves_nothing_behind() {
    let database = Database::new();
    let steps = "  - name: migrate
    command: [sh, -c, 'echo started; while [ ! -e $SHARED/go ]; do sleep 0.01; done']
    lock: {postgres: DATABASE_URL}";
    let fleet = Fleet::new(&database.url, steps);
    let guard = fleet.guard().start();
    guard.wait_for("started\n");
    let sql = database.sql();
    assert_eq!(sql.guards(), ["startup-guard fleet/migrate"]);
    assert_eq!(
        sql.run(&format!("SELECT pg_try_advisory_lock({KEY})")),
        ["f"]
    );
    fleet.shared.file("go", "");
    guard.end().expect_code(0);
    until("the session is gone", || sql.guards().is_empty());
    assert_eq!(
        sql.run(&format!("SELECT pg_try_advisory_lock({KEY})")),
        ["t"]
    );
}

#[test]
fn a_stop_ends_the_wait_for_the_lock_at_once() {
    let database = Database::new();
    let holder = database.sql();
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    let guard = locked(&database, "").guard().start();
    guard.wait_for("another process holds it");
    guard.signal(Signal::SIGTERM);
    let ended = guard.end_within(Duration::from_secs(3)).expect_code(143);
    ended.expect_stderr("stopped by SIGTERM before the server started");
}

#[test]
fn no_setting_of_the_url_or_the_role_ends_the_lock() {
    let database = Database::new();
    let options = "options=-c%20lock_timeout%3D100%20-c%20statement_timeout%3D300%20-c%20idle_session_timeout%3D300";
    let steps = "  - name: migrate
    command: [sleep, '1']
    lock: {postgres: DATABASE_URL}";
    let fleet = Fleet::new(&format!("{}?{options}", database.url), steps);
    fleet
        .run(1)
        .remove(0)
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn a_database_that_is_down_is_waited_for_and_one_that_refuses_is_not() {
    let steps = "  - name: migrate
    command: [echo, ran]
    lock: {postgres: DATABASE_URL, timeout: 1s}";
    let down = Fleet::new("postgresql://app:x@127.0.0.1:1/app", steps);
    let ended = down.run(1).remove(0).expect_code(75).expect_stdout("");
    ended.expect_stderr("the lock on 127.0.0.1:1 was not free within 1s: connection refused");

    let database = Database::new();
    database.sql().run(&format!(
        "CREATE ROLE outsider_{0} LOGIN PASSWORD 'x'; REVOKE CONNECT ON DATABASE {0} FROM PUBLIC",
        database.name
    ));
    let url = format!(
        "postgresql://outsider_{0}:x@{1}/{0}",
        database.name,
        database.address()
    );
    let ended = Fleet::new(&url, steps)
        .run(1)
        .remove(0)
        .expect_code(77)
        .expect_stdout("");
    ended
        .expect_stderr("the role may not connect to the database (42501)")
        .expect_never("outsider");
}

#[test]
fn a_lock_without_a_database_is_a_finding() {
    let manifest = "version: 1
variables:
  DATABASE_URL: {level: optional}
steps:
  - {name: migrate, command: [echo, ran], lock: {postgres: DATABASE_URL}}
server: {command: [echo, served]}
";
    let guard = || Guard::with_manifest(manifest);
    guard()
        .run()
        .expect_code(78)
        .expect_stdout("")
        .expect_stderr("DATABASE_URL is not set, and the lock of the step migrate needs it [missing, optional]");
    for (url, code) in [
        ("mysql://app:canary@db/app", "wrong_scheme"),
        ("canary", "wrong_type"),
        ("postgresql://app:canary@db:port/app", "wrong_type"),
        ("postgresql://app:canary@db/app?sslmode=often", "wrong_type"),
    ] {
        guard()
            .env("DATABASE_URL", url)
            .line("check")
            .run()
            .expect_code(78)
            .expect_never("canary")
            .expect_stderr("1 error");
        guard()
            .env("DATABASE_URL", url)
            .run()
            .expect_code(78)
            .expect_never("canary")
            .expect_stderr(&format!("[{code}, optional]"));
    }
    guard()
        .line("run --skip migrate")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn an_up_to_date_command_that_cannot_run_is_an_error() {
    let database = Database::new();
    let asking = |question: &str, more: &str| {
        let steps = format!(
            "  - name: migrate
    command: [sh, -c, 'echo ran']
    up_to_date: [{question}]
    lock: {{postgres: DATABASE_URL}}
{more}"
        );
        Fleet::new(&database.url, &steps).run(1).remove(0)
    };
    asking("sh, -c, 'exit 127'", "")
        .expect_code(70)
        .expect_stdout("")
        .expect_stderr("step migrate: up_to_date failed with exit code 127");
    asking("sh, -c, 'exit 126'", "")
        .expect_code(70)
        .expect_stdout("");
    asking("no-such-program", "")
        .expect_code(127)
        .expect_stdout("");
    asking("/", "").expect_code(126).expect_stdout("");
    for code in [1, 2, 125, 255] {
        asking(&format!("sh, -c, 'exit {code}'"), "")
            .expect_code(0)
            .expect_stdout("ran\nserved\n");
    }
    asking("sh, -c, 'kill -9 $$'", "")
        .expect_code(0)
        .expect_stdout("ran\nserved\n");
    asking("sh, -c, 'exit 127'", "    allow_failure: true")
        .expect_code(0)
        .expect_stdout("served\n");
}
