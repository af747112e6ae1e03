//! Signals one by one, for an init: all are blocked, and each is taken from the kernel's queue, so that
//! nothing is lost, doubled or reordered, and a real-time signal keeps its count and its value.
//!
//! Children start with the mask that was inherited, so this one leaks into nobody.

use std::io;
use std::mem::MaybeUninit;
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::unistd::getpid;

use super::mask::Mask;
use super::signal::Signal;
use super::signals::{Signals, requested_stop};

/// While it lives, signals wait in the queue.
#[must_use = "signals wait only while it lives"]
pub struct Queue {
    signals: Mask,
    before: Mask,
}

/// A signal that came, with what came with it.
pub struct Received {
    pub signal: Signal,
    info: libc::siginfo_t,
}

impl Queue {
    /// From here on signals wait to be taken: those that can be passed on, and SIGCHLD.
    ///
    /// # Errors
    /// The stop that came until now.
    pub fn begin(_: &Signals) -> Result<Self, Signal> {
        let signals = Mask::of(|signal| signal.can_be_passed_on() || signal == Signal::CHLD);
        let before = signals.set();
        let queue = Self { signals, before };
        requested_stop().map_or(Ok(queue), Err)
    }

    /// Takes the next signal, or nothing when the deadline passes first.
    pub fn next(&self, deadline: Option<Instant>) -> Option<Received> {
        loop {
            let timeout = deadline.map(|deadline| {
                TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
            });
            let timeout: *const libc::timespec = timeout
                .as_ref()
                .map_or(std::ptr::null(), |timeout| timeout.as_ref());
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // SAFETY: the set and the time are valid or null, the place is for what is told. The call itself,
            // as in `mask`.
            let number = unsafe {
                libc::syscall(
                    libc::SYS_rt_sigtimedwait,
                    self.signals.as_ptr(),
                    info.as_mut_ptr(),
                    timeout,
                    size_of::<u64>(),
                )
            };
            match i32::try_from(number) {
                Ok(number @ 1..) => {
                    return Some(Received {
                        signal: Signal(number),
                        // SAFETY: all zeroes are valid, and the call has filled in the rest.
                        info: unsafe { info.assume_init() },
                    });
                }
                _ if Errno::last() == Errno::EAGAIN => return None,
                // We were stopped, and went on.
                _ => {}
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.before.set();
    }
}

impl Received {
    /// Whether we caused it ourselves: the kernel says so of what follows on giving a terminal up.
    pub fn is_of_our_making(&self) -> bool {
        // SAFETY: signals that a process caused carry its number; for others the place is zero or not ours.
        self.info.si_code == libc::SI_USER && unsafe { self.info.si_pid() } == getpid().as_raw()
    }

    /// Passes it on to a process, with the value that a queued signal has, as the signal `as_signal`.
    ///
    /// # Errors
    /// When we may not signal that process. That it is gone is no error.
    pub fn pass_to(&self, pid: i32, as_signal: Signal) -> io::Result<()> {
        let result = if self.info.si_code == libc::SI_QUEUE {
            // SAFETY: the kernel reads as much as it has written there itself.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigqueueinfo,
                    pid,
                    as_signal.0,
                    &raw const self.info,
                )
            }
        } else {
            // SAFETY: kill takes any numbers; the process is our child, and not collected yet.
            unsafe { libc::kill(pid, as_signal.0) }.into()
        };
        refused(result)
    }
}

/// Sends a signal to a process group.
///
/// # Errors
/// When we may signal nobody in it. That nobody is there is no error.
pub fn pass_to_group(leader: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes any numbers; the leader is our child, and not collected yet.
    refused(unsafe { libc::kill(-leader, signal.0) }.into())
}

fn refused(result: i64) -> io::Result<()> {
    match Errno::result(result) {
        Err(Errno::EPERM) => Err(Errno::EPERM.into()),
        _ => Ok(()),
    }
}

/// Stops this process, as its server was stopped; comes back when somebody lets it go on.
pub fn pause() {
    // SAFETY: it only stops us. PID 1 it does not even stop.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}
