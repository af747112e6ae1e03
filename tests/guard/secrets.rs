//! No output of the guard contains the value of a declared variable.

use crate::support::Guard;

const TYPES: [&str; 11] = [
    "string", "integer", "number", "boolean", "port", "url", "origin", "email", "json", "path",
    "duration",
];

/// Values that are wrong in various ways, each containing a canary.
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

/// Makes a build with assertions panic.
const PANIC: &str = "STARTUP_GUARD_TEST_PANIC";

fn panicking(thread: &str) -> Guard {
    let manifest = "version: 1
variables: {SECRET: {secret: true}}
steps: [{name: s, command: [sh, -c, 'echo stepped >stepped']}]
server: {command: [sh, -c, 'echo served >served']}
";
    Guard::with_manifest(manifest)
        .env("SECRET", "canary")
        .env(PANIC, format!("{thread}:SECRET"))
        .before_exec(|| {
            // Without a core dump of the intended abort.
            nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)
                .expect("a limit can be lowered");
        })
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_on_any_thread_ends_the_start_and_shows_its_location_but_no_value() {
    for thread in ["main", "helper"] {
        for log in ["text", "json"] {
            let ended = panicking(thread)
                .env("STARTUP_GUARD_LOG", log)
                .run()
                .expect_code(128 + nix::libc::SIGABRT)
                .expect_stdout("")
                .expect_stderr("startup-guard: internal error at src/commands/settings.rs:")
                .expect_never("canary");
            for mark in ["stepped", "served"] {
                assert!(!ended.folder.path().join(mark).exists(), "{mark}\n{ended}");
            }
        }
    }
}

#[test]
#[cfg(not(debug_assertions))]
fn a_release_cannot_be_made_to_panic() {
    let ended = panicking("main").run().expect_code(0);
    assert!(ended.folder.path().join("served").exists(), "{ended}");
}

#[test]
fn only_a_build_with_assertions_has_the_hook_for_panics() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_startup-guard")).expect("the guard is built");
    let is_there = memchr::memmem::find(&program, PANIC.as_bytes()).is_some();
    assert_eq!(is_there, cfg!(debug_assertions));
}

#[test]
fn a_commands_name_is_shown_as_it_is_written_and_never_expanded() {
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
                "{variable} contains a password, and the announcement of "
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

#[test]
fn a_text_that_its_references_make_too_long_is_a_finding_and_is_never_built() {
    let references = "${LONG}".repeat(20_000);
    for section in [
        format!("announce: '{references}'"),
        format!("server: {{command: [echo, '{references}']}}"),
        format!("steps: [{{name: s, command: [echo], announce: {{done: '{references}'}}}}]"),
    ] {
        let manifest = format!("version: 1\nvariables: {{LONG: {{}}}}\n{section}\n");
        let ended = Guard::with_manifest(&manifest)
            .env("LONG", "canary-".repeat(14_000))
            // The text would have two gigabytes.
            .before_exec(|| {
                let limit = 256 * 1024 * 1024;
                nix::sys::resource::setrlimit(
                    nix::sys::resource::Resource::RLIMIT_AS,
                    limit,
                    limit,
                )
                .expect("a limit can be lowered");
            })
            .line("check")
            .run()
            .expect_code(78)
            .expect_never("canary");
        assert!(
            ended.stdout().contains("LONG makes the ") && ended.stdout().contains("[too_long, "),
            "{ended}"
        );
    }
}

#[test]
fn a_harmless_announcement_is_printed() {
    let manifest = "version: 1
variables: {BROKERS: {}}
announce: 'http://0.0.0.0:${PORT:-8000} for admin@example.com, pwd=${PWD}, ${BROKERS}'
";
    Guard::with_manifest(manifest)
        .env("PWD", "/srv/app")
        .env("BROKERS", "kafka://b1:9092,b2:9092/topic@x")
        .line("run -- true")
        .run()
        .expect_code(0)
        .expect_stderr(
            "http://0.0.0.0:8000 for admin@example.com, pwd=/srv/app, kafka://b1:9092,b2:9092/topic@x",
        );
}

#[test]
fn a_long_list_of_urls_is_masked_in_bounded_memory() {
    let list: Vec<String> = (0..4_000)
        .map(|number| format!("redis://h?password=secret-{number:05}"))
        .collect();
    Guard::with_manifest(
        "version: 1\nvariables: {LIST: {}}\nsteps: [{name: s, command: [echo, secret-03999]}]\n",
    )
    .env("LIST", list.join(","))
    .before_exec(|| {
        let limit = 256 * 1024 * 1024;
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_AS, limit, limit)
            .expect("a limit can be lowered");
    })
    .line("run --no-server")
    .run()
    .expect_code(0)
    .expect_stdout("***\n");
}
