//! Waits that need no database: ports, web pages, and servers that behave wrongly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};

use crate::support::{Ended, Guard};

/// A guard with this entry of `wait_for`.
fn waiting(entry: &str) -> Guard {
    Guard::with_manifest(&format!(
        "version: 1
variables:
  ADDRESS: {{level: optional, secret: true}}
wait_for: [{entry}]
server: {{command: [echo, served]}}
"
    ))
}

/// Starts a server that sends `answer` to every client, or never answers if it is `None`.
fn server(answer: Option<&str>) -> SocketAddr {
    let answer = answer.map(str::to_owned);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    std::thread::spawn(move || {
        let mut mute = Vec::new();
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 1024];
            match &answer {
                Some(answer) => {
                    let _ = client.read(&mut request);
                    let _ = client.write_all(answer.as_bytes());
                }
                None => mute.push(client),
            }
        }
    });
    address
}

/// A bound port on which nothing listens yet. No other process can get it.
fn bound() -> (OwnedFd, SocketAddr) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port is free");
    let address: SockaddrIn = getsockname(socket.as_raw_fd()).expect("it is bound");
    (socket, SocketAddr::from((address.ip(), address.port())))
}

/// A port on which nothing listens while the tests run.
fn closed() -> SocketAddr {
    let (socket, address) = bound();
    std::mem::forget(socket);
    address
}

#[track_caller]
fn served(guard: Guard) -> Ended {
    guard.run().expect_code(0).expect_stdout("served\n")
}

#[track_caller]
fn not_ready(guard: Guard, told: &str) {
    let ended = guard.run().expect_code(69).expect_stdout("");
    assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
    ended
        .expect_stderr(told)
        .expect_stderr("(phase wait, exit code 69, a retry helps)")
        .expect_never("canary");
}

#[test]
fn an_open_port_is_ready() {
    let address = server(None);
    served(waiting(&format!("{{tcp: '{address}'}}"))).expect_stderr(&format!(": tcp {address}\n"));
    let url = format!("redis://:canary@{address}/0");
    served(waiting("{tcp: ADDRESS}").env("ADDRESS", &url))
        .expect_stderr(&format!(": tcp ADDRESS ({address})\n"))
        .expect_never("canary");
    let url = format!("amqp://u:canary@{},{address}", closed());
    served(waiting("{tcp: ADDRESS}").env("ADDRESS", url)).expect_never("canary");
    served(waiting("{tcp: ADDRESS}").env("ADDRESS", address.to_string()));
}

#[test]
fn every_address_of_a_name_is_tried() {
    // On most systems `localhost` is also ::1, on which this server does not listen.
    let port = server(None).port();
    served(waiting(&format!("{{tcp: 'localhost:{port}'}}")));
}

#[test]
fn a_closed_port_is_waited_for_until_the_time_out() {
    let (socket, address) = bound();
    let entry = format!("{{tcp: '{address}', timeout: 500ms}}");
    not_ready(
        waiting(&entry),
        &format!("not ready in time: tcp {address}: connection refused"),
    );
    let running = waiting(&format!("{{tcp: '{address}'}}")).start();
    running.wait_for("connection refused");
    listen(&socket, Backlog::MAXCONN).expect("the port is ours");
    running.end().expect_code(0).expect_stdout("served\n");
}

#[test]
fn a_page_is_ready_when_it_answers_with_a_2xx() {
    let healthy = server(Some("HTTP/1.1 204 No Content\r\n\r\n"));
    served(waiting(&format!("{{http: 'http://{healthy}/health'}}")));
    let url = format!("http://user:canary@{healthy}/canary?canary");
    served(waiting("{http: ADDRESS}").env("ADDRESS", url))
        .expect_stderr(&format!(": http ADDRESS ({healthy})\n"))
        .expect_never("canary");
    for (answer, told) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "it answers with 503",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
            "it redirects more than 5 times",
        ),
        ("HTTP/1.1 301 Moved\r\n\r\n", "it answers with 301"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://auth.example.com/canary\r\n\r\n",
            "it redirects (302) to another host, auth.example.com",
        ),
        (
            "220 mail.example ESMTP\r\n",
            "its answer is not in the HTTP protocol",
        ),
        ("", "it closed the connection without an answer"),
    ] {
        let address = server(Some(answer));
        let entry = format!("{{http: 'http://{address}/', timeout: 500ms}}");
        not_ready(waiting(&entry), &format!("http {address}: {told}"));
    }
}

#[test]
fn a_page_that_is_accepted_and_never_answered_is_not_ready() {
    let entry = format!("{{http: 'http://{}/', timeout: 1s}}", server(None));
    not_ready(waiting(&entry), "no answer yet");
}

#[test]
fn a_page_whose_status_never_arrives_is_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens somewhere");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            while client
                .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                .is_ok()
            {}
        }
    });
    not_ready(
        waiting(&format!("{{http: 'http://{address}/', timeout: 2s}}")),
        "it sends more than 16 KiB before the end of its answer's head",
    );
}

#[test]
fn an_address_that_never_accepts_leaves_time_for_the_next() {
    let (socket, full) = bound();
    listen(&socket, Backlog::new(0).expect("a number")).expect("the port is ours");
    let connect = || TcpStream::connect_timeout(&full, Duration::from_millis(300));
    let queue: Vec<_> = std::iter::from_fn(|| connect().ok()).collect();
    let url = format!("amqp://u:canary@{full},{}", server(None));
    let ended = served(waiting("{tcp: ADDRESS}").env("ADDRESS", url));
    // The two share the 10 seconds of an attempt.
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
    drop(queue);
}

#[test]
fn a_name_that_does_not_resolve_is_waited_for() {
    let entry = "{tcp: 'no.such.host.invalid:80', timeout: 1s}";
    not_ready(
        waiting(entry),
        "tcp no.such.host.invalid:80: its name cannot be resolved (",
    );
}

#[cfg(feature = "postgres")]
#[test]
fn servers_other_than_postgresql_are_recognised() {
    for (answer, told) in [
        (
            Some("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "it does not use the PostgreSQL protocol",
        ),
        (
            Some("-ERR unknown command\r\n"),
            "it does not use the PostgreSQL protocol",
        ),
        (
            Some("SSH-2.0-OpenSSH_9.2\r\n"),
            "it does not use TLS; check the port",
        ),
        (
            Some("Nonsense"),
            "its answer is not in the PostgreSQL protocol",
        ),
        (Some(""), "it closed the connection without an answer"),
    ] {
        let address = server(answer);
        let guard = waiting("{postgres: ADDRESS, timeout: 2s}");
        let url = format!("postgresql://app:canary@{address}/app");
        let told = format!("postgres ADDRESS ({address}): {told}");
        not_ready(guard.env("ADDRESS", url), &told);
    }
    let address = server(Some("HTTP/1.1 400 Bad Request\r\n\r\n"));
    not_ready(
        waiting("{postgres: ADDRESS, timeout: 2s}").env(
            "ADDRESS",
            format!("postgresql://app:canary@{address}/app?sslmode=disable"),
        ),
        "it does not use the PostgreSQL protocol",
    );
}

/// Errors of PostgreSQL, PgBouncer, Supavisor, RDS Proxy and Neon: the SQLSTATE, the message, the exit code, and what is
/// said about it.
#[cfg(feature = "postgres")]
const ERRORS: [(&str, &str, i32, &str); 25] = [
    (
        "28000",
        "role \"canary\" does not exist",
        77,
        "there is no such role (28000); create it",
    ),
    (
        "28000",
        "no pg_hba.conf entry for host \"canary\", SSL encryption",
        77,
        "its pg_hba.conf admits no such connection from this host (28000); add a line",
    ),
    (
        "28000",
        "kein pg_hba.conf-Eintrag: canary",
        77,
        "its pg_hba.conf admits",
    ),
    (
        "28000",
        "canary",
        77,
        "it refuses the role, or connections from this host (28000); check the role",
    ),
    (
        "28000",
        "connection requires a valid client certificate",
        77,
        "set sslcert and sslkey",
    ),
    (
        "28000",
        "no pg_hba.conf entry for host \"canary\", user \"canary\", no encryption",
        77,
        "it admits encrypted connections only, or none from this host (28000); remove sslmode=disable",
    ),
    ("08P01", "SSL required", 77, "remove sslmode=disable"),
    (
        "28000",
        "This RDS Proxy requires TLS connections",
        77,
        "remove sslmode=disable",
    ),
    (
        "XX000",
        "connection is insecure (try using `sslmode=require`)",
        77,
        "remove sslmode=disable",
    ),
    (
        "42704",
        "unrecognized configuration parameter \"canary\"",
        78,
        "it rejects a parameter in `options` of the URL (42704); remove it",
    ),
    (
        "0A000",
        "Feature not supported: RDS Proxy currently doesn't support command-line options.",
        78,
        "(0A000); remove it, or use the direct URL",
    ),
    (
        "08P01",
        "unsupported startup parameter: canary",
        78,
        "(08P01); remove it, or use the direct URL",
    ),
    (
        "08P01",
        "Unsupported startup parameter: canary",
        78,
        "it rejects a parameter of the URL",
    ),
    (
        "08P01",
        "no such user: canary",
        77,
        "the pool has no such user (08P01); add it to the pool's auth_file",
    ),
    (
        "08P01",
        "no such database: canary",
        77,
        "the pool has no such database (08P01)",
    ),
    (
        "08P01",
        "password authentication failed",
        77,
        "the pool refuses the log-in (08P01)",
    ),
    (
        "08P01",
        "no more connections allowed (max_client_conn)",
        69,
        "the pool has too many clients already",
    ),
    (
        "08P01",
        "pgbouncer cannot connect to server",
        69,
        "it answers with the error 08P01",
    ),
    (
        "XX000",
        "Tenant or user not found",
        77,
        "the pool has no such tenant or user (XX000); copy the URL from the provider",
    ),
    (
        "XX000",
        "(ENOIDENTIFIER) no tenant identifier provided",
        77,
        "the pool has no such tenant",
    ),
    (
        "XX000",
        "Endpoint ID is not specified. Canary",
        78,
        "it needs the endpoint's own host name",
    ),
    (
        "XX000",
        "The endpoint has been disabled. Enable it using Neon API and retry.",
        78,
        "its endpoint is disabled",
    ),
    ("XX000", "canary", 69, "it answers with the error XX000"),
    (
        "55000",
        "database \"tenants_canary\" is not currently accepting connections",
        69,
        "it answers with the error 55000",
    ),
    (
        "57P03",
        "the database system is starting up",
        69,
        "it is starting up, or shutting down (57P03)",
    ),
];

#[cfg(feature = "postgres")]
#[test]
fn each_error_of_a_server_or_a_pool_says_what_to_do_and_never_what_the_server_said() {
    for (state, message, code, told) in ERRORS {
        let fields = format!("SFATAL\0VFATAL\0C{state}\0M{message}\0\0");
        let length = u32::try_from(fields.len() + 4)
            .expect("it is short")
            .to_be_bytes();
        let mut answer = b"E".to_vec();
        answer.extend(length);
        answer.extend(fields.as_bytes());
        let answer = String::from_utf8(answer).expect("the length is short");
        let address = server(Some(&answer));
        let url = format!("postgresql://canary:canary@{address}/canary?sslmode=disable");
        let ended = waiting("{postgres: ADDRESS, timeout: 400ms}")
            .env("ADDRESS", url)
            .run();
        assert_eq!(ended.code(), code, "{state} {message}: {ended}");
        ended.expect_stderr(told).expect_never("anary");
    }
}

#[test]
fn a_web_server_with_tls_is_told_from_one_without() {
    let address = server(Some("\x15\x03\x01\0\x02\x02\x46"));
    waiting(&format!("{{http: 'http://{address}/', timeout: 400ms}}"))
        .run()
        .expect_code(78)
        .expect_stderr("it uses TLS; begin the URL with https:// (phase wait, exit code 78");
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_that_accepts_and_never_answers_is_not_ready() {
    let address = server(None);
    for (query, timeout, told) in [
        ("", "1s", "no answer yet"),
        (
            "?connect_timeout=2",
            "5s",
            "it accepts the connection but does not answer",
        ),
    ] {
        let guard = waiting(&format!("{{postgres: ADDRESS, timeout: {timeout}}}"));
        let url = format!("postgresql://app:canary@{address}/app{query}");
        not_ready(guard.env("ADDRESS", url), told);
    }
}

#[test]
fn an_unset_variable_is_not_waited_for() {
    served(waiting("{tcp: ADDRESS}"))
        .expect_stderr("tcp ADDRESS is not waited for: it is not set\n");
    served(waiting("{tcp: ADDRESS}").env("ADDRESS", ""));
}

#[test]
fn an_invalid_address_is_a_finding_even_of_an_optional_variable() {
    for (entry, value, told) in [
        ("{tcp: ADDRESS}", "canary", "has no port"),
        ("{tcp: ADDRESS}", "canary://host/", "has no port"),
        ("{tcp: ADDRESS}", "redis:///canary", "has no host and port"),
        ("{http: ADDRESS}", "canary", "is not an http URL"),
        (
            "{http: ADDRESS}",
            "ftp://canary/",
            "does not begin with http:// or https://",
        ),
    ] {
        waiting(entry)
            .env("ADDRESS", value)
            .run()
            .expect_code(78)
            .expect_stdout("")
            .expect_stderr(&format!("ADDRESS {told} (the wait for "))
            .expect_never("canary");
    }
}

#[test]
fn all_are_waited_for_concurrently_and_logged_in_one_line() {
    let (first, second) = (closed(), closed());
    let entries = format!("{{tcp: '{first}', timeout: 1s}}, {{tcp: '{second}', timeout: 1s}}");
    let ended = waiting(&entries).run().expect_code(69);
    assert!(
        ended.took < Duration::from_millis(1900),
        "one after the other: {:?}",
        ended.took
    );
    ended.expect_stderr(&format!(
        "not ready in time: tcp {first}: connection refused; tcp {second}: connection refused (phase wait"
    ));
}

#[test]
fn a_stop_ends_a_wait_at_once_whatever_it_is_busy_with() {
    for entry in [
        format!("{{tcp: '{}'}}", closed()),
        format!("{{http: 'http://{}/'}}", server(None)),
    ] {
        let running = waiting(&format!("{entry}, {{tcp: '{}'}}", closed())).start();
        running.wait_for("connection refused");
        running.signal(Signal::SIGTERM);
        running
            .end_within(Duration::from_secs(3))
            .expect_code(143)
            .expect_stdout("")
            .expect_stderr("stopped by SIGTERM before the server started (phase wait");
    }
}

#[test]
fn without_a_manifest_nothing_is_waited_for() {
    let entry = format!("{{tcp: '{}'}}", closed());
    waiting(&entry)
        .line("run --no-manifest -- echo served")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    waiting(&entry).line("check").run().expect_code(0);
}

#[test]
fn a_faulty_wait_or_lock_is_told_with_its_path() {
    let manifest = "version: 1
variables: {URL: {}}
wait_for:
  - {tcp: 'host:1', timeout: 0s}
  - {tcp: 'host:1', http: 'http://host/'}
  - {timeout: 1s}
  - {tcp: UNKNOWN}
  - {tcp: 'no port'}
  - {http: 'http://u:canary-secret@host/'}
  - {tpc: 'host:1'}
  - text
steps:
  - {name: a, command: [x], lock: {timeout: 0s}}
  - {name: b, command: [x], lock: URL}
  - {name: c, command: [x], up_to_date: text}
  - {name: d, command: [x], up_to_date: []}
";
    let ended = Guard::with_manifest(manifest)
        .line("check")
        .run()
        .expect_code(65);
    insta::assert_snapshot!(ended.stderr());
}

#[cfg(feature = "postgres")]
#[test]
fn a_literal_database_has_no_password() {
    for (url, told) in [
        (
            "postgresql://app:canary@db/app",
            "contains a password; name a variable with `secret: true` that holds the URL",
        ),
        (
            "mysql://db/app",
            "is not the name of a variable, and does not begin with postgresql://",
        ),
    ] {
        let manifest = format!(
            "version: 1
wait_for: [{{postgres: '{url}'}}]
steps: [{{name: s, command: [x], lock: {{postgres: '{url}'}}}}]
"
        );
        Guard::with_manifest(&manifest)
            .line("check")
            .run()
            .expect_code(65)
            .expect_stderr(&format!("line 2: wait_for[0].postgres: {told}"))
            .expect_stderr(&format!("line 3: steps[0].lock.postgres: {told}"))
            .expect_never("canary");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_the_client_never_ignores_a_database() {
    let manifest = "version: 1
variables: {DATABASE_URL: {level: optional}}
wait_for: [{postgres: DATABASE_URL}]
steps: [{name: s, command: [x], lock: {postgres: DATABASE_URL}}]
";
    let told =
        "this build of startup-guard does not have the feature `postgres`; use one that has it";
    Guard::with_manifest(manifest)
        .line("run -- echo served")
        .run()
        .expect_code(65)
        .expect_stdout("")
        .expect_stderr(&format!("line 3: wait_for[0].postgres: {told}"))
        .expect_stderr(&format!("line 4: steps[0].lock.postgres: {told}"));
    let manifest = "version: 1\nwait_for: [{http: 'https://host/'}]\n";
    Guard::with_manifest(manifest)
        .line("run -- echo served")
        .run()
        .expect_code(65)
        .expect_stderr("begins with https://, which this build of startup-guard does not support");
}
