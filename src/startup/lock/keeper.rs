//! The helper thread that takes and holds an advisory lock of a PostgreSQL session, on a connection of its own.
//! While another process holds the lock, the helper connects only for each attempt: hundreds of waiting replicas
//! must not use up the server's connections.
//!
//! Each attempt uses `pg_try_advisory_lock` and never blocks. `CREATE INDEX CONCURRENTLY` waits for all statements
//! that run, so a blocked waiter and a holder that creates an index would wait for each other for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::net::Failure;
use crate::net::postgres::{Client, Session};
use crate::os::helper::Outbox;
use crate::os::socket::KeepAliveTimes;
use crate::startup::backoff::{Backoff, LOCK};

/// How long one attempt to take the lock, or to see whether it is free, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the helper checks that the connection which holds the lock still works.
const PROOF_INTERVAL: Duration = Duration::from_secs(3);

/// How long the server may take to answer that check, or to release the lock. A slow server still holds the
/// lock; `OUR_TIMES` detect a network that is cut much earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// After about 10 seconds without an acknowledgement our kernel closes the connection.
pub const OUR_TIMES: KeepAliveTimes = KeepAliveTimes {
    idle: Duration::from_secs(4),
    interval: Duration::from_secs(2),
    count: 3,
    unacknowledged: Duration::from_secs(10),
};

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

/// What the helper is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Takes the lock, if it is free.
    Take,
    /// Takes the lock as soon as it is free.
    TakePatiently,
    /// Waits until nobody holds it.
    AwaitFree,
    Release,
}

/// What the helper reports.
#[derive(Debug)]
pub enum News {
    /// An attempt failed; the helper tries again.
    Trouble(Failure),
    /// Somebody holds it.
    Busy,
    /// Nobody holds it.
    Free,
    /// We hold it. The lock lasts as long as any process has this socket open.
    Taken(OwnedFd),
    /// An advisory lock does not exclude others on this server.
    Unfit(Unfit),
    /// We held it, and may not hold it any more.
    Lost(String),
    /// It is released; false: the server says that we did not hold it.
    Released(bool),
}

/// Why an advisory lock does not exclude others on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "it is reached through a pool in transaction mode (PgBouncer, say), where a lock holds nothing; \
         name a variable with the direct URL under lock.postgres"
    )]
    Pooled,
    #[error("its advisory locks do not keep others out; a real PostgreSQL is needed")]
    NoLocks,
}

/// What one attempt to take the lock came to.
enum Look {
    Busy,
    Taken(Session),
    Unfit(Unfit),
}

/// Takes, holds and releases one lock, as it is requested.
pub struct Keeper {
    client: Client,
    key: i64,
    outbox: Outbox<News>,
}

impl Keeper {
    pub fn new(client: Client, key: i64, outbox: Outbox<News>) -> Self {
        Self {
            client: client.kept_alive(OUR_TIMES),
            key,
            outbox,
        }
    }

    /// Serves requests until nobody can send any more.
    ///
    /// # Errors
    /// When the system gives no runtime.
    pub fn work(mut self, mut requests: UnboundedReceiver<Request>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            while let Some(request) = requests.recv().await {
                let held = match request {
                    Request::Take => self.take(false).await,
                    Request::TakePatiently => self.take(true).await,
                    Request::AwaitFree => {
                        self.await_free().await;
                        None
                    }
                    Request::Release => None,
                };
                if let Some(session) = held {
                    self.hold(session, &mut requests).await;
                }
            }
        });
        Ok(())
    }

    async fn await_free(&mut self) {
        let mut backoff = Backoff::new(LOCK);
        loop {
            let news = match self.is_free().await {
                Ok(true) => News::Free,
                Ok(false) => News::Busy,
                Err(failure) => News::Trouble(failure),
            };
            let is_free = matches!(news, News::Free);
            if !self.outbox.send(news) || is_free {
                return;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn is_free(&mut self) -> Result<bool, Failure> {
        let until = Instant::now() + LIMIT;
        let session = self.client.connect(until).await?;
        let answer = look(&session, self.key, until).await;
        session.close().await;
        answer
    }

    /// Takes the lock. None: it was not taken, and the reason has been reported.
    async fn take(&mut self, is_patient: bool) -> Option<Session> {
        let mut backoff = Backoff::new(LOCK);
        loop {
            let news = match self.try_to_take().await {
                Ok(Look::Taken(session)) => return Some(session),
                Ok(Look::Unfit(reason)) => {
                    self.outbox.send(News::Unfit(reason));
                    return None;
                }
                Ok(Look::Busy) => News::Busy,
                Err(failure) => News::Trouble(failure),
            };
            let is_over = matches!(news, News::Busy) && !is_patient;
            if !self.outbox.send(news) || is_over {
                return None;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn try_to_take(&mut self) -> Result<Look, Failure> {
        let until = Instant::now() + LIMIT;
        let session = self.client.connect(until).await?;
        if !look(&session, self.key, until).await? {
            session.close().await;
            return Ok(Look::Busy);
        }
        // A pool in transaction mode gives a second session the server process of the first.
        let other = self.client.connect(until).await?;
        let look = take_beside(&session, &other, self.key, until).await;
        other.close().await;
        match look? {
            None => Ok(Look::Taken(session)),
            Some(look) => {
                session.close().await;
                Ok(look)
            }
        }
    }

    /// Holds the lock until its release is requested, or it is lost.
    async fn hold(&mut self, session: Session, requests: &mut UnboundedReceiver<Request>) {
        let taken = match session.socket() {
            Ok(socket) => News::Taken(socket),
            Err(error) => News::Lost(error.to_string()),
        };
        self.outbox.send(taken);
        loop {
            let request = tokio::select! {
                failure = session.lost() => {
                    self.outbox.send(News::Lost(failure.reason));
                    return;
                }
                request = requests.recv() => Some(request),
                () = tokio::time::sleep(PROOF_INTERVAL) => None,
            };
            match request {
                None => {
                    let until = Instant::now() + ANSWER_LIMIT;
                    if let Err(failure) = session.ask("SELECT 1", until).await {
                        self.outbox.send(News::Lost(failure.reason));
                        return;
                    }
                }
                // Nobody can send requests any more. The server releases the lock when the connection ends.
                Some(None) => return,
                Some(Some(Request::Release)) => {
                    let news = match release(&session, self.key).await {
                        Ok(released) => News::Released(released),
                        Err(failure) => News::Lost(failure.reason),
                    };
                    self.outbox.send(news);
                    session.close().await;
                    return;
                }
                Some(Some(_)) => {}
            }
        }
    }
}

/// Whether nobody holds the lock. The statement takes it, and releases it at once.
async fn look(session: &Session, key: i64, until: Instant) -> Result<bool, Failure> {
    let question = format!(
        "SELECT CASE WHEN pg_try_advisory_lock({key}) THEN pg_advisory_unlock({key}) ELSE false END"
    );
    ask_bool(session, &question, until).await
}

/// Takes the lock, and verifies with another session that it excludes others. None: it is taken.
async fn take_beside(
    session: &Session,
    other: &Session,
    key: i64,
    until: Instant,
) -> Result<Option<Look>, Failure> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    let process = session.ask(PROCESS, until).await?;
    other.ask("BEGIN; SELECT 1", until).await?;
    let others_process = other.ask(PROCESS, until).await?;
    if process == others_process || process != session.ask(PROCESS, until).await? {
        return Ok(Some(Look::Unfit(Unfit::Pooled)));
    }
    session.ask(&settings(), until).await?;
    let attempt = format!("SELECT pg_try_advisory_lock({key})");
    if !ask_bool(session, &attempt, until).await? {
        return Ok(Some(Look::Busy));
    }
    if ask_bool(other, &attempt, until).await? {
        return Ok(Some(Look::Unfit(Unfit::NoLocks)));
    }
    Ok(None)
}

/// Sets what of `SETTINGS` the server knows.
fn settings() -> String {
    let arms: Vec<String> = SETTINGS
        .iter()
        .map(|(name, value)| format!("WHEN '{name}' THEN '{value}'"))
        .collect();
    let names: Vec<String> = SETTINGS
        .iter()
        .map(|(name, _)| format!("'{name}'"))
        .collect();
    format!(
        "SELECT count(set_config(name, CASE name {} END, false)) FROM pg_settings WHERE name IN ({})",
        arms.join(" "),
        names.join(", ")
    )
}

/// Releases the lock; false when the server says that we did not hold it.
async fn release(session: &Session, key: i64) -> Result<bool, Failure> {
    let question = format!("SELECT pg_advisory_unlock({key})");
    ask_bool(session, &question, Instant::now() + ANSWER_LIMIT).await
}

async fn ask_bool(session: &Session, question: &str, until: Instant) -> Result<bool, Failure> {
    let row = session.ask(question, until).await?;
    Ok(row.first().is_some_and(|answer| answer == "t"))
}
