//! Helper threads, for calls that block and cannot be interrupted: the resolver of names, and a database's client.
//! A helper reports through a mailbox, which wakes the main thread (`Signals::wait`). No helper is waited
//! for: it ends with the process, or when the process executes the server.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::signal::{Signal, SignalSet};

/// The signals by which the C library reaches its threads, for example to change the user of all of them. A thread
/// that blocks these makes such a call wait for ever.
const OF_LIBRARY: SignalSet = SignalSet::of(&[Signal(32), Signal(33)]);

/// Wakes the main thread.
static WAKE: OnceLock<EventFd> = OnceLock::new();

/// Makes the descriptor that wakes the main thread.
///
/// # Errors
/// When the system refuses a descriptor.
pub(super) fn prepare() -> nix::Result<()> {
    let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    WAKE.get_or_init(|| wake);
    Ok(())
}

/// The descriptor that is readable when a helper has sent something.
pub(super) fn wake() -> Option<&'static EventFd> {
    WAKE.get()
}

/// Starts a helper. It inherits a mask that blocks all signals, so they all reach the main thread.
///
/// # Errors
/// When the system refuses a thread.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mask = SignalSet::ALL.without(OF_LIBRARY).set_as_mask();
    let started = Builder::new().name(name.to_owned()).spawn(work);
    mask.set_as_mask();
    started.map(drop)
}

/// A helper's end of a mailbox.
pub struct Outbox<T>(Sender<T>);

/// A mailbox. What is sent wakes `Signals::wait`, and can then be received.
pub fn mailbox<T>() -> (Outbox<T>, Receiver<T>) {
    let (sender, receiver) = channel();
    (Outbox(sender), receiver)
}

impl<T> Outbox<T> {
    /// Sends, and wakes the main thread. Returns whether anybody can still receive it.
    pub fn send(&self, news: T) -> bool {
        let is_received = self.0.send(news).is_ok();
        if let Some(wake) = wake() {
            // The write fails only when the counter is at its limit, and then the descriptor is readable anyway.
            let _ = super::persistently(|| wake.write(1));
        }
        is_received
    }
}

// Not derived: a derived implementation would require `T: Clone`.
impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
