//! Tests of the check, without processes and files.

mod conditions;
mod values;

use std::io;
use std::path::Path;

use super::{Awaited, Checked, Question, Selection, Sources, check};
use crate::environment::Environment;
use crate::manifest::{Manifest, Scope};
use crate::report::{Severity, Source, name_of};

fn manifest(text: &str) -> Manifest {
    Manifest::parse(text.as_bytes(), false).expect("the manifests of these tests are sound")
}

fn checked(text: &str, entries: &[(&str, &str)]) -> Checked<'static> {
    checked_with(text, entries, &Sources::new())
}

/// Checks the whole manifest.
fn checked_with(text: &str, entries: &[(&str, &str)], sources: &Sources) -> Checked<'static> {
    checked_within(text, entries, sources, Scope::Everything)
}

fn checked_within(
    text: &str,
    entries: &[(&str, &str)],
    sources: &Sources,
    scope: Scope<'static>,
) -> Checked<'static> {
    let entries = entries
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    // A plan borrows from the manifest.
    let manifest: &'static Manifest = Box::leak(Box::new(manifest(text)));
    check(
        manifest,
        &Environment::from_entries(entries),
        &Selection::rehearsal(manifest, scope),
        sources,
        secret_file,
    )
}

/// Reads the only file that exists in these tests.
fn secret_file(path: &Path, _: usize) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/run/secrets/token") => Ok(b"from-a-file\n".to_vec()),
        Some("/run/secrets/empty") => Ok(b"\n".to_vec()),
        Some("/run/secrets/template") => Ok(b"changeme\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Each finding as `VARIABLE finding severity`, in order.
fn findings(text: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let told = checked(text, entries).report.findings.into_iter();
    told.map(|finding| {
        let (code, severity) = (name_of(finding.code), name_of(finding.severity));
        format!("{} {code} {severity}", finding.subject)
    })
    .collect()
}

fn effective(text: &str, entries: &[(&str, &str)]) -> Vec<String> {
    let plan = checked(text, entries)
        .plan
        .expect("this environment is sound");
    let entries = plan.environment.entries().iter();
    entries
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect()
}

#[test]
fn severities_follow_the_table_of_the_design() {
    // The value, the level, and the severity under `fail_on: required` and under `fail_on: critical`.
    let table = [
        ("", "critical", "missing error", "missing error"),
        ("", "required", "missing error", "missing warning"),
        ("", "optional", "empty warning", "empty warning"),
        (
            "changeme",
            "critical",
            "placeholder error",
            "placeholder error",
        ),
        (
            "changeme",
            "required",
            "placeholder error",
            "placeholder warning",
        ),
        (
            "changeme",
            "optional",
            "placeholder warning",
            "placeholder warning",
        ),
        ("wrong", "critical", "wrong_type error", "wrong_type error"),
        (
            "wrong",
            "required",
            "wrong_type error",
            "wrong_type warning",
        ),
        (
            "wrong",
            "optional",
            "wrong_type error",
            "wrong_type warning",
        ),
        ("8000", "critical", "", ""),
    ];
    for (value, level, under_required, under_critical) in table {
        for (fail_on, told) in [("required", under_required), ("critical", under_critical)] {
            let text = format!(
                "version: 1\nfail_on: {fail_on}\nvariables: {{A: {{level: {level}, type: port}}}}\n"
            );
            let expected: Vec<String> = [told]
                .iter()
                .filter(|told| !told.is_empty())
                .map(|told| format!("A {told}"))
                .collect();
            assert_eq!(
                findings(&text, &[("A", value)]),
                expected,
                "{value:?}, {level}, fail_on {fail_on}"
            );
        }
    }
}

#[test]
fn a_default_replaces_a_missing_value_but_not_a_wrong_one() {
    let text = "version: 1\nvariables: {A: {type: port, default: 8000}}\n";
    assert_eq!(effective(text, &[]), ["A=8000"]);
    assert_eq!(effective(text, &[("A", "")]), ["A=8000"]);
    assert_eq!(effective(text, &[("A", " \t")]), ["A=8000"]);
    assert_eq!(effective(text, &[("A", "9000")]), ["A=9000"]);
    assert_eq!(findings(text, &[("A", "x")]), ["A wrong_type error"]);
    assert_eq!(
        findings(text, &[("A", "changeme")]),
        ["A placeholder error"]
    );
}

#[test]
fn a_condition_makes_a_variable_required_only_while_it_holds() {
    let text = "version: 1
variables:
  STAGE: {level: optional, default: dev, one_of: [dev, live]}
  REGION: {level: optional}
  DSN: {level: critical, required_when: {STAGE: live, REGION: [eu, us]}}
";
    assert_eq!(findings(text, &[]), [""; 0]);
    assert_eq!(findings(text, &[("STAGE", "live")]), [""; 0]);
    assert_eq!(
        findings(text, &[("STAGE", "live"), ("REGION", "asia")]),
        [""; 0]
    );
    assert_eq!(
        findings(text, &[("STAGE", "live"), ("REGION", "eu")]),
        ["DSN missing error"]
    );
}

#[test]
fn a_finding_on_a_reference_has_the_level_that_applies() {
    let text = "version: 1
variables:
  STAGE: {level: optional}
  DSN: {level: critical, required_when: {STAGE: live}}
server: {command: [app, '${DSN}']}
";
    for (stage, level) in [("dev", "optional"), ("live", "critical")] {
        let found = checked(text, &[("STAGE", stage)]).report.findings;
        let reference = found.last().expect("DSN is not set");
        assert_eq!(name_of(reference.code).to_string(), "unset_reference");
        assert_eq!(reference.level, Some(level));
    }
}

#[test]
fn equal_secrets_are_findings_but_two_missing_secrets_are_not_equal() {
    let text = "version: 1
variables:
  A: {level: optional, secret: true}
  B: {level: optional, secret: true, distinct_from: [A]}
";
    assert_eq!(findings(text, &[]), [""; 0]);
    assert_eq!(findings(text, &[("A", "x"), ("B", "y")]), [""; 0]);
    assert_eq!(
        findings(text, &[("A", "x"), ("B", "x")]),
        ["B same_secret error"]
    );
}

#[test]
fn findings_are_in_the_order_of_the_manifest_not_of_the_environment() {
    let text = "version: 1\nvariables: {Z: {}, A: {}, M: {min_length: 3, pattern: \"^z\"}}\n";
    assert_eq!(
        findings(text, &[("M", "ab"), ("B", "")]),
        [
            "Z missing error",
            "A missing error",
            "M too_short error",
            "M no_match error"
        ]
    );
}

#[test]
fn a_former_name_that_is_set_is_the_fix() {
    let text = "version: 1\nvariables: {NEW: {renamed_from: [OLDEST, OLD], hint: ask}}\n";
    let fix = |entries: &[(&str, &str)]| checked(text, entries).report.findings[0].fix.clone();
    assert_eq!(fix(&[]), "set NEW: ask");
    assert_eq!(
        fix(&[("OLD", "value")]),
        "rename OLD, which is set, to NEW: OLD is its former name"
    );
    assert_eq!(findings(text, &[("OLD", "x"), ("NEW", "y")]), [""; 0]);
}

#[test]
fn the_content_of_a_secret_file_becomes_the_value_and_name_file_is_removed() {
    let text = "version: 1\nvariables: {TOKEN: {secret: true, level: optional}}\n";
    assert_eq!(
        effective(
            text,
            &[("A", "1"), ("TOKEN_FILE", "/run/secrets/token"), ("B", "2")]
        ),
        ["A=1", "B=2", "TOKEN=from-a-file"]
    );
    assert_eq!(
        effective(text, &[("TOKEN_FILE", "/run/secrets/template")]),
        ["TOKEN=changeme"],
        "what only warns reaches the service as it is"
    );
    let plain = "version: 1\nvariables: {TOKEN: {secret: true, level: optional, file: false}}\n";
    assert_eq!(
        effective(plain, &[("TOKEN_FILE", "/run/secrets/token")]),
        ["TOKEN_FILE=/run/secrets/token"]
    );
}

#[test]
fn no_finding_contains_the_value_that_it_is_about() {
    let text = "version: 1
variables:
  INTEGER: {type: integer, max: 3}
  NUMBER: {type: number}
  BOOLEAN: {type: boolean}
  PORT: {type: port}
  URL: {type: url, schemes: [https]}
  ORIGIN: {type: origin, list: json}
  EMAIL: {type: email}
  JSON: {type: json}
  PATH_TO: {type: path, max_length: 3}
  DURATION: {type: duration}
  PEM: {type: pem, min_length: 99}
  TEXT: {min_length: 99, one_of: [a, b], pattern: \"^x\"}
";
    let canary = "~canary://u:c@n@ry/ canary\r";
    for name in [
        "INTEGER", "NUMBER", "BOOLEAN", "PORT", "URL", "ORIGIN", "EMAIL", "JSON", "PATH_TO",
        "DURATION", "PEM", "TEXT",
    ] {
        let found = checked(text, &[(name, canary)]).report.findings;
        let wrong: Vec<_> = found
            .iter()
            .filter(|finding| finding.variable() == Some(name))
            .collect();
        // JSON may be followed by white space.
        let count = if name == "JSON" { 1 } else { 2 };
        assert!(
            wrong.len() >= count,
            "{name}: white space, and a wrong value"
        );
        for finding in wrong {
            let told = format!("{} {}", finding.problem, finding.fix);
            assert!(!told.contains("canary") && !told.contains("c@n"), "{told}");
        }
    }
}

#[test]
fn all_texts_of_a_plan_are_expanded_and_all_addresses_parsed() {
    let text = "version: 1
announce: about to serve on ${PORT}
variables:
  CACHE: {level: optional}
  QUEUE: {level: optional}
  PORT: {default: 8000}
wait_for: [{tcp: CACHE}, {tcp: QUEUE}, {tcp: 'mail:25'}]
steps:
  - {name: migrate, announce: {start: 'to ${PORT}'}, command: [run, '${PORT}'], up_to_date: [ask, '${X:-y}']}
server: {announce: 'on ${PORT}', command: [serve, '--port=${PORT}']}
";
    let checked = checked(text, &[("CACHE", "redis://:secret@cache/0")]);
    assert_eq!(
        checked.announcement.as_deref(),
        Some("about to serve on 8000".as_ref())
    );
    let plan = checked.plan.expect("this environment is sound");
    let waits: Vec<_> = plan.waits.iter().map(|wait| wait.what.as_str()).collect();
    assert_eq!(
        waits,
        ["tcp CACHE (cache:6379)", "tcp QUEUE", "tcp mail:25"]
    );
    let is_set: Vec<_> = plan
        .waits
        .iter()
        .map(|wait| matches!(wait.awaited, Awaited::Server(Some(_))))
        .collect();
    assert_eq!(is_set, [true, false, true]);
    let [step] = plan.steps.as_slice() else {
        panic!("one step");
    };
    assert_eq!(step.announce_start.as_deref(), Some("to 8000".as_ref()));
    assert_eq!(step.command.expanded, ["run", "8000"]);
    assert_eq!(step.command.shown(), "run ${PORT}");
    let Some(Question::Command(question)) = &step.question else {
        panic!("the step has a command as its question");
    };
    assert_eq!(question.expanded, ["ask", "y"]);
    let server = plan.server.expect("there is a server");
    assert_eq!(server.announce.as_deref(), Some("on 8000".as_ref()));
    assert_eq!(server.command.expanded, ["serve", "--port=8000"]);
}

#[test]
fn a_plan_has_only_the_selected_steps_and_server() {
    let text = "version: 1
steps: [{name: a, command: ['${UNSET}']}, {name: b, command: ['true']}]
server: {command: ['${UNSET}']}
";
    let manifest = manifest(text);
    let selection = Selection {
        steps: manifest.steps.iter().skip(1).collect(),
        server: None,
        ..Selection::default()
    };
    let environment = Environment::default();
    let checked = check(
        &manifest,
        &environment,
        &selection,
        &Sources::new(),
        secret_file,
    );
    let plan = checked.plan.expect("nothing refers to UNSET");
    assert_eq!(plan.steps.len(), 1);
    assert!(plan.server.is_none());
    assert_eq!(
        findings(text, &[]),
        ["UNSET unset_reference error", "UNSET unset_reference error"]
    );
}

#[test]
fn a_missing_secret_file_that_an_env_file_names_is_a_warning() {
    let text = "version: 1\nvariables: {TOKEN: {level: critical, secret: true}}\n";
    let entries = [("TOKEN_FILE", "/run/secrets/none")];
    assert_eq!(findings(text, &entries), ["TOKEN file_unreadable error"]);
    let source = Source {
        file: ".env".to_owned(),
        line: 3,
    };
    let sources = Sources::from([("TOKEN_FILE".to_owned(), (source.clone(), None))]);
    let report = checked_with(text, &entries, &sources).report;
    let [finding] = report.findings.as_slice() else {
        panic!("one finding, and not {:?}", report.findings);
    };
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.source, Some(source));
    assert!(
        finding
            .fix
            .starts_with("check the file where the service runs")
    );
}

#[test]
#[cfg(feature = "postgres")]
fn there_is_no_plan_if_a_lock_cannot_be_used() {
    let text = "version: 1
service: s
variables: {DATABASE_URL: {secret: true}}
steps: [{name: migrate, command: ['true'], lock: {postgres: DATABASE_URL}}]
";
    let plan = |entries: &[(&str, &str)], sources: &Sources| {
        let checked = checked_with(text, entries, sources);
        (checked.report.findings.len(), checked.plan)
    };
    let (_, ready) = plan(
        &[("DATABASE_URL", "postgresql://u:p@db/app")],
        &Sources::new(),
    );
    assert!(ready.expect("the URL is sound").steps[0].lock.is_some());
    // The file with the database's URL does not exist here. That is a warning, and the missing address is not reported
    // again.
    let file = "DATABASE_URL_FILE".to_owned();
    let source = Source {
        file: ".env".to_owned(),
        line: 1,
    };
    let (told, ready) = plan(
        &[("DATABASE_URL_FILE", "/run/secrets/none")],
        &Sources::from([(file, (source, None))]),
    );
    assert_eq!(told, 1);
    assert!(ready.is_none());
}

#[test]
#[cfg(feature = "postgres")]
fn a_literal_address_that_the_environment_makes_invalid_is_a_finding() {
    let text = "version: 1\nwait_for: [{postgres: 'postgresql://db/app'}]\n";
    assert_eq!(findings(text, &[]), [""; 0]);
    assert_eq!(
        findings(text, &[("PGSSLMODE", "no-such-mode")]),
        ["postgres wrong_type error"]
    );
}

#[test]
fn an_empty_value_is_told_where_a_program_may_refuse_it() {
    let text = |root: &str, rule: &str| {
        format!("version: 1\n{root}\nvariables: {{A: {{level: optional{rule}}}}}\n")
    };
    for (rule, told) in [
        (", type: boolean", &["A empty warning"][..]),
        (", list: csv", &["A empty warning"]),
        (", one_of: [a, b]", &["A empty warning"]),
        (", pattern: ^x", &["A empty warning"]),
        (", min_length: 8", &["A empty warning"]),
        (", secret: true", &[]),
        (", type: boolean, default: true", &[]),
        ("", &[]),
    ] {
        assert_eq!(findings(&text("", rule), &[("A", "")]), told, "{rule}");
        assert_eq!(findings(&text("", rule), &[]), [""; 0], "{rule}");
        assert_eq!(
            findings(&text("empty: keep", rule), &[("A", "")]),
            [""; 0],
            "{rule}"
        );
    }
    let required = "version: 1\nvariables: {A: {type: boolean}}\n";
    assert_eq!(findings(required, &[("A", "")]), ["A missing error"]);
}

#[test]
fn an_empty_variable_can_be_taken_out_of_the_environment() {
    let text = "version: 1
empty: unset
variables:
  A: {level: optional, type: boolean}
  B: {level: optional}
  C: {level: optional, default: x}
  D: {level: optional}
server: {command: [serve, '${A:-off}', '${C}']}
";
    let entries = [
        ("A", ""),
        ("B", ""),
        ("C", ""),
        ("D", "set"),
        ("UNDECLARED", ""),
    ];
    assert_eq!(effective(text, &entries), ["D=set", "UNDECLARED=", "C=x"]);
    let in_file = text.replace("B: {", "B: {file: true, ");
    let entries_in_file = [("B_FILE", "/run/secrets/empty"), ("D", "set")];
    assert_eq!(effective(&in_file, &entries_in_file), ["D=set", "C=x"]);
    let kept = text.replace("empty: unset", "empty: keep");
    assert_eq!(
        effective(&kept, &entries),
        ["A=", "B=", "D=set", "UNDECLARED=", "C=x"]
    );
    let referring = text.replace("${A:-off}", "${A}");
    assert_eq!(findings(&referring, &entries), ["A unset_reference error"]);
}

#[test]
fn a_condition_holds_for_every_spelling_of_a_value() {
    let text = |condition: &str| {
        format!(
            "version: 1
variables:
  LOG: {{type: boolean, level: optional}}
  LIMIT: {{type: number, level: optional}}
  STAGE: {{level: optional, default: live}}
  X: {{required_when: {{{condition}}}}}
"
        )
    };
    for (condition, entry, holds) in [
        ("LOG: true", ("LOG", "1"), true),
        ("LOG: true", ("LOG", "TRUE"), true),
        ("LOG: [yes]", ("LOG", "on"), true),
        ("LOG: true", ("LOG", "0"), false),
        ("LOG: false", ("LOG", "no"), true),
        ("LOG: true", ("OTHER", "1"), false),
        ("LIMIT: 1", ("LIMIT", "1.0"), true),
        ("LIMIT: 1.0", ("LIMIT", "01"), true),
        ("LIMIT: 1", ("LIMIT", "2"), false),
        ("STAGE: live", ("OTHER", "1"), true),
        ("STAGE: live", ("STAGE", "Live"), false),
    ] {
        let expected: &[&str] = if holds { &["X missing error"] } else { &[] };
        assert_eq!(
            findings(&text(condition), &[entry]),
            expected,
            "{condition} {entry:?}"
        );
    }
}

#[test]
fn a_placeholder_is_certain_for_a_secret_or_if_it_breaks_the_rule() {
    for (rule, value, told) in [
        ("{secret: true}", "changethis", &["A placeholder error"][..]),
        ("{secret: true}", "00000000", &["A placeholder error"]),
        ("{secret: true}", "None", &["A placeholder error"]),
        (
            "{secret: true}",
            "op://prod/db/password",
            &["A placeholder error"],
        ),
        ("{secret: true}", "# required", &["A placeholder error"]),
        (
            "{secret: true}",
            "arn:aws:ssm:eu-west-1:1:parameter/x",
            &["A placeholder warning"],
        ),
        ("{secret: true, not_placeholder: true}", "changethis", &[]),
        (
            "{secret: true, not_placeholder: true, example: fake-example}",
            "fake-example",
            &[],
        ),
        ("{}", "todo", &[]),
        ("{}", "00000000", &[]),
        ("{}", "None", &[]),
        ("{}", "__main__", &[]),
        ("{}", "exchange-memory", &[]),
        ("{}", "arn:aws:ssm:eu-west-1:1:parameter/x", &[]),
        ("{}", "<html>", &["A placeholder warning"]),
        ("{}", "# Optional override", &["A placeholder warning"]),
        ("{}", "${{ github.sha }}", &["A placeholder warning"]),
        ("{not_placeholder: true}", "<html>", &[]),
        ("{pattern: ^<}", "<html>", &[]),
        ("{type: url}", "<url>", &["A placeholder error"]),
        ("{type: port}", "changeme", &["A placeholder error"]),
        (
            "{type: port}",
            "undefined",
            &["A wrong_type error", "A placeholder warning"],
        ),
        (
            "{type: port, level: optional}",
            "undefined",
            &["A wrong_type error", "A placeholder warning"],
        ),
        (
            "{type: port, level: optional}",
            "# seconds",
            &["A wrong_type error", "A placeholder warning"],
        ),
        (
            "{type: port}",
            "# required",
            &["A wrong_type error", "A placeholder warning"],
        ),
        ("{one_of: [Lax, None]}", "None", &[]),
        (
            "{one_of: [Lax, Strict]}",
            "None",
            &["A not_one_of error", "A placeholder warning"],
        ),
    ] {
        let text = format!("version: 1\nvariables: {{A: {rule}}}\n");
        assert_eq!(findings(&text, &[("A", value)]), told, "{rule} {value}");
    }
}

#[test]
fn a_manifest_can_name_further_placeholders() {
    let text =
        "version: 1\nplaceholders: [Set-By-Ops]\nvariables: {A: {}, B: {not_placeholder: true}}\n";
    let told = |value| findings(text, &[("A", value), ("B", value)]);
    assert_eq!(told("set-by-ops"), ["A placeholder error"]);
    assert_eq!(
        told("redis://app:set-by-ops@cache"),
        ["A placeholder error"]
    );
    assert_eq!(told("\"set-by-ops\"")[0], "A placeholder error");
    let text = "version: 1\nplaceholders: [test]\nvariables: {A: {one_of: [test, live]}}\n";
    assert_eq!(findings(text, &[("A", "test")]), [""; 0]);
    assert_eq!(told("set-by-ops-today"), [""; 0]);
}

#[test]
fn a_reference_that_the_servers_command_replaces_is_a_warning() {
    for (command, severity) in [
        ("[op, run, --, serve]", "warning"),
        ("[/vault/vault-env, serve]", "warning"),
        ("[sh, -c, 'exec doppler run -- serve']", "warning"),
        ("[serve, op]", "warning"),
        ("[serve]", "error"),
    ] {
        let text = format!(
            "version: 1\nvariables: {{A: {{type: url, schemes: [https], secret: true}}}}\nserver: {{command: {command}}}\n"
        );
        let expected = [format!("A placeholder {severity}")];
        assert_eq!(
            findings(&text, &[("A", "op://prod/a/url")]),
            expected,
            "{command}"
        );
    }
}
