//! Waiting for a PostgreSQL server: real log-ins, and their errors.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};

use crate::postgres::Postgres;
use crate::server::{Database, Sql, of_database, shared};
use crate::support::{Ended, Folder, Guard};

/// A guard that waits for the database of this URL.
fn waiting(url: &str, timeout: &str) -> Guard {
    let manifest = format!(
        "version: 1
variables:
  DATABASE_URL: {{secret: true}}
wait_for:
  - {{postgres: DATABASE_URL, timeout: {timeout}}}
server: {{command: [echo, served]}}
"
    );
    Guard::with_manifest(&manifest).env("DATABASE_URL", url)
}

fn served(url: &str) -> Ended {
    waiting(url, "20s")
        .run()
        .expect_code(0)
        .expect_stdout("served\n")
}

#[test]
fn a_database_that_accepts_the_log_in_is_ready() {
    let database = Database::new();
    let address = database.address();
    served(&database.url)
        .expect_stderr(&format!(": postgres DATABASE_URL ({address})\n"))
        .expect_never(database.password());
}

#[test]
fn every_dialect_of_a_url_is_accepted() {
    let database = Database::new();
    for scheme in [
        "postgres",
        "postgresql+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg2",
    ] {
        served(&database.url_with("postgresql", scheme));
    }
    let address = database.address();
    let (host, port) = address.split_once(':').expect("it has a port");
    let user = format!("app:{}", database.password());
    let name = &database.name;
    for url in [
        // Several hosts, the first of which do not exist.
        format!("postgresql://{user}@127.0.0.1:1,no.such.host.invalid,{address}/{name}"),
        format!("postgresql://{user}@/{name}?host=127.0.0.1:1&host={address}"),
        format!(
            "postgresql://{user}@{host}/{name}?port={port}&ssl=prefer&prepared_statement_cache_size=0"
        ),
        format!(
            "postgresql://{address}/{name}?user=app&password={}",
            database.password()
        ),
        format!(
            "postgresql://{user}@{address}/{name}?target_session_attrs=read-write&connect_timeout=3"
        ),
    ] {
        served(&url);
    }
    waiting(&format!("postgresql://app@{address}/{name}"), "20s")
        .env("PGPASSWORD", database.password())
        .run()
        .expect_code(0);
}

#[test]
fn a_unix_socket_is_a_host_like_any_other() {
    let database = Database::new();
    let folder = database.sql().run("SHOW unix_socket_directories").remove(0);
    let (_, port) = database.address().split_once(':').expect("it has a port");
    let (user, name) = (format!("app:{}", database.password()), &database.name);
    served(&format!(
        "postgresql://{user}@/{name}?host={folder}&port={port}&sslmode=require"
    ));
    let encoded = folder.replace('/', "%2F");
    served(&format!("postgresql://{user}@{encoded}:{port}/{name}"));
    waiting(
        &format!("postgresql://{user}@/{name}?host=/no/such/folder"),
        "300ms",
    )
    .run()
    .expect_code(69)
    .expect_stderr("there is no such socket");
}

#[test]
fn a_host_that_never_answers_leaves_time_for_the_next() {
    let database = Database::new();
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let place = mute.local_addr().expect("it listens somewhere");
    let address = database.address();
    served(&database.url_with(address, &format!("{place},{address}")));
    drop(mute);
}

#[test]
fn a_unix_socket_with_a_full_queue_is_not_waited_for_while_there_are_other_hosts() {
    let database = Database::new();
    let folder = Folder::new();
    let link = Link::to(folder.path());
    let name = &link.0;
    let path = UnixAddr::new(format!("{name}/.s.PGSQL.5432").as_str()).expect("a short path");
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = || socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("a socket");
    let listener = stream();
    bind(listener.as_raw_fd(), &path).expect("the path is free");
    listen(&listener, Backlog::new(0).expect("a number")).expect("it can listen");
    let mut queue = Vec::new();
    loop {
        let client = stream();
        match connect(client.as_raw_fd(), &path) {
            Ok(()) => queue.push(client),
            Err(errno) => break assert_eq!(errno, Errno::EAGAIN),
        }
    }
    let user = format!("app:{}", database.password());
    let url = |hosts: &str| format!("postgresql://{user}@/{}?{hosts}", database.name);
    served(&url(&format!("host={name}&host={}", database.address())));
    waiting(&url(&format!("host={name}")), "1s")
        .run()
        .expect_code(69)
        .expect_stderr("its queue of connections is full");
}

/// A symbolic link with a short path to a folder, removed on drop: the path of a socket is limited to 107 bytes.
struct Link(String);

impl Link {
    fn to(folder: &Path) -> Self {
        let name = format!("/tmp/guard-test-{}", std::process::id());
        std::os::unix::fs::symlink(folder, &name).expect("a link can be made");
        Self(name)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn refusals_end_with_77_after_a_short_grace() {
    let database = Database::new();
    let sql = database.sql();
    let name = &database.name;
    sql.run(&format!(
        "CREATE ROLE sleeper_{name} NOLOGIN PASSWORD 'x'; CREATE ROLE outsider_{name} LOGIN PASSWORD 'x';
         REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"
    ));
    let user = format!("app:{}", database.password());
    let other = |role: &str| database.url_with(&user, &format!("{role}_{name}:x"));
    let refusals = [
        (
            database.url_with(&user, "app:canary"),
            "it refuses the password (28P01); set the password that the role has: a data volume keeps the one that it was created with, whatever POSTGRES_PASSWORD is later",
        ),
        (
            database.url_with(&user, "app"),
            "it requires a password, and the URL has none",
        ),
        (
            of_database(&database.url, "canary"),
            "there is no such database (3D000); create it, or correct its name, in which upper case counts; POSTGRES_DB has no effect on a data volume that exists",
        ),
        (
            other("sleeper"),
            "the role may not log in (28000); change it with ALTER ROLE … LOGIN",
        ),
        (
            other("outsider"),
            "the role may not connect to the database (42501); permit it with GRANT CONNECT ON DATABASE",
        ),
    ];
    let running = refusals.map(|(url, told)| (waiting(&url, "1m").start(), told));
    for (guard, told) in running {
        let ended = guard.end().expect_code(77).expect_stdout("");
        assert!(
            ended.took > Duration::from_secs(4),
            "{told}: {:?}",
            ended.took
        );
        assert!(
            ended.took < Duration::from_secs(18),
            "{told}: {:?}",
            ended.took
        );
        ended
            .expect_stderr(&format!("waiting cannot help: postgres DATABASE_URL ({}): {told} (phase wait, exit code 77, a retry does not help)", database.address()))
            .expect_never("canary")
            .expect_never("sleeper")
            .expect_never("outsider");
    }
    // A time-out that is shorter than the grace period.
    let ended = waiting(&database.url_with(&user, "app:canary"), "1s")
        .run()
        .expect_code(77);
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
}

#[test]
fn a_database_that_is_created_within_the_grace_period_is_ready() {
    let name = format!("late_{}", std::process::id());
    let running = waiting(&of_database(shared(), &name), "20s").start();
    running.wait_for("there is no such database");
    Sql::on(shared()).run(&format!("CREATE DATABASE {name}"));
    running.end().expect_code(0).expect_stdout("served\n");
}

#[test]
fn a_server_that_is_not_up_yet_is_waited_for() {
    let mut postgres = Postgres::start();
    postgres.stop();
    let running = waiting(&postgres.url, "1m").start();
    running.wait_for("connection refused");
    postgres.start_again();
    running.end().expect_code(0).expect_stdout("served\n");
}

#[test]
fn a_server_with_too_many_clients_is_not_ready_yet() {
    let postgres = Postgres::start_with(&[
        "max_connections=4",
        "superuser_reserved_connections=0",
        "reserved_connections=0",
    ]);
    let mut clients: Vec<Sql> = (0..4).map(|_| Sql::on(&postgres.url)).collect();
    let running = waiting(&postgres.url, "1m").start();
    running.wait_for("it has too many clients already (53300)");
    clients.pop();
    running.end().expect_code(0).expect_stdout("served\n");
}

#[test]
fn a_wait_is_logged_at_most_once_a_second() {
    let database = Database::new();
    let manifest = "version: 1
variables:
  DATABASE_URL: {secret: true}
wait_for:
  - {postgres: DATABASE_URL, timeout: 4s}
  - {tcp: '127.0.0.1:1', timeout: 4s}
  - {http: 'http://no.such.host.invalid/', timeout: 4s}
server: {command: [echo, served]}
";
    let started = Instant::now();
    let ended = Guard::with_manifest(manifest)
        .env("DATABASE_URL", &database.url)
        .run()
        .expect_code(69)
        .expect_never(database.password());
    let lines = ended.stderr().lines().count();
    assert!(
        lines <= 2 + usize::try_from(started.elapsed().as_secs()).expect("it fits"),
        "{ended}"
    );
    ended
        .expect_stderr("waiting (")
        .expect_stderr("tcp 127.0.0.1:1: connection refused")
        .expect_stderr("http no.such.host.invalid:80: its name cannot be resolved (");
}

#[test]
fn a_stop_ends_the_wait_at_once() {
    let running = waiting("postgresql://app:x@127.0.0.1:1/app", "1m").start();
    running.wait_for("connection refused");
    running.signal(Signal::SIGTERM);
    let ended = running.end_within(Duration::from_secs(3)).expect_code(143);
    ended.expect_stderr("stopped by SIGTERM before the server started (phase wait, exit code 143)");
}

#[test]
fn a_role_of_the_server_can_be_required() {
    let database = Database::new();
    waiting(
        &format!("{}?target_session_attrs=standby", database.url),
        "3s",
    )
    .run()
    .expect_code(69)
    .expect_stderr("it is not a standby");
}

#[test]
fn a_locked_step_needs_no_wait_and_a_wait_no_lock() {
    let database = Database::new();
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL}]
steps: [{name: migrate, command: [echo, ran], lock: {postgres: DATABASE_URL}}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .env("DATABASE_URL", &database.url)
        .env("STARTUP_GUARD_LOG", "json")
        .run()
        .expect_code(0)
        .expect_stdout("served\n")
        .expect_stderr(r#""phase":"wait""#)
        .expect_stderr(r#""phase":"lock","step":"migrate""#)
        .expect_never(database.password());
}
