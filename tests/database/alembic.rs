//! The built-in question: whether alembic would run a revision, asked of the database without Python.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::postgres::venv;
use crate::server::Database;
use crate::support::{Ended, Folder, Guard};

/// The folder of the example service, with alembic.ini and three migrations.
fn example() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/intowork-backend"
    ))
}

/// A copy of the example service, whose migrations a test can change.
pub struct Service {
    pub folder: Folder,
    pub database: Database,
}

impl Service {
    pub fn new() -> Self {
        let folder = Folder::new();
        copy(example(), folder.path());
        let database = Database::new();
        Self { folder, database }
    }

    /// A guard that runs the service's migrations. The step's command notes each run in the file `log`.
    fn guard(&self, up_to_date: &str, more: &str) -> Guard {
        self.guard_of("alembic upgrade head", up_to_date, more)
    }

    fn guard_of(&self, alembic: &str, up_to_date: &str, more: &str) -> Guard {
        let bin = venv("alembic");
        let bin = bin.parent().expect("programs are in a folder");
        let manifest = format!(
            "version: 1
service: example
variables: {{DATABASE_URL: {{secret: true}}}}
{more}
steps:
  - name: migrate
    announce: {{done: migrated}}
    command: [sh, -c, 'echo ran >> log; {alembic}']
    up_to_date: {up_to_date}
    lock: {{postgres: DATABASE_URL}}
server: {{command: [echo, served]}}
"
        );
        self.folder.file("required-vars.yaml", &manifest);
        Guard::new()
            .in_folder(self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("DATABASE_URL", &self.database.url)
    }

    /// Runs the guard, and asserts that it serves. Returns its end, and whether the step ran.
    pub fn start(&self, up_to_date: &str) -> (Ended, bool) {
        let ended = self.guard(up_to_date, "").run().expect_code(0);
        let ended = ended.expect_never(self.database.password());
        (ended, self.take_log())
    }

    /// Whether the step has run since the last call.
    fn take_log(&self) -> bool {
        let log = self.folder.path().join("log");
        let has_run = fs::exists(&log).expect("the folder can be read");
        if has_run {
            fs::remove_file(&log).expect("the log can be removed");
        }
        has_run
    }

    pub fn versions(&self) -> std::path::PathBuf {
        self.folder.path().join("migrations/versions")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the entry can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("the entry has a type").is_dir() {
            fs::create_dir_all(&target).expect("a folder can be made");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file can be copied");
        }
    }
}

const QUESTION: &str = "{alembic: DATABASE_URL}";

#[test]
fn the_step_runs_only_while_the_database_lacks_a_revision() {
    let service = Service::new();
    let (ended, has_run) = service.start(QUESTION);
    ended.expect_stderr("step migrate: alembic has 3 revisions to run\n");
    assert!(has_run);
    let (ended, has_run) = service.start(QUESTION);
    ended
        .expect_stderr("step migrate: up to date, nothing to do\nmigrated\n")
        .expect_never("holding the lock");
    assert!(!has_run);

    let sql = service.database.sql();
    sql.run("UPDATE alembic_version SET version_num = '0002'; DROP INDEX ix_offers_title");
    let (ended, has_run) = service.start(QUESTION);
    ended.expect_stderr("step migrate: alembic has 1 revision to run\n");
    assert!(has_run);
}

#[test]
fn a_database_that_is_ahead_of_the_code_is_told_and_handled_as_the_manifest_says() {
    let service = Service::new();
    service.start(QUESTION);
    service.take_log();
    let sql = service.database.sql();
    sql.run("UPDATE alembic_version SET version_num = '0004'");
    let ahead = "the database is ahead of this code: no file has 0004";
    let question = |on_ahead: &str| format!("{{alembic: DATABASE_URL, on_ahead: {on_ahead}}}");
    for default in [QUESTION.to_owned(), question("run")] {
        let ended = service.guard(&default, "").run().expect_code(70);
        ended
            .expect_stderr(&format!("step migrate: {ahead}; it is run anyway\n"))
            .expect_stderr("Can't locate revision identified by '0004'")
            .expect_never("served");
        assert!(service.take_log());
    }
    let ended = service.guard(&question("skip"), "").run().expect_code(0);
    ended
        .expect_stderr(&format!("step migrate: {ahead}; it is skipped\n"))
        .expect_stdout("served\n");
    assert!(!service.take_log());
    let ended = service.guard(&question("fail"), "").run().expect_code(70);
    ended
        .expect_stderr(&format!("step migrate: {ahead} (phase step, exit code 70"))
        .expect_stdout("");
    assert!(!service.take_log());
}

#[test]
fn what_cannot_be_read_for_certain_is_told_once_and_never_skips_the_step() {
    let service = Service::new();
    service.start(QUESTION);
    service.take_log();
    fs::write(
        service.versions().join("0004_computed.py"),
        "import os\nrevision = os.path.basename('x/0004')\ndown_revision = '0003'\n\n\ndef upgrade():\n    pass\n",
    )
    .expect("a revision can be written");
    let reason = "0004_computed.py";
    let (ended, has_run) = service.start(QUESTION);
    assert_eq!(
        ended.stderr().matches(reason).count(),
        1,
        "{}",
        ended.stderr()
    );
    assert!(has_run);
    // The revision 0004 is in the database now. Alembic itself tells that there is nothing to do.
    let asking = "{alembic: DATABASE_URL, command: [alembic, current, --check-heads]}";
    let (ended, has_run) = service.start(asking);
    assert_eq!(
        ended.stderr().matches(reason).count(),
        1,
        "{}",
        ended.stderr()
    );
    ended.expect_stderr("step migrate: up to date, nothing to do\n");
    assert!(!has_run);
    let checked = service.guard(asking, "").line("check").run();
    let checked = checked.expect_code(0).stdout();
    assert_eq!(checked.matches(reason).count(), 1, "{checked}");
}

#[test]
fn a_version_table_that_cannot_be_read_is_no_reason_to_skip_the_step() {
    let service = Service::new();
    service.start(QUESTION);
    service.take_log();
    let sql = service.database.sql();
    sql.run("ALTER TABLE alembic_version RENAME COLUMN version_num TO other");
    let ended = service.guard_of("true", QUESTION, "").run().expect_code(0);
    ended.expect_stderr(
        "step migrate: whether it is up to date is not certain: the database rejects the query of \"alembic_version\" (42703); it is run\n",
    );
    assert!(service.take_log());
    let asking = "{alembic: DATABASE_URL, command: ['true']}";
    let ended = service.guard_of("true", asking, "").run().expect_code(0);
    ended.expect_stderr("(42703); its `command` is asked instead\n");
    assert!(!service.take_log());
}

#[test]
fn the_version_table_can_have_another_name_and_schema() {
    let service = Service::new();
    let sql = service.database.sql();
    sql.run("CREATE SCHEMA \"Own\"");
    let env = service.folder.path().join("migrations/env.py");
    let text = fs::read_to_string(&env).expect("env.py can be read");
    let more =
        "transaction_per_migration=True, version_table='History', version_table_schema='Own',";
    fs::write(&env, text.replace("transaction_per_migration=True,", more))
        .expect("env.py can be written");

    // Without the keys the guard does not know the table.
    let (ended, has_run) = service.start(QUESTION);
    ended.expect_stderr("version_table");
    assert!(has_run);
    let (_, has_run) = service.start(QUESTION);
    assert!(has_run);
    let named = "{alembic: DATABASE_URL, version_table: History, version_table_schema: Own}";
    let (ended, has_run) = service.start(named);
    ended.expect_stderr("step migrate: up to date, nothing to do\n");
    assert!(!has_run);
    assert_eq!(
        sql.run("SELECT version_num FROM \"Own\".\"History\""),
        ["0003"]
    );
}

#[test]
fn without_a_lock_the_question_has_a_connection_of_its_own() {
    let service = Service::new();
    service.start(QUESTION);
    service.take_log();
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
steps: [{name: migrate, command: ['false'], up_to_date: {alembic: DATABASE_URL}}]
server: {command: [echo, served]}
";
    let guard = || {
        service.folder.file("own.yaml", manifest);
        Guard::new()
            .in_folder(service.folder.path())
            .line("run --manifest own.yaml")
    };
    let ended = guard().env("DATABASE_URL", &service.database.url).run();
    ended
        .expect_code(0)
        .expect_stderr("step migrate: up to date, nothing to do\n")
        .expect_stdout("served\n");
    // A wrong password is refused for five seconds, then the guard gives up.
    let wrong = service
        .database
        .url_with(service.database.password(), "canary");
    let ended = guard().env("DATABASE_URL", wrong).run();
    ended
        .expect_code(77)
        .expect_stderr("step migrate: up_to_date: waiting cannot help: ")
        .expect_stderr("it refuses the password (28P01)")
        .expect_never("canary")
        .expect_stdout("");
}

#[test]
fn the_lock_can_be_in_another_database() {
    let service = Service::new();
    service.start(QUESTION);
    service.take_log();
    let other = Database::new();
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}, LOCK_URL: {secret: true}}
steps:
  - name: migrate
    command: [sh, -c, 'echo ran >> log']
    up_to_date: {alembic: DATABASE_URL}
    lock: {postgres: LOCK_URL}
server: {command: [echo, served]}
";
    service.folder.file("two.yaml", manifest);
    let guard = || {
        Guard::new()
            .in_folder(service.folder.path())
            .line("run --manifest two.yaml")
            .env("DATABASE_URL", &service.database.url)
            .env("LOCK_URL", &other.url)
    };
    guard().run().expect_code(0).expect_stdout("served\n");
    assert!(!service.take_log());
    service.database.sql().run("DELETE FROM alembic_version");
    guard().run().expect_code(0).expect_stdout("served\n");
    assert!(service.take_log());
}

#[test]
fn a_worker_waits_until_the_web_process_has_migrated() {
    for up_to_date in [QUESTION, "[alembic, current, --check-heads]"] {
        let service = Service::new();
        let wait = "wait_for: [{up_to_date: migrate, timeout: 60s}]";
        let worker = service
            .guard(up_to_date, wait)
            .line("run --skip migrate")
            .start();
        worker.wait_for(") for the step migrate");
        // The process that runs the step does not wait for itself.
        let web = service.guard(up_to_date, wait).run().expect_code(0);
        web.expect_stdout("served\n");
        assert!(service.take_log());
        worker
            .end_within(Duration::from_mins(1))
            .expect_code(0)
            .expect_stderr("ready after ")
            .expect_stdout("served\n");
        assert!(!service.take_log(), "the worker does not run the step");
    }
}

#[test]
fn a_worker_asks_the_fallback_if_the_version_table_cannot_be_read() {
    let service = Service::new();
    service.start(QUESTION);
    let sql = service.database.sql();
    sql.run("ALTER TABLE alembic_version RENAME COLUMN version_num TO other");
    let wait = "wait_for: [{up_to_date: migrate, timeout: 2s}]";
    let end = |command: &str| {
        let asking = format!("{{alembic: DATABASE_URL, command: ['{command}']}}");
        let guard = service.guard(&asking, wait).line("run --skip migrate");
        guard.run()
    };
    end("true").expect_code(0).expect_stdout("served\n");
    end("false").expect_code(69).expect_stdout("");
}

#[test]
fn a_worker_whose_step_stays_pending_is_not_ready_in_time() {
    for (up_to_date, reason) in [
        (QUESTION, "alembic has 3 revisions to run"),
        ("['false']", "it has something to do"),
    ] {
        let service = Service::new();
        let at = match up_to_date {
            QUESTION => format!(" ({})", service.database.address()),
            _ => String::new(),
        };
        let wait = "wait_for: [{up_to_date: migrate, timeout: 2s}]";
        let guard = service.guard(up_to_date, wait).line("run --skip migrate");
        guard
            .run()
            .expect_code(69)
            .expect_stderr(&format!(
                "not ready in time: the step migrate{at}: {reason} (phase wait, exit code 69"
            ))
            .expect_stdout("");
    }
    let service = Service::new();
    let wait = "wait_for: [{up_to_date: migrate}]";
    let guard = service
        .guard("[no-such-program]", wait)
        .line("run --skip migrate");
    guard
        .run()
        .expect_code(127)
        .expect_stderr("step migrate: ")
        .expect_stdout("");
}

#[test]
fn a_fleet_with_nothing_to_do_runs_no_step_and_keeps_no_lock() {
    let service = Service::new();
    service.start(QUESTION);
    let config = service.folder.path().join("alembic.ini");
    let steps = format!(
        "  - name: migrate
    command: [sh, -c, 'echo ran >> $SHARED/log']
    up_to_date: {{alembic: DATABASE_URL, config: {}}}
    lock: {{postgres: DATABASE_URL}}",
        config.display()
    );
    let fleet = Fleet::new(&service.database.url, &steps);
    for guard in fleet.run(20) {
        guard
            .expect_code(0)
            .expect_stderr("step migrate: up to date, nothing to do\n")
            .expect_never("the lock")
            .expect_stdout("served\n");
    }
    assert_eq!(fleet.file("log"), "");
}
