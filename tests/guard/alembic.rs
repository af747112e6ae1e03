//! What the check finds in alembic's files, without a database.

use crate::support::{Ended, Guard};

/// A guard with alembic's configuration and these revisions: each a name of a file, a revision and what it follows.
fn guard(step: &str, revisions: &[(&str, &str, &str)]) -> Guard {
    let manifest = format!(
        "version: 1
variables: {{DATABASE_URL: {{default: 'postgresql://app@127.0.0.1:1/app'}}}}
steps: [{{name: migrate, {step}}}]
server: {{command: [echo, served]}}
"
    );
    let guard = Guard::with_manifest(&manifest);
    let folder = &guard.folder;
    folder.file("alembic.ini", "[alembic]\nscript_location = %(here)s/db\n");
    std::fs::create_dir_all(folder.path().join("db/versions")).expect("folders can be made");
    folder.file(
        "db/env.py",
        "from alembic import context\ncontext.configure(url='')\n",
    );
    for (file, revision, down) in revisions {
        let text = format!("revision = '{revision}'\ndown_revision = {down}\n");
        folder.file(&format!("db/versions/{file}"), text);
    }
    guard
}

const UPGRADE: &str = "command: [alembic, upgrade, head]";

const FORK: [(&str, &str, &str); 3] = [
    ("1_base.py", "a1", "None"),
    ("2_left.py", "b2", "'a1'"),
    ("3_right.py", "c3", "'a1'"),
];

fn check(step: &str, revisions: &[(&str, &str, &str)]) -> Ended {
    guard(step, revisions).line("check").run()
}

#[test]
fn an_upgrade_to_the_head_of_a_history_with_two_is_an_error_before_the_deployment() {
    let built_in = format!("{UPGRADE}, up_to_date: {{alembic: DATABASE_URL}}");
    for step in [UPGRADE, &built_in] {
        let ended = check(step, &FORK).expect_code(78);
        let found = "❌ the step migrate upgrades to `head`, but there are 2 heads: b2 (2_left.py) and c3 (3_right.py)
   [several_heads]
   → merge them (`alembic merge heads`), or upgrade to `heads`
";
        let (told, found) = (joined(&ended.stdout()), joined(found));
        assert!(told.contains(&found), "{told}");
    }
    // At a start, the step may have nothing to do.
    let question = format!("{UPGRADE}, up_to_date: ['true']");
    check(&question, &FORK).expect_code(78);
    guard(&question, &FORK)
        .line("run")
        .run()
        .expect_code(0)
        .expect_stderr("[several_heads]")
        .expect_stdout("served\n");
    guard(UPGRADE, &FORK)
        .line("run")
        .run()
        .expect_code(78)
        .expect_stdout("");
    check("command: [alembic, upgrade, heads]", &FORK).expect_code(0);
    check(UPGRADE, &FORK[..2]).expect_code(0);
    guard(UPGRADE, &FORK)
        .line("run --skip migrate")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

/// The text on one line, because the report wraps its lines.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_finding_about_a_step_names_the_step_in_every_format() {
    let ended = guard(UPGRADE, &FORK)
        .line("check --format json")
        .run()
        .expect_code(78);
    let line = ended.stdout().lines().next().map(str::to_owned);
    let line: serde_json::Value =
        serde_json::from_str(&line.expect("there is a line")).expect("the line is JSON");
    assert_eq!(line["step"], "migrate");
    assert_eq!(line["finding"], "several_heads");
    assert_eq!(line["severity"], "error");
    assert_eq!(line.get("variable"), None);

    let ended = guard(UPGRADE, &FORK)
        .env("STARTUP_GUARD_LOG", "json")
        .line("run")
        .run();
    let lines = ended.expect_code(78).json_lines();
    let found = lines.iter().find(|line| line["finding"] == "several_heads");
    assert_eq!(found.expect("the finding is logged")["step"], "migrate");

    let ended = guard(UPGRADE, &FORK).line("check --format github").run();
    let told = ended.expect_code(78).stdout();
    let annotation = "::error file=required-vars.yaml,title=the step migrate several_heads::";
    assert!(told.starts_with(annotation), "{told}");
}

#[test]
fn a_history_that_alembic_rejects_is_an_error_with_the_files() {
    let broken = |revisions: &[(&str, &str, &str)], file: &str| {
        let ended = check(UPGRADE, revisions).expect_code(78);
        let told = joined(&ended.stdout());
        assert!(
            told.contains("❌ the step migrate cannot upgrade the database: "),
            "{told}"
        );
        assert!(
            told.contains(file) && told.contains("[broken_history]"),
            "{told}"
        );
    };
    broken(&[("1_a.py", "a1", "'gone'")], "1_a.py");
    broken(
        &[("1_a.py", "a1", "'b2'"), ("2_b.py", "b2", "'a1'")],
        "1_a.py",
    );
    broken(&[("1_a.py", "a1", "'a1'")], "1_a.py");
}

#[test]
fn files_that_are_not_there_are_a_note_only_if_the_step_asks_for_them() {
    let note = "· the step migrate cannot find out from alembic's files what is to be done: ";
    let with = |step: &str| {
        let guard = guard(step, &[]);
        let folder = guard.folder.path().join("db");
        std::fs::remove_dir_all(folder).expect("the folder can be removed");
        let ended = guard.line("check").run().expect_code(0);
        joined(&ended.stdout())
    };
    let told = with(&format!("{UPGRADE}, up_to_date: {{alembic: DATABASE_URL}}"));
    assert!(
        told.contains(note) && told.ends_with("so it is always run"),
        "{told}"
    );
    let told = with(&format!(
        "{UPGRADE}, up_to_date: {{alembic: DATABASE_URL, command: [alembic, current]}}"
    ));
    assert!(told.ends_with("its `command` is asked instead"), "{told}");
    let told = with(UPGRADE);
    assert!(!told.contains("alembic"), "{told}");
}

#[test]
fn the_command_and_the_environment_name_the_configuration() {
    let step = "command: [alembic, -c, other.ini, upgrade, head]";
    let moved = |step: &str| {
        let guard = guard(step, &FORK);
        let (from, to) = ("alembic.ini", "other.ini");
        let folder = guard.folder.path();
        std::fs::rename(folder.join(from), folder.join(to)).expect("the file can be renamed");
        guard.line("check")
    };
    moved(step).run().expect_code(78);
    moved(UPGRADE).run().expect_code(0);
    moved(UPGRADE)
        .env("ALEMBIC_CONFIG", "other.ini")
        .run()
        .expect_code(78);
    // A command that is not understood could use another configuration, so there is no answer.
    let step =
        "command: [alembic, --conf, other.ini, upgrade, head], up_to_date: {alembic: DATABASE_URL}";
    let told = guard(step, &FORK[..2])
        .line("check")
        .run()
        .expect_code(0)
        .stdout();
    let told = joined(&told);
    assert!(
        told.contains(
            "the arguments of its alembic command are not understood; so it is always run"
        ),
        "{told}"
    );
    // Neither is there one for a target that alembic counts from the database's own revision.
    let step = "command: [alembic, upgrade, '+1'], up_to_date: {alembic: DATABASE_URL}";
    let told = guard(step, &FORK[..2]).line("check").run().expect_code(0);
    let told = joined(&told.stdout());
    assert!(
        told.contains("a target of the upgrade cannot be resolved"),
        "{told}"
    );
    // The value of a variable is never shown, even if there is no such file.
    let step = format!("{UPGRADE}, up_to_date: {{alembic: DATABASE_URL}}");
    moved(&step)
        .env("ALEMBIC_CONFIG", "/canary/canary.ini")
        .run()
        .expect_code(0)
        .expect_never("canary");
}

#[test]
fn a_wait_for_a_step_whose_question_cannot_be_asked_is_an_error() {
    let manifest = "version: 1
variables: {DATABASE_URL: {default: 'postgresql://app@127.0.0.1:1/app'}}
wait_for: [{up_to_date: migrate}]
steps: [{name: migrate, command: [alembic, upgrade, head], up_to_date: {alembic: DATABASE_URL}}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .line("run --skip migrate")
        .run()
        .expect_code(78)
        .expect_stderr("the step migrate is waited for")
        .expect_stderr("[unreadable_history]")
        .expect_stdout("");
}

#[test]
fn faults_of_the_built_in_question_and_of_its_wait_have_their_path() {
    let manifest = "version: 1
variables: {URL: {}}
wait_for:
  - {up_to_date: migrat}
  - {up_to_date: seed, timeout: 0s}
  - {up_to_date: migrate, tcp: 'a:1'}
steps:
  - {name: seed, command: [x]}
  - name: migrate
    command: [x]
    up_to_date:
      alembic: NOT_DECLARED
      config: []
      version_table: 'a\"b'
      version_table_schema: ''
      heads: []
      on_ahead: stop
      comand: [x]
  - {name: other, command: [x], up_to_date: {alembic: URL, config: [a, b, c], heads: [''], command: text}}
  - {name: third, command: [x], up_to_date: {on_ahead: skip}}
  - {name: fourth, command: [x], up_to_date: {alembic: URL, timeout: 3m}}
  - {name: fifth, command: [x], up_to_date: {command: [x], timeout: 0s, heads: all}}
";
    let ended = Guard::with_manifest(manifest)
        .line("check")
        .run()
        .expect_code(65);
    insta::assert_snapshot!(ended.stderr());
}

#[test]
fn a_wait_for_a_step_whose_database_is_unknown_is_told_once() {
    let built_in = format!("{UPGRADE}, up_to_date: {{alembic: URL}}, processes: [web]");
    for (revisions, is_readable) in [(&FORK[..1], true), (&[("1.py", "a1", "computed()")], false)] {
        let guard = guard(&built_in, revisions);
        let manifest = format!(
            "version: 1
variables: {{URL: {{level: optional}}}}
wait_for: [{{up_to_date: migrate}}]
steps: [{{name: migrate, {built_in}}}]
processes: {{web: {{command: [echo, served]}}, worker: {{command: [echo, served]}}}}
"
        );
        guard.folder.file("required-vars.yaml", manifest);
        let ended = guard.line("run --process worker").run().expect_code(78);
        let ended =
            ended.expect_stderr("URL is not set, and the step migrate, up_to_date needs it");
        let told =
            "the step migrate is waited for, but whether it has anything to do cannot be found out";
        assert_eq!(ended.stderr().contains(told), !is_readable, "{ended}");
    }
}
