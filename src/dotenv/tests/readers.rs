//! Compares the dialects with recordings of the real readers (`tests/dotenv/record.py`).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use crate::dotenv::{Dialect, EnvFile, Error, LineFault, load, parse};
use crate::report::NoteCode;

fn record() -> Value {
    serde_json::from_str(include_str!("../../../tests/dotenv/readers.json"))
        .expect("the record is JSON")
}

fn caller(name: &str) -> Option<&'static str> {
    match name {
        "SET" => Some("caller"),
        "EMPTY" => Some(""),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The text without its byte-order mark, which `load` strips before a dialect parses the text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Calls `check` with the text of each recorded case and its recording.
fn each_case(mut check: impl FnMut(&str, &Value)) {
    let record = record();
    let cases = record["cases"].as_array().expect("there are cases");
    assert!(cases.len() > 100, "{} cases", cases.len());
    for case in cases {
        check(case["text"].as_str().expect("a case has a text"), case);
    }
}

#[test]
fn python_dotenv_parses_as_the_library_does() {
    each_case(|source, case| {
        let ours: Vec<_> = Dialect::PythonDotenv
            .statements(without_mark(source), &caller)
            .into_iter()
            .map(|statement| match statement.value {
                Ok(Some(value)) => (statement.line as u64, Some(statement.name), Some(value)),
                Ok(None) => (statement.line as u64, Some(statement.name), None),
                Err(_) => (statement.line as u64, None, None),
            })
            .collect();
        let theirs: Vec<_> = case["python"]
            .as_array()
            .expect("bindings are a list")
            .iter()
            .map(|binding| {
                let line = binding[0].as_u64().expect("a binding has a line");
                (line, text(&binding[1]), text(&binding[2]))
            })
            .collect();
        assert_eq!(ours, theirs, "{source:?}");
    });
}

#[test]
fn docker_parses_as_its_command_line_does() {
    each_case(|source, case| {
        let ours = Dialect::Docker.statements(without_mark(source), &caller);
        let Some(theirs) = case["docker"].as_array() else {
            let is_refused = ours.iter().any(|statement| statement.value.is_err());
            assert!(is_refused, "{source:?} is refused");
            return;
        };
        let ours: Vec<_> = ours
            .into_iter()
            .filter_map(|statement| match statement.value {
                Ok(Some(value)) => Some((statement.name, value)),
                Ok(None) => caller(&statement.name).map(|value| (statement.name, value.to_owned())),
                Err(fault) => panic!("{source:?}: {fault}"),
            })
            .collect();
        let theirs: Vec<_> = theirs
            .iter()
            .map(|entry| {
                let part = |index: usize| text(&entry[index]).unwrap_or_default();
                (part(0), part(1))
            })
            .collect();
        assert_eq!(ours, theirs, "{source:?}");
    });
}

fn read(source: &str, dialect: Dialect) -> Result<EnvFile, Vec<LineFault>> {
    parse("f", source, dialect, &caller)
}

fn value(source: &str, dialect: Dialect) -> Option<String> {
    let file = read(source, dialect).ok()?;
    let entry = file.entries.into_iter().rfind(|entry| entry.name == "A")?;
    Some(entry.value)
}

#[test]
fn compose_parses_as_its_program_does() {
    each_case(|source, case| {
        let ours = read(without_mark(source), Dialect::Compose);
        let theirs = case["compose"].as_object();
        // The engine creates no container with a variable without a name.
        let Some(theirs) = theirs.filter(|theirs| !theirs.contains_key("")) else {
            assert!(ours.is_err(), "{source:?} is refused");
            return;
        };
        let ours = ours.unwrap_or_else(|faults| panic!("{source:?}: {faults:?}"));
        let entries = ours.entries.into_iter();
        let ours: BTreeMap<String, Value> = entries
            .map(|entry| (entry.name, entry.value.into()))
            .collect();
        assert_eq!(ours, theirs.clone().into_iter().collect(), "{source:?}");
    });
}

proptest! {
    #[test]
    fn a_written_value_is_read_unchanged(text in "[ -~é]{1,12}|[ $\\\\\"'#{}A:-]{1,12}") {
        for (_, dialect) in Dialect::NAMES {
            let line = format!("A={}\n", dialect.written(&text));
            let read = value(&line, dialect);
            prop_assert_eq!(read.as_ref(), Some(&text), "{:?} of {:?}", line, dialect);
        }
    }
}

#[test]
fn kv_keeps_raw_values_which_may_have_several_lines() {
    for (source, expected) in [
        ("A= \"v\" # $c \n", " \"v\" # $c "),
        (
            "A=-----BEGIN KEY-----\nabc==\nx=y\n-----END KEY-----\nB=1\n",
            "-----BEGIN KEY-----\nabc==\nx=y\n-----END KEY-----",
        ),
        ("A=one\ntwo words\n\nB=1", "one\ntwo words"),
        ("A=", ""),
        ("\nA=x=y\n\n", "x=y"),
    ] {
        assert_eq!(
            value(source, Dialect::Kv).as_deref(),
            Some(expected),
            "{source:?}"
        );
    }
    assert!(read("no assignment", Dialect::Kv).is_err());
}

#[test]
fn all_faulty_lines_are_reported_at_once_without_their_text() {
    let source = "A=1\nB canary=\n=canary\nC=\"canary\nD=1\n";
    for dialect in [Dialect::Compose, Dialect::Docker, Dialect::PythonDotenv] {
        let faults = read(source, dialect).expect_err("this cannot be read");
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        let expected: &[usize] = if dialect == Dialect::Docker {
            &[2, 3]
        } else {
            &[2, 3, 4]
        };
        assert_eq!(lines, expected, "{dialect:?}");
        assert!(faults.iter().all(|fault| !fault.text.contains("canary")));
    }
}

#[test]
fn a_line_that_readers_parse_differently_has_a_remark_with_the_reason() {
    for (source, told) in [
        ("A=\"v\"", "docker keeps the quotes"),
        (
            "A=\"v\" # c",
            "docker keeps the quotes and what follows them",
        ),
        ("A=v # c", "docker keeps the comment"),
        ("A=v  ", "docker keeps the white space around the value"),
        ("export A=v", "docker refuses it"),
        (
            "A=\"l1\nl2\"",
            "docker reads only its first line, and keeps the quote",
        ),
        (
            "A=p$ss",
            "compose expands `$NAME` and `${NAME}`, python-dotenv only `${NAME}`, docker neither",
        ),
        ("A=${SET}", "docker does not expand `${NAME}`"),
        ("A='a\\nb\\t'", "docker keeps the quotes"),
        ("A=\"a\\cb\\0123\"", "decode backslash escapes differently"),
        ("A\n", "python-dotenv sets nothing"),
        ("A: v\n", "docker refuses it; python-dotenv drops it"),
    ] {
        let file = read(source, Dialect::Compose).expect("compose reads it");
        let remarks: Vec<_> = file
            .notes
            .iter()
            .filter(|remark| remark.code == NoteCode::Portability)
            .collect();
        assert_eq!(remarks.len(), 1, "{source:?}: {remarks:?}");
        assert!(remarks[0].text.contains(told), "{source:?}: {remarks:?}");
        let source = remarks[0].source.as_ref().expect("it has a line");
        assert_eq!(source.line, 1);
    }
    let plain = "# a comment\nA=v\n\nB=postgresql://u:p@h/d\nC={\"k\":[1]}\nD=a b\n";
    for dialect in [Dialect::Compose, Dialect::Docker, Dialect::PythonDotenv] {
        assert_eq!(
            read(plain, dialect).expect("all read it").notes,
            [],
            "{dialect:?}"
        );
    }
}

#[test]
fn a_duplicate_name_has_a_remark_and_its_last_value_applies() {
    let file = read("A=1\nB=2\nA=3", Dialect::Docker).expect("docker reads it");
    assert_eq!(file.entries[2].value, "3");
    assert_eq!(file.entries[2].line, 3);
    assert!(
        file.notes[0]
            .text
            .starts_with("sets a name that line 1 already sets")
    );
}

#[test]
fn a_file_that_is_not_text_is_reported_with_the_reason() {
    let fault_of = |content: &[u8]| {
        let content = content.to_vec();
        let result: Result<EnvFile, Error> = load("f", None, &caller, |_| Ok(content));
        result.expect_err("this is no env file").fault.to_string()
    };
    let utf16: Vec<u8> = "A=1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xff\xfe", utf16.as_slice()].concat();
    let large = vec![b'A'; 1024 * 1024 + 1];
    let cases: [(&[u8], &str); 8] = [
        (&utf16, "it is UTF-16; save it as UTF-8"),
        (&with_mark, "it is UTF-16; save it as UTF-8"),
        (b"A=1\nB=\0", "it is not text: line 2 contains a NUL byte"),
        (b"A=1\n\xe9", "it is not text: line 2 is not UTF-8"),
        (b"", "it sets no variable"),
        (b"# only\n\n", "it sets no variable"),
        (&large, "it is larger than 1 MiB"),
        (b"A=\"\\0000\"\n", "it has 1 line that cannot be read"),
    ];
    for (content, fault) in cases {
        assert_eq!(fault_of(content), fault);
    }
}
