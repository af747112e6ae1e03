//! Waits until every dependency is ready. A helper thread for each of them asks again and again, all at the same
//! time.

use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::backoff::{Backoff, WAIT};
use super::display::Display;
use super::obstacle::{Obstacle, after};
use super::pause::pause;
use super::probe::Probe;
use crate::check::Wait;
use crate::log::Phase;
use crate::net::Failure;
use crate::os::helper::{Outbox, mailbox, spawn};
use crate::os::signals::{Signal, Signals};
use crate::target::Target;

/// Why the wait for the dependencies failed.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    #[error("not ready in time: {0}")]
    NotReady(String),
    #[error("waiting cannot help: {0}")]
    Refused(String),
    #[error("stopped by {} while waiting", .0.name())]
    Stopped(Signal),
    #[error("the system refused to wait: {0}")]
    System(#[from] io::Error),
}

/// Waits for all of them. What is not set is not waited for.
///
/// # Errors
/// The first that is not ready in time, or that refuses us.
pub fn for_all(waits: &[Wait], signals: &Signals) -> Result<(), WaitError> {
    let (outbox, news) = mailbox();
    let mut entries = Vec::new();
    for wait in waits {
        let what = wait.what.clone();
        let Some(target) = wait.target.clone() else {
            tracing::info!(phase = %Phase::Wait, "{what} is not waited for: it is not set");
            continue;
        };
        let (index, outbox) = (entries.len(), outbox.clone());
        spawn("wait", move || ask_until_ready(target, index, &outbox))?;
        entries.push(Entry::new(what, wait.timeout));
    }
    if entries.is_empty() {
        return Ok(());
    }
    Waiting {
        entries,
        news,
        display: Display::new(Instant::now()),
    }
    .wait(signals)
}

/// What a helper reports: the index of its entry, and the result of its last attempt.
type News = (usize, Result<(), Failure>);

/// The work of a helper. It ends when its dependency is ready, or when nobody receives its reports any more.
fn ask_until_ready(endpoint: Target, index: usize, outbox: &Outbox<News>) {
    let mut backoff = Backoff::new(WAIT);
    let mut probe = match Probe::new(endpoint) {
        Ok(probe) => probe,
        Err(error) => {
            outbox.send((index, Err(Failure::not_yet(error.to_string()))));
            return;
        }
    };
    loop {
        let answer = probe.ask();
        let is_ready = answer.is_ok();
        if !outbox.send((index, answer)) || is_ready {
            return;
        }
        std::thread::sleep(backoff.next());
    }
}

/// One dependency.
struct Entry {
    what: String,
    deadline: Instant,
    /// None: it is ready.
    obstacle: Option<Obstacle>,
}

impl Entry {
    fn new(what: String, timeout: Duration) -> Self {
        Self {
            what,
            deadline: after(Instant::now(), timeout),
            obstacle: Some(Obstacle::Unknown),
        }
    }

    fn note(&mut self, answer: Result<(), Failure>) {
        self.obstacle = match (answer, &self.obstacle) {
            (Err(failure), Some(obstacle)) => Some(obstacle.after(failure, Instant::now())),
            _ => None,
        };
    }

    fn is_ready(&self) -> bool {
        self.obstacle.is_none()
    }

    /// When to give up if its state does not change; none if it is ready.
    fn end(&self) -> Option<Instant> {
        let obstacle = self.obstacle.as_ref()?;
        Some(obstacle.end(self.deadline))
    }

    fn shown(&self) -> String {
        match &self.obstacle {
            None => self.what.clone(),
            Some(obstacle) => format!("{}: {}", self.what, obstacle.reason()),
        }
    }
}

struct Waiting {
    entries: Vec<Entry>,
    news: Receiver<News>,
    display: Display,
}

impl Waiting {
    fn wait(mut self, signals: &Signals) -> Result<(), WaitError> {
        loop {
            while let Ok((index, answer)) = self.news.try_recv() {
                self.entries[index].note(answer);
            }
            let now = Instant::now();
            if self.entries.iter().all(Entry::is_ready) {
                self.tell_ready(now);
                return Ok(());
            }
            self.give_up(now)?;
            let said = self.tell_progress(now);
            let ends = self.entries.iter().filter_map(Entry::end);
            let deadline = ends.chain(said).min();
            if let Some(stop) = pause(signals, deadline)? {
                return Err(WaitError::Stopped(stop));
            }
        }
    }

    /// Fails once the time of an entry is over, and names every entry whose time is.
    fn give_up(&self, now: Instant) -> Result<(), WaitError> {
        let is_over = |entry: &&Entry| entry.end().is_some_and(|end| now >= end);
        let over: Vec<&Entry> = self.entries.iter().filter(is_over).collect();
        if over.is_empty() {
            return Ok(());
        }
        let is_refused =
            |entry: &&&Entry| entry.obstacle.as_ref().is_some_and(Obstacle::is_refusal);
        let refused: Vec<String> = over
            .iter()
            .filter(is_refused)
            .map(|entry| entry.shown())
            .collect();
        if refused.is_empty() {
            let shown: Vec<String> = over.into_iter().map(Entry::shown).collect();
            return Err(WaitError::NotReady(shown.join("; ")));
        }
        Err(WaitError::Refused(refused.join("; ")))
    }

    /// What is not ready, and why; empty while no attempt has ended.
    fn text(&self) -> String {
        let is_told = |entry: &&Entry| !matches!(entry.obstacle, None | Some(Obstacle::Unknown));
        let shown: Vec<String> = self
            .entries
            .iter()
            .filter(is_told)
            .map(Entry::shown)
            .collect();
        shown.join("; ")
    }

    /// Logs that, if it is time to. Returns when to call this again.
    fn tell_progress(&mut self, now: Instant) -> Option<Instant> {
        let text = self.text();
        if text.is_empty() {
            return None;
        }
        let elapsed = self.display.elapsed(now);
        if let Some(text) = self.display.update(text.clone(), now) {
            tracing::info!(phase = %Phase::Wait, "waiting ({elapsed}) for {text}");
        }
        self.display.next(&text)
    }

    fn tell_ready(&self, now: Instant) {
        let shown: Vec<String> = self.entries.iter().map(Entry::shown).collect();
        let elapsed = self.display.elapsed(now);
        tracing::info!(
            phase = %Phase::Wait,
            "ready after {elapsed}: {}",
            shown.join(", ")
        );
    }
}
