//! The guard's own pauses: until a helper has news, a stop is asked for, or a moment has come.

use std::io;
use std::time::Instant;

use super::supervise;
use crate::os::signals::{Signal, Signals, requested_stop};

/// Waits once, and gives the stop if there is one. Whoever waits for a helper looks into its mailbox before
/// each pause: news that came since then ends it at once.
///
/// # Errors
/// When the system cannot wait.
pub fn pause(signals: &Signals, deadline: Option<Instant>) -> io::Result<Option<Signal>> {
    if requested_stop().is_none() && supervise::wait(signals, &mut [], None, deadline)? {
        // Nobody is there yet to forward anything to.
        signals.take();
    }
    Ok(requested_stop())
}
