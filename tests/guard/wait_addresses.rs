//! Addresses with references, the statuses and redirects of web pages, and how soon a server is seen.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};
use nix::sys::socket::{bind, getsockname, listen, socket};

use crate::support::Guard;

const VARIABLES: &str = "
  HOST: {level: optional}
  PORT_OF_IT: {level: optional}
  NEEDED: {}
  TOKEN: {level: optional, secret: true}";

fn waiting(entry: &str) -> Guard {
    Guard::with_manifest(&format!(
        "version: 1
variables:{VARIABLES}
wait_for: [{entry}]
server: {{command: [echo, served]}}
"
    ))
    .env("NEEDED", "needed")
}

/// Starts a web server that answers to each path with what `answer` returns. Returns its port.
fn pages(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it listens somewhere").port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let count = client.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let _ = client.write_all(answer(path).as_bytes());
        }
    });
    port.to_string()
}

fn ok() -> String {
    "HTTP/1.1 200 OK\r\n\r\n".to_owned()
}

#[test]
fn references_in_an_address_are_expanded() {
    let port = pages(|_| ok());
    for entry in [
        "{tcp: '${HOST}:${PORT_OF_IT:-1}'}",
        "{tcp: 'redis://u:${TOKEN}@${HOST}:${PORT_OF_IT}/0'}",
        "{http: 'http://${HOST}:${PORT_OF_IT}/health'}",
        "{http: 'http://${HOST}:${PORT_OF_IT}/${NONE:-health}?key=${TOKEN}'}",
    ] {
        let guard = waiting(entry).env("HOST", "127.0.0.1");
        let guard = guard.env("PORT_OF_IT", &port).env("TOKEN", "canary");
        guard
            .run()
            .expect_code(0)
            .expect_stdout("served\n")
            .expect_stderr(&format!(" 127.0.0.1:{port}\n"))
            .expect_never("canary");
    }
}

#[test]
fn a_secret_in_an_address_is_not_shown() {
    let port = pages(|_| ok());
    let guard =
        waiting("{tcp: '${TOKEN}:${PORT_OF_IT}', timeout: 300ms}").env("TOKEN", "canary.localhost");
    let guard = guard.env("PORT_OF_IT", &port);
    let ended = guard.run().expect_never("canary");
    ended.expect_stderr(" tcp ${TOKEN}:${PORT_OF_IT}");
    // A part of the secret is a secret, too.
    let guard = waiting("{http: 'http://${TOKEN}/'}");
    let guard = guard.env("TOKEN", format!("canary:x@127.0.0.1:{port}"));
    guard
        .run()
        .expect_code(0)
        .expect_stderr(": http http://${TOKEN}/\n")
        .expect_never("127.0.0.1");
    // A whole address is like the name of the variable.
    let guard =
        waiting("{tcp: '${TOKEN}'}").env("TOKEN", format!("amqp://u:canary@127.0.0.1:{port}"));
    guard
        .run()
        .expect_code(0)
        .expect_stderr(&format!(": tcp TOKEN (127.0.0.1:{port})\n"))
        .expect_never("canary");
}

#[test]
fn a_wait_whose_references_are_all_optional_and_unset_is_skipped() {
    for entry in [
        "{tcp: '${HOST}:${PORT_OF_IT:-6379}'}",
        "{tcp: '${HOST}:${PORT_OF_IT}'}",
    ] {
        waiting(entry)
            .env("HOST", "")
            .run()
            .expect_code(0)
            .expect_stdout("served\n")
            .expect_stderr("} is not waited for: it is not set\n");
    }
}

#[test]
fn a_reference_that_is_unset_is_a_finding_with_its_wait() {
    let told =
        |name: &str, of: &str| format!("{name} is not set, and the wait for {of} refers to it");
    for (entry, name, of) in [
        ("{tcp: '${HOST}:${PORT_OF_IT}'}", "HOST", "tcp"),
        ("{tcp: '${UNDECLARED}:1'}", "UNDECLARED", "tcp"),
        ("{http: 'http://${UNDECLARED}/'}", "UNDECLARED", "http"),
    ] {
        let guard = waiting(entry).env("PORT_OF_IT", "80").line("check");
        let ended = guard.run().expect_code(78);
        let report = ended
            .stdout()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(report.contains(&told(name, of)), "{report}");
    }
    let guard = waiting("{tcp: '${NEEDED}:1'}")
        .env("NEEDED", "")
        .line("check");
    let report = guard.run().expect_code(78).stdout();
    assert_eq!(report.matches("is not set").count(), 1, "{report}");
}

#[test]
fn an_address_that_is_unusable_with_its_values_is_a_finding() {
    let guard = waiting("{tcp: 'redis://${HOST}:${PORT_OF_IT}'}").env("HOST", "can.ary");
    let guard = guard.env("PORT_OF_IT", "canary").line("check");
    let ended = guard.run().expect_code(78).expect_never("canary");
    let report = ended
        .stdout()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let told = "has no host and port (the wait for tcp uses it in redis://${HOST}:${PORT_OF_IT})";
    assert!(report.contains(told), "{report}");
}

#[test]
fn the_statuses_of_a_page_that_is_ready_can_be_named() {
    for (answer, status, code) in [
        ("401 Unauthorized", "[200, 401]", 0),
        ("401 Unauthorized", "401", 0),
        ("200 OK", "401", 69),
        ("302 Found\r\nLocation: /", "302", 0),
    ] {
        let port = pages(move |_| format!("HTTP/1.1 {answer}\r\n\r\n"));
        let entry = format!("{{http: 'http://127.0.0.1:{port}/', status: {status}, timeout: 1s}}");
        waiting(&entry).run().expect_code(code);
    }
}

#[test]
fn redirects_within_the_host_are_followed() {
    let port = pages(|path| match path {
        "/health" => "HTTP/1.1 301 Moved\r\nlocation: /health/\r\n\r\n".to_owned(),
        "/health/" => "HTTP/1.1 307 Again\r\nX: y\r\nLocation: ready?x=1\r\n\r\n".to_owned(),
        "/health/ready?x=1" => ok(),
        _ => "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
    });
    let entry = format!("{{http: 'http://127.0.0.1:{port}/health', timeout: 2s}}");
    waiting(&entry).run().expect_code(0);
    // To another port of the host.
    let other = pages(move |_| {
        format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/health\r\n\r\n")
    });
    let entry = format!("{{http: 'http://127.0.0.1:{other}/', timeout: 2s}}");
    waiting(&entry).run().expect_code(0);
}

#[test]
fn a_secret_that_comes_back_in_a_redirect_is_not_shown() {
    for host in [
        "canary.example.com",
        "login-of-canary-7",
        "CANARY",
        "anary.net",
    ] {
        let port =
            pages(move |_| format!("HTTP/1.1 302 Found\r\nLocation: http://{host}/canary\r\n\r\n"));
        let entry = format!("{{http: 'http://127.0.0.1:{port}/?key=${{TOKEN}}', timeout: 500ms}}");
        waiting(&entry)
            .env("TOKEN", "Canary")
            .run()
            .expect_code(69)
            .expect_stderr("it redirects (302) to another host (phase")
            .expect_never("anary")
            .expect_never("CANARY");
    }
}

#[test]
fn a_redirect_that_is_not_followed_is_told() {
    for (location, told) in [
        (
            "http://u:p@Login.example.com/x",
            "it redirects (302) to another host, Login.example.com (",
        ),
        (
            "/a b",
            "it redirects (302) to an address that is not valid (",
        ),
        ("", "it redirects more than 5 times ("),
        ("#top", "it redirects more than 5 times ("),
    ] {
        let port = pages(move |_| format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n"));
        let entry = format!("{{http: 'http://127.0.0.1:{port}/health', timeout: 500ms}}");
        waiting(&entry).run().expect_code(69).expect_stderr(told);
    }
}

/// How long after each of the instants the guard sees a server that begins to listen then.
fn delays(after: &[Duration]) -> Vec<Duration> {
    let mut entries = Vec::new();
    let mut servers = Vec::new();
    for _ in after {
        let flags = SockFlag::SOCK_CLOEXEC;
        let server = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
        bind(server.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port is free");
        let address: SockaddrIn = getsockname(server.as_raw_fd()).expect("it is bound");
        entries.push(format!("{{tcp: '127.0.0.1:{}'}}", address.port()));
        servers.push(server);
    }
    let running = waiting(&entries.join(", ")).start();
    running.wait_for("connection refused");
    let started = Instant::now();
    let threads = servers
        .into_iter()
        .zip(after.to_vec())
        .map(|(server, after)| {
            thread::spawn(move || {
                thread::sleep(after.saturating_sub(started.elapsed()));
                listen(&server, Backlog::MAXCONN).expect("the port is ours");
                let opened = Instant::now();
                TcpListener::from(server)
                    .accept()
                    .expect("the guard connects");
                opened.elapsed()
            })
        });
    let threads: Vec<_> = threads.collect();
    let delays = threads
        .into_iter()
        .map(|each| each.join().expect("it ends"));
    let delays = delays.collect();
    running.end().expect_code(0).expect_stdout("served\n");
    delays
}

#[test]
fn a_server_that_comes_up_is_seen_soon() {
    // At times that are not a multiple of any pause.
    let early = [130, 700, 1410, 2330, 3170, 4290, 5510, 6730, 7990, 8870];
    let late = [10_900, 11_700, 12_500, 13_300];
    let times = early
        .iter()
        .chain(&late)
        .map(|&time| Duration::from_millis(time));
    let delays = delays(&times.collect::<Vec<_>>());
    let (early, late) = delays.split_at(early.len());
    let mut early = early.to_vec();
    early.sort();
    // One of ten may be late, because the machine is busy.
    assert!(early[8] <= Duration::from_millis(250), "{early:?}");
    assert!(
        late.iter().all(|&delay| delay <= Duration::from_secs(1)),
        "{late:?}"
    );
}
