//! `retries` with a lock, and a migration that does not make the traffic wait while it waits for a table.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::alembic::Service;
use crate::fleet::Fleet;
use crate::postgres::venv;
use crate::server::{Database, Sql};
use crate::support::{Guard, until};

/// The sessions that hold an advisory lock in this database.
fn holders(sql: &Sql) -> Vec<String> {
    sql.run(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

/// A step that fails until the file `go` exists.
fn failing(database: &Database, keys: &str) -> Fleet {
    let steps = format!(
        "  - name: migrate
    command: [sh, -c, 'echo run >> $SHARED/runs; test -e $SHARED/go']
    lock: {{postgres: DATABASE_URL}}
{keys}"
    );
    Fleet::new(&database.url, &steps)
}

fn runs(fleet: &Fleet) -> usize {
    fleet.file("runs").lines().count()
}

#[test]
fn one_session_holds_the_lock_from_the_first_try_to_the_last() {
    let database = Database::new();
    let fleet = failing(&database, "    retries: 1000\n    retry_delay: 50ms");
    let (first, sql) = (fleet.guard().start(), database.sql());
    first.wait_for("; try 2 of 1001");
    let holder = holders(&sql);
    let second = fleet.guard().start();
    second.wait_for("another process holds it");
    let until_run = runs(&fleet) + 5;
    until("it was tried again", || {
        let held = holders(&sql);
        // The other guard takes a lock of its own for a moment only if this one is free.
        assert_eq!(held, holder, "{held:?}");
        runs(&fleet) >= until_run
    });
    fleet.shared.file("go", "");
    first.end().expect_code(0).expect_stdout("served\n");
    second.end().expect_code(0).expect_never("; try ");
}

#[test]
fn a_lock_that_is_lost_during_the_pause_ends_the_start_with_75() {
    let database = Database::new();
    let keys = "    retries: 5\n    retry_delay: 1h\n    allow_failure: true";
    let fleet = failing(&database, keys);
    let guard = fleet.guard().start();
    guard.wait_for("; try 2 of 6");
    assert_eq!(database.sql().terminate_guards(), 1);
    guard
        .end()
        .expect_code(75)
        .expect_never("served")
        .expect_stderr(
            "step migrate: the lock was lost: it ended the connection (57P01) (phase lock, exit code 75, a retry helps)",
        );
    assert_eq!(runs(&fleet), 1);
}

#[test]
fn a_stop_during_the_pause_leaves_no_lock() {
    let database = Database::new();
    let fleet = failing(&database, "    retries: 5\n    retry_delay: 1h");
    let guard = fleet.guard().start();
    guard.wait_for("; try 2 of 6");
    guard.signal(Signal::SIGTERM);
    guard.end().expect_code(143).expect_stdout("");
    let sql = database.sql();
    until("the lock is free", || holders(&sql).is_empty());
    assert_eq!(runs(&fleet), 1);
}

/// The traffic of the old version of the service: reads the table again and again.
struct Reader {
    state: Arc<Mutex<Reads>>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Reads {
    count: usize,
    longest: Duration,
    /// When the current read began.
    since: Option<Instant>,
    is_over: bool,
}

impl Reader {
    fn start(url: &str) -> Self {
        let state = Arc::new(Mutex::new(Reads::default()));
        let (shared, url) = (Arc::clone(&state), url.to_owned());
        let thread = spawn(move || {
            let sql = Sql::on(&url);
            loop {
                let started = Instant::now();
                shared.lock().expect("no thread panics").since = Some(started);
                sql.run("SELECT count(*) FROM offers");
                let mut state = shared.lock().expect("no thread panics");
                state.since = None;
                state.count += 1;
                state.longest = state.longest.max(started.elapsed());
                if state.is_over {
                    return;
                }
                drop(state);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { state, thread }
    }

    /// The duration of the longest read so far, even if it is still waiting.
    fn longest(&self) -> Duration {
        let state = self.state.lock().expect("no thread panics");
        let current = state.since.map(|since| since.elapsed());
        state.longest.max(current.unwrap_or_default())
    }

    /// Ends the reads. Returns their number and the duration of the longest one.
    fn end(self) -> (usize, Duration) {
        self.state.lock().expect("no thread panics").is_over = true;
        self.thread.join().expect("no read fails");
        let state = self.state.lock().expect("no thread panics");
        (state.count, state.longest)
    }
}

/// The `lock_timeout` of the recipe, and the longest read that it admits, with slack for a busy machine.
const LOCK_TIMEOUT: &str = "1s";
const LONGEST_READ: Duration = Duration::from_secs(4);

/// The example service, which is up to date but for a migration that changes the table `offers`.
fn with_a_new_column() -> Service {
    let service = Service::new();
    service.start("{alembic: DATABASE_URL}");
    let migration = "import sqlalchemy as sa
from alembic import op

revision = \"0004\"
down_revision = \"0003\"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(\"offers\", sa.Column(\"note\", sa.Text()))
";
    let path = service.versions().join("0004_note.py");
    fs::write(path, migration).expect("a revision can be written");
    service
}

fn guard(service: &Service, command: &str, retries: u32) -> Guard {
    let bin = venv("alembic");
    let bin = bin.parent().expect("programs are in a folder");
    let manifest = format!(
        "version: 1
variables: {{DATABASE_URL: {{secret: true}}}}
steps:
  - name: migrate
    command: [{command}]
    up_to_date: {{alembic: DATABASE_URL}}
    lock: {{postgres: DATABASE_URL}}
    retries: {retries}
    retry_delay: 300ms
server: {{command: [echo, served]}}
"
    );
    service.folder.file("required-vars.yaml", &manifest);
    Guard::new()
        .in_folder(service.folder.path())
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("DATABASE_URL", &service.database.url)
}

/// A session that holds the table: a report or a backup that has begun a transaction.
fn holder(service: &Service) -> Sql {
    let holder = service.database.sql();
    holder.run("BEGIN; SELECT count(*) FROM offers");
    holder
}

fn has_column(service: &Service) -> bool {
    let sql = service.database.sql();
    let columns = sql.run("SELECT column_name FROM information_schema.columns WHERE table_name = 'offers' AND column_name = 'note'");
    columns == ["note"]
}

#[test]
fn with_a_short_lock_timeout_and_retries_no_read_waits_long_for_a_migration_that_waits() {
    let service = with_a_new_column();
    let holder = holder(&service);
    let reader = Reader::start(&service.database.url);
    let command = format!("env, PGOPTIONS=-c lock_timeout={LOCK_TIMEOUT}, alembic, upgrade, head");
    let guard = guard(&service, &command, 100).start();
    for number in 2..=4 {
        guard.wait_for(&format!("; try {number} of 101"));
    }
    assert!(!has_column(&service));
    holder.run("COMMIT");
    let ended = guard.end_within(Duration::from_mins(1));
    ended
        .expect_code(0)
        .expect_stdout("served\n")
        .expect_stderr("step migrate: alembic has 1 revision to run\n")
        .expect_stderr("canceling statement due to lock timeout")
        .expect_never(service.database.password());
    assert!(has_column(&service));
    let (count, longest) = reader.end();
    assert!(longest < LONGEST_READ, "{longest:?} of {count} reads");
    // The migration made some reads wait, or this test would show nothing.
    assert!(longest > Duration::from_millis(500), "{longest:?}");
}

#[test]
fn without_a_lock_timeout_the_reads_wait_as_long_as_the_migration_waits() {
    let service = with_a_new_column();
    let holder = holder(&service);
    let reader = Reader::start(&service.database.url);
    let guard = guard(&service, "alembic, upgrade, head", 0).start();
    until("a read has waited too long", || {
        reader.longest() >= LONGEST_READ
    });
    holder.run("COMMIT");
    let ended = guard.end_within(Duration::from_mins(1));
    ended.expect_code(0).expect_stdout("served\n");
    assert!(has_column(&service));
    reader.end();
}
