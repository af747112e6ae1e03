//! JSON logs: the lines of steps that log JSON themselves, and the length of every line.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ended, Guard};

/// Runs a step with this command, with JSON logs.
fn logged(command: &str, variables: &str) -> Guard {
    let manifest = format!(
        "version: 1\nservice: demo\nvariables: {{{variables}}}\nsteps: [{{name: s, command: {command}}}]\n"
    );
    Guard::with_manifest(&manifest)
        .env("STARTUP_GUARD_LOG", "json")
        .line("run --no-server")
}

/// The lines of the step's output, and the message of its end.
fn lines_of_step(ended: &Ended) -> (Vec<Value>, String) {
    let mut lines = ended.json_lines();
    let last = lines.pop().expect("the end of the step is logged");
    let message = last["message"].as_str().unwrap_or_default().to_owned();
    // The first line is the command.
    (lines.split_off(1), message)
}

const LOGGERS: &str = r#"
import logging, os, structlog, sys
from pythonjsonlogger.json import JsonFormatter

structlog.configure(processors=[
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(),
])
log = structlog.get_logger()
log.info("starting", revision="ae1027a6acf")
log.warning("slow – très lent", seconds=1.5, token=os.environ["TOKEN"])
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JsonFormatter("%(levelname)s %(name)s %(message)s"))
logging.basicConfig(handlers=[handler], level=logging.DEBUG, force=True)
logging.getLogger("alembic").critical("token is %s", os.environ["TOKEN"], extra={"tries": [1, 2]})
logging.getLogger("alembic").debug("details")
"#;

#[test]
fn the_lines_of_real_loggers_keep_their_level_message_and_fields() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(python.exists(), "this test needs `make venv`");
    let command = format!("[{}, log.py]", python.display());
    let guard = logged(&command, "TOKEN: {secret: true}").env("TOKEN", "cänary\"\\</token");
    guard.folder.file("log.py", LOGGERS);
    let ended = guard.run().expect_code(0).expect_never("nary");
    let (lines, _) = lines_of_step(&ended);
    let field = |line: &Value, name: &str| line["fields"][name].clone();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["level"].as_str().unwrap_or_default(),
                line["message"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("info", "starting"),
            ("warn", "slow – très lent"),
            ("error", "failed"),
            ("error", "token is ***"),
            ("debug", "details"),
        ],
        "{ended}"
    );
    assert_eq!(field(&lines[0], "revision"), "ae1027a6acf");
    assert!(field(&lines[0], "timestamp").is_string());
    assert_eq!(field(&lines[1], "seconds"), 1.5);
    assert_eq!(field(&lines[1], "token"), "***");
    let trace = field(&lines[2], "exception");
    assert!(
        trace
            .as_str()
            .is_some_and(|text| text.ends_with("ZeroDivisionError: division by zero")),
        "{trace}"
    );
    assert_eq!(
        lines[3]["fields"],
        json!({"name": "alembic", "tries": [1, 2]})
    );
    for line in &lines {
        assert_eq!(
            (&line["step"], &line["service"]),
            (&"s".into(), &"demo".into())
        );
    }
}

/// What programs print about the secret `pä"ss\wörd</+`.
const FORMS: [&str; 8] = [
    r#"{"msg":"pä\"ss\\wörd</+"}"#,
    r#"{"msg":"p\u00e4\"ss\\w\u00f6rd</+"}"#,
    r#"{"msg":"p\u00e4\"ss\\w\u00f6rd<\/+"}"#,
    r#"{"msg":"pä\"ss\\wörd\u003c/+"}"#,
    r#"{"msg":"p\u00E4\u0022ss\\w\u00F6rd\u003C/\u002B"}"#,
    r#"{"msg":"pä\"ss\\wörd</+"} and more"#,
    // JSON in JSON, and a mapping of Python.
    r#"{"msg":"{\"k\":\"p\\u00e4\\\"ss\\\\w\\u00f6rd</+\"}"}"#,
    r#"{'k': 'pä"ss\\wörd</+'}"#,
];

#[test]
fn a_secret_is_masked_in_json_too_in_both_formats_of_the_log() {
    for log in ["text", "json"] {
        let guard = logged("[cat, lines]", "TOKEN: {secret: true}")
            .env("TOKEN", "pä\"ss\\wörd</+")
            .env("STARTUP_GUARD_LOG", log);
        guard.folder.file("lines", FORMS.join("\n"));
        let ended = guard
            .run()
            .expect_code(0)
            .expect_never("ss\\")
            .expect_never("rd<");
        let shown = ended.stdout() + &ended.stderr();
        assert_eq!(shown.matches("***").count(), FORMS.len(), "{ended}");
    }
    // In JSON logs it is masked in whatever way it is written.
    let guard = logged("[cat, lines]", "TOKEN: {secret: true}").env("TOKEN", "canary");
    guard
        .folder
        .file("lines", r#"{"msg":"x \u0063\u0061nary y"}"#);
    let ended = guard.run().expect_code(0);
    assert_eq!(lines_of_step(&ended).0[0]["message"], "x *** y");
}

#[test]
fn a_long_line_of_a_step_continues_on_further_lines() {
    let words: Vec<String> = (0..6_000).map(|number| format!("é\"{number}")).collect();
    let text = words.join(" ");
    let guard = logged("[cat, lines]", "");
    guard.folder.file(
        "lines",
        format!(
            "short\n{text}\n{{\"msg\":\"{}\",\"n\":1}}\n",
            "x".repeat(40_000)
        ),
    );
    let ended = guard.run().expect_code(0);
    let (lines, _) = lines_of_step(&ended);
    let mut joined = vec![String::new()];
    for line in &lines {
        assert_eq!(
            (&line["step"], &line["phase"]),
            (&"s".into(), &"step".into())
        );
        if line["part"].as_u64().unwrap_or(1) == 1 {
            joined.push(String::new());
        }
        let last = joined.last_mut().expect("there is one");
        *last += line["message"].as_str().unwrap_or_default();
    }
    assert_eq!(joined[1..], ["short".to_owned(), text, "x".repeat(40_000)]);
    assert_eq!(
        lines.last().expect("there are lines")["fields"],
        json!({"n": 1})
    );
}

#[test]
fn the_end_of_a_step_has_its_duration() {
    let ended = logged("[sleep, '0.2']", "").run().expect_code(0);
    let last = ended.json_lines().pop().expect("there is a last line");
    let took = last["duration_ms"].as_u64().unwrap_or_default();
    assert!((200..60_000).contains(&took), "{last}");
    let message = last["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("step s: done in ") && message.ends_with('s'),
        "{last}"
    );

    let ended = logged("[sh, -c, 'exit 3']", "").run().expect_code(70);
    let last = ended.json_lines().pop().expect("there is a last line");
    assert!(last["duration_ms"].is_u64(), "{last}");
    let message = last["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("step s: failed with exit code 3 after "),
        "{last}"
    );

    let ended = logged("['false'], retries: 1, retry_delay: 10ms", "");
    let lines = ended.run().expect_code(70).json_lines();
    let with_duration = lines.iter().filter(|line| line["duration_ms"].is_u64());
    assert_eq!(with_duration.count(), 2, "{lines:?}");

    let ended = logged("[sleep, '60'], timeout: 300ms", "")
        .run()
        .expect_code(124);
    let last = ended.json_lines().pop().expect("there is a last line");
    let took = last["duration_ms"].as_u64().unwrap_or_default();
    assert!((300..60_000).contains(&took), "{last}");
    ended.expect_stderr("step s: ran out of time (300ms) and was stopped after ");

    logged("['false'], allow_failure: true", "")
        .env("STARTUP_GUARD_LOG", "text")
        .run()
        .expect_code(0)
        .expect_stderr("s; ignored because of allow_failure\n");
}

#[test]
fn a_report_of_two_thousand_findings_has_no_line_that_docker_splits() {
    let mut manifest = "version: 1\nservice: demo\nvariables:\n".to_owned();
    for number in 0..2_000 {
        let _ = writeln!(
            manifest,
            "  NAME_{number}: {{description: What it is for in {number} words}}"
        );
    }
    for line in ["run -- true", "check"] {
        let ended = Guard::with_manifest(&manifest)
            .env("STARTUP_GUARD_LOG", "json")
            .line(line)
            .run()
            .expect_code(78);
        let lines = ended.json_lines();
        let last = lines.last().expect("there is a last line");
        let summary = &last["summary"];
        assert_eq!(
            (&summary["errors"], &summary["declared"]),
            (&2_000.into(), &2_000.into())
        );
        assert_eq!(
            (&summary["truncated"], &summary["service"]),
            (&true.into(), &"demo".into())
        );
        let findings = summary["findings"].as_array().map_or(0, Vec::len);
        assert!((30..100).contains(&findings), "{findings} findings");
        assert_eq!(summary["findings"][0]["variable"], "NAME_0");
        let with_retry = lines.iter().filter(|line| line.get("retry").is_some());
        assert_eq!(with_retry.count(), 1);
    }
    // The document on stdout is complete.
    let ended = Guard::with_manifest(&manifest)
        .line("check --format json")
        .run();
    let stdout = ended.stdout();
    let summary: Value =
        serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("it is JSON");
    assert_eq!(summary["findings"].as_array().map(Vec::len), Some(2_000));
    assert_eq!(summary.get("truncated"), None);
}

#[test]
fn faults_of_a_manifest_have_no_line_that_docker_splits() {
    let mut manifest = "version: 1\nvariables:\n".to_owned();
    for number in 0..200 {
        let _ = writeln!(manifest, "  NAME_{number}: {{typ: {}}}", "x".repeat(1_000));
    }
    let _ = writeln!(manifest, "  LAST: {{level: {}}}", "x".repeat(40_000));
    let ended = Guard::with_manifest(&manifest)
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(65);
    assert!(ended.json_lines().len() > 200, "{ended}");
}
