//! Parses random texts that are composed of meaningful pieces.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{cases, environment_of, manifest_of, runner};
use crate::cli;
use crate::commands::check::{EnvFiles, view};
use crate::dotenv::{self, Dialect};
use crate::error::Error;
use crate::manifest::Scope;
use crate::render::text;

/// The time after which a parser is considered to hang, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Random texts that mix these pieces with arbitrary characters.
fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-zA-Z0-9_]{1,8}",
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

const OF_ENV_FILES: &[&str] = &[
    "A",
    "B=",
    "=",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "\"",
    "'",
    "\\",
    "\\n",
    "\\\"",
    "\\0123",
    "#",
    " #",
    "$",
    "$$",
    "${",
    "}",
    "${A}",
    "${A:-",
    "${A-",
    "${A:?",
    "${A:+",
    "${{",
    "}}",
    "$A",
    "export ",
    "export",
    ":",
    ": ",
    "-----BEGIN X-----",
    "-----END X-----",
    "\u{feff}",
    "\u{85}",
    "\u{a0}",
    "é",
    "\0",
    "{\"k\": \"v\"}",
    "[",
    "]",
    ".",
    "-",
];

const OF_MANIFESTS: &[&str] = &[
    "version: 1\n",
    "version: 2\n",
    "service: x\n",
    "announce: ${A} text\n",
    "processes:\n",
    "  web: {command: [x, \"${A}\"]}\n",
    "    processes: [web]\n",
    "fail_on: critical\n",
    "variables:\n",
    "  A:\n",
    "  A: {type: url}\n",
    "  B: {secret: true, default: x}\n",
    "    type: ",
    "port\n",
    "    level: ",
    "optional\n",
    "    one_of: [a, b]\n",
    "    required_when: {A: [x]}\n",
    "    pattern: '",
    "(",
    "[",
    "\\",
    "'\n",
    "steps:\n",
    "  - name: s\n",
    "    command: [a, '${B}']\n",
    "    timeout: 10m\n",
    "server:\n",
    "  command: ",
    "[x]\n",
    "{",
    "}",
    "]",
    ",",
    ":",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "!x ",
    "|\n",
    ">\n",
    "\"",
    "'",
    "#",
    "%",
    "@",
    "`",
    "---\n",
    "...\n",
    "\t",
    "\n",
    "  ",
    "null",
    "~",
    "1e999",
    "0x1F",
    "yes\n",
    "\u{feff}",
    "\0",
    "é",
];

#[test]
fn every_env_file_is_parsed_or_rejected_in_time() {
    let read = |_: &str| Some("<of the caller>");
    let result = runner(cases(15_000, 750_000)).run(&text_of(OF_ENV_FILES), |source| {
        let started = Instant::now();
        for dialect in [
            Dialect::Compose,
            Dialect::Docker,
            Dialect::PythonDotenv,
            Dialect::Kv,
        ] {
            let content = source.clone().into_bytes();
            // The error message must be created in time as well.
            if let Err(error) = dotenv::load("f", Some(dialect), &read, |_| Ok(content)) {
                prop_assert!(!Error::from(error).to_string().is_empty());
            }
        }
        prop_assert!(
            started.elapsed() < PATIENCE,
            "it took {:?}",
            started.elapsed()
        );
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_manifest_is_parsed_or_rejected_in_time() {
    let result = runner(cases(5_000, 250_000)).run(&text_of(OF_MANIFESTS), |source| {
        let started = Instant::now();
        match manifest_of(&source) {
            // If it is valid, its data can be used without a panic.
            Ok(manifest) => {
                let environment = environment_of(vec![("A".to_owned(), "x".to_owned())]);
                let mut files = EnvFiles::default();
                files.environment = environment;
                let view = view(&manifest, Scope::Everything, &files, &cli::Check::default());
                prop_assert!(!text::report(&view, Some(80), false).is_empty());
            }
            Err(error) => prop_assert!(!Error::from(error).to_string().is_empty()),
        }
        prop_assert!(
            started.elapsed() < PATIENCE,
            "it took {:?}",
            started.elapsed()
        );
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
