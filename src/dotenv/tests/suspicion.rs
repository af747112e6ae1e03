//! Tests of the values that are probably not meant.

use crate::dotenv::suspicion::{IN_QUOTES, ONE_LINE};
use crate::dotenv::{Dialect, EnvFile, LineFault, parse};

use Dialect::{Compose, Docker, Kv, PythonDotenv};

fn read(source: &str, dialect: Dialect) -> Result<EnvFile, Vec<LineFault>> {
    parse("f", source, dialect, &|name| (name == "SET").then_some("x"))
}

/// Whether the value of the first line is certainly or probably not meant; `None` if nothing is wrong with it.
fn is_certain(source: &str, dialect: Dialect) -> Option<bool> {
    let file = read(source, dialect).expect("the reader takes it");
    let entry = file.entries.into_iter().next().expect("it sets a variable");
    Some(entry.finding?.is_certain)
}

#[test]
fn a_comment_in_the_value_is_told_from_a_value_that_begins_with_a_number_sign() {
    let (certain, likely) = (Some(true), Some(false));
    for (source, compose, docker, python, kv) in [
        ("A= # to be set", certain, certain, None, likely),
        ("A=\t\t# to be set", certain, certain, None, likely),
        ("A=# to be set", certain, certain, certain, likely),
        ("A=   #to be set", certain, certain, None, likely),
        ("A= # todo", certain, certain, None, likely),
        ("A= #todo", likely, likely, None, likely),
        ("A=#todo", None, None, None, None),
        ("A=#to be set", None, None, None, None),
        ("A=\"# to be set\"", None, None, None, None),
        ("A=' # to be set'", None, None, None, None),
        ("A=v # to be set", None, likely, None, likely),
        ("A=v\t# to be set", likely, likely, None, likely),
        ("A=v #3", None, None, None, None),
        ("A=v# 3", None, None, None, None),
        ("A=\"v # 3\"", None, None, None, None),
        ("A=\"\"", None, None, None, None),
        ("A=é", None, None, None, None),
        ("A=", None, None, None, None),
    ] {
        let expected = [
            (Compose, compose),
            (Docker, docker),
            (PythonDotenv, python),
            (Kv, kv),
        ];
        for (dialect, expected) in expected {
            let source = format!("{source}\n");
            assert_eq!(
                is_certain(&source, dialect),
                expected,
                "{source:?} in {dialect:?}"
            );
        }
    }
}

#[test]
fn a_reference_that_is_replaced_with_nothing_is_told_unless_its_default_applies() {
    for (value, compose, python) in [
        ("a$NONE", true, false),
        ("a${NONE}", true, true),
        ("\"a${NONE}\"", true, true),
        ("'a${NONE}'", false, true),
        ("'a$NONE'", false, false),
        ("$2y$10$abc", true, false),
        ("a$1", false, false),
        ("a$$NONE", false, false),
        ("a${SET}", false, false),
        ("a${NONE:-}", false, false),
        ("a${NONE:-d}", false, false),
        ("a${SET:-${NONE}}", false, false),
        ("a${NONE:-${NONE}}", true, false),
        ("a${NONE:+${NONE}}", false, true),
    ] {
        for (dialect, is_told) in [(Compose, compose), (PythonDotenv, python), (Docker, false)] {
            let source = format!("A={value}\n");
            let expected = is_told.then_some(false);
            assert_eq!(
                is_certain(&source, dialect),
                expected,
                "{source:?} in {dialect:?}"
            );
        }
    }
}

#[test]
fn a_quote_that_only_begins_the_value_is_told_in_dockers_dialect() {
    for (source, is_told) in [
        ("A=\"abc", true),
        ("A='abc", true),
        ("A='", true),
        ("A=\"abc\" # c", true),
        ("A=\"abc'", true),
        ("A=\"abc\"", false),
        ("A=''", false),
        ("A=it's", false),
        ("A=abc\"", false),
        ("A=\"a\", \"b\"", false),
        ("A={\"a\": 1}", false),
    ] {
        let told = is_certain(source, Docker);
        assert_eq!(told, is_told.then_some(false), "{source:?}");
    }
}

const PEM: &str = "-----BEGIN EC KEY-----\nabc\nabc==\n-----END EC KEY-----";

#[test]
fn a_value_that_goes_on_in_the_next_lines_is_one_fault_of_its_first_line() {
    let quoted = format!("A=\"{PEM}\"");
    let raw = format!("A={PEM}");
    for (value, dialects) in [
        (raw.as_str(), &[Compose, Docker, PythonDotenv][..]),
        (quoted.as_str(), &[Docker]),
        (
            "A={\n  \"k\": \"v\",\n  \"l\": [\n 1]\n}",
            &[Compose, Docker, PythonDotenv],
        ),
        (
            "A=[ {\"k\": 1},\n {\"k\": 2}\n]",
            &[Compose, Docker, PythonDotenv],
        ),
        ("A='one two\nthree four\nk=v\n five'", &[Docker]),
    ] {
        for dialect in dialects {
            let source = format!("B=1\n{value}\nC D=1\nE=1\n");
            let faults = read(&source, *dialect).expect_err("it is refused");
            let faults: Vec<_> = faults
                .iter()
                .map(|fault| (fault.line, fault.text))
                .collect();
            let fault = if *dialect == Docker {
                ONE_LINE
            } else {
                IN_QUOTES
            };
            let last = 2 + value.matches('\n').count() + 1;
            let of_last = (last, "has white space in its name");
            assert_eq!(faults, [(2, fault), of_last], "{source:?} in {dialect:?}");
        }
    }
}

#[test]
fn lines_that_do_not_continue_a_value_keep_their_own_faults() {
    for source in [
        "A=\"abc\nB C=1\nD=\"x\"\n",
        "A={\nB={}\nB C=1\n}\n",
        "A=-----BEGIN X-----\nB C=1\n",
        "A=[x]\nB C=1\n]\n",
        "A=it's\nB C='1'\n",
    ] {
        let faults = read(source, Docker).expect_err("it is refused");
        assert!(faults[0].line > 1, "{source:?}: {faults:?}");
    }
    // docker takes each line for a variable here, and so does the guard.
    let file = read("A=\"one\ntwo\"\nB=1\n", Docker).expect("docker reads it");
    assert_eq!(file.entries.len(), 2);
}
