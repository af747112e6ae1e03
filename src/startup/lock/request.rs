//! Requests the lock from its helper, and logs why it is not held yet.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::LockError;
use super::keeper::{Keeper, News, Request};
use super::key::{holder_query, key};
use crate::check;
use crate::log::Phase;
use crate::net::postgres::Client;
use crate::os::helper::{mailbox, spawn};
use crate::os::signals::Signals;
use crate::startup::display::Display;
use crate::startup::obstacle::{Obstacle, after};
use crate::startup::pause::pause;
use crate::startup::step::Run;
use crate::target::postgres::Role;

/// The longest `application_name` that PostgreSQL keeps, in bytes.
const MAX_NAME: usize = 63;

/// What is said of a lock that is not free.
const BUSY: &str = "another process holds it";

/// A lock that can be requested.
pub struct Lock {
    step: String,
    /// `host:port`
    at: String,
    key: i64,
    timeout: Duration,
    deadline: Instant,
    requests: UnboundedSender<Request>,
    news: Receiver<News>,
    display: Display,
    obstacle: Obstacle,
    /// The query that shows who holds it; none once it has been logged.
    query: Option<String>,
}

/// What an attempt to take the lock can come to, or a wait for it.
enum Answer {
    Busy,
    Free,
    Taken(OwnedFd),
}

impl Lock {
    /// Starts the helper. The time-out of the lock begins here.
    ///
    /// # Errors
    /// When the system does not start the helper.
    pub fn open(run: &Run<'_>, lock: &check::Lock) -> Result<Self, LockError> {
        let mut database = lock.database.clone();
        // Advisory locks on a standby exclude nobody on the primary.
        database.role = Role::Primary;
        let (service, step) = (
            run.context.plan.service.as_deref().unwrap_or_default(),
            &run.step.name,
        );
        let key = key(service, step);
        let (at, name) = (database.shown(), application(service, step));
        let (outbox, news) = mailbox();
        let (requests, received) = unbounded_channel();
        let keeper = Keeper::new(Client::new(database, name), key, outbox);
        spawn("lock", move || {
            // If it fails, its mailbox closes, which ends every request with an error.
            let _ = keeper.work(received);
        })?;
        let now = Instant::now();
        Ok(Self {
            step: step.clone(),
            at,
            key,
            timeout: lock.timeout,
            deadline: after(now, lock.timeout),
            requests,
            news,
            display: Display::new(now),
            obstacle: Obstacle::Unknown,
            query: Some(holder_query(key)),
        })
    }

    /// Takes the lock, if it is free.
    ///
    /// # Errors
    /// When it cannot be asked for in time.
    pub fn take(&mut self, signals: &Signals) -> Result<Option<OwnedFd>, LockError> {
        match self.request(Request::Take, signals)? {
            Answer::Taken(socket) => Ok(Some(socket)),
            Answer::Busy | Answer::Free => Ok(None),
        }
    }

    /// Takes the lock as soon as it is free.
    ///
    /// # Errors
    /// When it is not free in time.
    pub fn take_patiently(&mut self, signals: &Signals) -> Result<OwnedFd, LockError> {
        match self.request(Request::TakePatiently, signals)? {
            Answer::Taken(socket) => Ok(socket),
            Answer::Busy | Answer::Free => Err(LockError::Lost("it was never taken".to_owned())),
        }
    }

    /// Waits until nobody holds it.
    ///
    /// # Errors
    /// When it is not free in time.
    pub fn wait_until_free(&mut self, signals: &Signals) -> Result<(), LockError> {
        self.request(Request::AwaitFree, signals).map(drop)
    }

    /// Asks the helper for something.
    pub fn ask(&self, request: Request) {
        // A helper that has ended is noticed when its news are read.
        let _ = self.requests.send(request);
    }

    /// The helper's news.
    ///
    /// # Errors
    /// When there are none, or will never be.
    pub fn news(&self) -> Result<News, TryRecvError> {
        self.news.try_recv()
    }

    fn request(&mut self, request: Request, signals: &Signals) -> Result<Answer, LockError> {
        self.ask(request);
        loop {
            match self.news() {
                Ok(News::Taken(socket)) => {
                    self.tell_taken();
                    return Ok(Answer::Taken(socket));
                }
                Ok(News::Free) => return Ok(Answer::Free),
                Ok(News::Busy) => {
                    self.obstacle = Obstacle::NotYet(BUSY.to_owned());
                    if request == Request::Take {
                        return Ok(Answer::Busy);
                    }
                }
                Ok(News::Trouble(failure)) => {
                    self.obstacle = self.obstacle.after(failure, Instant::now());
                }
                Ok(News::Unfit(reason)) => {
                    let at = self.at.clone();
                    return Err(LockError::Unfit { at, reason });
                }
                Ok(News::Lost(reason)) => return Err(LockError::Lost(reason)),
                Ok(News::Released(_)) => {}
                Err(TryRecvError::Disconnected) => {
                    return Err(io::Error::other("its helper has ended").into());
                }
                Err(TryRecvError::Empty) => {
                    let now = Instant::now();
                    let end = self.obstacle.end(self.deadline);
                    if now >= end {
                        return Err(self.given_up());
                    }
                    let said = self.tell_progress(now).unwrap_or(end);
                    if let Some(stop) = pause(signals, Some(end.min(said)))? {
                        return Err(LockError::Stopped(stop));
                    }
                }
            }
        }
    }

    fn given_up(&self) -> LockError {
        let (at, reason) = (self.at.clone(), self.obstacle.reason().to_owned());
        if self.obstacle.is_refusal() {
            return LockError::Refused { at, reason };
        }
        let timeout = self.timeout;
        LockError::NotFree {
            at,
            timeout,
            reason,
        }
    }

    /// Logs why it is not held yet, if it is time to. Returns when to call this again.
    fn tell_progress(&mut self, now: Instant) -> Option<Instant> {
        if matches!(self.obstacle, Obstacle::Unknown) {
            return None;
        }
        let reason = self.obstacle.reason();
        let (step, key, at) = (&self.step, self.key, &self.at);
        let text = format!("the lock {key} of the step {step} on {at}: {reason}");
        let elapsed = self.display.elapsed(now);
        if let Some(text) = self.display.update(text.clone(), now) {
            // The query is logged once, and only while another process holds the lock.
            let query = if reason == BUSY {
                self.query.take()
            } else {
                None
            };
            let query = query.map(|query| format!("; who holds it: {query}"));
            let query = query.unwrap_or_default();
            tracing::info!(
                phase = %Phase::Lock,
                step,
                "waiting ({elapsed}) for {text}{query}"
            );
        }
        self.display.next(&text)
    }

    fn tell_taken(&self) {
        let (step, key, at) = (&self.step, self.key, &self.at);
        tracing::info!(
            phase = %Phase::Lock,
            step,
            "step {step}: holding the lock {key} on {at}"
        );
    }
}

/// The `application_name` of the session that holds the lock.
fn application(service: &str, step: &str) -> String {
    let mut name = format!("startup-guard {service}/{step}");
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name
}
