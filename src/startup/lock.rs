//! An advisory lock of a PostgreSQL session, which a helper thread takes on a connection of its own, and holds.

mod helper;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::progress::{Interruption, Messages, WaitState, receive};
use super::supervise::Lease;
use crate::log::Phase;
use crate::net::Error;
use crate::os::signals::Signals;
use crate::os::{mailbox, spawn_helper};
use crate::target::postgres::PostgresTarget;

pub use helper::Goal;
use helper::{Helper, Report, State};

/// The longest `application_name` that PostgreSQL keeps, in bytes.
const MAX_APPLICATION: usize = 63;

const BUSY: &str = "another process holds it";
const HELPER_ENDED: &str = "its helper has ended";

/// Why the lock was not taken, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the lock on {0}")]
    NotFree(String),
    #[error("the lock was lost: {0}")]
    Lost(String),
    #[error("the lock on {0}")]
    Refused(String),
    #[error("the lock on {0}")]
    NotExclusive(String),
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

/// A step's lock, to be waited for.
pub struct AdvisoryLock {
    database: PostgresTarget,
    /// `host:port`
    at: String,
    application: String,
    step: String,
    key: i64,
    timeout: Duration,
    state: WaitState,
    messages: Messages,
    /// The end of the first message, with the query that shows who holds it. None once it has been logged.
    holder_query: Option<String>,
}

impl AdvisoryLock {
    /// The lock of a step of a service. All its waits share the time-out, which begins now.
    pub fn new(mut database: PostgresTarget, service: &str, step: &str, timeout: Duration) -> Self {
        let (now, key) = (Instant::now(), key(service, step));
        let mut application = format!("startup-guard {service}/{step}");
        application.truncate(application.floor_char_boundary(MAX_APPLICATION));
        // Advisory locks on a standby exclude nobody on the primary.
        database.require_primary();
        Self {
            at: database.shown(),
            database,
            application,
            step: step.to_owned(),
            key,
            timeout,
            state: WaitState::new(now, timeout),
            messages: Messages::new(now),
            holder_query: Some(format!("; who holds it: {}", holder_query(key))),
        }
    }

    /// Waits until the goal is reached, and returns the lock if it was taken.
    ///
    /// # Errors
    /// When the goal is not reached in time, or cannot be reached.
    pub fn wait_for(
        &mut self,
        goal: Goal,
        signals: &Signals,
    ) -> Result<Option<HeldLock>, LockError> {
        let (outbox, reports) = mailbox();
        let (release, released) = oneshot::channel();
        let helper = Helper {
            database: self.database.clone(),
            application: self.application.clone(),
            key: self.key,
            goal,
            outbox,
        };
        spawn_helper("lock", move || helper.work(released)).map_err(Interruption::from)?;
        let mut deadline = Instant::now();
        loop {
            let report = receive(&reports, signals, Some(deadline))?;
            let now = Instant::now();
            deadline = now;
            match report {
                None => {
                    let end = self.state.end();
                    if now >= end {
                        return Err(self.expired());
                    }
                    deadline = self.log_progress(now).map_or(end, |next| end.min(next));
                }
                Some(Ok(State::Free)) => return Ok(None),
                Some(Ok(State::Taken(socket))) => {
                    let Self { step, key, at, .. } = self;
                    let text = format!("step {step}: holding the lock {key} on {at}");
                    tracing::info!(phase = %Phase::Lock, step, "{text}");
                    return Ok(Some(HeldLock {
                        reports,
                        release,
                        socket,
                        loss: RefCell::new(None),
                        is_left_to_others: Cell::new(false),
                    }));
                }
                Some(Ok(State::Busy)) => {
                    self.state.note(Error::not_yet(BUSY), now);
                    if goal == Goal::TakenOrBusy {
                        return Ok(None);
                    }
                }
                Some(Ok(State::NotExclusive(reason))) => {
                    let text = format!("{} would not hold: {reason}", self.at);
                    return Err(LockError::NotExclusive(text));
                }
                Some(Err(error)) => self.state.note(error, now),
            }
        }
    }

    fn expired(&self) -> LockError {
        let (at, reason) = (&self.at, self.state.reason());
        if self.state.is_refused() {
            return LockError::Refused(format!("{at} cannot be asked for: {reason}"));
        }
        let timeout = humantime::format_duration(self.timeout);
        LockError::NotFree(format!("{at} was not free within {timeout}: {reason}"))
    }

    /// Logs why the goal is not reached yet, if a message is due. Returns when to call this again.
    fn log_progress(&mut self, now: Instant) -> Option<Instant> {
        if !self.state.is_known() {
            return None;
        }
        let (step, key, at) = (&self.step, self.key, &self.at);
        let reason = self.state.reason();
        let text = format!("the lock {key} of the step {step} on {at}: {reason}");
        let query = &mut self.holder_query;
        Some(self.messages.update(&text, now, |elapsed| {
            // The query is logged once, and only while another process holds the lock.
            let query = query.take_if(|_| reason == BUSY).unwrap_or_default();
            let text = format!("waiting ({elapsed}) for {text}{query}");
            tracing::info!(phase = %Phase::Lock, step, "{text}");
        }))
    }
}

/// A lock that this process holds.
pub struct HeldLock {
    reports: Receiver<Report>,
    release: oneshot::Sender<()>,
    socket: OwnedFd,
    loss: RefCell<Option<String>>,
    /// Whether processes of the step outlive the guard, which then must not release the lock.
    is_left_to_others: Cell<bool>,
}

impl HeldLock {
    /// # Errors
    /// When the lock was lost.
    pub fn verify(&self) -> Result<(), LockError> {
        self.loss()
            .map_or(Ok(()), |loss| Err(LockError::Lost(loss)))
    }

    /// Releases the lock, unless processes of the step need it. The helper limits how long the database may take, and
    /// reports in any case.
    ///
    /// # Errors
    /// When the lock was lost, or the database does not answer.
    pub fn release(self, signals: &Signals) -> Result<(), LockError> {
        if self.is_left_to_others.get() {
            // Neither released nor closed: the connection lives until the last process that has its socket ends.
            std::mem::forget(self);
            return Ok(());
        }
        self.verify()?;
        // A helper that has ended is noticed when its reports are read.
        let _ = self.release.send(());
        match receive(&self.reports, signals, None)? {
            Some(Err(error)) => Err(LockError::Lost(error.reason)),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

impl Lease for HeldLock {
    fn loss(&self) -> Option<String> {
        let mut loss = self.loss.borrow_mut();
        if loss.is_none() {
            *loss = match self.reports.try_recv() {
                Ok(Err(error)) => Some(error.reason),
                Err(TryRecvError::Disconnected) => Some(HELPER_ENDED.to_owned()),
                Ok(Ok(_)) | Err(TryRecvError::Empty) => None,
            };
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

/// The lock's key: the first 8 bytes of SHA-256("startup-guard\0" service "\0" step), as PostgreSQL's `bigint`. Every
/// database has advisory locks of its own.
fn key(service: &str, step: &str) -> i64 {
    let hash = Sha256::digest(format!("startup-guard\0{service}\0{step}"));
    let bytes = hash.iter().take(8);
    bytes.fold(0, |key, &byte| key << 8 | i64::from(byte))
}

/// The query that shows who holds the lock. PostgreSQL shows a key in two halves, and the locks of all its
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

    /// printf 'startup-guard\0intowork-backend\0migrate' | sha256sum | cut -c-16
    #[test]
    fn the_key_is_the_beginning_of_a_hash() {
        assert_eq!(key("intowork-backend", "migrate"), KEY);
        assert_ne!(key("intowork-backend", "migrat"), KEY);
        assert_ne!(key("intowork-backendm", "igrate"), KEY);
    }

    #[test]
    fn a_negative_key_is_shown_in_two_halves_that_are_not() {
        let query = holder_query(-2);
        assert!(
            query.contains("l.classid = 4294967295 AND l.objid = 4294967294"),
            "{query}"
        );
    }

    const KEY: i64 = 0x7ee5_1cc7_cefa_89b7;
}
