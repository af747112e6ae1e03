//! `examples/fastapi-template`: local runs with its `.env`, and the same service from nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::environment::{free_port, get, search_path};
use crate::postgres::Postgres;
use crate::support::{Ended, Folder, Guard, until};

/// What the template runs before its server.
const PRESTART: &str = "#! /usr/bin/env bash

set -e
set -x

# Run migrations
alembic upgrade head

# Create initial data in DB
python -m app.initial_data
";

/// A copy of the example.
fn copy() -> Folder {
    let folder = Folder::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fastapi-template");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(example.join("."))
        .arg(folder.path())
        .status();
    assert!(copied.expect("cp runs").success());
    folder
}

fn guard(folder: &Folder, line: &str) -> Guard {
    Guard::new()
        .in_folder(folder.path())
        .env("PATH", search_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .line(line)
}

/// The parts of the server's address, with the names that the service reads.
fn parts(postgres: &Postgres) -> [(&'static str, String); 5] {
    let rest = postgres.url.strip_prefix("postgresql://");
    let (user, rest) = rest.and_then(|rest| rest.split_once(':')).expect("a user");
    let (password, rest) = rest.split_once('@').expect("a password");
    let (address, database) = rest.split_once('/').expect("a database");
    let (host, port) = address.split_once(':').expect("a port");
    [
        ("POSTGRES_SERVER", host),
        ("POSTGRES_PORT", port),
        ("POSTGRES_USER", user),
        ("POSTGRES_PASSWORD", password),
        ("POSTGRES_DB", database),
    ]
    .map(|(name, value)| (name, value.to_owned()))
}

/// The guard of a developer whose shell sets the parts.
fn with_database(guard: Guard, postgres: &Postgres) -> Guard {
    let parts = parts(postgres).into_iter();
    parts.fold(guard, |guard, (name, value)| guard.env(name, value))
}

/// Runs a server until it is healthy and has its superuser, and stops it.
#[track_caller]
fn served(guard: Guard) -> Ended {
    let port = free_port();
    let running = guard.env("PORT", port.to_string()).start();
    until("the service is healthy", || {
        get(port, "/api/v1/utils/health-check/").as_deref() == Some("true")
    });
    assert_eq!(get(port, "/api/v1/utils/users/").as_deref(), Some("1"));
    running.signal(Signal::SIGTERM);
    running.end().expect_code(128 + Signal::SIGTERM as i32)
}

#[test]
fn the_example_is_refused_with_changethis_in_production_and_served_with_generated_keys() {
    let postgres = Postgres::start();
    let folder = copy();
    let local = "run --env-file .env";
    let ended = with_database(guard(&folder, local), &postgres)
        .env("ENVIRONMENT", "production")
        .run()
        .expect_code(78)
        .expect_stderr("❌ SECRET_KEY still holds a placeholder [placeholder, required] (.env:")
        .expect_stderr(
            "❌ FIRST_SUPERUSER_PASSWORD still holds a placeholder [placeholder, required] (.env:",
        )
        .expect_stderr(".env:4 (ENVIRONMENT)");
    assert!(!ended.stderr().contains("❌ POSTGRES_PASSWORD"), "{ended}");

    guard(&folder, "generate --env-file .env.local")
        .run()
        .expect_code(0)
        .expect_stdout(
            "set SECRET_KEY in .env.local\nset FIRST_SUPERUSER_PASSWORD in .env.local\n",
        );
    let line = "run --env-file .env --env-file .env.local";
    let start =
        |line| with_database(guard(&folder, line), &postgres).env("ENVIRONMENT", "production");
    let ended = served(start(line))
        .expect_stderr("Running upgrade  -> 0001, create the table users")
        .expect_never(postgres.password());
    assert!(
        ended.stdout().contains("created the first superuser"),
        "{ended}"
    );
    // Everything is done already.
    let ended = served(start(line)).expect_stderr("step migrate: up to date");
    assert!(!ended.stdout().contains("created"), "{ended}");
}

#[test]
fn a_local_run_of_the_example_only_warns_about_changethis() {
    let postgres = Postgres::start();
    let folder = copy();
    let run = || guard(&folder, "run --env-file .env");
    // No database has this password.
    run().run().expect_code(78).expect_stderr(
        "❌ POSTGRES_PASSWORD still holds a placeholder [placeholder, required] (.env:",
    );
    served(with_database(run(), &postgres))
        .expect_stderr("⚠️ SECRET_KEY still holds a placeholder [placeholder, optional] (.env:")
        .expect_never(postgres.password());
}

#[test]
fn the_template_is_guarded_from_nothing_by_init_check_and_a_start_command() {
    let postgres = Postgres::start();
    let folder = copy();
    let manifest = folder.path().join("required-vars.yaml");
    fs::remove_file(&manifest).expect("the example has a manifest");
    fs::create_dir(folder.path().join("scripts")).expect("a folder can be made");
    folder.file("scripts/prestart.sh", PRESTART);
    guard(&folder, "init --write").run().expect_code(0);

    guard(&folder, "check --env-file .env")
        .run()
        .expect_code(78)
        .expect_stderr("3 errors (phase check, cause example_copied, exit code 78");
    // The developer replaces what is to be changed.
    let file = folder.path().join(".env");
    let mut text = fs::read_to_string(&file).expect("the example has a .env");
    for (name, value) in parts(&postgres) {
        let lines = text.lines().map(|line| match line.split_once('=') {
            Some((other, _)) if other == name => format!("{name}={value}\n"),
            _ => format!("{line}\n"),
        });
        text = lines.collect();
    }
    let text = text.replace("PASSWORD=changethis", "PASSWORD=canary-superuser-1");
    folder.file(".env", text);
    guard(&folder, "generate --env-file .env")
        .run()
        .expect_code(0)
        .expect_stdout("set SECRET_KEY in .env\n");
    guard(&folder, "check --env-file .env").run().expect_code(0);
    let line = "run --env-file .env -- uvicorn app.main:app --host 127.0.0.1 --port $PORT";
    served(guard(&folder, line))
        .expect_stderr("startup-guard: ready after ")
        .expect_stderr(": postgres DATABASE_URL (")
        .expect_stderr("Running upgrade  -> 0001, create the table users")
        .expect_never(postgres.password())
        .expect_never("canary");
}
