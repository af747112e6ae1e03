//! A pool in transaction mode, through which a lock has no effect, is rejected. And if the server reports at the
//! release that the lock was not held, that is an error.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Once};

use crate::fleet::Fleet;
use crate::server::{Database, Sql, shared};

const STEPS: &str = "  - name: migrate
    command: [sh, -c, 'echo ran']
    lock: {postgres: DATABASE_URL, timeout: 10s}";

#[test]
fn a_pool_in_transaction_mode_is_rejected_with_advice() {
    let database = Database::new();
    let pool = Pool::before(&database, Mode::Transaction);
    let url = format!("postgresql://pooled@{}/{}", pool.address, database.name);
    let ended = Fleet::new(&url, STEPS)
        .run(1)
        .remove(0)
        .expect_code(78)
        .expect_stdout("");
    ended.expect_stderr("pool in transaction mode (such as PgBouncer), where an advisory lock has no effect; name a variable with the direct URL under lock.postgres");
    // The pool itself works, and no lock was taken through it.
    assert!(pool.served() > 0);
    let locks = database
        .sql()
        .run("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()");
    assert_eq!(locks, ["0"]);
}

#[test]
fn a_database_can_be_waited_for_through_the_pool_and_locked_directly() {
    let database = Database::new();
    let pool = Pool::before(&database, Mode::Transaction);
    let steps = format!(
        "  - name: migrate
    command: [sh, -c, 'echo ran']
    lock: {{postgres: 'postgresql://pooled@{}/{}'}}
wait_for: [{{postgres: DATABASE_URL}}]",
        database.address(),
        database.name
    );
    let url = format!("postgresql://pooled@{}/{}", pool.address, database.name);
    Fleet::new(&url, &steps)
        .run(1)
        .remove(0)
        .expect_code(0)
        .expect_stdout("ran\nserved\n");
}

#[test]
fn a_lock_that_is_not_held_at_the_release_is_an_error() {
    let database = Database::new();
    let pool = Pool::before(&database, Mode::Forgetful);
    let url = format!("postgresql://pooled@{}/{}", pool.address, database.name);
    Fleet::new(&url, STEPS)
        .run(1)
        .remove(0)
        .expect_code(75)
        .expect_stdout("ran\n")
        .expect_stderr("step migrate: the lock was lost: it was not held any more when it was to be released (phase lock, exit code 75, a retry helps)");
}

/// How clients are assigned to the server's connections.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Like PgBouncer: a client gets the most recently used connection for the duration of a transaction.
    Transaction,
    /// Each client has its own connection. The server reports at the release that the lock was not held.
    Forgetful,
}

/// A proxy between a guard and its server.
struct Pool {
    address: SocketAddr,
    served: Arc<Mutex<usize>>,
}

impl Pool {
    fn before(database: &Database, mode: Mode) -> Self {
        static ADMITTED: Once = Once::new();
        // A role without a password, because this pool does not implement SCRAM.
        ADMITTED.call_once(|| {
            Sql::on(shared()).run(
                "CREATE ROLE pooled LOGIN;
             COPY (SELECT 'host all pooled 127.0.0.1/32 trust') TO PROGRAM
             'cat - pg_hba.conf > new_hba.conf && mv new_hba.conf pg_hba.conf';
             SELECT pg_reload_conf()",
            );
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens somewhere");
        let served = Arc::new(Mutex::new(0));
        let pool = Arc::new(Upstream {
            server: database.address().to_owned(),
            database: database.name.clone(),
            idle: Mutex::new(VecDeque::new()),
        });
        let count = Arc::clone(&served);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (pool, count) = (Arc::clone(&pool), Arc::clone(&count));
                std::thread::spawn(move || serve(client, &pool, mode, &count));
            }
        });
        Self { address, served }
    }

    fn served(&self) -> usize {
        *self.served.lock().expect("no server of it panics")
    }
}

struct Upstream {
    server: String,
    database: String,
    idle: Mutex<VecDeque<TcpStream>>,
}

impl Upstream {
    fn take(&self) -> Option<TcpStream> {
        let idle = self.idle.lock().expect("nobody panics").pop_back();
        idle.or_else(|| self.connect())
    }

    fn connect(&self) -> Option<TcpStream> {
        // The server may not have read the new line of pg_hba.conf yet.
        for _ in 0..100 {
            let mut server = TcpStream::connect(&self.server).ok()?;
            let parameters = format!("user\0pooled\0database\0{}\0\0", self.database);
            let mut startup = 0x0003_0000_u32.to_be_bytes().to_vec();
            startup.extend_from_slice(parameters.as_bytes());
            let length = u32::try_from(startup.len() + 4).ok()?;
            server.write_all(&length.to_be_bytes()).ok()?;
            server.write_all(&startup).ok()?;
            while let Some((kind, body)) = message(&mut server) {
                match kind {
                    b'Z' => return Some(server),
                    b'R' if body != [0; 4] => break,
                    _ => {}
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        None
    }
}

impl Mode {
    /// The query that the server gets instead of this one.
    fn passed(self, query: Vec<u8>) -> Vec<u8> {
        let unlock = b"SELECT pg_advisory_unlock(";
        match query.strip_prefix(unlock) {
            Some(rest) if self == Mode::Forgetful => {
                [b"SELECT NOT pg_advisory_unlock(", rest].concat()
            }
            _ => query,
        }
    }
}

/// Serves one client: rejects TLS, accepts every log-in, and forwards one query at a time.
fn serve(mut client: TcpStream, pool: &Upstream, mode: Mode, served: &Mutex<usize>) -> Option<()> {
    loop {
        let body = untyped(&mut client)?;
        if body.starts_with(&80_877_103_u32.to_be_bytes()) {
            client.write_all(b"N").ok()?;
        } else {
            break;
        }
    }
    client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").ok()?;
    let mut held: Option<TcpStream> = None;
    while let Some((b'Q', query)) = message(&mut client) {
        *served.lock().ok()? += 1;
        let mut server = held.take().or_else(|| pool.take())?;
        send(&mut server, b'Q', &mode.passed(query))?;
        loop {
            let (kind, body) = message(&mut server)?;
            if kind != b'Z' {
                send(&mut client, kind, &body)?;
                continue;
            }
            // Before the client gets the answer, because its next query may need a free connection at once.
            if body == b"I" && mode == Mode::Transaction {
                pool.idle.lock().ok()?.push_back(server);
            } else {
                held = Some(server);
            }
            send(&mut client, kind, &body)?;
            break;
        }
    }
    Some(())
}

fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut kind = [0];
    stream.read_exact(&mut kind).ok()?;
    Some((kind[0], untyped(stream)?))
}

fn untyped(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let mut body = vec![0; length.checked_sub(4)?];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn send(stream: &mut TcpStream, kind: u8, body: &[u8]) -> Option<()> {
    let mut message = vec![kind];
    message.extend_from_slice(&u32::try_from(body.len() + 4).ok()?.to_be_bytes());
    message.extend_from_slice(body);
    stream.write_all(&message).ok()
}
