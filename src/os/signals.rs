//! The signals of this process: blocked for its whole life, and read from a signalfd.
//!
//! Nothing runs in a signal handler. A signal waits in the kernel until it is read, so none is lost between two
//! looks. Every child, and this process before it executes the server, restores the mask that it was started with:
//! a stop that is still pending then acts by default. SIGTSTP, SIGTTIN and SIGTTOU are blocked only by an init,
//! which forwards them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as NixSignal, sigaction};
use nix::unistd::{Pid, getpid, getppid};

use super::program::StartError;
use super::signal::SignalSet;
pub use super::signal::{Forward, Rewrite, Signal};
use super::{family, helper, persistently};

/// Signals that a step gets as they are.
const FORWARDED: [Signal; 4] = [Signal::USR1, Signal::USR2, Signal::WINCH, Signal::CONT];

/// Raised by a write of the guard that fails: to a pipe without a reader, or to a log file at its size limit
/// (`RLIMIT_FSIZE`). Blocked, so that the write returns an error instead of ending the guard.
const OF_WRITES: SignalSet = SignalSet::of(&[Signal::PIPE, Signal::XFSZ]);

/// All signals that are blocked and read.
const CLAIMED: SignalSet = SignalSet::STOPS
    .with(SignalSet::of(&FORWARDED))
    .with(SignalSet::of(&[Signal::CHLD]))
    .with(OF_WRITES);

/// The signalfd. Never closed before the process ends or executes the server.
static SIGNALFD: OnceLock<OwnedFd> = OnceLock::new();
/// The first stop that was read; 0 before.
static FIRST_STOP: AtomicI32 = AtomicI32::new(0);
/// How many stops were read.
static STOP_COUNT: AtomicU32 = AtomicU32::new(0);
/// The signals that were read since the last `Signals::take`: bit N - 1 is signal N.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// The claim on the signals.
pub struct Signals {
    signalfd: BorrowedFd<'static>,
    inherited: Inherited,
}

/// What children and the server get back of the state that this process was started with. Rust's runtime has
/// ignored SIGPIPE before `main`, so whether that was inherited is unknown: its action becomes the default.
pub(super) struct Inherited {
    mask: SignalSet,
    ignores_children: bool,
}

/// A signal that was read.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub signal: Signal,
    /// Its `si_code`: by what kind of call it was sent.
    code: i32,
    sender: i32,
    /// The value of a queued signal.
    value: u64,
}

impl Signals {
    /// Claims the signals. Called first of all: a stop that comes later is read and never lost.
    ///
    /// # Errors
    /// When the system refuses a descriptor, or to change SIGCHLD's action.
    pub fn claim() -> io::Result<Self> {
        helper::prepare()?;
        let signalfd = open_signalfd()?;
        let signalfd = SIGNALFD.get_or_init(|| signalfd).as_fd();
        // Where SIGCHLD is ignored, the kernel collects children itself, and how they ended is lost.
        let before = set_action(NixSignal::SIGCHLD, SigHandler::SigDfl)?;
        let inherited = Inherited {
            mask: CLAIMED.block(),
            ignores_children: matches!(before.handler(), SigHandler::SigIgn),
        };
        Ok(Self {
            signalfd,
            inherited,
        })
    }

    pub(super) fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// Reads all signals that have come. Returns those to forward, as far as they came since the last call. It is
    /// also called before a step is started, because earlier signals were not meant for that step.
    pub fn take(&self) -> Vec<Signal> {
        if let Some(wake) = helper::wake() {
            let _ = wake.read();
        }
        note_all(self.signalfd);
        let noted = NOTED.swap(0, Ordering::AcqRel);
        let is_noted = |signal: &Signal| noted & (1 << (signal.0 - 1)) != 0;
        FORWARDED.into_iter().filter(is_noted).collect()
    }

    /// The one place that waits: until a signal, a helper's news or a report come, until one of the other
    /// descriptors can be read or written, or until the deadline. Returns whether it was one of the first three.
    ///
    /// # Errors
    /// When the system cannot wait: out of memory.
    pub fn wait(
        &self,
        report: Option<BorrowedFd<'_>>,
        readable: &[BorrowedFd<'_>],
        writable: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let wake = helper::wake().map(AsFd::as_fd);
        let urgent = [Some(self.signalfd), wake, report];
        let readable = urgent.iter().flatten().chain(readable);
        let mut polled: Vec<PollFd<'_>> = readable
            .map(|&fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let writable = writable.iter();
        polled.extend(writable.map(|&fd| PollFd::new(fd, PollFlags::POLLOUT)));
        // A signal that was read elsewhere, but not taken yet, ends the wait as well.
        let is_noted = NOTED.load(Ordering::Acquire) != 0;
        let timeout = if is_noted {
            PollTimeout::ZERO
        } else {
            timeout(deadline)
        };
        poll_patiently(&mut polled, timeout)?;
        let count = urgent.iter().flatten().count();
        let is_ready = |polled: &PollFd<'_>| polled.any() == Some(true);
        Ok(is_noted || polled[..count].iter().any(is_ready))
    }

    /// Restores the mask and the actions, as the last thing before exec. A stop that comes after the look here is
    /// pending when the mask is restored, and then acts by default.
    ///
    /// # Errors
    /// The stop that came until now. The server must not start.
    pub(super) fn give_back(self) -> Result<(), Signal> {
        requested_stop().map_or(Ok(()), Err)?;
        self.inherited.restore();
        Ok(())
    }

    /// Unblocks the stops, unless they were inherited as blocked, after a look at what came until then. Later stops act
    /// by default.
    ///
    /// # Errors
    /// The stop that came until now.
    pub fn release_stops(&self) -> Result<(), Signal> {
        requested_stop().map_or(Ok(()), Err)?;
        SignalSet::STOPS.without(self.inherited.mask).unblock();
        Ok(())
    }

    /// From here on every signal that can be forwarded waits to be read by `next`.
    ///
    /// # Errors
    /// The stop that came until now, or that the system does not let the guard read these signals.
    pub fn claim_all(&self) -> Result<(), StartError> {
        SignalSet::OF_INIT.set_as_mask();
        signalfd4(self.signalfd.as_raw_fd(), SignalSet::OF_INIT)?;
        requested_stop().map_or(Ok(()), |stop| Err(StartError::Stopped(stop)))
    }

    /// Reads the next signal, one by one and in the kernel's order. Returns `None` when the deadline passes first.
    /// Nothing else may read signals meanwhile: no call of `take` and no wait for an output.
    pub fn next(&self, deadline: Option<Instant>) -> Option<Received> {
        let mut polled = [PollFd::new(self.signalfd, PollFlags::POLLIN)];
        loop {
            if let Ok(0) = poll(&mut polled, timeout(deadline)) {
                return None;
            }
            if let Ok(received) = read(self.signalfd) {
                return Some(received);
            }
        }
    }
}

impl Received {
    /// Whether this process caused it: the kernel names the process itself as the sender of the SIGPIPE or SIGXFSZ
    /// of its write, and of what follows when it gives up its terminal.
    pub fn is_of_our_making(&self) -> bool {
        self.code == libc::SI_USER && self.sender == getpid().as_raw()
    }

    /// Sends it to a child that was not reaped yet, as the signal `as_signal`, with the value of a queued signal.
    /// Where the value cannot be sent (a seccomp filter, or too many pending signals), the signal still is.
    ///
    /// # Errors
    /// When this process may not signal the child. That the child has ended is no error.
    pub fn pass_to(&self, child: i32, as_signal: Signal) -> io::Result<()> {
        if self.code == libc::SI_QUEUE {
            let value = libc::sigval {
                sival_ptr: std::ptr::without_provenance_mut(
                    usize::try_from(self.value).unwrap_or_default(),
                ),
            };
            // SAFETY: the call takes numbers; the value is passed on and not used as a pointer.
            if unsafe { libc::sigqueue(child, as_signal.0, value) } == 0 {
                return Ok(());
            }
        }
        family::send(child, as_signal)
    }
}

/// The first stop that came.
pub fn requested_stop() -> Option<Signal> {
    descriptor().map(note_all);
    let number = FIRST_STOP.load(Ordering::Acquire);
    (number != 0).then_some(Signal(number))
}

/// How many stops were read.
pub fn stop_count() -> u32 {
    STOP_COUNT.load(Ordering::Acquire)
}

/// Waits until a descriptor is ready for `flags`. Returns `false` when a stop comes first.
pub(super) fn wait_unless_stopped(fd: BorrowedFd<'_>, flags: PollFlags) -> nix::Result<bool> {
    loop {
        if requested_stop().is_some() {
            return Ok(false);
        }
        let mut polled = vec![PollFd::new(fd, flags)];
        polled.extend(descriptor().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        poll_patiently(&mut polled, PollTimeout::NONE)?;
        if polled[0].any() == Some(true) {
            return Ok(true);
        }
    }
}

/// Reads all signals that have come, in a reaper, and forwards them to its parent: a step takes the reaper for the
/// guard. Returns whether SIGCHLD was among them. It allocates nothing: it runs after a fork.
pub(super) fn forward_to(parent: Pid) -> bool {
    let mut is_child = false;
    while let Some(Ok(Received { signal, .. })) = descriptor().map(read) {
        is_child |= signal == Signal::CHLD;
        // A process whose parent has ended has another parent, which must not be signalled.
        if (signal.is_stop() || FORWARDED.contains(&signal)) && getppid() == parent {
            family::signal(parent.as_raw(), signal);
        }
    }
    is_child
}

/// Waits, in a reaper, until a signal has come.
///
/// # Errors
/// When the system cannot wait.
pub(super) fn wait_for_any() -> nix::Result<()> {
    let signalfd = descriptor().ok_or(Errno::EBADF)?;
    let mut polled = [PollFd::new(signalfd, PollFlags::POLLIN)];
    poll_patiently(&mut polled, PollTimeout::NONE)
}

impl Inherited {
    /// Restores what was inherited, right before exec.
    pub fn restore(&self) {
        if self.ignores_children {
            let _ = set_action(NixSignal::SIGCHLD, SigHandler::SigIgn);
        }
        let _ = set_action(NixSignal::SIGPIPE, SigHandler::SigDfl);
        self.mask.set_as_mask();
    }
}

/// Blocks the signals of writes again, after an exec that failed: the error is still to be written.
pub(super) fn block_signals_of_writes() {
    OF_WRITES.block();
}

fn set_action(signal: NixSignal, handler: SigHandler) -> nix::Result<SigAction> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action and ignoring run no code of ours.
    persistently(|| unsafe { sigaction(signal, &action) })
}

fn descriptor() -> Option<BorrowedFd<'static>> {
    SIGNALFD.get().map(AsFd::as_fd)
}

fn open_signalfd() -> nix::Result<OwnedFd> {
    let fd = signalfd4(-1, CLAIMED)?;
    // SAFETY: the call has just opened the descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a signalfd that reads these signals, or changes an existing one.
fn signalfd4(fd: i32, signals: SignalSet) -> nix::Result<i32> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the pointer is to a set of the size that is passed.
    let fd = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_signalfd4,
            fd,
            signals.as_ptr(),
            SignalSet::SIZE,
            flags,
        )
    })?;
    i32::try_from(fd).map_err(|_| Errno::EBADF)
}

/// Reads one signal; EAGAIN when none is pending.
fn read(signalfd: BorrowedFd<'_>) -> nix::Result<Received> {
    // SAFETY: the structure consists of numbers, for which zero is valid.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    persistently(|| {
        // SAFETY: `info` has room for that many bytes.
        Errno::result(unsafe { libc::read(signalfd.as_raw_fd(), (&raw mut info).cast(), size) })
    })?;
    Ok(Received {
        signal: Signal(info.ssi_signo.cast_signed()),
        code: info.ssi_code,
        sender: info.ssi_pid.cast_signed(),
        value: info.ssi_ptr,
    })
}

/// Reads and notes all signals that are pending.
fn note_all(signalfd: BorrowedFd<'_>) {
    while let Ok(Received { signal, .. }) = read(signalfd) {
        if signal.is_stop() {
            let _ = FIRST_STOP.compare_exchange(0, signal.0, Ordering::AcqRel, Ordering::Acquire);
            STOP_COUNT.fetch_add(1, Ordering::AcqRel);
        }
        NOTED.fetch_or(1 << (signal.0 - 1), Ordering::AcqRel);
    }
}

/// Polls. After an interruption no descriptor is ready.
fn poll_patiently(polled: &mut [PollFd<'_>], timeout: PollTimeout) -> nix::Result<()> {
    persistently(|| match poll(polled, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    })
}

/// The time until a deadline in whole milliseconds, rounded up: a wait never ends before its deadline.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).map_or(PollTimeout::MAX, |left| {
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    })
}
