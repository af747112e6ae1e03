//! `docs/report.svg`, the picture in the README, shows what the program prints to a terminal.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::postgres::venv;
use crate::support::{Folder, Guard};
use crate::{Test, root, succeeds};

pub const TESTS: &[Test] = &[
    (
        "the_picture_is_the_one_that_its_script_makes_of_this_program",
        &[],
        is_current,
    ),
    (
        "the_picture_has_the_words_and_the_colours_of_the_report_and_no_value",
        &[],
        shows_the_report,
    ),
    (
        "the_picture_is_a_small_svg_that_needs_no_other_file",
        &[],
        is_self_contained,
    ),
    (
        "wide_characters_and_long_lines_are_drawn_as_a_terminal_shows_them",
        &[],
        terminal,
    ),
    ("no_picture_is_written_of_what_is_no_report", &[], refusals),
    (
        "the_readme_shows_the_picture_above_its_install_section",
        &[],
        readme,
    ),
];

const PICTURE: &str = include_str!("../../docs/report.svg");
const VARIABLES: &str = include_str!("picture.env");
const MANIFEST: &str = include_str!("../../required-vars.yaml");

/// Prints the elements of an SVG file: its tags, and for each row of text the attributes and the text of its spans.
const ELEMENTS: &str = "
import json, sys, xml.etree.ElementTree as tree
svg = tree.parse(sys.argv[1]).getroot()
name = lambda element: element.tag.removeprefix('{http://www.w3.org/2000/svg}')
rows = [element for element in svg if name(element) == 'text']
print(json.dumps({
    'tags': sorted({name(element) for element in svg.iter()}),
    'svg': svg.attrib,
    'texts': {name(element): element.text for element in svg if name(element) in ('title', 'desc', 'style')},
    'rows': [[{**span.attrib, 'text': ''.join(span.itertext())} for span in row] for row in rows],
}))
";

fn elements(file: &Path) -> Value {
    let mut command = Command::new(venv("python"));
    let printed = succeeds(command.args(["-c", ELEMENTS]).arg(file));
    serde_json::from_str(&printed).expect("it is JSON")
}

fn rows(elements: &Value) -> Vec<&Vec<Value>> {
    let rows = elements["rows"].as_array().expect("there are rows");
    rows.iter().filter_map(Value::as_array).collect()
}

fn text(row: &[Value]) -> String {
    row.iter()
        .filter_map(|span| span["text"].as_str())
        .collect()
}

fn number(value: &Value) -> f64 {
    let number = value.as_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Makes a picture of the report of a program.
fn draw(program: impl AsRef<Path>, file: &Path) -> Output {
    Command::new(venv("python"))
        .arg(root().join("tests/publish/picture.py"))
        .arg(program.as_ref())
        .arg(file)
        .output()
        .expect("Python starts")
}

fn is_current() {
    let folder = Folder::new();
    let file = folder.path().join("report.svg");
    let output = draw(env!("CARGO_BIN_EXE_startup-guard"), &file);
    assert!(output.status.success(), "{output:?}");
    let made = fs::read_to_string(file).expect("the picture is there");
    assert!(
        made == PICTURE,
        "docs/report.svg is not up to date: run `make picture`, and look at it.\n{made}"
    );
}

/// The words of a report. In a file, a colon and the description follow on the line of the finding.
fn words(report: &str) -> Vec<&str> {
    let words = report.split_whitespace();
    words
        .map(|word| word.trim_end_matches([']', ':']))
        .collect()
}

fn shows_the_report() {
    let elements = elements(&root().join("docs/report.svg"));
    let rows = rows(&elements);
    let shown: Vec<String> = rows.iter().map(|row| text(row)).collect();
    assert_eq!(shown[0], "$ startup-guard check");
    let mut guard = Guard::with_manifest(MANIFEST).line("check");
    let mut values = Vec::new();
    for line in VARIABLES.lines() {
        let (name, value) = line.split_once('=').expect("a line is NAME=value");
        guard = guard.env(name, value);
        let is_declared = MANIFEST.contains(&format!("\n  {name}:\n"));
        values.extend(is_declared.then_some(value));
    }
    let ended = guard.run().expect_code(78);
    let report = ended.stdout() + &ended.stderr();
    assert_eq!(words(&shown[1..].join("\n")), words(&report));
    // Without a picture, a reader gets the same text.
    let description = elements["texts"]["desc"].as_str();
    assert_eq!(description, Some(shown.join("\n").as_str()));
    assert!(values.len() >= 6, "{values:?}");
    for value in values {
        assert!(!PICTURE.contains(value), "the picture shows {value}");
    }
    let class = |row: &[Value]| -> Vec<String> {
        let classes = row.iter().map(|span| span["class"].as_str());
        let mut classes: Vec<_> = classes
            .map(|class| class.unwrap_or_default().into())
            .collect();
        classes.dedup();
        classes
    };
    let classes = |start: &str| -> Vec<Vec<String>> {
        let rows = rows.iter().filter(|row| text(row).starts_with(start));
        rows.map(|row| class(row)).collect()
    };
    assert_eq!(classes("❌ "), [["error"]; 6]);
    assert_eq!(classes("To "), [["bold"]; 2]);
    assert_eq!(classes("Cause "), [["bold"]]);
    assert_eq!(classes("railway "), [[""]; 2]);
    assert_eq!(classes("startup-guard: "), [["error"]]);
}

fn is_self_contained() {
    let elements = elements(&root().join("docs/report.svg"));
    let tags = [
        "circle", "desc", "rect", "style", "svg", "text", "title", "tspan",
    ];
    assert_eq!(elements["tags"], serde_json::json!(tags));
    assert_eq!(elements["svg"]["role"], "img");
    assert_eq!(elements["svg"]["aria-labelledby"], "title desc");
    assert!(PICTURE.len() < 10_000, "it has {} bytes", PICTURE.len());
    let style = elements["texts"]["style"].as_str().expect("it has a style");
    assert!(!style.contains("url(") && !style.contains('@'), "{style}");
    assert!(!PICTURE.contains("href"), "it refers to something");
    // No text leaves the frame, and none has a class that the style does not have.
    let width = number(&elements["svg"]["width"]);
    for span in rows(&elements).into_iter().flatten() {
        if !span["textLength"].is_null() {
            let end = number(&span["x"]) + number(&span["textLength"]);
            assert!(end < width - 20.0, "{span}");
        }
        if let Some(class) = span["class"].as_str() {
            assert!(style.contains(&format!(".{class} {{")), "{span}");
        }
    }
}

/// Runs the script on a program that prints this text, with the escapes of `printf`, and ends with a code.
fn drawn(folder: &Folder, printed: &str, code: i32) -> Output {
    let program = format!("#!/bin/sh\nprintf '{printed}'\nexit {code}\n");
    let program = folder.script("guard", &program);
    draw(program, &folder.path().join("report.svg"))
}

fn terminal() {
    let folder = Folder::new();
    // The terminal has 113 columns, so the second wide character does not fit into its row.
    let long = format!("{}❌❌<&", "a".repeat(110));
    let printed = format!("\\033[31m❌ one\\033[0m two\\n\\n\\033[33m⚠️ x\\033[0m\\n{long}\\n");
    let output = drawn(&folder, &printed, 78);
    assert!(output.status.success(), "{output:?}");
    let elements = elements(&folder.path().join("report.svg"));
    let spans = |row: &Vec<Value>| -> Vec<(String, String, String)> {
        let part = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let spans = row.iter();
        spans
            .map(|span| (part(&span["text"]), part(&span["x"]), part(&span["class"])))
            .collect()
    };
    let rows: Vec<_> = rows(&elements).into_iter().skip(1).map(spans).collect();
    let span = |text: &str, x: &str, class: &str| (text.into(), x.into(), class.into());
    let expected: [Vec<(String, String, String)>; 5] = [
        vec![
            span("❌", "22.0", "error"),
            span(" one", "38.8", "error"),
            span(" two", "72.4", "-"),
        ],
        vec![],
        vec![span("⚠️", "22.0", "warning"), span(" x", "30.4", "warning")],
        vec![
            span(&"a".repeat(110), "22.0", "-"),
            span("❌", "946.0", "-"),
        ],
        vec![span("❌", "22.0", "-"), span("<&", "38.8", "-")],
    ];
    assert_eq!(rows, expected);
}

fn refusals() {
    let script = root().join("tests/publish/picture.py");
    let output = Command::new(venv("python")).arg(script).output();
    let output = output.expect("Python starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stderr, b"Usage: picture.py GUARD FILE\n");
    let folder = Folder::new();
    let file = folder.file("report.svg", "the former picture");
    for (printed, code, told) in [
        ("sound", 0, "ended with 0 instead of 78"),
        ("a", 65, "ended with 65 instead of 78"),
        // The style has no class for green.
        ("\\033[32mgreen\\033[0m", 78, "KeyError: '\\x1b[32m'"),
        ("\\033", 78, "KeyError: '\\x1b'"),
    ] {
        let output = drawn(&folder, printed, code);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(told), "{stderr}");
        let kept = fs::read_to_string(&file).expect("the file is there");
        assert_eq!(kept, "the former picture");
    }
}

fn readme() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README can be read");
    let (above, _) = readme
        .split_once("\n## Install\n")
        .expect("there is an install section");
    let (before, _) = above
        .split_once("](docs/report.svg)](docs/report-and-causes.md)\n")
        .expect("the picture is above it, and leads to its page");
    let (_, alternative) = before.rsplit_once("[![").expect("it has a text");
    assert!(alternative.len() > 50, "{alternative}");
}
