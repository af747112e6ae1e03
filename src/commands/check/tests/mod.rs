//! Property tests: no output contains a part of a value, and every manifest and env file is parsed or rejected quickly.

mod canaries;
mod diagnosis;
mod fuzz;
mod processes;
mod tables;

use proptest::test_runner::{Config, TestRunner};

use crate::environment::{self, Environment};
use crate::manifest::{self, Manifest};

/// The number of cases: `in_soak` for `make soak`, else `in_tests`.
fn cases(in_tests: u32, in_soak: u32) -> u32 {
    if environment::is_soak() {
        in_soak
    } else {
        in_tests
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

fn environment_of(entries: Vec<(String, String)>) -> Environment {
    let entries = entries
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    Environment::from_entries(entries.collect())
}

fn manifest_of(text: &str) -> Result<Manifest, manifest::Error> {
    Manifest::parse(text.as_bytes(), true).map_err(|faults| manifest::Error::Invalid {
        path: "required-vars.yaml".into(),
        faults,
    })
}
