//! `template`: what it prints is read alike by every reader of env files, and is found out of date when it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{Ended, Guard};

const EXAMPLE: &str = include_str!("../../required-vars.yaml");

/// Texts that are special in env files, in Markdown or for a terminal.
const PIECES: [&str; 32] = [
    "word",
    " ",
    "  ",
    "A=1",
    "\nB=2",
    "\rC=3",
    "\r\nexport D=4",
    "\u{85}E=5",
    "\u{2028}F=6",
    "\t",
    "`",
    "|",
    "\\",
    "\\|",
    "#",
    " # ",
    "$A",
    "${A}",
    "${{A.B}}",
    "'",
    "\"",
    "<b>",
    "<!-- x -->",
    "*",
    "_",
    "[a](b)",
    "&amp;",
    "-----BEGIN KEY-----",
    "é",
    "日本",
    "\u{1b}[31m",
    "~",
];

/// Names of variables. The manifest accepts all of them, and not every reader does.
const NAMES: [&str; 14] = [
    "APP_KEY",
    "DATABASE",
    "ORIGIN",
    "lower_case",
    "my.key",
    "my-key",
    "é",
    "a:b",
    "'q'",
    "#hash",
    "export",
    "PORT",
    "RAILWAY_PROJECT_ID",
    "X[0]",
];

/// Rules, each with a value that keeps it.
const RULES: [(&str, &str); 12] = [
    (r#"{"type": "integer", "min": 1, "max": 9}"#, "7"),
    (r#"{"type": "boolean"}"#, "true"),
    (
        r#"{"type": "url", "schemes": ["https"]}"#,
        "https://example.com/a?b=c&d=e",
    ),
    (
        r#"{"type": "origin", "list": "csv"}"#,
        "https://a.example.com,https://b.example.com",
    ),
    (r#"{"type": "string", "list": "json"}"#, r#"["a", "b"]"#),
    (r#"{"type": "email"}"#, "Name <noreply@example.com>"),
    (r#"{"type": "json"}"#, r#"{"a": "$b"}"#),
    (r#"{"type": "path"}"#, "/srv/data"),
    (r#"{"type": "duration", "max": 90}"#, "30s"),
    (r#"{"min_length": 3, "max_length": 5}"#, "four"),
    (r#"{"pattern": "^[a|`]"}"#, "a|b`c"),
    (r#"{"one_of": ["one|two", "three"]}"#, "three"),
];

fn text() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..6);
    pieces.prop_map(|pieces| pieces.concat())
}

/// A variable of a manifest. The default and the example of a secret contain the word `canary`.
fn variable() -> impl Strategy<Value = Value> {
    let texts = proptest::collection::vec(proptest::option::of(text()), 4);
    let rule = proptest::option::of(proptest::sample::select(&RULES[..]));
    let level = proptest::sample::select(vec!["critical", "required", "optional"]);
    let flags = proptest::collection::vec(any::<bool>(), 6);
    (texts, rule, level, flags).prop_map(|(texts, rule, level, flags)| {
        let (rule, sound) = rule.unwrap_or(("{}", ""));
        let mut variable: Value = serde_json::from_str(rule).expect("the rule is JSON");
        let secret = flags[0] && rule == "{}";
        variable["level"] = level.into();
        variable["secret"] = secret.into();
        for (key, text) in ["description", "hint", "docs"].iter().zip(&texts) {
            variable[key] = text.clone().into();
        }
        let free = texts[3].as_ref().filter(|text| !text.trim().is_empty());
        let value = match free {
            Some(text) if secret => Some(format!("canary{}", text.replace('\r', "").trim_end())),
            Some(text) if rule == "{}" => Some(text.clone()),
            _ => Some(sound.to_owned()).filter(|sound| !sound.is_empty()),
        };
        for (key, flag) in [("default", flags[1]), ("example", flags[2])] {
            variable[key] = value.clone().filter(|_| flag).into();
        }
        variable["not_placeholder"] = (flags[3] && flags[4]).into();
        if flags[4] && !flags[3] {
            variable["required_when"] = json!({"MODE": ["live"]});
        }
        if secret && flags[5] {
            variable["generate"] = json!({});
        }
        variable
    })
}

fn manifest() -> impl Strategy<Value = Value> {
    let variables = proptest::collection::vec(variable(), NAMES.len());
    variables.prop_map(|variables| {
        let named = NAMES.iter().map(|name| (*name).to_owned()).zip(variables);
        let mut variables: BTreeMap<String, Value> = named.collect();
        let mode = json!({"level": "optional", "default": "dev", "one_of": ["dev", "live"]});
        variables.insert("MODE".to_owned(), mode);
        // A file that sets no variable at all is refused.
        variables.insert("ALWAYS".to_owned(), json!({}));
        json!({"version": 1, "service": "shop", "variables": variables})
    })
}

fn cases(count: u32) -> TestRunner {
    TestRunner::new(Config {
        cases: count,
        failure_persistence: None,
        ..Config::default()
    })
}

fn template(manifest: &Value, format: &str) -> Ended {
    let guard = Guard::with_manifest(&manifest.to_string());
    guard
        .line(&format!("template --format {format}"))
        .run()
        .expect_code(0)
}

/// The summary of a check of a file.
fn check(manifest: &Value, file: &str, dialect: &str) -> Value {
    let guard = Guard::with_manifest(&manifest.to_string());
    guard.folder.file("a.env", file);
    let ended = guard
        .line(&format!(
            "check --only-file --env-file a.env --format json --dialect {dialect}"
        ))
        .run();
    assert!(
        [0, 78].contains(&ended.code()),
        "{dialect}\n{file}\n{ended}"
    );
    let stdout = ended.stdout();
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("the summary is JSON")
}

/// The lines of a file that are neither blank nor comments.
fn assignments(file: &str) -> Vec<(String, String)> {
    let lines = file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once('=').expect("it is an assignment"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(
        python.exists(),
        "this test needs target/venv: run `make venv`"
    );
    python
}

/// What python-dotenv reads from a file.
fn read_by_python(file: &Path) -> BTreeMap<String, Value> {
    let script = "import dotenv, json, sys; print(json.dumps(dotenv.dotenv_values(sys.argv[1])))";
    let output = Command::new(python())
        .args(["-c", script])
        .arg(file)
        .output()
        .expect("python starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The environment of a shell that has sourced a file, as people do with `set -a; . ./.env`.
fn sourced(file: &Path) -> BTreeMap<String, String> {
    let output = Command::new("sh")
        .args(["-c", "set -a; . \"$0\"; exec /usr/bin/env -0"])
        .arg(file)
        .env_clear()
        .output()
        .expect("sh starts");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let pairs = text.split('\0').filter_map(|each| each.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn an_untouched_template_lacks_what_a_person_must_fill_in_and_is_read_alike_by_every_reader() {
    let result = cases(60).run(&manifest(), |manifest| {
        let ended = template(&manifest, "env");
        let file = ended.stdout();
        prop_assert!(!file.contains("canary"), "{}", file);
        let is_terminal_safe = |other: char| !other.is_control() || other == '\n';
        prop_assert!(file.chars().all(is_terminal_safe), "{:?}", file);

        // Every reader sees the same assignments, and none in a comment.
        let expected = assignments(&file);
        let path = ended.folder.file("template.env", &file);
        let read = read_by_python(&path);
        let pairs = expected
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        prop_assert_eq!(
            read,
            pairs.collect::<BTreeMap<String, Value>>(),
            "{}",
            &file
        );
        let is_shell_name = |name: &str| !name.contains(['.', '-']);
        let named = expected.iter().filter(|(name, _)| is_shell_name(name));
        let named: BTreeMap<_, _> = named.cloned().collect();
        let mut of_shell = sourced(&path);
        of_shell.retain(|name, _| named.contains_key(name));
        prop_assert_eq!(of_shell, named, "{}", &file);
        let lines = file
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let without_comments = lines.map(|line| [line, "\n"].concat()).collect::<String>();
        let mut summaries = Vec::new();
        for dialect in ["compose", "docker", "python-dotenv"] {
            let summary = check(&manifest, &file, dialect);
            prop_assert_eq!(&summary["notes"], &json!([]), "{}\n{}", dialect, &file);
            summaries.push(summary["findings"].clone());
        }
        if !without_comments.is_empty() {
            let without_lines = |findings: &Value| {
                let mut findings = findings.clone();
                for finding in findings.as_array_mut().expect("it is a list") {
                    finding["line"] = Value::Null;
                    finding["source"] = Value::Null;
                }
                findings
            };
            let of_kv = check(&manifest, &without_comments, "kv");
            prop_assert_eq!(
                without_lines(&of_kv["findings"]),
                without_lines(&summaries[0])
            );
        }
        prop_assert!(summaries.iter().all(|findings| *findings == summaries[0]));

        // What is wrong is only that values are missing.
        let findings = summaries[0].as_array().expect("there is a list");
        let errors = findings
            .iter()
            .filter(|finding| finding["severity"] == "error");
        let mut absent = BTreeSet::new();
        for error in errors {
            let code = error["finding"].as_str().expect("it has a code");
            prop_assert!(
                ["missing", "placeholder"].contains(&code),
                "{}\n{}",
                error,
                &file
            );
            absent.insert(
                error["variable"]
                    .as_str()
                    .expect("it has a name")
                    .to_owned(),
            );
        }
        for (name, variable) in manifest["variables"].as_object().expect("it is a mapping") {
            let needs_value = variable["level"] != "optional"
                && variable["required_when"].is_null()
                && variable["default"].is_null()
                && (variable["example"].is_null() || variable["secret"] == true);
            prop_assert!(
                !needs_value || absent.contains(name),
                "{} of {}",
                name,
                &file
            );
        }
        Ok(())
    });
    result.expect("the property holds");
}

/// The cells of a row of a table, as GitHub splits it, with the escapes removed.
fn cells(row: &str) -> Vec<String> {
    let inside = row
        .strip_prefix("| ")
        .and_then(|row| row.strip_suffix(" |"));
    let (mut cells, mut is_escaped) = (vec![String::new()], false);
    for character in inside.expect("a row is between two bars").chars() {
        let last = cells.last_mut().expect("there is a cell");
        match character {
            '\\' if !is_escaped => is_escaped = true,
            '|' if !is_escaped => cells.push(String::new()),
            _ => {
                last.push(character);
                is_escaped = false;
            }
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn a_table_has_one_row_for_each_variable_whatever_its_texts_contain() {
    let result = cases(100).run(&manifest(), |manifest| {
        let table = template(&manifest, "markdown").stdout();
        prop_assert!(!table.contains("canary"), "{}", &table);
        let rows: Vec<&str> = table.lines().collect();
        prop_assert_eq!(
            rows[0],
            "| variable | level | rule | default | description |"
        );
        prop_assert_eq!(rows[1], "| --- | --- | --- | --- | --- |");
        let variables = manifest["variables"].as_object().expect("it is a mapping");
        prop_assert_eq!(rows.len(), variables.len() + 2, "{}", &table);
        for row in &rows[2..] {
            let cells = cells(row);
            prop_assert_eq!(cells.len(), 5, "{}", row);
            let name = cells[0].trim_matches('`');
            prop_assert!(variables.contains_key(name), "{:?}", name);
            // The words of the description are unchanged.
            let told = variables[name]["description"].as_str().unwrap_or_default();
            let words: Vec<&str> = told
                .split(|other: char| other.is_whitespace() || other.is_control())
                .filter(|word| !word.is_empty())
                .collect();
            prop_assert!(
                cells[4].starts_with(&words.join(" ")),
                "{:?} of {:?}",
                told,
                cells
            );
            // No tag, no code and no link begins in a description without hint, docs and commands.
            let last = row.rsplit(" | ").next().unwrap_or_default();
            let last = last
                .replace("\\\\", "")
                .replace("Generate one: `startup-guard", "");
            let is_plain = !["<b>", "<!--", "[a]"].iter().any(|text| {
                last.match_indices(text)
                    .any(|(at, _)| !last[..at].ends_with('\\'))
                    && variables[name]["example"].is_null()
            });
            prop_assert!(is_plain, "{}", row);
        }
        Ok(())
    });
    result.expect("the property holds");
}

#[test]
fn the_template_of_the_example_says_what_a_person_must_know() {
    let ended = Guard::with_manifest(EXAMPLE)
        .line("template")
        .run()
        .expect_code(0);
    let file = ended.stdout();
    for text in [
        "# --- Critical: the service cannot start without them ---\n\n# Key that signs the sessions",
        "# Rule: secret; at least 32 characters\n# Other services have the same value: copy it.\nNEXTAUTH_SECRET=change-me\n",
        "# Generate one: startup-guard generate JWT_SECRET\nJWT_SECRET=change-me\n",
        "# Rule: exactly HS256\nJWT_ALGORITHM=HS256\n",
        "# See https://resend.com/api-keys\n",
        "# Example: INTOWORK <noreply@example.com>\nFROM_EMAIL=change-me\n",
        "# Rule: one of development, staging or production\n#ENVIRONMENT=development\n",
        "# Rule: secret; a URL with the scheme redis or rediss\n#REDIS_URL=change-me\n",
    ] {
        assert!(file.contains(text), "{text}\n{file}");
    }
}

#[test]
fn a_template_without_a_line_to_fill_in_says_how_to_set_a_variable() {
    let manifest = "version: 1\nvariables: {A: {level: optional}, B: {default: x}}\n";
    let guard = Guard::with_manifest(manifest);
    let ended = guard.line("template").run().expect_code(0);
    let told = "Copy it to .env, and uncomment the lines to set.\n";
    assert!(ended.stdout().contains(told), "{ended}");
}

#[test]
fn a_value_that_readers_would_take_differently_is_only_told_in_a_comment() {
    let manifest = "version: 1\nvariables:\n  A: {type: json, example: '{\"a\": 1}'}\n  B: {example: \"two\\nlines\"}\n  C: {default: a $b}\n  D: {type: url, example: 'https://a.example.org/?a=1&b=2'}\n  é: {description: With an accent}\n";
    let ended = Guard::with_manifest(manifest)
        .line("template")
        .run()
        .expect_code(0);
    let file = ended.stdout();
    for text in [
        "# Rule: JSON\n# Example: {\"a\": 1}\nA=change-me\n",
        "# Example: see the manifest\nB=\n",
        "# Default: a $b\n#C=\n",
        "# Rule: a URL\n# Example: https://a.example.org/?a=1&b=2\nD=change-me\n",
        "# é (not every program can read this name from a file)\n# With an accent\n",
    ] {
        assert!(file.contains(text), "{text}\n{file}");
    }
    assert!(!file.contains("é="), "{file}");
}

/// A guard that compares this file with the template of the example.
fn compared(content: impl AsRef<[u8]>, format: &str) -> Ended {
    let guard = Guard::with_manifest(EXAMPLE);
    guard.folder.file("committed", content);
    guard
        .line(&format!("template --format {format} --check committed"))
        .run()
}

#[test]
fn a_committed_file_that_is_up_to_date_is_accepted() {
    for format in ["env", "markdown"] {
        let ended = Guard::with_manifest(EXAMPLE)
            .line(&format!("template --format {format}"))
            .run();
        let ended = compared(ended.stdout(), format).expect_code(0);
        assert_eq!(
            (ended.stdout(), ended.stderr()),
            (String::new(), String::new())
        );
    }
}

#[test]
fn a_committed_file_that_is_out_of_date_ends_with_78_and_a_diff_without_values() {
    let ended = Guard::with_manifest(EXAMPLE).line("template").run();
    let committed = ended
        .stdout()
        .replace("NEXTAUTH_SECRET=change-me", "NEXTAUTH_SECRET=canary1")
        .replace(
            "#LOG_LEVEL=INFO",
            "# an old password: canary2\nOTHER=canary3\n#LOG_LEVEL=canary4",
        )
        .replace("FRONTEND_URL=https://intowork.example.com\n", "");
    let line = |text: &str| {
        1 + committed
            .lines()
            .position(|line| line == text)
            .expect("it is there")
    };
    let removed = 1 + line("# Rule: a URL with the scheme https");
    let expected = format!(
        "--- committed\n+++ template\n\
         @@ line {} @@\n-NEXTAUTH_SECRET (the rest of the line is not shown)\n+NEXTAUTH_SECRET=change-me\n\
         @@ line {removed} @@\n+FRONTEND_URL=https://intowork.example.com\n\
         @@ line {} @@\n-(a line that is not shown)\n-(a line that is not shown)\n\
         -LOG_LEVEL (the rest of the line is not shown)\n+#LOG_LEVEL=INFO\n",
        line("NEXTAUTH_SECRET=canary1"),
        line("# an old password: canary2"),
    );
    compared(&committed, "env")
        .expect_code(78)
        .expect_stdout(&expected)
        .expect_never("canary")
        .expect_stderr("committed is out of date: it differs from the template in 3 places; replace it with the output of `startup-guard template`");
}

#[test]
fn other_line_ends_and_a_byte_order_mark_are_named() {
    let ended = Guard::with_manifest(EXAMPLE).line("template").run();
    let template = ended.stdout();
    for (content, told) in [
        (
            template.replace('\n', "\r\n"),
            "@@ the file has Windows line ends (CRLF); the template has LF @@\n",
        ),
        (
            template.trim_end().to_owned(),
            "@@ the file has no line break at its end @@\n",
        ),
        (
            format!("\u{feff}{template}"),
            "@@ the file begins with a byte-order mark @@\n",
        ),
    ] {
        let expected = format!("--- committed\n+++ template\n{told}");
        compared(content, "env")
            .expect_code(78)
            .expect_stdout(&expected);
    }
}

#[test]
fn only_the_part_between_the_markers_of_a_page_is_compared() {
    let ended = Guard::with_manifest(EXAMPLE)
        .line("template --format markdown")
        .run();
    let table = ended.stdout();
    let begin = "# Page\n\n<!-- startup-guard: begin -->\n";
    let end = "<!-- startup-guard: end -->\n\nMore text.\n";
    compared(format!("{begin}{table}{end}"), "markdown").expect_code(0);
    let old = table.replace("| required |", "| optional |");
    let ended = compared(format!("{begin}{old}{end}"), "markdown").expect_code(78);
    assert!(
        ended
            .stdout()
            .contains("@@ line 8 @@\n-JWT_SECRET (the rest"),
        "{ended}"
    );
    compared(format!("{begin}{table}"), "markdown")
        .expect_code(65)
        .expect_stderr("committed has a line with `startup-guard: begin`, but none with `startup-guard: end` after it");
}

#[test]
fn a_file_that_cannot_be_compared_has_an_error_of_its_own() {
    let guard = Guard::with_manifest(EXAMPLE).line("template --check .env.example");
    guard
        .run()
        .expect_code(66)
        .expect_stderr("there is no file .env.example; create it with `startup-guard template`");
    let guard = Guard::with_manifest(EXAMPLE);
    fs::create_dir(guard.folder.path().join("folder")).expect("it can be made");
    let ended = guard.line("template --check folder").run();
    ended.expect_code(66).expect_stderr("folder cannot be read");
    compared(vec![b'x'; 1024 * 1024 + 1], "env").expect_code(65);
    // Neither text nor short lines, and much to compare.
    compared(b"\xff\n".repeat(300_000), "env").expect_code(78);
}

#[test]
fn the_commands_of_the_page_run() {
    let page = include_str!("../../docs/template-and-generate.md");
    let blocks: Vec<&str> = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let guard = Guard::with_manifest(EXAMPLE);
        let folder = guard.folder.path();
        let binary = folder.join("startup-guard");
        symlink(env!("CARGO_BIN_EXE_startup-guard"), binary).expect("it can be linked");
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let output = Command::new("sh")
            .args(["-e", "-c", block])
            .current_dir(folder)
            .env("PATH", path)
            .output()
            .expect("there is a shell");
        assert!(output.status.success(), "{block}\n{output:?}");
    }
}

#[test]
fn a_template_tells_for_which_processes_a_variable_is() {
    let manifest = "version: 1
processes: {web: {}, worker: {}, beat: {}}
variables:
  A: {}
  B: {processes: [worker, beat]}
";
    let env = Guard::with_manifest(manifest).line("template").run();
    let env = env.expect_code(0).stdout();
    assert!(
        env.contains("\n# Level: required, only for worker and beat\nB="),
        "{env}"
    );
    assert_eq!(env.matches("only for").count(), 1, "{env}");
    let table = Guard::with_manifest(manifest)
        .line("template --format markdown")
        .run();
    let table = table.expect_code(0).stdout();
    assert!(
        table.contains("| `B` | required, only for worker and beat |"),
        "{table}"
    );
}
