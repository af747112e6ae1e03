//! A stop while a real migration runs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::environment::{free_port, guard};
use crate::postgres::{Postgres, venv};

/// Creates the first migration's table in an open transaction, so that the migration blocks.
const HOLD_THE_TABLE: &str = "
import os, sys, psycopg
with psycopg.connect(os.environ['DATABASE_URL']) as connection:
    connection.execute('CREATE TABLE offers ()')
    print('held', flush=True)
    sys.stdin.read()
    connection.rollback()
";

#[test]
fn a_stop_during_a_migration_cancels_it_and_never_starts_the_server() {
    let postgres = Postgres::start();
    let mut holder = hold_the_table(&postgres);
    let running = guard(&postgres, free_port()).start();
    running.wait_for("Running upgrade  -> 0001");
    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(128 + Signal::SIGTERM as i32);
    assert!(
        ended.took < Duration::from_secs(20),
        "the grace of 8 s is not used up: INT cancels the statement"
    );
    ended
        .expect_stderr(
            "startup-guard: step migrate: stopped by SIGTERM before the server started (phase step, exit code 143)",
        )
        .expect_never("Démarrage du serveur");
    drop(holder.stdin.take());
    assert!(holder.wait().expect("the holder ends").success());
}

fn hold_the_table(postgres: &Postgres) -> Child {
    let mut holder = Command::new(venv("python"))
        .args(["-c", HOLD_THE_TABLE])
        .env("DATABASE_URL", &postgres.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().expect("stdout is piped"))
        .read_line(&mut line)
        .expect("the holder speaks");
    assert_eq!(line, "held\n");
    holder
}
