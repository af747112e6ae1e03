//! The page about the bugs of other tools names tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/peers.md");
const SECURITY: &str = include_str!("../../SECURITY.md");

/// What the page says about a bug.
struct Row {
    bug: &'static str,
    /// How the guard stands.
    standing: &'static str,
    /// The tests, or why there is none.
    tests: &'static str,
}

/// The rows of all tables of the page.
fn rows() -> Vec<Row> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [bug, standing, tests] = cells[..] else {
            panic!("a row has three cells: {line}");
        };
        Row {
            bug,
            standing,
            tests,
        }
    });
    cells
        .filter(|row| row.bug != "bug" && row.bug != "---")
        .collect()
}

/// The parts of a text in backticks that name a test.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|part| part.split_once("::"))
}

/// Whether a source file has a test: a function of Rust's own harness, or a name in a list of tests.
fn has_test(path: &str, name: &str) -> bool {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let source = source.unwrap_or_else(|error| panic!("{path}: {error}"));
    let function = format!("#[test]\nfn {name}() {{");
    let listed = format!("\"{name}\",");
    // In a module of unit tests, functions are indented. A test may be for builds with assertions only.
    let source = source.replace("\n    ", "\n");
    let source = source.replace("#[cfg(debug_assertions)]\n", "");
    source.contains(&function) || source.contains(&listed)
}

#[test]
fn every_named_test_exists() {
    let mut names = BTreeSet::new();
    for row in rows() {
        for (path, name) in named(row.tests) {
            assert!(has_test(path, name), "there is no {path}::{name}");
            names.insert(name);
        }
    }
    assert!(names.len() > 50, "only {} tests are named", names.len());
    assert!(!has_test("tests/author/peers.rs", "named"));
}

#[test]
fn every_promise_of_the_security_page_names_a_test_that_exists() {
    let rows = SECURITY.lines().skip_while(|line| *line != "| --- | --- |");
    let rows: Vec<&str> = rows.skip(1).take_while(|row| !row.is_empty()).collect();
    assert!(rows.len() > 8, "only {} promises are listed", rows.len());
    for row in rows {
        assert!(named(row).next().is_some(), "{row}");
        for (path, name) in named(row) {
            assert!(has_test(path, name), "there is no {path}::{name}");
        }
    }
}

#[test]
fn every_bug_has_a_standing_and_a_test_or_the_reason_why_there_is_none() {
    let rows = rows();
    assert!(rows.len() > 40, "only {} bugs are listed", rows.len());
    let mut bugs = BTreeSet::new();
    for row in rows {
        let standings = ["**handled**", "**does not apply**", "**known**"];
        assert!(
            standings.iter().any(|each| row.standing.starts_with(each)),
            "{}: {}",
            row.bug,
            row.standing
        );
        let is_tested = named(row.tests).next().is_some();
        assert!(
            is_tested || row.tests.starts_with("not tested: "),
            "{}: {}",
            row.bug,
            row.tests
        );
        assert!(
            is_tested || !row.standing.starts_with("**handled**"),
            "{} is said to be handled without a test",
            row.bug
        );
        assert!(bugs.insert(row.bug), "{} is listed twice", row.bug);
    }
}
