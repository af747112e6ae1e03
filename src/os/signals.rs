//! The signals of this process. They are blocked for its whole life and read from a signalfd.
//!
//! There are no signal handlers. A signal stays pending until it is read, so none is lost between two reads. Every
//! child, and this process before it executes the server, restores the signal mask that this process has inherited. A
//! stop that is still pending at that moment has its default action. Only an init blocks SIGTSTP, SIGTTIN and SIGTTOU,
//! which it forwards.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::atomic::{AtomicI32, AtomicU64};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as NixSignal, sigaction};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::unistd::{Pid, getpid, getppid};

use super::program::StartError;
use super::signal::SignalSet;
pub use super::signal::{Forward, Rewrite, Signal};
use super::{family, persistently};

/// Signals that concern a running step: the stops, and those that are forwarded to it unchanged.
const OF_STEPS: SignalSet = SignalSet::STOPS.with(SignalSet::of(&[
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::CONT,
]));

/// Signals that a failing write raises: to a pipe without a reader, or to a file at its size limit (`RLIMIT_FSIZE`).
/// Blocked, so that the write returns an error instead of terminating the guard.
const OF_WRITES: SignalSet = SignalSet::of(&[Signal::PIPE, Signal::XFSZ]);

/// All signals that are blocked and read.
const CLAIMED: SignalSet = OF_STEPS
    .with(OF_WRITES)
    .with(SignalSet::of(&[Signal::CHLD]));

/// The claim on the signals. Its file descriptors stay open until the process ends or executes the server.
static SIGNALS: OnceLock<Signals> = OnceLock::new();
/// The first stop that was read, or 0 if there was none.
static FIRST_STOP: AtomicI32 = AtomicI32::new(0);
/// The signals that were read since the last call of `Signals::take`. Bit N - 1 stands for signal N.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// The claim on the signals.
pub struct Signals {
    signalfd: SignalFd,
    /// Readable when a helper thread has sent something.
    wake: EventFd,
    /// The signal mask that this process has inherited.
    inherited_mask: SignalSet,
    /// Whether SIGCHLD was ignored when this process was started.
    inherited_ignored_child: bool,
}

/// A signal that was read.
pub struct Received {
    pub signal: Signal,
    info: siginfo,
}

impl Signals {
    /// Claims the signals. Called before everything else, because a stop that arrives later is never lost.
    ///
    /// # Errors
    /// If a file descriptor cannot be created, or the action of SIGCHLD cannot be changed.
    pub fn claim() -> io::Result<&'static Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let fd = signalfd4(-1, CLAIMED)?;
        // SAFETY: the call has just created this signalfd, and nothing else owns it.
        let signalfd = unsafe { SignalFd::from_owned_fd(OwnedFd::from_raw_fd(fd)) };
        // While SIGCHLD is ignored, the kernel discards the exit statuses of children.
        let before = set_action(NixSignal::SIGCHLD, SigHandler::SigDfl)?;
        Ok(SIGNALS.get_or_init(|| Self {
            signalfd,
            wake,
            inherited_mask: CLAIMED.block(),
            inherited_ignored_child: matches!(before.handler(), SigHandler::SigIgn),
        }))
    }

    /// The claim that was made.
    pub(super) fn claimed() -> &'static Self {
        SIGNALS.get().expect("main claims the signals first")
    }

    /// Reads all pending signals. Returns those that concern a step and have arrived since the last call. Also called
    /// right before a step starts, to discard earlier signals, which were not meant for that step.
    pub fn take(&self) -> Vec<Signal> {
        let _ = self.wake.read();
        self.note_all();
        let noted = SignalSet(NOTED.swap(0, AcqRel));
        let all = (1..=Signal::MAX).map(Signal);
        all.filter(|&signal| OF_STEPS.contains(signal) && noted.contains(signal))
            .collect()
    }

    /// Waits until a signal, a helper thread's message or a report arrives, until one of the other file descriptors is
    /// ready, or until the deadline. Returns whether it was a signal, a message or a report.
    ///
    /// # Errors
    /// If `poll` fails, for example because of a lack of memory.
    pub fn wait(
        &self,
        report: Option<BorrowedFd<'_>>,
        readable: &[BorrowedFd<'_>],
        writable: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let urgent = [Some(self.signalfd.as_fd()), Some(self.wake.as_fd()), report];
        let urgent: Vec<BorrowedFd<'_>> = urgent.into_iter().flatten().collect();
        let readable = urgent.iter().chain(readable);
        let readable = readable.map(|&fd| PollFd::new(fd, PollFlags::POLLIN));
        let writable = writable.iter();
        let writable = writable.map(|&fd| PollFd::new(fd, PollFlags::POLLOUT));
        let mut polled: Vec<PollFd<'_>> = readable.chain(writable).collect();
        // A signal that another function has read but that `take` has not returned yet ends the wait as well.
        let is_noted = NOTED.load(Acquire) != 0;
        let now = Instant::now();
        let deadline = if is_noted { Some(now) } else { deadline };
        poll_patiently(&mut polled, timeout(deadline))?;
        let mut urgent = polled[..urgent.len()].iter();
        Ok(is_noted || urgent.any(|polled| polled.any() == Some(true)))
    }

    /// Restores the inherited signal mask and actions, right before exec. SIGPIPE gets its default action: Rust's
    /// runtime sets it to be ignored before `main`, so its inherited action is unknown.
    pub(super) fn restore(&self) {
        if self.inherited_ignored_child {
            let _ = set_action(NixSignal::SIGCHLD, SigHandler::SigIgn);
        }
        let _ = set_action(NixSignal::SIGPIPE, SigHandler::SigDfl);
        self.inherited_mask.set_as_mask();
    }

    /// Unblocks the stops, unless they were blocked in the inherited mask. Later stops have their default action.
    ///
    /// # Errors
    /// The first stop, if one has arrived already.
    pub fn release_stops(&self) -> Result<(), Signal> {
        unless_stopped()?;
        let others = CLAIMED.without(SignalSet::STOPS);
        others.with(self.inherited_mask).set_as_mask();
        Ok(())
    }

    /// Blocks every signal that can be forwarded. From now on `next` returns them.
    ///
    /// # Errors
    /// The first stop, if one has arrived already. Also if the signalfd cannot be changed.
    pub fn claim_all(&self) -> Result<(), StartError> {
        SignalSet::OF_INIT.set_as_mask();
        signalfd4(self.signalfd.as_raw_fd(), SignalSet::OF_INIT)?;
        unless_stopped().map_err(StartError::Stopped)
    }

    /// Waits for the next signal and returns it. Signals come in the kernel's order. Returns `None` if the deadline
    /// passes first. Nothing else may read signals meanwhile: do not call `take` or `Output::drain`.
    pub fn next(&self, deadline: Option<Instant>) -> Option<Received> {
        let mut polled = [PollFd::new(self.signalfd.as_fd(), PollFlags::POLLIN)];
        loop {
            if let Ok(0) = poll(&mut polled, timeout(deadline)) {
                return None;
            }
            if let Some(received) = self.read() {
                return Some(received);
            }
        }
    }

    /// Reads all pending signals in a reaper, and forwards them to the reaper's parent, the guard: a step that signals
    /// its parent process means the guard. Returns whether SIGCHLD was among them. Allocates nothing, because it runs
    /// after a fork.
    pub(super) fn forward_to(&self, parent: Pid) -> bool {
        let mut is_child = false;
        while let Some(Received { signal, .. }) = self.read() {
            is_child |= signal == Signal::CHLD;
            // If the guard has ended, this process has another parent, which must not be signalled.
            if OF_STEPS.contains(signal) && getppid() == parent {
                family::signal(parent.as_raw(), signal);
            }
        }
        is_child
    }

    /// Waits in a reaper until a signal is pending.
    ///
    /// # Errors
    /// If `poll` fails.
    pub(super) fn wait_for_any(&self) -> nix::Result<()> {
        let mut polled = [PollFd::new(self.signalfd.as_fd(), PollFlags::POLLIN)];
        poll_patiently(&mut polled, PollTimeout::NONE)
    }

    /// Reads one signal. Returns `None` if none is pending.
    fn read(&self) -> Option<Received> {
        let info = persistently(|| self.signalfd.read_signal()).ok()??;
        let signal = Signal(info.ssi_signo.cast_signed());
        Some(Received { signal, info })
    }

    /// Reads and notes all signals that are pending.
    fn note_all(&self) {
        while let Some(Received { signal, .. }) = self.read() {
            if signal.is_stop() {
                let _ = FIRST_STOP.compare_exchange(0, signal.0, AcqRel, Acquire);
            }
            NOTED.fetch_or(SignalSet::of(&[signal]).0, AcqRel);
        }
    }
}

impl Received {
    /// Whether this process itself has caused the signal. The kernel names the process itself as the sender of SIGPIPE
    /// and SIGXFSZ after a failed write, and of SIGHUP and SIGCONT after it has given up its terminal.
    pub fn is_of_our_making(&self) -> bool {
        let sender = self.info.ssi_pid.cast_signed();
        self.info.ssi_code == libc::SI_USER && sender == getpid().as_raw()
    }

    /// Forwards the signal as `as_signal` to a child that was not reaped yet. The value of a queued signal (`sigqueue`)
    /// is passed on, too. If the value cannot be sent, because of a seccomp filter or too many pending signals, sends
    /// the signal without it.
    ///
    /// # Errors
    /// If this process has no permission to signal the child. Not if the child has ended.
    pub fn pass_to(&self, child: i32, as_signal: Signal) -> io::Result<()> {
        if self.info.ssi_code == libc::SI_QUEUE {
            let value = usize::try_from(self.info.ssi_ptr).unwrap_or_default();
            let sival_ptr = std::ptr::without_provenance_mut(value);
            let value = libc::sigval { sival_ptr };
            // SAFETY: the call takes numbers; the value is passed on and never dereferenced.
            if unsafe { libc::sigqueue(child, as_signal.0, value) } == 0 {
                return Ok(());
            }
        }
        family::send(child, as_signal)
    }
}

/// The first stop that has arrived, if any.
pub fn requested_stop() -> Option<Signal> {
    SIGNALS.get().map(Signals::note_all);
    let number = FIRST_STOP.load(Acquire);
    (number != 0).then_some(Signal(number))
}

/// # Errors
/// The first stop, if one has arrived.
pub fn unless_stopped() -> Result<(), Signal> {
    requested_stop().map_or(Ok(()), Err)
}

/// Wakes the main thread from `Signals::wait`. Called by helper threads.
pub(super) fn wake_main_thread() {
    // The write fails only if the counter is at its maximum, and then the eventfd is readable anyway.
    let _ = (SIGNALS.get()).map(|signals| persistently(|| signals.wake.write(1)));
}

/// Waits until a file descriptor is ready for `flags`. Returns `false` if a stop arrives first.
pub(super) fn wait_unless_stopped(fd: BorrowedFd<'_>, flags: PollFlags) -> nix::Result<bool> {
    loop {
        if requested_stop().is_some() {
            return Ok(false);
        }
        let mut polled = vec![PollFd::new(fd, flags)];
        let signalfd = SIGNALS.get().map(|signals| signals.signalfd.as_fd());
        polled.extend(signalfd.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        poll_patiently(&mut polled, PollTimeout::NONE)?;
        if polled[0].any() == Some(true) {
            return Ok(true);
        }
    }
}

/// Blocks the signals of failing writes again after a failed exec, because the error still has to be written.
pub(super) fn block_signals_of_writes() {
    OF_WRITES.block();
}

fn set_action(signal: NixSignal, handler: SigHandler) -> nix::Result<SigAction> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action and ignoring run no handler.
    persistently(|| unsafe { sigaction(signal, &action) })
}

/// Creates a signalfd for these signals if `fd` is -1, otherwise changes the signals of the signalfd `fd`.
fn signalfd4(fd: i32, signals: SignalSet) -> nix::Result<i32> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    let (set, size) = (&raw const signals.0, SignalSet::SIZE);
    // SAFETY: the pointer refers to a set of the size that is passed.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, fd, set, size, flags) };
    let fd = Errno::result(fd)?;
    i32::try_from(fd).map_err(|_| Errno::EBADF)
}

/// Calls `poll`. If it is interrupted, returns with no descriptor marked as ready.
fn poll_patiently(polled: &mut [PollFd<'_>], timeout: PollTimeout) -> nix::Result<()> {
    persistently(|| match poll(polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    })
}

/// The time until a deadline in milliseconds, rounded up so that a wait never ends before its deadline.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let rounded_up = left.saturating_add(Duration::from_nanos(999_999));
    PollTimeout::try_from(rounded_up).unwrap_or(PollTimeout::MAX)
}
