//! The command line: its errors, and the advice on them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::Guard;

const EMPTY: &str = "version: 1\n";

#[test]
fn wrong_usage_ends_with_64_and_advice() {
    for (line, told) in [
        ("rnu", "unknown subcommand `rnu`; did you mean `run`?"),
        (
            "validate",
            "unknown subcommand `validate`; did you mean `check`?",
        ),
        (
            "serve uvicorn",
            "unknown subcommand `serve`; did you mean `run`?",
        ),
        (
            "health",
            "unknown subcommand `health`; did you mean `healthcheck`?",
        ),
        (
            "--manifest f check",
            "the subcommand `check` must be the first word: startup-guard check --manifest f (",
        ),
        (
            "--only-file check --env-file .env",
            "the subcommand `check` must be the first word: startup-guard check --only-file --env-file .env (",
        ),
        (
            "run --skip check check",
            "unexpected argument `check` for `run`; a command follows `--`: startup-guard run -- check",
        ),
        (
            "run --manfest x",
            "unknown option `--manfest` for `run`; did you mean `--manifest`?",
        ),
        (
            "run uvicorn",
            "a command follows `--`: startup-guard run -- uvicorn",
        ),
        (
            "--skip x",
            "--skip names the step `x`, which is not in the manifest",
        ),
        ("--verson", "did you mean `--version`?"),
        (
            "check --format yaml",
            "`--format` must be text, json or github, not `yaml`",
        ),
        ("healthcheck", "`healthcheck` needs a URL"),
        (
            "export",
            "`export` needs a PLATFORM: railway, docker, compose or kubernetes",
        ),
        (
            "completions ksh",
            "`SHELL` must be bash, zsh or fish, not `ksh`",
        ),
        ("audit app tests", "unexpected argument `tests` for `audit`"),
        ("template --check=", "`--check` must not be empty"),
        (
            "export railway --env-file x --service=",
            "`--service` must not be empty",
        ),
        (
            "template --check a --check b",
            "`--check` can be given only once",
        ),
        (
            "generate --env-file a --env-file b",
            "`--env-file` can be given only once",
        ),
        ("generate --force", "need an `--env-file`"),
        ("generate --dialect kv", "need an `--env-file`"),
        (
            "export --platform railway",
            "unknown option `--platform` for `export`; see `startup-guard export --help`",
        ),
        (
            "help chek",
            "unknown subcommand `chek`; did you mean `check`?",
        ),
        ("run --skip", "missing argument for option '--skip'"),
    ] {
        Guard::with_manifest(EMPTY)
            .line(line)
            .run()
            .expect_code(64)
            .expect_stderr(told)
            .expect_stdout("");
    }
}

#[test]
fn no_command_at_all_ends_with_64() {
    for line in ["", "run", "run --", "run --no-manifest"] {
        Guard::with_manifest(EMPTY)
            .line(line)
            .run()
            .expect_code(64)
            .expect_stderr("there is no command to run");
    }
}

#[test]
fn an_unknown_step_to_skip_ends_with_64_and_runs_nothing() {
    let manifest = "version: 1\nsteps: [{name: migrate, command: [touch, ran]}]\nserver: {command: [touch, ran]}\n";
    let ended = Guard::with_manifest(manifest)
        .line("run --skip migrat")
        .run()
        .expect_code(64);
    let ended = ended
        .expect_stderr("--skip names the step `migrat`")
        .expect_stderr("did you mean `migrate`?");
    assert!(!ended.folder.path().join("ran").exists());
    let guard = Guard::with_manifest(manifest).env("STARTUP_GUARD_SKIP", "migrate, seed");
    guard
        .run()
        .expect_code(64)
        .expect_stderr("STARTUP_GUARD_SKIP names the step `seed`");
}

#[test]
fn steps_are_skipped_by_flag_or_by_variable_and_the_flag_comes_first() {
    let manifest = "version: 1\nsteps:\n  - {name: a, command: [echo, a]}\n  - {name: b, command: [echo, b]}\nserver: {command: [echo, served]}\n";
    let guard = || Guard::with_manifest(manifest);
    guard()
        .line("run --skip a")
        .run()
        .expect_code(0)
        .expect_stdout("b\nserved\n");
    guard()
        .env("STARTUP_GUARD_SKIP", " a , b ")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    guard()
        .env("STARTUP_GUARD_SKIP", "")
        .run()
        .expect_code(0)
        .expect_stdout("a\nb\nserved\n");
    guard()
        .env("STARTUP_GUARD_SKIP", "a")
        .line("run --skip b")
        .run()
        .expect_code(0)
        .expect_stdout("a\nserved\n");
}

#[test]
fn an_unknown_log_format_ends_with_64() {
    let guard = Guard::with_manifest(EMPTY)
        .env("STARTUP_GUARD_LOG", "xml")
        .line("run -- echo x");
    guard
        .run()
        .expect_code(64)
        .expect_stderr("STARTUP_GUARD_LOG must be auto, text or json")
        .expect_stdout("");
}

#[test]
fn a_variable_that_is_read_as_text_and_is_not_utf_8_ends_with_64_and_runs_nothing() {
    let manifest =
        "version: 1\nsteps: [{name: a, command: [echo, ran]}]\nserver: {command: [echo, ran]}\n";
    for (name, told) in [
        (
            "STARTUP_GUARD_SKIP",
            "STARTUP_GUARD_SKIP must be valid UTF-8",
        ),
        (
            "STARTUP_GUARD_LOG",
            "STARTUP_GUARD_LOG must be auto, text or json",
        ),
        (
            "STARTUP_GUARD_INIT",
            "STARTUP_GUARD_INIT must be true or false",
        ),
    ] {
        let ended = Guard::with_manifest(manifest)
            .env(name, OsStr::from_bytes(b"a\xff"))
            .run()
            .expect_code(64)
            .expect_stderr(told)
            .expect_stdout("");
        assert!(
            ended
                .last_line()
                .ends_with("(phase usage, exit code 64, a retry does not help)"),
            "{ended}"
        );
    }
    // A flag overrides the variable, even an invalid one.
    Guard::with_manifest(manifest)
        .env("STARTUP_GUARD_SKIP", OsStr::from_bytes(b"\xff"))
        .line("run --skip a")
        .run()
        .expect_code(0)
        .expect_stdout("ran\n");
}

#[test]
fn a_manifest_is_a_file_whatever_the_bytes_of_its_name_are() {
    let guard = Guard::new();
    let name = OsStr::from_bytes(b"vars-\xff.yaml");
    let manifest = "version: 1\nserver: {command: [echo, served]}\n";
    std::fs::write(guard.folder.path().join(name), manifest).expect("a file can be written");
    guard
        .env("STARTUP_GUARD_MANIFEST", name)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn help_and_version_go_to_stdout() {
    let overview = Guard::new().line("--help").run().expect_code(0).stdout();
    let rows = overview.lines();
    let rows = rows.filter_map(|line| line.strip_prefix("  startup-guard "));
    let names = rows.filter_map(|row| row.split_whitespace().next());
    let names = names.map(|name| name.trim_matches(['[', ']']));
    let names: Vec<&str> = names
        .filter(|name| name.starts_with(char::is_lowercase))
        .collect();
    assert!(names.len() >= 11, "{overview}");
    let mut lines = ["--help", "-h", "help"].map(str::to_owned).to_vec();
    for name in names {
        lines.extend(["{} --help", "{} -h", "help {}"].map(|line| line.replace("{}", name)));
    }
    for line in lines {
        let ended = Guard::new().line(&line).run().expect_code(0);
        assert!(ended.stdout().contains("Usage:"), "{ended}");
        assert!(ended.stderr().is_empty(), "{ended}");
        let fits = |line: &str| line.chars().count() <= 100 && !line.ends_with(' ');
        assert!(ended.stdout().lines().all(fits), "{ended}");
    }
    let version = concat!("startup-guard ", env!("CARGO_PKG_VERSION"), "\n");
    Guard::new()
        .line("--version")
        .run()
        .expect_code(0)
        .expect_stdout(version);
}

#[test]
fn output_that_cannot_be_written_changes_the_exit_code() {
    use crate::support::broken_pipe;
    for line in ["--help", "exit-codes", "check"] {
        let status = Guard::with_manifest(EMPTY)
            .line(line)
            .stdout(broken_pipe())
            .run_quietly();
        assert_eq!(status.code(), Some(71), "{line}");
    }
}
