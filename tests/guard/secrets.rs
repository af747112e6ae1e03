//! No value of a declared variable appears in anything that the guard says.

use crate::support::Guard;

const TYPES: [&str; 11] = [
    "string", "integer", "number", "boolean", "port", "url", "origin", "email", "json", "path",
    "duration",
];

/// Values that are wrong in many ways, each with a canary in it.
const VALUES: [&str; 14] = [
    "canary",
    "\"canary\"",
    " canary\t",
    "canary\r\ncanary",
    "canary://canary:canary@canary:canary/canary?canary#canary",
    "postgresql://canary:can/ary@canary/canary",
    "https://canary@canary:99999/",
    "https://canary/",
    "canary@",
    "canary@canary@canary.example.com",
    "{\"canary\": canary}",
    "~/canary\ncanary",
    "1canary",
    "changeme-canary",
];

fn manifest(value_type: &str) -> String {
    format!(
        "version: 1
variables:
  PLAIN: {{type: {value_type}, one_of: [a, b], pattern: ^x, min_length: 90}}
  SECRET: {{type: {value_type}, secret: true, max_length: 2, distinct_from: [PLAIN]}}
  LIST: {{type: {value_type}, list: csv}}
  JSON: {{type: {value_type}, list: json}}
steps: [{{name: s, command: [echo, '${{SECRET}}', '${{NONE}}']}}]
server: {{command: [echo, '${{SECRET}}']}}
"
    )
}

#[test]
fn no_value_and_no_part_of_one_is_shown_whatever_is_wrong_with_it() {
    for value_type in TYPES {
        for value in VALUES {
            for (line, log) in [
                ("check", "text"),
                ("check --format json", "json"),
                ("run", "text"),
                ("run", "json"),
            ] {
                let mut guard = Guard::with_manifest(&manifest(value_type))
                    .env("STARTUP_GUARD_LOG", log)
                    .line(line);
                for name in ["PLAIN", "SECRET", "LIST", "JSON"] {
                    guard = guard.env(name, value);
                }
                guard.run().expect_code(78).expect_never("canary");
            }
        }
    }
}

#[test]
fn a_panic_of_ours_would_not_show_values_either() {
    // There is none to provoke; the hook is what any would pass through.
    let main = include_str!("../../src/main.rs");
    assert!(
        main.contains("silence_panics();\n"),
        "main no longer sets the panic hook first"
    );
}

#[test]
fn a_commands_name_is_shown_as_it_is_written_and_never_what_it_came_to() {
    let secret = "API_KEY: {secret: true}, PLAIN: {}";
    for (section, line) in [
        (
            "steps: [{name: s, command: ['${API_KEY}', x]}]",
            "run -- true",
        ),
        (
            "steps: [{name: s, command: ['true'], up_to_date: ['${API_KEY}']}]",
            "run -- true",
        ),
        ("server: {command: ['${API_KEY}', x]}", "run"),
        ("server: {command: ['${API_KEY}', x], init: true}", "run"),
        ("announce: x", "run -- $API_KEY x"),
        ("announce: x", "run --init -- ${API_KEY:-none} x"),
        ("server: {command: ['${PLAIN}']}", "run"),
        ("server: {command: ['./${PLAIN}']}", "run"),
    ] {
        for log in ["text", "json"] {
            let manifest = format!("version: 1\nvariables: {{{secret}}}\n{section}\n");
            let ended = Guard::with_manifest(&manifest)
                .env("API_KEY", "canary-name")
                .env("PLAIN", "canary-path")
                .env("STARTUP_GUARD_LOG", log)
                .line(line)
                .run()
                .expect_code(127)
                .expect_never("canary");
            let is_told = [
                "`${API_KEY}`",
                "`$API_KEY`",
                "`${API_KEY:-none}`",
                "${PLAIN}`",
            ]
            .into_iter()
            .any(|shown| ended.stderr().contains(shown));
            assert!(is_told, "{ended}");
        }
    }
}

#[test]
fn an_announcement_with_a_password_in_a_url_is_a_finding_and_is_not_printed() {
    for (section, variable) in [
        ("announce: 'using ${URL}'", "URL"),
        (
            "server: {announce: 'using ${URL}', command: [echo, served]}",
            "URL",
        ),
        (
            "steps: [{name: s, command: ['true'], announce: {start: 'using ${URL}'}}]",
            "URL",
        ),
        (
            "steps: [{name: s, command: ['true'], announce: {done: 'using ${LIST}'}}]",
            "LIST",
        ),
        ("announce: 'using redis://app:${PART}@cache'", "PART"),
        ("announce: 'using ${UNDECLARED}'", "UNDECLARED"),
    ] {
        let manifest = format!(
            "version: 1\nvariables: {{URL: {{type: url}}, LIST: {{type: url, list: csv}}, PART: {{}}}}\n{section}\n"
        );
        let ended = Guard::with_manifest(&manifest)
            .env("URL", "postgresql://app:canary@db/app")
            .env("LIST", "redis://a:1,redis://b:1?password=canary")
            .env("PART", "canary")
            .env("UNDECLARED", "redis://:canary@cache")
            .line(if section.starts_with("server") {
                "run"
            } else {
                "run -- echo served"
            })
            .run()
            .expect_code(78)
            .expect_stdout("")
            .expect_never("canary");
        ended
            .expect_stderr("[password_announced")
            .expect_stderr(&format!(
                "{variable} holds a password, and the announcement of "
            ));
    }
}

#[test]
fn an_announcement_with_a_url_without_a_password_is_printed() {
    Guard::with_manifest("version: 1\nvariables: {URL: {type: url}}\nannounce: 'using ${URL}'\n")
        .env("URL", "postgresql://app@db/app?sslmode=require")
        .line("run -- true")
        .run()
        .expect_code(0)
        .expect_stderr("using postgresql://app@db/app?sslmode=require");
}
