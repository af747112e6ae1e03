//! The helper thread. While another process holds the lock, the helper connects only for each attempt: hundreds of
//! waiting replicas must not use up the server's connections.
//!
//! Each attempt uses `pg_try_advisory_lock` and never blocks. `CREATE INDEX CONCURRENTLY` waits for all statements
//! that run, so a blocked waiter and a holder that creates an index would wait for each other for ever.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::net::Error;
use crate::net::postgres::{self, Session};
use crate::os::Outbox;
use crate::startup::progress::repeat;
use crate::target::postgres::PostgresTarget;

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// The first and the longest pause between two attempts. They are short, because the start of the server waits for
/// the lock.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// How often the helper proves that the connection which holds the lock still works.
const PROOF_INTERVAL: Duration = Duration::from_secs(3);

/// How long the server may take to answer that proof, or to release the lock. A slow server still holds the lock, and
/// the client's TCP keep-alive detects a network that is cut much earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// Settings of the session that holds the lock, as far as the server's version has them. They override those of
/// the URL and of the role, which could end the session. When the network is cut, the server frees the lock after
/// about 30 seconds, and the guard has stopped its step after about 13.
const SETTINGS: [(&str, &str); 8] = [
    ("lock_timeout", "0"),
    ("statement_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

const POOLED: &str = "it is reached through a pool in transaction mode (PgBouncer, say), where a lock holds nothing; \
                      name a variable with the direct URL under lock.postgres";
const NO_LOCKS: &str = "its advisory locks do not keep others out; a real PostgreSQL is needed";

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The lock is ours.
    Taken,
    /// The lock is ours, or an attempt has shown that another process holds it.
    TakenOrBusy,
    /// Nobody holds the lock.
    Free,
}

/// What the helper reports. Before the lock is taken, an error is that of one attempt, and the helper tries again.
/// Afterwards it means that the lock is lost.
pub type Report = Result<State, Error>;

/// The state of the lock.
pub enum State {
    /// Another process holds it.
    Busy,
    /// Nobody holds it, or we have released it.
    Free,
    /// We hold it. It lasts as long as any process has this socket open.
    Taken(OwnedFd),
    /// An advisory lock does not exclude others on this server.
    NotExclusive(&'static str),
}

/// The work of the helper thread.
pub struct Helper {
    pub database: PostgresTarget,
    pub application: String,
    pub key: i64,
    pub goal: Goal,
    pub outbox: Outbox<Report>,
}

impl Helper {
    /// Makes attempts until the goal is reached, or until nobody receives the reports any more. Holds the lock until
    /// it is released.
    pub fn work(self, released: oneshot::Receiver<()>) {
        let mut session = None;
        repeat(PAUSES, || {
            let report = self.attempt().map(|(state, connected)| {
                match state {
                    State::Taken(_) => session = Some(connected),
                    _ => connected.close(),
                }
                state
            });
            let is_over = match report {
                Ok(State::Busy) => self.goal == Goal::TakenOrBusy,
                Ok(_) => true,
                Err(_) => false,
            };
            self.outbox.send(report) && !is_over
        });
        if let Some(session) = session {
            self.outbox.send(self.hold(session, released));
        }
    }

    fn attempt(&self) -> Result<(State, Session), Error> {
        let until = Instant::now() + ATTEMPT_LIMIT;
        let key = self.key;
        let connect = || postgres::connect(&self.database, &self.application, until);
        let mut session = connect()?;
        // Takes the lock and releases it at once.
        let question = format!(
            "SELECT CASE WHEN pg_try_advisory_lock({key}) THEN pg_advisory_unlock({key}) ELSE false END"
        );
        if !session.ask_bool(&question, until)? {
            return Ok((State::Busy, session));
        }
        if self.goal == Goal::Free {
            return Ok((State::Free, session));
        }
        let mut other = connect()?;
        let state = take(&mut session, &mut other, key, until);
        other.close();
        Ok((state?, session))
    }

    /// Holds the lock until its release is requested, and releases it.
    fn hold(&self, mut session: Session, mut released: oneshot::Receiver<()>) -> Report {
        while !session.wait_for(&mut released, PROOF_INTERVAL)? {
            session.ask("SELECT 1", Instant::now() + ANSWER_LIMIT)?;
        }
        let question = format!("SELECT pg_advisory_unlock({})", self.key);
        let was_held = session.ask_bool(&question, Instant::now() + ANSWER_LIMIT);
        session.close();
        if was_held? {
            Ok(State::Free)
        } else {
            Err(Error::not_yet("it was not ours at the end"))
        }
    }
}

/// Takes the lock, and verifies with another session that it excludes others.
fn take(
    session: &mut Session,
    other: &mut Session,
    key: i64,
    until: Instant,
) -> Result<State, Error> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    // A pool in transaction mode gives the first session another server process while the second one's transaction
    // occupies that of the first.
    let process = session.ask(PROCESS, until)?;
    other.ask("BEGIN; SELECT 1", until)?;
    let others_process = other.ask(PROCESS, until)?;
    if process == others_process || process != session.ask(PROCESS, until)? {
        return Ok(State::NotExclusive(POOLED));
    }
    session.ask(&set_settings(), until)?;
    let attempt = format!("SELECT pg_try_advisory_lock({key})");
    if !session.ask_bool(&attempt, until)? {
        return Ok(State::Busy);
    }
    if other.ask_bool(&attempt, until)? {
        return Ok(State::NotExclusive(NO_LOCKS));
    }
    Ok(State::Taken(session.socket()?))
}

/// The statement that sets those of `SETTINGS` that the server knows.
fn set_settings() -> String {
    let values = SETTINGS.map(|(name, value)| format!("('{name}', '{value}')"));
    format!(
        "SELECT count(set_config(name, value, false)) FROM (VALUES {}) AS wanted (name, value) \
         JOIN pg_settings USING (name)",
        values.join(", ")
    )
}
