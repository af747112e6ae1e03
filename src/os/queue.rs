//! Signals one by one, for an init: all are blocked, and each is taken from the kernel's queue, so that
//! nothing is lost, doubled or reordered, and a real-time signal keeps its count and its value.
//!
//! The server does not inherit the blocked mask: a child sets the mask that the guard was started with.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

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

/// A signal that came, and what the kernel tells of it: its sender, and the value of a queued one.
pub struct Received {
    pub signal: Signal,
    info: libc::siginfo_t,
}

/// Why signals cannot wait in the queue.
#[derive(Debug)]
pub enum QueueError {
    /// A stop came first.
    Stopped(Signal),
    /// The system gives no signals from a queue.
    System(io::Error),
}

impl Queue {
    /// From here on signals wait to be taken: those that can be passed on, and SIGCHLD.
    ///
    /// # Errors
    /// The stop that came until now; or that signals cannot be taken here, as under a seccomp filter, which an
    /// init must know before it has a server.
    pub fn begin(_: &Signals) -> Result<Self, QueueError> {
        match take(Mask::EMPTY, Some(Duration::ZERO)) {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(QueueError::System(errno.into())),
        }
        let signals = Mask::of(|signal| signal.can_be_passed_on() || signal == Signal::CHLD);
        let before = signals.set();
        let queue = Self { signals, before };
        requested_stop().map_or(Ok(queue), |stop| Err(QueueError::Stopped(stop)))
    }

    /// Takes the next signal, or nothing when the deadline passes first.
    pub fn next(&self, deadline: Option<Instant>) -> Option<Received> {
        loop {
            let timeout =
                deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match take(self.signals, timeout) {
                Ok(received) => return Some(received),
                Err(Errno::EAGAIN) => return None,
                // We were stopped, and went on: EINTR. `begin` has ruled out all else.
                Err(_) => {}
            }
        }
    }
}

/// Takes one signal of a set, which must be blocked; EAGAIN when none comes in time.
fn take(signals: Mask, timeout: Option<Duration>) -> nix::Result<Received> {
    let timeout = timeout.map(TimeSpec::from_duration);
    let timeout: *const libc::timespec = timeout
        .as_ref()
        .map_or(std::ptr::null(), |timeout| timeout.as_ref());
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set is of the size that is told, the time is valid or null, and `info` is a place for what is
    // told. By the system call itself, for the reason that `mask` gives.
    let number = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            signals.as_ptr(),
            info.as_mut_ptr(),
            timeout,
            size_of::<u64>(),
        )
    })?;
    Ok(Received {
        signal: Signal(i32::try_from(number).map_err(|_| Errno::EINVAL)?),
        // SAFETY: all zeroes are a valid `siginfo_t`, and the call has filled in the rest.
        info: unsafe { info.assume_init() },
    })
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.before.set();
    }
}

impl Received {
    /// Whether this process caused it itself: the kernel names us as the sender of the SIGPIPE or SIGXFSZ of a
    /// write of ours, and of what follows on giving a terminal up.
    pub fn is_of_our_making(&self) -> bool {
        // SAFETY: with SI_USER the kernel has filled in the sender's pid.
        self.info.si_code == libc::SI_USER && unsafe { self.info.si_pid() } == getpid().as_raw()
    }

    /// Passes it on to a process, with the value that a queued signal has, as the signal `as_signal`. Where the
    /// value cannot be passed on (a seccomp filter, or too many signals that wait), the signal still is.
    ///
    /// # Errors
    /// When we may not signal that process. That it is gone is no error.
    pub fn pass_to(&self, pid: i32, as_signal: Signal) -> io::Result<()> {
        if self.info.si_code == libc::SI_QUEUE {
            // SAFETY: the kernel reads the `siginfo_t` that it has written itself.
            let queued = unsafe {
                libc::syscall(
                    libc::SYS_rt_sigqueueinfo,
                    pid,
                    as_signal.0,
                    &raw const self.info,
                )
            };
            if queued == 0 {
                return Ok(());
            }
        }
        // SAFETY: kill takes any numbers; the process is our child and was not reaped yet.
        refused(unsafe { libc::kill(pid, as_signal.0) }.into())
    }
}

/// Sends a signal to a process group.
///
/// # Errors
/// When we may signal nobody in it. That nobody is there is no error.
pub fn pass_to_group(leader: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes any numbers; the leader is our child and was not reaped yet.
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
    // SAFETY: the signal stops this process and does nothing else; the kernel ignores it for PID 1.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}
