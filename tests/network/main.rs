//! Tests of the guard on a network that breaks: a server and its clients in network namespaces. If these cannot be
//! created, every test is reported as ignored, with the reason.

mod lab;

#[path = "../service/postgres.rs"]
#[allow(dead_code, reason = "each target needs a part of it")]
mod postgres;
#[path = "../guard/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of the guard alone")]
mod support;

use std::time::{Duration, Instant};

use lab::Lab;
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::Signal;
use support::{Folder, Guard, is_alive};

type Test = (&'static str, fn(&Lab));

const TESTS: [Test; 5] = [
    (
        "a_disconnected_holder_ends_before_another_process_gets_its_lock",
        a_disconnected_holder_ends_before_another_process_gets_its_lock,
    ),
    (
        "a_wait_survives_a_broken_network",
        a_wait_survives_a_broken_network,
    ),
    (
        "a_wait_for_a_lock_survives_a_broken_network",
        a_wait_for_a_lock_survives_a_broken_network,
    ),
    (
        "a_resolver_that_never_answers_delays_neither_a_stop_nor_a_time_out",
        a_resolver_that_never_answers_delays_neither_a_stop_nor_a_time_out,
    ),
    (
        "a_name_that_does_not_resolve_leaves_time_for_the_next_host",
        a_name_that_does_not_resolve_leaves_time_for_the_next_host,
    ),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // All tests use the same cable.
    arguments.test_threads = Some(1);
    let missing = lab::missing();
    let trials = TESTS.map(|(name, test)| match &missing {
        None => Trial::test(name, move || {
            test(Lab::shared());
            Ok(())
        }),
        Some(reason) => Trial::test(name, || Ok(()))
            .with_kind(reason)
            .with_ignored_flag(true),
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    lab::remove();
    conclusion.exit();
}

/// A guard with a step that runs until `$SHARED/go` exists.
fn migrating(url: &str, shared: &Folder) -> Guard {
    let manifest = "version: 1
service: cut
variables: {DATABASE_URL: {secret: true}}
steps:
  - name: migrate
    command: [sh, -c, 'trap : TERM; echo $$ > $SHARED/pid; echo started; while [ ! -e $SHARED/go ]; do sleep 0.05; done']
    stop_grace: 2m
    lock: {postgres: DATABASE_URL, timeout: 2m}
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .env("DATABASE_URL", url)
        .env("SHARED", shared.path())
}

fn waiting(url: &str, timeout: &str) -> Guard {
    let manifest = format!(
        "version: 1
variables: {{DATABASE_URL: {{secret: true}}}}
wait_for: [{{postgres: DATABASE_URL, timeout: {timeout}}}]
server: {{command: [echo, served]}}
"
    );
    Guard::with_manifest(&manifest).env("DATABASE_URL", url)
}

fn a_disconnected_holder_ends_before_another_process_gets_its_lock(lab: &Lab) {
    let shared = Folder::new();
    let holder = lab.at_client(migrating(&lab.url, &shared)).start();
    holder.wait_for("started\n");
    let pid = std::fs::read_to_string(shared.path().join("pid")).expect("the step has begun");
    let pid: i32 = pid.trim().parse().expect("the file holds a number");
    let waiter = lab.at_server(migrating(&lab.url, &shared)).start();
    waiter.wait_for("another process holds it");

    lab.cut();
    let cut = Instant::now();
    let ended = holder.end_within(Duration::from_mins(1));
    let took = cut.elapsed();
    assert_eq!(ended.code(), 75, "{ended}");
    assert!(
        took > Duration::from_secs(5) && took < Duration::from_secs(30),
        "{took:?}"
    );
    assert!(!is_alive(pid), "nothing of the step is left");
    ended
        .expect_stderr("the lock is lost")
        .expect_never("served");
    // The server has not noticed it yet, and has not released the lock.
    assert!(!waiter.shown().contains("started\n"), "{}", waiter.shown());

    // Without the network the server notices it by itself, some time after the holder.
    let deadline = cut + Duration::from_secs(90);
    while !waiter.shown().contains("started\n") {
        assert!(Instant::now() < deadline, "{}", waiter.shown());
        std::thread::sleep(Duration::from_millis(20));
    }
    lab.mend();
    shared.file("go", "");
    waiter
        .end()
        .expect_code(0)
        .expect_stdout("started\nserved\n");
}

fn a_wait_survives_a_broken_network(lab: &Lab) {
    lab.cut();
    let running = lab.at_client(waiting(&lab.url, "1m")).start();
    running.wait_for("waiting (");
    lab.mend();
    running
        .end_within(Duration::from_mins(1))
        .expect_code(0)
        .expect_stdout("served\n");
}

fn a_wait_for_a_lock_survives_a_broken_network(lab: &Lab) {
    let shared = Folder::new();
    let holder = lab.at_server(migrating(&lab.url, &shared)).start();
    holder.wait_for("started\n");
    let waiter = lab.at_client(migrating(&lab.url, &shared)).start();
    waiter.wait_for("another process holds it");
    lab.cut();
    std::thread::sleep(Duration::from_secs(2));
    lab.mend();
    shared.file("go", "");
    holder.end().expect_code(0);
    waiter
        .end_within(Duration::from_mins(1))
        .expect_code(0)
        .expect_stdout("started\nserved\n");
}

fn a_resolver_that_never_answers_delays_neither_a_stop_nor_a_time_out(lab: &Lab) {
    let url = "postgresql://app:x@db.example.com/app";
    let ended = lab.with_mute_resolver(waiting(url, "1s")).run();
    assert_eq!(ended.code(), 69, "{ended}");
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
    ended.expect_stderr("postgres DATABASE_URL (db.example.com:5432): no answer yet");

    let running = lab.with_mute_resolver(waiting(url, "1m")).start();
    Lab::wait_for_a_question();
    running.signal(Signal::SIGTERM);
    let ended = running.end_within(Duration::from_secs(4));
    assert_eq!(ended.code(), 143, "{ended}");
}

fn a_name_that_does_not_resolve_leaves_time_for_the_next_host(lab: &Lab) {
    let url = lab.url.replacen('@', "@db.example.com,", 1);
    lab.with_mute_resolver(waiting(&url, "15s"))
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}
