//! `check`, and the check of `run`: findings, their severities and their texts.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::Guard;

const MANIFEST: &str = r"version: 1
service: demo
variables:
  CRITICAL: {level: critical, description: Without it nothing works, hint: Ask the team}
  REQUIRED: {type: url, schemes: [https], docs: https://docs.example.com}
  OPTIONAL: {level: optional, type: integer, min: 1}
  SECRET: {secret: true, min_length: 20, distinct_from: [OTHER_SECRET], example: put-the-real-one-in, generate: {bytes: 32, format: hex}}
  OTHER_SECRET: {secret: true}
  MODE: {level: optional, default: dev, one_of: [dev, prod]}
  DSN: {type: url, required_when: {MODE: [prod]}}
  ORIGINS: {type: origin, list: csv, level: optional}
";

fn sound() -> Guard {
    Guard::with_manifest(MANIFEST)
        .env("CRITICAL", "value")
        .env("REQUIRED", "https://app.example.com")
        .env("SECRET", "a-fake-secret-of-some-length")
        .env("OTHER_SECRET", "another-fake-secret")
}

#[test]
fn a_sound_environment_ends_with_0() {
    let ended = sound().line("check").run().expect_code(0);
    ended
        .expect_stdout("the environment of demo is sound: 8 variables checked\n")
        .expect_stderr("");
}

#[test]
fn all_findings_are_reported_at_once_in_the_manifests_order() {
    let guard = Guard::with_manifest(MANIFEST)
        .env("REQUIRED", "http://app.example.com")
        .env("OPTIONAL", "\"zero\" ")
        .env("SECRET", "fake-short")
        .env("OTHER_SECRET", "fake-short")
        .env("MODE", "prod")
        .env("ORIGINS", "https://a.example.com,https://b.example.com/");
    let ended = guard.line("check").run().expect_code(78);
    insta::assert_snapshot!(format!("{}--- stderr\n{}", ended.stdout(), ended.stderr()));
}

#[test]
fn the_json_report_has_the_same_findings() {
    let guard = Guard::with_manifest(MANIFEST)
        .env("SECRET", "put-the-real-one-in")
        .env("OPTIONAL", "<number>");
    let ended = guard.line("check --format json").run().expect_code(78);
    let mut lines: Vec<serde_json::Value> = ended
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    let report = lines.pop().expect("the last line is the summary");
    let of_summary = report["findings"].as_array().expect("findings is a list");
    assert_eq!(of_summary.len(), lines.len());
    let findings: Vec<String> = lines
        .iter()
        .inspect(|line| assert_eq!(line["kind"], "finding"))
        .map(|finding| {
            format!(
                "{} {} {}",
                finding["variable"], finding["finding"], finding["severity"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        findings,
        [
            "CRITICAL missing error",
            "REQUIRED missing error",
            "OPTIONAL placeholder warning",
            "SECRET placeholder error",
            "OTHER_SECRET missing error",
        ]
    );
    assert_eq!(
        (&report["errors"], &report["warnings"], &report["version"]),
        (&4.into(), &1.into(), &1.into())
    );
}

#[test]
fn empty_and_blank_values_are_missing() {
    for value in ["", " ", "\t\n"] {
        sound()
            .env("CRITICAL", value)
            .line("check")
            .run()
            .expect_code(78)
            .expect_stderr("1 error");
    }
}

#[test]
fn a_condition_makes_a_variable_required() {
    sound()
        .env("MODE", "prod")
        .line("check")
        .run()
        .expect_code(78);
    sound()
        .env("MODE", "prod")
        .env("DSN", "https://dsn.example.com")
        .line("check")
        .run()
        .expect_code(0);
    sound()
        .env("DSN", "no url")
        .line("check")
        .run()
        .expect_code(78);
}

#[test]
fn fail_on_critical_makes_all_other_findings_warnings() {
    let manifest = "version: 1
fail_on: critical
variables:
  CRITICAL: {level: critical, type: port}
  REQUIRED: {type: port}
  OPTIONAL: {level: optional, type: port}
server: {command: [echo, served]}
";
    let guard = || Guard::with_manifest(manifest);
    let ended = guard()
        .env("CRITICAL", "1")
        .env("OPTIONAL", "x")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    ended
        .expect_stderr("⚠️ REQUIRED is not set")
        .expect_stderr("⚠️ OPTIONAL is not a port");
    guard()
        .env("REQUIRED", "1")
        .run()
        .expect_code(78)
        .expect_stderr("❌ CRITICAL is not set")
        .expect_stdout("");
    guard()
        .env("CRITICAL", "x")
        .env("REQUIRED", "1")
        .run()
        .expect_code(78)
        .expect_stdout("");
}

#[test]
fn a_value_that_is_not_utf8_is_a_finding_when_declared_and_passes_when_not() {
    let bytes = OsStr::from_bytes(b"caf\xe9");
    let manifest =
        "version: 1\nvariables: {A: {}}\nserver: {command: [sh, -c, 'printf %s \"$B\"']}\n";
    Guard::with_manifest(manifest)
        .env("A", bytes)
        .run()
        .expect_code(78)
        .expect_stderr("[not_utf8, required]");
    let ended = Guard::with_manifest(manifest)
        .env("A", "x")
        .env("B", bytes)
        .run()
        .expect_code(0);
    assert_eq!(ended.stdout, b"caf\xe9");
}

#[test]
fn an_unset_reference_is_a_finding_and_a_secret_argument_a_warning() {
    let manifest = "version: 1
variables: {TOKEN: {secret: true}}
steps: [{name: s, command: [echo, '${NOWHERE}', '${TOKEN}']}]
server: {command: [echo, '${PORT}', '${HOST:-localhost}']}
";
    let ended = Guard::with_manifest(manifest)
        .env("TOKEN", "fake-canary-token")
        .run()
        .expect_code(78);
    ended
        .expect_stderr(
            "❌ NOWHERE is not set, and the command of the step s refers to it [unset_reference]",
        )
        .expect_stderr(
            "⚠️ TOKEN is a secret, and the command of the step s passes it as an argument",
        )
        .expect_stderr(
            "❌ PORT is not set, and the command of the server refers to it [unset_reference]",
        )
        .expect_stderr("2 errors, 1 warning")
        .expect_never("canary");
    // References in skipped steps and in a replaced command are not checked.
    let guard = Guard::with_manifest(manifest).env("TOKEN", "fake-canary-token");
    guard
        .line("run --skip s -- echo served")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn the_report_is_the_same_byte_for_byte_from_run_to_run() {
    let run = || {
        let ended = Guard::with_manifest(MANIFEST)
            .env("ORIGINS", "x,y")
            .line("check")
            .run();
        (ended.stdout, ended.stderr)
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}
