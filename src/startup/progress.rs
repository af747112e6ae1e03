//! Waits: attempts that are made repeatedly, their messages, and their interruption by a stop.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, Pauses};
use super::supervise;
use super::{RunError, deadline};
use crate::exit::Exit;
use crate::log::Phase;
use crate::net::{Error, ErrorKind};
use crate::os::signals::{Signals, unless_stopped};
use crate::os::{send_report, spawn_helper};

/// How long one attempt may take. A serverless database that was suspended takes seconds to answer.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// The pauses between two attempts. What comes up is seen within 250 ms at first, and within a second after 10 seconds.
/// An attempt needs a part of these times.
const PAUSES: Pauses = Pauses {
    range: (Duration::from_millis(100), Duration::from_millis(200)),
    later: Some((Duration::from_secs(10), Duration::from_millis(900))),
    yields: false,
};

/// How long a dependency may keep refusing the connection. At a first start, the role, the database or the certificate
/// may not exist yet but be created soon.
const REFUSAL_GRACE: Duration = Duration::from_secs(5);

/// The minimum time between two messages.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// The time after which the same message is repeated, to show that the wait goes on.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// A wait for one dependency, updated after each attempt.
pub struct Wait {
    /// The name in messages.
    name: String,
    deadline: Instant,
    /// The error of the last attempt.
    error: Option<Error>,
    /// The time since which every attempt has been refused.
    refused_since: Option<Instant>,
}

impl Wait {
    /// Creates a wait that begins at `now`.
    pub fn new(name: String, now: Instant, timeout: Duration) -> Self {
        Self {
            name,
            deadline: deadline(now, timeout),
            error: None,
            refused_since: None,
        }
    }

    /// Records the error of an attempt.
    fn note(&mut self, error: Error, now: Instant) {
        self.refused_since = match error.kind {
            ErrorKind::NotYet | ErrorKind::NoRoom => None,
            ErrorKind::Refused | ErrorKind::Impossible => self.refused_since.or(Some(now)),
        };
        self.error = Some(error);
    }

    /// When to give up if the state does not change.
    fn end(&self) -> Instant {
        let refused = self.refused_since.map(|since| since + REFUSAL_GRACE);
        refused.map_or(self.deadline, |end| end.min(self.deadline))
    }

    /// The kind of the last error, if waiting cannot help.
    fn refusal(&self) -> Option<ErrorKind> {
        self.refused_since?;
        self.error.as_ref().map(|error| error.kind)
    }

    /// Why the last attempt was not successful.
    pub fn reason(&self) -> &str {
        let error = self.error.as_ref();
        error.map_or("no answer yet", |error| &error.reason)
    }
}

/// Rate-limits the messages of a wait.
pub struct Messages {
    started: Instant,
    /// The last message, and when it was logged.
    last: Option<(Instant, String)>,
}

impl Messages {
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            last: None,
        }
    }

    /// Calls `log` if a message is due: `SHORTEST_SILENCE` after the last one if `text` has changed, otherwise
    /// `LONGEST_SILENCE` after it. `log` receives the duration of the wait so far. Returns when to call this again.
    pub fn update(&mut self, text: &str, now: Instant, log: impl FnOnce(&str)) -> Instant {
        if let Some((at, last)) = &self.last {
            let is_same = last == text;
            let next = *at + [SHORTEST_SILENCE, LONGEST_SILENCE][usize::from(is_same)];
            if now < next {
                return next;
            }
        }
        log(&self.elapsed(now));
        self.last = Some((now, text.to_owned()));
        now + LONGEST_SILENCE
    }

    /// The duration of the wait so far.
    pub fn elapsed(&self, now: Instant) -> String {
        shown(now.saturating_duration_since(self.started))
    }
}

/// A duration in messages: with tenths of a second below 10 seconds, otherwise in whole seconds.
pub fn shown(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
    }
}

/// A report of a helper thread: the index of a wait, and the result of an attempt.
pub type Report<T> = (usize, Result<T, Error>);

/// The work of a helper thread: makes attempts, with pauses between them, and reports each. Ends when one has succeeded,
/// or when nobody receives the reports any more.
pub fn attempt_until_ready<T>(
    pauses: Pauses,
    index: usize,
    outbox: &Sender<Report<T>>,
    mut attempt: impl FnMut(Instant) -> Result<T, Error>,
) {
    let mut backoff = Backoff::new(pauses.range);
    let begun = Instant::now();
    loop {
        let started = Instant::now();
        let answer = attempt(started + ATTEMPT_LIMIT);
        let error = answer.as_ref().err().map(|error| error.kind);
        let is_received = send_report(outbox, (index, answer));
        let Some(kind) = error.filter(|_| is_received) else {
            return;
        };
        let is_refused = kind == ErrorKind::NoRoom;
        if let Some((after, longest)) = pauses.later
            && begun.elapsed() >= after
        {
            backoff.extend_to(longest);
        }
        // An attempt that takes no time at all is never slow.
        let took = Some(started.elapsed()).filter(|_| pauses.yields);
        std::thread::sleep(backoff.pause_after(took.unwrap_or_default(), is_refused));
    }
}

/// Waits for the next report of a helper thread. Returns `None` if the deadline passes first.
///
/// # Errors
/// If a stop arrives, or the wait for events fails.
pub fn receive<T>(
    reports: &Receiver<T>,
    signals: &Signals,
    deadline: Option<Instant>,
) -> Result<Option<T>, RunError> {
    wait_for(signals, deadline, || Ok(reports.try_recv().ok()))
}

/// Waits until `look`, which is called whenever a signal or a report of a helper thread arrives, returns something.
/// Returns `None` if the deadline passes first.
///
/// # Errors
/// If `look` returns one, a stop arrives, or the wait for events fails.
pub fn wait_for<T>(
    signals: &Signals,
    deadline: Option<Instant>,
    mut look: impl FnMut() -> Result<Option<T>, RunError>,
) -> Result<Option<T>, RunError> {
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        unless_stopped().map_err(RunError::stopped)?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
        // A report or a stop that arrives from here on ends this wait at once.
        let is_woken = supervise::wait(signals, &mut [], None, deadline);
        if is_woken.map_err(RunError::system("wait"))? {
            // Discards the signals, because there is no process to forward them to yet.
            signals.take();
        }
    }
}

/// Makes one attempt, which ends until the given instant.
pub type Attempt<T> = Box<dyn FnMut(Instant) -> Result<T, Error> + Send>;

/// Something to wait for.
pub struct Dependency<T> {
    /// The name in messages, with the address.
    pub name: String,
    pub timeout: Duration,
    /// `None` if the main thread makes the attempts.
    pub attempt: Option<Attempt<T>>,
    /// Whether slow attempts lengthen the pauses.
    pub yields: bool,
}

/// An attempt of the main thread.
pub enum Next<T> {
    /// It was made.
    Made(Report<T>),
    /// The next one is due at this instant.
    At(Instant),
    /// There is none.
    Never,
}

/// Waits until an attempt has succeeded for each dependency. One helper thread per dependency makes attempts
/// repeatedly, all of them concurrently. Meanwhile the main thread makes its own with `make`, one at a time, which must
/// end until the given instant. Messages are about `step`, if it is given. Returns the results in order, and the time
/// that it took, for messages.
///
/// # Errors
/// If dependencies are not ready in time or keep refusing the log-in, or a stop arrives.
pub fn until_ready<T: Send + 'static>(
    dependencies: Vec<Dependency<T>>,
    step: Option<&str>,
    signals: &Signals,
    make: impl FnMut(Instant) -> Result<Next<T>, RunError>,
) -> Result<(Vec<T>, String), RunError> {
    let (outbox, reports) = channel();
    // Common to all, so that those with the same time-out end together.
    let begun = Instant::now();
    let mut waits = Vec::new();
    for dependency in dependencies {
        let (index, outbox) = (waits.len(), outbox.clone());
        if let Some(attempt) = dependency.attempt {
            let yields = dependency.yields;
            let pauses = Pauses { yields, ..PAUSES };
            spawn_helper("wait", move || {
                attempt_until_ready(pauses, index, &outbox, attempt);
            })
            .map_err(RunError::system("wait"))?;
        }
        waits.push(Wait::new(dependency.name, begun, dependency.timeout));
    }
    let mut messages = Messages::new(begun);
    let log = |text: &str| tracing::info!(phase = %Phase::Wait, step, "{text}");
    let results = wait(&mut waits, &reports, signals, &mut messages, log, make)?;
    Ok((results, messages.elapsed(Instant::now())))
}

/// Waits until a success was reported for each wait, by its helper thread or by `make`, which makes the attempts of the
/// main thread. Passes messages to `log`. Returns the results in order.
///
/// # Errors
/// If waits have not ended in time or cannot end, or a stop arrives.
pub fn wait<T>(
    waits: &mut [Wait],
    reports: &Receiver<Report<T>>,
    signals: &Signals,
    messages: &mut Messages,
    mut log: impl FnMut(&str),
    mut make: impl FnMut(Instant) -> Result<Next<T>, RunError>,
) -> Result<Vec<T>, RunError> {
    let mut results: Vec<Option<T>> = waits.iter().map(|_| None).collect();
    let mut deadline = Instant::now();
    let mut made = None;
    loop {
        while let Some((index, answer)) = match made.take() {
            None => receive(reports, signals, Some(deadline))?,
            made => made,
        } {
            deadline = Instant::now();
            match answer {
                Ok(result) => results[index] = Some(result),
                Err(error) => waits[index].note(error, deadline),
            }
        }
        let now = Instant::now();
        let pending = || {
            let pairs = waits.iter().zip(&results);
            pairs.filter_map(|(each, result)| result.is_none().then_some(each))
        };
        let Some(end) = pending().map(Wait::end).min() else {
            return Ok(results.into_iter().flatten().collect());
        };
        if now >= end {
            return Err(expired(pending().filter(|each| now >= each.end())));
        }
        let text = reasons(pending().filter(|each| each.error.is_some()));
        deadline = end;
        if !text.is_empty() {
            let next = messages.update(&text, now, |elapsed| {
                log(&format!("waiting ({elapsed}) for {text}"));
            });
            deadline = end.min(next);
        }
        match make(end)? {
            Next::Made(report) => made = Some(report),
            Next::At(due) => deadline = deadline.min(due),
            Next::Never => {}
        }
    }
}

/// The error for dependencies that were not ready in time. If waiting for some of them cannot help, names only those.
fn expired<'a>(waits: impl Iterator<Item = &'a Wait> + Clone) -> RunError {
    let hopeless = waits.clone().filter(|each| each.refusal().is_some());
    let is_refused = |each: &Wait| each.refusal() == Some(ErrorKind::Refused);
    let (exit, problem, reasons) = match reasons(hopeless.clone()) {
        none if none.is_empty() => (Exit::NOT_READY, "not ready in time", reasons(waits)),
        reasons if hopeless.clone().any(is_refused) => (Exit::NOT_PERMITTED, HOPELESS, reasons),
        reasons => (Exit::INVALID_ENVIRONMENT, HOPELESS, reasons),
    };
    RunError::new(exit, Phase::Wait, format!("{problem}: {reasons}"))
}

const HOPELESS: &str = "waiting cannot help";

/// The reason for each dependency why it is not ready.
fn reasons<'a>(waits: impl Iterator<Item = &'a Wait>) -> String {
    let reasons: Vec<String> = waits
        .map(|each| format!("{}: {}", each.name, each.reason()))
        .collect();
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Messages, REFUSAL_GRACE, Wait};
    use crate::net::{Error, ErrorKind};

    #[test]
    fn only_persistent_refusals_end_a_wait_early() {
        let start = Instant::now();
        let mut state = Wait::new("db".to_owned(), start, Duration::from_mins(1));
        let deadline = start + Duration::from_mins(1);
        assert_eq!(state.end(), deadline);
        let (refused, not_yet) = (ErrorKind::Refused, ErrorKind::NotYet);
        let impossible = ErrorKind::Impossible;
        for (second, kind, end) in [
            (1, refused, start + Duration::from_secs(1) + REFUSAL_GRACE),
            (
                4,
                impossible,
                start + Duration::from_secs(1) + REFUSAL_GRACE,
            ),
            (5, not_yet, deadline),
            (6, refused, start + Duration::from_secs(6) + REFUSAL_GRACE),
            (59, not_yet, deadline),
            (59, refused, deadline),
        ] {
            let reason = String::new();
            let now = start + Duration::from_secs(second);
            state.note(Error { kind, reason }, now);
            assert_eq!(state.end(), end, "at second {second}");
        }
    }

    #[test]
    fn a_changed_message_is_logged_after_a_second_and_the_same_one_after_ten() {
        let start = Instant::now();
        let mut messages = Messages::new(start);
        let mut is_logged = |text: &str, milliseconds| {
            let mut is_logged = false;
            let now = start + Duration::from_millis(milliseconds);
            messages.update(text, now, |_| is_logged = true);
            is_logged
        };
        assert!(is_logged("a", 0));
        assert!(!is_logged("b", 999));
        assert!(is_logged("b", 1000));
        assert!(!is_logged("b", 10_999));
        assert!(is_logged("b", 11_000));
        assert!(!is_logged("a", 11_500));
        assert!(is_logged("a", 12_000));
    }
}
