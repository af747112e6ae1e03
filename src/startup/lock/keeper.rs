//! The lock's helper: a connection of its own, on a thread of its own. Between two looks at a lock that is
//! taken it has no connection at all: hundreds of waiters must leave the service its connections.
//!
//! A session's lock on PostgreSQL, polled and never blocked on: a statement that waits for a lock is what
//! `CREATE INDEX CONCURRENTLY` waits for, while the lock waits for it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::net::Failure;
use crate::net::postgres::{Client, Session};
use crate::os::helper::Outbox;
use crate::os::socket::KeepAliveTimes;
use crate::startup::backoff::{Backoff, LOCK};

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the connection is proved to live while it holds the lock.
const PROOF_INTERVAL: Duration = Duration::from_secs(3);

/// How long the server may take to answer that, or to release the lock. A slow server holds the lock all the
/// same; one that the network has cut off is found out by `OUR_TIMES` long before.
const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// When our kernel gives the connection up: after some 10 seconds of silence.
pub const OUR_TIMES: KeepAliveTimes = KeepAliveTimes {
    idle: Duration::from_secs(4),
    interval: Duration::from_secs(2),
    count: 3,
    unacknowledged: Duration::from_secs(10),
};

/// Settings of the session that holds the lock, where the server has them. Whatever the URL or the role says,
/// nothing there may end it. The server gives up a holder that the network has taken away only long after
/// the holder has given up itself: 30 seconds, against 13.
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
    /// It could not look, and tries again.
    Trouble(Failure),
    /// Somebody holds it.
    Busy,
    /// Nobody does.
    Free,
    /// We do. The socket is what keeps it.
    Taken(OwnedFd),
    /// A lock would not hold there.
    Unfit(Unfit),
    /// We did, and cannot be sure any more.
    Lost(String),
    /// Given back; false: it was not ours any more.
    Released(bool),
}

/// Why a lock would not hold on a server.
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

/// One look at the lock.
enum Look {
    Busy,
    Taken(Session),
    Unfit(Unfit),
}

/// Keeps one lock, as long as somebody asks for something.
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

    /// The helper's work.
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

    /// Takes the lock. None: it cannot be had, which is reported.
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
        // Another session, inside a transaction: behind a pool it now has what was the first one's.
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

    /// Holds the lock until it is asked back, or is lost.
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
                // Nobody is there any more: the end of the connection gives the lock back.
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

/// Whether nobody holds the lock: takes it and gives it back, in one statement.
async fn look(session: &Session, key: i64, until: Instant) -> Result<bool, Failure> {
    let question = format!(
        "SELECT CASE WHEN pg_try_advisory_lock({key}) THEN pg_advisory_unlock({key}) ELSE false END"
    );
    ask_bool(session, &question, until).await
}

/// Takes the lock, and makes sure with the help of another session that it keeps others out. None: taken.
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

/// Gives the lock back; false when it was not ours any more.
async fn release(session: &Session, key: i64) -> Result<bool, Failure> {
    let question = format!("SELECT pg_advisory_unlock({key})");
    ask_bool(session, &question, Instant::now() + ANSWER_LIMIT).await
}

async fn ask_bool(session: &Session, question: &str, until: Instant) -> Result<bool, Failure> {
    let row = session.ask(question, until).await?;
    Ok(row.first().is_some_and(|answer| answer == "t"))
}
