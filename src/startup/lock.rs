//! A session-level advisory lock of PostgreSQL. A helper thread takes it and holds it on its own connection.
//!
//! While another process holds the lock, the helper opens a new connection for each attempt and closes it afterwards,
//! so that hundreds of waiting replicas do not use up the server's connections. Each attempt uses
//! `pg_try_advisory_lock`, which does not block: `CREATE INDEX CONCURRENTLY` waits for all running statements, so a
//! blocked waiter and a holder that creates an index would wait for each other forever.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::RunError;
use super::backoff::Pauses;
use super::progress::{Messages, Next, Report, Wait, attempt_until_ready, receive, wait};
use super::question;
use super::supervise::Lease;
use crate::alembic::Status;
use crate::check::{AlembicQuestion, Lock, Question};
use crate::exit::Exit;
use crate::log::Phase;
use crate::net::Error;
use crate::net::postgres::{self, Session};
use crate::os::signals::Signals;
use crate::os::{send_report, spawn_helper};
use crate::targets::postgres::PostgresTarget;

/// The maximum length of an `application_name`, in bytes. PostgreSQL truncates longer ones.
const MAX_APPLICATION: usize = 63;

/// The first and the longest pause between two attempts. They are short, because the lock delays the start of the
/// server.
const PAUSES: Pauses = Pauses {
    range: (Duration::from_millis(100), Duration::from_millis(400)),
    later: None,
    yields: true,
};

/// The interval at which the helper checks that the connection that holds the lock still works.
const PROOF_INTERVAL: Duration = Duration::from_secs(3);

/// How long the server may take to answer such a check, or to release the lock. It is long, because a slow server still
/// holds the lock, and TCP keep-alive detects a broken connection much earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// Settings of the session that holds the lock. Those that the server's version does not know are skipped. They
/// override the settings of the URL and of the role, which could end the session. If the connection breaks, the server
/// releases the lock after about 30 seconds. The guard has stopped the step by then, after about 13 seconds.
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

/// Whether at least 4 connections are free for ordinary roles. Servers that do not know a name in it reject it.
const HAS_ROOM: &str = "SELECT current_setting('max_connections')::int \
     - current_setting('superuser_reserved_connections')::int - count(*) >= 4 \
     FROM pg_stat_activity WHERE backend_type = 'client backend'";

/// How long the holder of the lock waits for free connections, but at most a quarter of the lock's time-out, and the
/// interval at which it looks.
const ROOM_LIMIT: Duration = Duration::from_secs(1);
const ROOM_PAUSE: Duration = Duration::from_millis(50);

const POOLED: &str = "the URL leads to a pool in transaction mode (such as PgBouncer), where an advisory lock has no effect; \
                      name a variable with the direct URL under lock.postgres";
const NO_LOCKS: &str = "its advisory locks do not exclude other sessions; use a PostgreSQL server";

const BUSY: &str = "another process holds it";

/// How a wait for the lock has ended.
pub enum Waited {
    /// This process holds the lock. The status is the answer to the question, asked while it was held.
    Taken(HeldLock, Option<Status>),
    /// Another process held it, and no process holds it any more.
    Free,
    /// No process held it, and the answer to the question is that the step is not to be run.
    Settled(Status),
}

/// The state of the lock.
enum State {
    /// Another process holds it.
    Busy,
    /// No process holds it, or this process has released it.
    Free,
    /// This process holds it. The lock lasts as long as any process has this socket open.
    Taken(OwnedFd, Option<Status>),
    /// No process holds it, and the step is not to be run.
    Settled(Status),
    /// Advisory locks on this server do not exclude other sessions, for this reason.
    NotExclusive(&'static str),
}

/// A step's lock that is not taken yet.
pub struct AdvisoryLock {
    helper: Helper,
    /// `host:port`
    at: String,
    step: String,
    timeout: Duration,
    wait: Wait,
    messages: Messages,
    /// The end of the first message: the query that shows which session holds the lock. `None` after it was logged.
    holder_query: Option<String>,
}

impl AdvisoryLock {
    /// Creates the lock of a step of a service. All waits for it share its time-out, which begins now. A question to the
    /// database is asked whenever no process holds the lock, so that the lock is taken only if the step is to be run.
    pub fn new(lock: &Lock, service: &str, step: &str, question: Option<&Question>) -> Self {
        let timeout = lock.timeout;
        let mut database = lock.database.clone();
        let (now, key) = (Instant::now(), key(service, step));
        let mut application = format!("startup-guard {service}/{step}");
        application.truncate(application.floor_char_boundary(MAX_APPLICATION));
        // Advisory locks on a standby do not exclude sessions on the primary.
        database.require_primary();
        let at = lock.shown.clone();
        let name = format!("the lock {key} of the step {step} on {at}");
        Self {
            at,
            helper: Helper {
                database,
                application,
                key,
                question: match question {
                    Some(Question::Alembic(question, _)) => Some((**question).clone()),
                    Some(Question::Command(_)) | None => None,
                },
                takes_once: matches!(question, Some(Question::Command(_))),
                room_limit: ROOM_LIMIT.min(timeout / 4),
            },
            step: step.to_owned(),
            timeout,
            wait: Wait::new(name, now, timeout),
            messages: Messages::new(now),
            holder_query: Some(format!("; who holds it: {}", holder_query(key))),
        }
    }

    /// Waits until this process holds the lock, or the answer to the question is that the step is not to be run. If the
    /// question is a command and another process holds the lock first, waits until no process holds it.
    ///
    /// # Errors
    /// If that does not happen in time or cannot happen, or a stop arrives.
    pub fn wait_for(&mut self, signals: &Signals) -> Result<Waited, RunError> {
        let (outbox, reports) = channel();
        let (release, released) = oneshot::channel();
        let helper = self.helper.clone();
        spawn_helper("lock", move || helper.work(&outbox, released))
            .map_err(RunError::system("wait"))?;
        let (step, query) = (&self.step, &mut self.holder_query);
        let waits = std::slice::from_mut(&mut self.wait);
        let log = |text: &str| {
            // The query is logged once, and only while another process holds the lock.
            let query = query.take_if(|_| text.ends_with(BUSY)).unwrap_or_default();
            tracing::info!(phase = %Phase::Lock, step, "{text}{query}");
        };
        let make = |_| Ok(Next::Never);
        let states = wait(waits, &reports, signals, &mut self.messages, log, make);
        let mut states = states.map_err(|error| self.explained(error))?;
        let at = &self.at;
        match states.swap_remove(0) {
            State::Free | State::Busy => Ok(Waited::Free),
            State::Settled(status) => Ok(Waited::Settled(status)),
            State::Taken(socket, status) => {
                let key = self.helper.key;
                let text = format!("step {step}: holding the lock {key} on {at}");
                tracing::info!(phase = %Phase::Lock, step, "{text}");
                let held = HeldLock {
                    reports,
                    release,
                    socket,
                    loss: RefCell::new(None),
                    is_left_to_others: Cell::new(false),
                };
                Ok(Waited::Taken(held, status))
            }
            State::NotExclusive(reason) => {
                let text = format!("the lock on {at} would not exclude others: {reason}");
                Err(RunError::new(Exit::INVALID_ENVIRONMENT, Phase::Lock, text))
            }
        }
    }

    /// Explains why the wait has failed.
    fn explained(&self, error: RunError) -> RunError {
        let (at, reason) = (&self.at, self.wait.reason());
        let timeout = humantime::format_duration(self.timeout);
        let late = format!("was not free within {timeout}");
        let refused = "cannot be requested".to_owned();
        let (exit, problem) = match error.exit {
            Exit::NOT_READY => (Exit::LOCK_NOT_HELD, late),
            exit @ (Exit::NOT_PERMITTED | Exit::INVALID_ENVIRONMENT) => (exit, refused),
            _ => return error,
        };
        let text = format!("the lock on {at} {problem}: {reason}");
        RunError::new(exit, Phase::Lock, text)
    }
}

/// A lock that this process holds.
pub struct HeldLock {
    /// An error means that the lock is lost.
    reports: Receiver<Report<State>>,
    release: oneshot::Sender<()>,
    socket: OwnedFd,
    loss: RefCell<Option<String>>,
    /// Whether processes of the step may outlive the guard. The guard must not release the lock then.
    is_left_to_others: Cell<bool>,
}

impl HeldLock {
    /// Releases the lock, unless processes of the step are left. Needs no deadline, because the helper has one and
    /// always reports.
    ///
    /// # Errors
    /// If the lock was lost, the database does not answer, or a stop arrives.
    pub fn release(self, signals: &Signals) -> Result<(), RunError> {
        if self.is_left_to_others.get() {
            // Neither released nor closed: the connection stays open until the last process that has its socket ends.
            std::mem::forget(self);
            return Ok(());
        }
        self.verify()?;
        // If the helper has ended, it has reported why.
        let _ = self.release.send(());
        match receive(&self.reports, signals, None)? {
            Some((_, Err(error))) => Err(RunError::lock_lost(&error.reason)),
            Some((_, Ok(_))) | None => Ok(()),
        }
    }
}

impl Lease for HeldLock {
    fn loss(&self) -> Option<String> {
        let mut loss = self.loss.borrow_mut();
        // The helper reports before it ends.
        if let Ok((_, Err(error))) = self.reports.try_recv() {
            *loss = Some(error.reason);
        }
        loss.clone()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn leave_to_the_rest(&self) {
        self.is_left_to_others.set(true);
    }
}

/// The work of the helper thread.
#[derive(Clone)]
struct Helper {
    database: PostgresTarget,
    application: String,
    key: i64,
    question: Option<AlembicQuestion>,
    /// Whether to take the lock only if no other process holds it first. That holder probably runs the same step, and
    /// nobody else asks the command meanwhile. When the lock is free, all waiting replicas ask concurrently and without
    /// the lock. With it, each would have to wait for all others.
    takes_once: bool,
    /// How long to wait for free connections once the lock is taken.
    room_limit: Duration,
}

impl Helper {
    /// Makes attempts until one succeeds or the receiver of the reports is dropped. Then, if the lock was taken, holds it
    /// until its release is requested.
    fn work(&self, outbox: &Sender<Report<State>>, released: oneshot::Receiver<()>) {
        let mut session = None;
        let mut takes = true;
        attempt_until_ready(PAUSES, 0, outbox, |until| {
            let (state, connected) = self.attempt(takes, until)?;
            match state {
                State::Taken(..) => session = Some(connected),
                _ => connected.close(),
            }
            if let State::Busy = state {
                takes = !self.takes_once;
                return Err(Error::not_yet(BUSY));
            }
            Ok(state)
        });
        if let Some(session) = session {
            send_report(outbox, (0, self.hold(session, released)));
        }
    }

    /// Makes one attempt. If the lock is free, takes it if `takes` is true.
    fn attempt(&self, takes: bool, until: Instant) -> Result<(State, Session), Error> {
        let key = self.key;
        let connect = || postgres::connect(&self.database, &self.application, until);
        let mut session = connect()?;
        // The query takes the lock and releases it at once, to find out whether it is free.
        let question = format!(
            "SELECT CASE WHEN pg_try_advisory_lock({key}) THEN pg_advisory_unlock({key}) ELSE false END"
        );
        if !session.ask_bool(&question, until)? {
            return Ok((State::Busy, session));
        }
        if let Some(status) = self.ask(&mut session, until)?
            && !self.wants_run(&status)
        {
            return Ok((State::Settled(status), session));
        }
        if !takes {
            return Ok((State::Free, session));
        }
        let mut other = connect()?;
        let state = take(&mut session, &mut other, key, until);
        other.close();
        let state = match state? {
            // Asked again, because another process may have run the step just before. If this closes the session, the
            // lock is free again.
            State::Taken(socket, _) => match self.ask(&mut session, until)? {
                Some(status) if !self.wants_run(&status) => (State::Settled(status), session),
                status => {
                    wait_for_room(&mut session, self.room_limit)?;
                    (State::Taken(socket, status), session)
                }
            },
            state => (state, session),
        };
        Ok(state)
    }

    /// Asks the question, if there is one.
    fn ask(&self, session: &mut Session, until: Instant) -> Result<Option<Status>, Error> {
        let question = self.question.as_ref();
        let of_question = |error: Error| Error {
            reason: format!("the database of up_to_date: {}", error.reason),
            ..error
        };
        let status = question.map(|question| {
            if question.is_of_lock {
                return question::ask(question, session, until);
            }
            question::ask_alone(question, until).map_err(of_question)
        });
        status.transpose()
    }

    fn wants_run(&self, status: &Status) -> bool {
        let question = self.question.as_ref();
        question.is_none_or(|question| question::wants_run(question, status))
    }

    /// Holds the lock until its release is requested, and releases it.
    fn hold(
        &self,
        mut session: Session,
        mut released: oneshot::Receiver<()>,
    ) -> Result<State, Error> {
        while !session.wait_for(&mut released, PROOF_INTERVAL)? {
            session.ask("SELECT 1", Instant::now() + ANSWER_LIMIT)?;
        }
        let question = format!("SELECT pg_advisory_unlock({})", self.key);
        let was_held = session.ask_bool(&question, Instant::now() + ANSWER_LIMIT);
        session.close();
        let lost = || Error::not_yet("it was not held any more when it was to be released");
        was_held?.then_some(State::Free).ok_or_else(lost)
    }
}

/// Takes the lock, and verifies with a second session that the lock excludes it.
fn take(
    session: &mut Session,
    other: &mut Session,
    key: i64,
    until: Instant,
) -> Result<State, Error> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    // Detects a pool in transaction mode: while the transaction of the second session occupies the server process of
    // the first session, the pool gives the first session another server process.
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
    Ok(State::Taken(session.socket.try_clone()?, None))
}

/// Waits until the server has connections for the step, which the first attempts of other replicas may occupy.
fn wait_for_room(session: &mut Session, limit: Duration) -> Result<(), Error> {
    let until = Instant::now() + limit;
    // A slow answer does not end the attempt, because the lock is already taken.
    while let Ok(answer) = session.ask_if_accepted(HAS_ROOM, Instant::now() + ANSWER_LIMIT)?
        && answer == "f"
        && Instant::now() + ROOM_PAUSE < until
    {
        std::thread::sleep(ROOM_PAUSE);
    }
    Ok(())
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

/// The lock's key: the first 8 bytes of SHA-256("startup-guard\0" service "\0" step), as a `bigint` of PostgreSQL.
/// Advisory locks of different databases are independent.
fn key(service: &str, step: &str) -> i64 {
    let hash = Sha256::digest(format!("startup-guard\0{service}\0{step}"));
    let bytes = hash.iter().take(8);
    bytes.fold(0, |key, &byte| key << 8 | i64::from(byte))
}

/// The query that shows which session holds the lock. `pg_locks` lists a key as two halves, and the locks of all
/// databases.
fn holder_query(key: i64) -> String {
    let halves = key.cast_unsigned();
    format!(
        "SELECT a.pid, a.client_addr, a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a \
         USING (pid) WHERE l.locktype = 'advisory' AND l.classid = {} AND l.objid = {} AND l.objsubid = 1 AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        halves >> 32,
        halves & 0xffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::{holder_query, key};

    /// The key is the output of: printf 'startup-guard\0intowork-backend\0migrate' | sha256sum | cut -c-16
    #[test]
    fn the_key_is_the_beginning_of_a_hash() {
        assert_eq!(key("intowork-backend", "migrate"), KEY);
        assert_ne!(key("intowork-backend", "migrat"), KEY);
        assert_ne!(key("intowork-backendm", "igrate"), KEY);
    }

    #[test]
    fn both_halves_of_a_negative_key_are_shown_as_unsigned_numbers() {
        let query = holder_query(-2);
        assert!(
            query.contains("l.classid = 4294967295 AND l.objid = 4294967294"),
            "{query}"
        );
    }

    const KEY: i64 = 0x7ee5_1cc7_cefa_89b7;
}
