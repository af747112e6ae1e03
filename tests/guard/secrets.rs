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
