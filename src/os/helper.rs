//! Helper threads, for what blocks without hearing a signal: the resolver of names, and a database's client.
//! A helper reports through a mailbox, which wakes the one place that waits. Nobody waits for a helper's end:
//! the process's end, or its exec, is theirs, too.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use super::mask::Mask;
use super::signals;

/// The signals by which the C library reaches its threads, to have all change their user together, say. Whoever
/// blocks them keeps that waiting for ever.
const SIGCANCEL: i32 = 32;
const SIGSETXID: i32 = 33;

/// Starts a helper. Signals never reach it: its mask, inherited from here, blocks them.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mask = Mask::of(|signal| !matches!(signal.0, SIGCANCEL | SIGSETXID)).set();
    let started = Builder::new().name(name.to_owned()).spawn(work);
    mask.set();
    started.map(drop)
}

/// A helper's end of a mailbox.
pub struct Outbox<T>(Sender<T>);

/// A mailbox: what is sent wakes `Signals::wait`, and is then to be received.
pub fn mailbox<T>() -> (Outbox<T>, Receiver<T>) {
    let (sender, receiver) = channel();
    (Outbox(sender), receiver)
}

impl<T> Outbox<T> {
    /// Sends, and wakes whoever waits. Gives whether anybody can still receive it.
    pub fn send(&self, news: T) -> bool {
        let is_received = self.0.send(news).is_ok();
        signals::wake();
        is_received
    }
}

// By hand: a derived one would ask the same of what is sent.
impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
