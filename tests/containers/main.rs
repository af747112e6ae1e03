//! Tests of the guard in real containers: both images of the Dockerfile, compose, stops, users, read-only roots.
//! Without a container engine, every test is reported as ignored, with the reason.

mod compose;
mod engine;
mod example;
mod images;
mod init;
mod musl;
mod scratch;
mod stops;

#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the guard alone")]
mod support;

use libtest_mimic::{Arguments, Trial};

type Test = (&'static str, fn());

/// The number of tests at a time, by default.
const THREADS: usize = 4;

fn main() {
    let mut arguments = Arguments::from_args();
    // The tests mostly wait for containers.
    arguments.test_threads.get_or_insert(THREADS);
    let missing = images::missing();
    let missing_musl = missing.clone().or_else(images::missing_musl);
    let no_compose = images::compose().is_none();
    let without_compose = no_compose.then(|| "no docker compose is installed".to_owned());
    let trials = [
        trials(musl::TESTS, missing_musl.as_ref()),
        trials(scratch::TESTS, missing.as_ref()),
        trials(example::TESTS, missing.as_ref()),
        trials(stops::TESTS, missing.as_ref()),
        trials(init::TESTS, missing.as_ref()),
        trials(
            compose::TESTS,
            missing.as_ref().or(without_compose.as_ref()),
        ),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    images::remove();
    conclusion.exit();
}

/// The tests, all of them ignored if something is missing.
fn trials(tests: &[Test], missing: Option<&String>) -> Vec<Trial> {
    let trial = |&(name, test): &Test| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        match missing {
            None => trial,
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
        }
    };
    tests.iter().map(trial).collect()
}
