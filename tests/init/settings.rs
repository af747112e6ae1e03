//! The settings that make the guard stay as an init, and their precedence.

use crate::support::Guard;
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    (
        "a_flag_overrides_the_variable_which_overrides_the_manifest",
        Needs::Nothing,
        precedence,
    ),
    (
        "invalid_settings_of_an_init_are_wrong_usage",
        Needs::Nothing,
        wrong_usage,
    ),
    (
        "steps_and_check_come_before_an_init_too",
        Needs::Nothing,
        phases,
    ),
];

/// Whether the server is a child of the started process, instead of that process itself.
fn stays(guard: Guard) -> bool {
    let running = guard
        .args(["--", "sh", "-c", "echo $$ > pid; echo $PPID > parent"])
        .start();
    let (guard, server) = (running.pid(), running.wait_for_pid("pid"));
    let parent = running.wait_for_pid("parent");
    running.end().expect_code(0);
    assert_eq!(guard == server, parent != guard);
    guard == parent
}

fn precedence() {
    let manifest =
        |init: &str| Guard::with_manifest(&format!("version: 1\nserver: {{init: {init}}}\n"));
    for (by_manifest, variable, flag, expected) in [
        ("false", None, "", false),
        ("true", None, "", true),
        ("true", Some("false"), "", false),
        ("true", Some("0"), "", false),
        ("false", Some("true"), "", true),
        ("false", Some("Yes"), "", true),
        ("true", Some(""), "", true),
        ("false", Some("false"), "--init", true),
        ("false", None, "--init", true),
    ] {
        let mut guard = manifest(by_manifest).line(&format!("run {flag}"));
        if let Some(value) = variable {
            guard = guard.env("STARTUP_GUARD_INIT", value);
        }
        assert_eq!(stays(guard), expected, "{by_manifest} {variable:?} {flag}");
    }
    assert!(stays(Guard::new().line("run --no-manifest --init")));
    let by_variable = Guard::new().env("STARTUP_GUARD_INIT", "1");
    assert!(stays(by_variable.line("run --no-manifest")));
}

fn wrong_usage() {
    for (line, told) in [
        ("run --no-manifest --forward group -- true", "add --init"),
        ("run --no-manifest --rewrite 1:2 -- true", "add --init"),
        (
            "run --no-manifest --init --forward all -- true",
            "`--forward` must be child or group, not `all`",
        ),
        (
            "run --no-manifest --init --rewrite 15 -- true",
            "`--rewrite` must be FROM:TO",
        ),
        (
            "run --no-manifest --init --rewrite TERMS:2 -- true",
            "--rewrite TERMS:2: FROM must be",
        ),
        (
            "run --no-manifest --init --rewrite 0:2 -- true",
            "--rewrite 0:2: FROM must be",
        ),
        (
            "run --no-manifest --init --rewrite 65:2 -- true",
            "--rewrite 65:2: FROM must be",
        ),
        (
            "run --no-manifest --init --rewrite KILL:2 -- true",
            "that can be forwarded",
        ),
        (
            "run --no-manifest --init --rewrite CHLD:2 -- true",
            "that can be forwarded",
        ),
        (
            "run --no-manifest --init --rewrite 2:TERMS -- true",
            "--rewrite 2:TERMS: TO must be",
        ),
        ("run --no-server --init", "cannot be combined with"),
        (
            "run --no-server --remap-exit 143:0",
            "`--no-server` cannot be combined with `--init` or an option of an init",
        ),
        (
            "run --no-manifest --remap-exit 143:0 -- true",
            "--forward, --rewrite, --remap-exit and --stop-grace need an init: add --init",
        ),
        ("run --no-server --stop-grace 8s", "cannot be combined with"),
        ("run --no-manifest --stop-grace 8s -- true", "need an init"),
        (
            "run --no-manifest --init --stop-grace 8 -- true",
            "--stop-grace 8: it must be a duration of more than 0 with its unit, such as 8s",
        ),
        (
            "run --no-manifest --init --stop-grace 0s -- true",
            "--stop-grace 0s: it must be",
        ),
        (
            "run --no-manifest --init --stop-grace 1s --stop-grace 2s -- true",
            "`--stop-grace` can be given only once",
        ),
        (
            "run --no-manifest --init --remap-exit 143 -- true",
            "--remap-exit 143: it must be FROM:TO, two exit codes from 0 to 255, such as 143:0",
        ),
        (
            "run --no-manifest --init --remap-exit 256:0 -- true",
            "--remap-exit 256:0: it must be",
        ),
        (
            "run --no-manifest --init --remap-exit TERM:0 -- true",
            "--remap-exit TERM:0: it must be",
        ),
        (
            "run --no-manifest --init --remap-exit 143:-1 -- true",
            "--remap-exit 143:-1: it must be",
        ),
    ] {
        Guard::with_manifest("version: 1\n")
            .line(line)
            .run()
            .expect_code(64)
            .expect_stderr(told);
    }
    Guard::new()
        .env("STARTUP_GUARD_INIT", "perhaps")
        .line("run --no-manifest -- true")
        .run()
        .expect_code(64)
        .expect_stderr("STARTUP_GUARD_INIT must be true or false");
    Guard::with_manifest("version: 1\nserver: {init: perhaps}\n")
        .run()
        .expect_code(65)
        .expect_stderr("server.init: expected true or false");
}

fn phases() {
    let manifest = "version: 1
variables: {A: {}}
steps: [{name: one, command: [echo, migrated]}]
server: {init: true, announce: serving, command: [echo, $B, '${A}']}
";
    let ended = Guard::with_manifest(manifest)
        .env("A", "x")
        .run()
        .expect_code(0)
        .expect_stdout("migrated\n$B x\n");
    let stderr = ended.stderr();
    assert!(
        stderr.starts_with("startup-guard: step one: echo migrated\n")
            && stderr.ends_with("s\nserving\n"),
        "{stderr}"
    );
    Guard::with_manifest(manifest)
        .run()
        .expect_code(78)
        .expect_stdout("");
    let manifest = manifest.replace("[echo, migrated]", "['false']");
    Guard::with_manifest(&manifest)
        .env("A", "x")
        .run()
        .expect_code(70)
        .expect_stdout("");
}
