//! Servers that send endless data in the PostgreSQL protocol: it must not accumulate in memory.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::certificates::{self, Certificate, authority, encrypted};
use crate::fleet::Fleet;
use crate::support::{Guard, Running, field_of_status};

const TOO_MUCH: &str = "it sends more than 256 KiB instead of a short answer";

/// The limit of a guard's peak memory, in KiB.
const MEMORY: usize = 40 * 1024;

/// The moment from which on a server misbehaves, and what it sends then.
#[derive(Clone, Copy)]
struct Flood {
    moment: Moment,
    /// The beginning, which is sent once.
    first: &'static [u8],
    /// The rest, which is repeated endlessly.
    then: &'static [u8],
}

#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// Instead of an authentication request.
    LogIn,
    /// After the log-in, before the server is ready for queries.
    LoggedIn,
    /// As the answer to `SELECT 1`.
    Question,
}

const NOTICE: &[u8] = b"N\0\0\0\x29SNOTICE\0VNOTICE\0C00000\0Mnothing new\0\0";
const PARAMETER: &[u8] = b"S\0\0\0\x0fname\0value\0";
const COLUMN: &[u8] =
    b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
const ROW: &[u8] = b"D\0\0\0\x0b\0\x01\0\0\0\x011";

const FLOODS: [(&str, Flood); 8] = [
    (
        "a request to authenticate of 2 GiB",
        flood(Moment::LogIn, b"R\x7f\xff\xff\xff\0\0\0\x0a", b"canary"),
    ),
    (
        "an error of 2 GiB",
        flood(Moment::LogIn, b"E\x7f\xff\xff\xff", b"canary"),
    ),
    ("notices in a log-in", flood(Moment::LoggedIn, b"", NOTICE)),
    (
        "parameters in a log-in",
        flood(Moment::LoggedIn, b"", PARAMETER),
    ),
    (
        "an answer of 2 GiB",
        flood(Moment::Question, b"T\x7f\xff\xff\xff", b"canary"),
    ),
    ("rows", flood(Moment::Question, COLUMN, ROW)),
    ("notices in an answer", flood(Moment::Question, b"", NOTICE)),
    (
        "parameters in an answer",
        flood(Moment::Question, b"", PARAMETER),
    ),
];

const fn flood(moment: Moment, first: &'static [u8], then: &'static [u8]) -> Flood {
    Flood {
        moment,
        first,
        then,
    }
}

impl Flood {
    /// Sends the data until the client closes the connection.
    fn send(self, client: &mut impl Write) -> Option<()> {
        client.write_all(self.first).ok()?;
        let block = self.then.repeat(64 * 1024 / self.then.len());
        loop {
            client.write_all(&block).ok()?;
        }
    }

    /// Serves one client until the flood begins.
    fn serve(self, client: &mut (impl Read + Write)) -> Option<()> {
        body(client)?;
        if self.moment == Moment::LogIn {
            return self.send(client);
        }
        client.write_all(b"R\0\0\0\x08\0\0\0\0").ok()?;
        if self.moment == Moment::LoggedIn {
            return self.send(client);
        }
        client.write_all(b"Z\0\0\0\x05I").ok()?;
        question(client)?;
        self.send(client)
    }
}

/// Reads the body of a message without a type byte.
fn body(client: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).checked_sub(4)?];
    client.read_exact(&mut body).ok()?;
    Some(body)
}

/// Reads the next query. `None` if the client ends the session.
fn question(client: &mut impl Read) -> Option<String> {
    let mut kind = [0];
    client.read_exact(&mut kind).ok()?;
    let body = body(client)?;
    (kind == *b"Q").then(|| String::from_utf8_lossy(&body).into_owned())
}

/// Answers a query with one row.
fn answer(client: &mut impl Write, text: &str) -> Option<()> {
    let mut row = vec![b'D'];
    let length = u32::try_from(text.len()).ok()?;
    row.extend_from_slice(&(length + 10).to_be_bytes());
    row.extend_from_slice(&[0, 1]);
    row.extend_from_slice(&length.to_be_bytes());
    row.extend_from_slice(text.as_bytes());
    let end = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    client.write_all(&[COLUMN, &row, end].concat()).ok()
}

/// Starts such a server, plain or with TLS. Returns its address.
fn server(flood: Flood, is_encrypted: bool) -> SocketAddr {
    let config = Certificate::new(&authority(), |_| {}).config();
    certificates::serve(move |mut client| {
        if !is_encrypted {
            return flood.serve(&mut client);
        }
        client.read_exact(&mut [0; 8]).ok()?;
        client.write_all(b"S").ok()?;
        flood.serve(&mut encrypted(client, Arc::clone(&config))?)
    })
}

/// The peak memory of a guard so far, in KiB.
fn memory(guard: &Running) -> usize {
    let text = field_of_status(guard.pid(), "VmHWM").expect("the guard lives");
    let number = text.split_whitespace().next().expect("it has a number");
    number.parse().expect("it has a number")
}

#[test]
fn a_server_with_an_endless_answer_is_not_ready_and_uses_no_memory() {
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 8s}]
server: {command: [echo, served]}
";
    for (is_encrypted, mode) in [(false, "disable"), (true, "require")] {
        let running = FLOODS.map(|(name, flood)| {
            let address = server(flood, is_encrypted);
            let url = format!("postgresql://app:canary@{address}/app?sslmode={mode}");
            let guard = Guard::with_manifest(manifest).env("DATABASE_URL", url);
            (name, address, guard.start())
        });
        std::thread::scope(|scope| {
            for (name, address, guard) in running {
                scope.spawn(move || {
                    guard.wait_for(TOO_MUCH);
                    let memory = memory(&guard);
                    assert!(memory < MEMORY, "{name}: {memory} KiB");
                    let ended = guard.end().expect_code(69);
                    assert_eq!(
                        ended.last_line(),
                        format!("startup-guard: not ready in time: postgres DATABASE_URL ({address}): {TOO_MUCH} (phase wait, exit code 69, a retry helps)"),
                        "{name}"
                    );
                    ended.expect_stdout("").expect_never("canary");
                });
            }
        });
    }
}

#[test]
fn new_keys_of_tls_do_not_let_a_server_send_more() {
    let config = Certificate::new(&authority(), |_| {}).config();
    let address = certificates::serve(move |mut client| {
        client.read_exact(&mut [0; 8]).ok()?;
        client.write_all(b"S").ok()?;
        let mut stream = encrypted(client, Arc::clone(&config))?;
        body(&mut stream)?;
        stream.write_all(b"R\0\0\0\x08\0\0\0\0").ok()?;
        loop {
            stream.write_all(NOTICE).ok()?;
            stream.conn.refresh_traffic_keys().ok()?;
        }
    });
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 8s}]
server: {command: [echo, served]}
";
    let url = format!("postgresql://app:canary@{address}/app?sslmode=require");
    Guard::with_manifest(manifest)
        .env("DATABASE_URL", url)
        .run()
        .expect_code(69)
        .expect_stderr(TOO_MUCH);
}

#[test]
fn a_server_with_an_endless_answer_to_a_keep_alive_loses_the_lock() {
    for (name, flood) in FLOODS
        .into_iter()
        .filter(|(_, flood)| flood.moment == Moment::Question)
    {
        let count = AtomicUsize::new(0);
        let address = certificates::serve(move |mut client| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            body(&mut client)?;
            client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").ok()?;
            loop {
                let question = question(&mut client)?;
                if question.starts_with("SELECT 1\0") {
                    return flood.send(&mut client);
                }
                let text = if question.starts_with("SELECT pg_try_advisory_lock") {
                    // The second session must not get the lock.
                    if number == 0 { "t" } else { "f" }
                } else if question.contains("pg_is_in_recovery") {
                    "f"
                } else if question.contains("pg_backend_pid") {
                    if number == 0 { "1" } else { "2" }
                } else {
                    "t"
                };
                answer(&mut client, text)?;
            }
        });
        let steps = "  - name: migrate
    command: [sleep, '60']
    lock: {postgres: DATABASE_URL}";
        let url = format!("postgresql://app:canary@{address}/app?sslmode=disable");
        let guard = Fleet::new(&url, steps).guard().start();
        guard.wait_for("holding the lock");
        guard.wait_for(&format!(
            "the lock is lost ({TOO_MUCH}); the step is killed"
        ));
        // The guard may have ended already.
        if let Some(text) = field_of_status(guard.pid(), "VmHWM") {
            let memory: usize = text
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse()
                .expect("KiB");
            assert!(memory < MEMORY, "{name}: {memory} KiB");
        }
        guard
            .end_within(Duration::from_secs(30))
            .expect_code(75)
            .expect_stdout("")
            .expect_never("canary");
    }
}

#[test]
fn a_password_that_a_server_sends_back_as_its_error_is_not_shown() {
    let address = certificates::serve(|mut client| {
        body(&mut client)?;
        // Requests the password in clear text.
        client.write_all(b"R\0\0\0\x08\0\0\0\x03").ok()?;
        client.read_exact(&mut [0; 1]).ok()?;
        let password = body(&mut client)?;
        let fields = [b"SFATAL\0C", password.as_slice(), b"Mno\0\0"].concat();
        let length = u32::try_from(fields.len() + 4).ok()?;
        client
            .write_all(&[b"E", &length.to_be_bytes()[..], &fields].concat())
            .ok()
    });
    let manifest = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 1s}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .env(
            "DATABASE_URL",
            format!("postgresql://app:canary@{address}/app?sslmode=disable"),
        )
        .run()
        .expect_code(69)
        .expect_stderr("its answer is not in the PostgreSQL protocol")
        .expect_never("canary");
}

#[test]
fn a_connection_without_an_answer_is_closed_before_the_next_attempt() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most_seen = Arc::clone(&most);
    let address = certificates::serve(move |mut client| {
        most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        body(&mut client)?;
        client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").ok()?;
        let _ = client.read_to_end(&mut Vec::new());
        open.fetch_sub(1, Ordering::Relaxed);
        Some(())
    });
    let steps = "  - name: migrate
    command: [echo, ran]
    lock: {postgres: DATABASE_URL, timeout: 9s}";
    let url = format!("postgresql://app:x@{address}/app?sslmode=disable&connect_timeout=2");
    let ended = Fleet::new(&url, steps).run(1).remove(0).expect_code(75);
    ended.expect_stdout("").expect_stderr("it does not answer");
    // The server may notice the end of one attempt only after the next one has connected. There are four attempts in
    // this time.
    let most = most_seen.load(Ordering::Relaxed);
    assert!((1..=2).contains(&most), "{most} connections at once");
}
