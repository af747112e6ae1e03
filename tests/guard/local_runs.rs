//! `run --env-file`: a run at a developer's terminal, with the variables of a `.env`.

use nix::sys::signal::Signal;

use crate::support::{Ended, Guard, until};

const MANIFEST: &str = "version: 1
service: demo
variables:
  TOKEN: {secret: true, min_length: 8}
  MODE: {one_of: [dev, prod]}
  REGION: {level: optional}
steps:
  - {name: show, command: [sh, -c, 'echo step $TOKEN $MODE']}
server: {command: [sh, -c, 'echo \"server $TOKEN $MODE ${REGION-unset} ${EXTRA-unset}\"']}
";

const TOKEN: &str = "canary-token-1";

fn guard(files: &[(&str, &str)]) -> Guard {
    let guard = Guard::with_manifest(MANIFEST);
    for (name, content) in files {
        guard.folder.file(name, content);
    }
    guard
}

fn sound() -> String {
    format!("TOKEN={TOKEN}\nMODE=dev\nREGION=eu\nEXTRA=more\n")
}

/// Asserts that the server printed this line, and that the step's output is masked.
#[track_caller]
fn expect_served(ended: Ended, line: &str) -> Ended {
    let ended = ended.expect_code(0);
    let printed = ended.stdout();
    assert_eq!(printed.lines().last(), Some(line), "{ended}");
    assert!(!printed.contains(&format!("step {TOKEN}")), "{ended}");
    assert!(!ended.stderr().contains("canary"), "{ended}");
    ended
}

#[test]
fn steps_and_server_get_every_variable_of_the_file_and_a_declared_secret_is_masked() {
    let line = format!("server {TOKEN} dev eu more");
    for name in [".env", "folder/../.env"] {
        let guard = guard(&[(".env", &sound())]);
        std::fs::create_dir(guard.folder.path().join("folder")).expect("a folder can be made");
        let ended = guard.args(["run", "--env-file", name]).run();
        let ended = expect_served(ended, &line);
        assert!(!ended.stderr().contains("does not declare"), "{ended}");
        assert!(!ended.stderr().contains("Notes"), "{ended}");
    }
    let ended = guard(&[(".env", &sound())])
        .env("STARTUP_GUARD_ENV_FILE", " .env ,")
        .run();
    expect_served(ended, &line);
}

#[test]
fn the_processs_own_value_takes_precedence_even_an_empty_one() {
    let ended = guard(&[(".env", &sound())])
        .env("MODE", "prod")
        .env("REGION", "")
        .env("EXTRA", "more")
        .line("run --env-file .env")
        .run();
    expect_served(ended, &format!("server {TOKEN} prod  more"))
        .expect_stderr(" · .env:2 (MODE): does not apply, because the process's own environment sets another value\n")
        .expect_stderr(" · .env:3 (REGION): does not apply, because the process's own environment sets it to an empty text")
        .expect_never("EXTRA");
}

#[test]
fn a_value_that_does_not_apply_is_masked_too() {
    // Some programs read `.env` themselves, and let it override the environment.
    let manifest = MANIFEST.replace("echo step $TOKEN $MODE", "cat .env");
    let guard = Guard::with_manifest(&manifest);
    guard.folder.file(".env", sound());
    let ended = guard
        .env("TOKEN", "another-token")
        .line("run --env-file .env --no-server")
        .run();
    ended
        .expect_code(0)
        .expect_stderr(".env:1 (TOKEN): does not apply")
        .expect_never("canary")
        .expect_never("another-token");
}

#[test]
fn the_last_of_several_files_applies_and_the_flag_replaces_the_variable() {
    let sound = sound();
    let files = [
        (".env", sound.as_str()),
        (".env.local", "MODE=prod\nREGION=${EXTRA}-${OWN}\n"),
        ("other.env", "MODE=wrong\n"),
    ];
    for (variable, line) in [
        (".env,.env.local", "run"),
        ("other.env", "--env-file .env --env-file=.env.local"),
    ] {
        let ended = guard(&files)
            .env("STARTUP_GUARD_ENV_FILE", variable)
            .env("OWN", "own")
            .line(line)
            .run();
        expect_served(ended, &format!("server {TOKEN} prod more-own more"));
    }
}

#[test]
fn a_finding_names_the_line_of_the_file_that_set_the_value() {
    let content = format!("# local\nTOKEN={TOKEN}\nMODE=test\nREGION= # the region\n");
    let ended = guard(&[(".env", &content)])
        .line("run --env-file .env")
        .run()
        .expect_code(78)
        .expect_stdout("")
        .expect_never("canary");
    ended
        .expect_stderr("❌ MODE is not one of dev, prod [not_one_of, required] (.env:3)\n")
        .expect_stderr("(.env:4)")
        .expect_stderr("(phase check, exit code 78, a retry does not help)");
    // A value of the process is not the file's.
    guard(&[(".env", &content.replace("REGION", "OTHER"))])
        .env("MODE", "wrong")
        .line("run --env-file .env")
        .run()
        .expect_code(78)
        .expect_stderr("❌ MODE is not one of dev, prod [not_one_of, required]\n");
}

#[test]
fn the_dialect_decides_what_a_line_means() {
    let content = format!("TOKEN='{TOKEN}'\nMODE=\"dev\"\n");
    for (dialect, code) in [("compose", 0), ("python-dotenv", 0), ("docker", 78)] {
        let line = format!("run --env-file .env --dialect {dialect}");
        let ended = guard(&[(".env", &content)]).line(&line).run();
        let ended = ended.expect_code(code);
        // What other readers would make of the file does not matter here.
        assert!(!ended.stderr().contains("docker keeps"), "{ended}");
    }
}

#[test]
fn a_secret_file_that_the_env_file_names_is_read_and_must_be_there() {
    let content = "TOKEN_FILE=token\nMODE=dev\n";
    let guard = || guard(&[(".env", content)]).line("run --env-file .env");
    let with_file = guard();
    with_file.folder.file("token", TOKEN);
    expect_served(with_file.run(), &format!("server {TOKEN} dev unset unset"));
    guard()
        .run()
        .expect_code(78)
        .expect_stderr("❌ TOKEN comes from the file that TOKEN_FILE names, which does not exist [file_unreadable, required] (.env:1)\n");
}

#[test]
fn settings_of_the_guard_in_a_file_configure_nothing_and_are_passed_on() {
    let content = sound() + "STARTUP_GUARD_SKIP=show\nSTARTUP_GUARD_INIT=maybe\n";
    let ended = guard(&[(".env", &content)])
        .line("run --env-file .env -- sh -c")
        .args(["echo $STARTUP_GUARD_SKIP"])
        .run();
    expect_served(ended, "show")
        .expect_stderr("step show: ")
        .expect_stderr(
            ".env:5 (STARTUP_GUARD_SKIP) and 6 (STARTUP_GUARD_INIT): does not configure the guard",
        );
}

#[test]
fn without_a_manifest_the_variables_are_only_passed_on() {
    guard(&[(".env", "EXTRA=1\n")])
        .line("run --no-manifest --env-file .env -- printenv EXTRA")
        .run()
        .expect_code(0)
        .expect_stdout("1\n");
}

#[test]
fn a_file_that_is_not_there_ends_with_66_and_one_that_cannot_be_parsed_with_65() {
    for (file, code, told) in [
        (
            "none.env",
            66,
            "the env file none.env: there is no such file (phase env_file, exit code 66, a retry does not help)",
        ),
        (".", 66, "it is a directory"),
        (
            "bad.env",
            65,
            "startup-guard: line 1 opens a quote that is never closed\n",
        ),
        ("empty.env", 65, "it sets no variable"),
    ] {
        for (variable, line) in [
            ("", format!("run --env-file {file}")),
            (file, "run".to_owned()),
        ] {
            guard(&[("bad.env", "TOKEN='canary\n"), ("empty.env", "")])
                .env("STARTUP_GUARD_ENV_FILE", variable)
                .line(&line)
                .run()
                .expect_code(code)
                .expect_stdout("")
                .expect_stderr(told)
                .expect_never("canary");
        }
    }
}

#[test]
fn standard_input_and_a_dialect_without_a_file_are_wrong_usage() {
    for (variable, line, told) in [
        (
            "",
            "run --env-file -",
            "--env-file: `run` cannot read the file from standard input (`-`), which belongs to the server; name a file",
        ),
        (".env,-", "run", "STARTUP_GUARD_ENV_FILE: `run` cannot read"),
        ("", "run --dialect kv", "`--dialect` needs an `--env-file`"),
    ] {
        guard(&[(".env", &sound())])
            .env("STARTUP_GUARD_ENV_FILE", variable)
            .line(line)
            .run()
            .expect_code(64)
            .expect_stderr(told);
    }
}

#[test]
fn a_stop_while_an_env_file_is_awaited_ends_at_once() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let running = guard(&[])
        .line("run --env-file /dev/stdin")
        .stdin(reader)
        .start();
    until("the guard waits", || running.is_polling());
    running.signal(Signal::SIGTERM);
    running
        .end()
        .expect_code(143)
        .expect_stderr("phase env_file");
    drop(writer);
}

#[test]
fn a_fix_that_reads_the_file_beside_is_not_offered_where_an_empty_variable_takes_precedence() {
    let of = |line: &str| {
        let ended = guard(&[(".env", &sound())])
            .env("TOKEN", "")
            .env("MODE", "dev")
            .line(line)
            .run()
            .expect_code(78)
            .expect_never("canary");
        ended.stdout() + &ended.stderr()
    };
    let told = of("check");
    assert!(
        told.contains("\nstartup-guard check --env-file .env\n"),
        "{told}"
    );
    let told = of("run");
    assert!(!told.contains("--env-file .env\n"), "{told}");
}

#[test]
fn missing_variables_are_to_be_added_to_the_file_of_the_run_but_not_beneath_an_empty_one() {
    let ended = guard(&[("dev.env", "MODE=dev\n")])
        .line("run --env-file dev.env")
        .run()
        .expect_code(78)
        .expect_stderr("Fix, append to dev.env:\n");
    ended.expect_stderr(">> dev.env\n");
    // An empty line of the file itself is replaced by a later one.
    guard(&[("dev.env", "MODE=dev\nTOKEN=\n")])
        .line("run --env-file dev.env")
        .run()
        .expect_code(78)
        .expect_stderr(">> dev.env\n");
    guard(&[("dev.env", &sound())])
        .env("TOKEN", "")
        .line("run --env-file dev.env")
        .run()
        .expect_code(78)
        .expect_stderr("sets it to an empty text")
        .expect_never("append");
}
