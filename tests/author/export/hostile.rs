//! Values that are hard to quote, and an env file with them.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const PIECES: &[&str] = &[
    "'",
    "\"",
    "\\",
    "\\'",
    "\\\\",
    "\\\"",
    "\\n",
    "$",
    "$$",
    "$HOME",
    "${HOME}",
    "${A:-b}",
    "$(id)",
    "$(",
    "`id`",
    "`",
    "!",
    "!!",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "  ",
    "#",
    " #",
    " # c",
    "=",
    "==",
    "-",
    "--",
    "--stdin",
    "%s",
    "%",
    "&&",
    ";",
    "|",
    ">",
    "<<EOF",
    "\nEOF\n",
    "EOF",
    "{",
    "}",
    "{{",
    "}}",
    "[",
    "]",
    "*",
    "?",
    "~",
    "~/",
    "@",
    ":",
    ": ",
    ",",
    "/",
    "yes",
    "null",
    "1.10",
    "0x1F",
    "2024-01-01",
    "---",
    "...",
    "- ",
    "&a",
    "*a",
    "!!int 3",
    "é",
    "中",
    "\u{1F600}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffe}",
    "\u{200b}",
    "\u{1}",
    "\u{7}",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{9b}",
    "\u{301}",
    "export ",
    "NAME=",
    "on",
    "\\$",
    "\\`",
    "\\u0041",
    "'\\''",
];

/// Such values, none of which is blank.
pub fn values(count: usize) -> Vec<String> {
    let piece = prop_oneof![
        6 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        2 => "[a-zA-Z0-9_]{1,8}",
    ];
    let value = proptest::collection::vec(piece, 1..10).prop_map(|pieces| pieces.concat());
    let is_usable = |value: &String| !value.contains('\0') && !value.trim().is_empty();
    let value = value.prop_filter("a variable can hold it", is_usable);
    let mut runner = TestRunner::default();
    let next = |_| {
        let tree = value.new_tree(&mut runner);
        tree.expect("there are enough values").current()
    };
    (0..count).map(next).collect()
}

/// The name of the variable with this index.
pub fn name(index: usize) -> String {
    format!("V{index:03}")
}

/// Whether that variable is a secret.
pub fn is_secret(index: usize) -> bool {
    index % 2 == 1
}

/// A manifest that declares the variables, and admits every value.
pub fn manifest(count: usize) -> String {
    let line = |index| {
        let (name, secret) = (name(index), is_secret(index));
        format!("  {name}: {{secret: {secret}, level: optional, not_placeholder: true}}\n")
    };
    let lines: String = (0..count).map(line).collect();
    format!("version: 1\nservice: Häst & Söner\nvariables:\n{lines}")
}

/// An env file in the compose dialect. It is written here in a way of its own, to test the one of the guard.
pub fn env_file(values: &[String]) -> String {
    let escaped = |other: char| match other {
        '\\' | '"' | '$' => format!("\\{other}"),
        '\r' => "\\r".to_owned(),
        '\n' => "\\n".to_owned(),
        _ => other.to_string(),
    };
    let line = |(index, value): (usize, &String)| {
        let value: String = value.chars().map(escaped).collect();
        format!("{}=\"{value}\"\n", name(index))
    };
    values.iter().enumerate().map(line).collect()
}

/// Whether the value can be written so that compose v2 and python-dotenv read it alike. The latter, with which
/// docker-compose 1 reads env files, has no escape for `${`, for a `$` in the double quotes that a backslash and a
/// carriage return can need, and for a backslash before the closing quote.
pub fn is_portable(value: &str) -> bool {
    let has_two = value.contains('$') && value.contains(['\\', '\r', '{']);
    !has_two && !value.ends_with('\\')
}
