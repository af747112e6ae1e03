//! Signals, claimed for the guard's own life.
//!
//! A handler only notes the signal and wakes the one place that waits (`Signals::wait`), through an eventfd.
//! Not a signalfd with a blocked mask: a mask leaks into children, and from there into the server.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as NixSignal, sigaction};
use nix::unistd::Pid;

use super::mask::Mask;
pub use super::signal::{Forward, Rewrite, Signal};

/// Stops: the guard ends, and never in the server.
const STOPS: [NixSignal; 4] = [
    NixSignal::SIGTERM,
    NixSignal::SIGINT,
    NixSignal::SIGHUP,
    NixSignal::SIGQUIT,
];

/// Signals that a step gets as they are.
const FORWARDED: [NixSignal; 4] = [
    NixSignal::SIGUSR1,
    NixSignal::SIGUSR2,
    NixSignal::SIGWINCH,
    NixSignal::SIGCONT,
];

/// All that is claimed. SIGPIPE and SIGXFSZ are there so that a write that fails, to a stream that nobody reads
/// or to a log file that has reached its limit (`RLIMIT_FSIZE`), is an error and not the guard's end. A handler
/// does that rather than ignoring them, because exec resets a handler by itself.
const CLAIMED: [NixSignal; 11] = {
    let [a, b, c, d] = STOPS;
    let [e, f, g, h] = FORWARDED;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        NixSignal::SIGCHLD,
        NixSignal::SIGPIPE,
        NixSignal::SIGXFSZ,
    ]
};

/// The first stop signal that came; 0: none.
static FIRST_STOP: AtomicI32 = AtomicI32::new(0);
/// How many stop signals came.
static STOP_COUNT: AtomicU32 = AtomicU32::new(0);
/// The other signals that came and were not taken yet.
static NOTED: AtomicU64 = AtomicU64::new(0);
/// The eventfd that wakes the one place that waits for everything (`Signals::wait`).
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// The eventfd that a stop makes readable for ever. A wait for a file or a stop, and for no other signal, uses
/// this one: another signal would leave `WAKE` readable, and the wait would spin.
static STOPPED: AtomicI32 = AtomicI32::new(-1);

/// Notes a signal. Async-signal-safe: atomics and `write`.
extern "C" fn note(number: libc::c_int) {
    let errno = Errno::last_raw();
    if STOPS.iter().any(|&stop| stop as i32 == number) {
        let _ = FIRST_STOP.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
        STOP_COUNT.fetch_add(1, Ordering::AcqRel);
        ring(STOPPED.load(Ordering::Acquire));
    } else {
        NOTED.fetch_or(Mask::bit(number), Ordering::AcqRel);
    }
    ring(WAKE.load(Ordering::Acquire));
    Errno::set_raw(errno);
}

/// Makes an eventfd readable. Async-signal-safe.
fn ring(descriptor: i32) {
    let one = 1u64.to_ne_bytes();
    // A counter at its limit refuses more, and is readable.
    let _ = super::persistently(|| {
        // SAFETY: `one` is 8 valid bytes, which is what an eventfd takes.
        Errno::result(unsafe { libc::write(descriptor, one.as_ptr().cast(), one.len()) })
    });
}

/// The stop that was asked for, from the claim on.
pub fn requested_stop() -> Option<Signal> {
    let number = FIRST_STOP.load(Ordering::Acquire);
    (number != 0).then_some(Signal(number))
}

/// How many stops were asked for, from the claim on.
pub fn stop_count() -> u32 {
    STOP_COUNT.load(Ordering::Acquire)
}

/// The claim on the signals, and what they were before it.
pub struct Signals {
    /// Never closed: the handlers, and whoever waits on a slow reader, use it to the process's end.
    wake: ManuallyDrop<EventFd>,
    inherited: Inherited,
}

/// The mask and the ignored set that we were started with: what children and the server get.
#[derive(Clone)]
pub(crate) struct Inherited {
    mask: Mask,
    /// Some of the claimed signals were blocked.
    is_mask_changed: bool,
    /// The claimed signals that were ignored.
    ignored: Vec<NixSignal>,
}

/// What came since the last look, besides stops and the end of children.
#[derive(Debug, Default)]
pub struct Noted {
    /// To be forwarded as they are.
    pub forward: Vec<Signal>,
}

/// A descriptor to wait for.
pub struct Watch<'a> {
    fd: BorrowedFd<'a>,
    interest: PollFlags,
    /// Set by the wait: reading (or writing) will not block.
    pub is_ready: bool,
}

impl<'a> Watch<'a> {
    pub fn readable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            interest: PollFlags::POLLIN,
            is_ready: false,
        }
    }

    pub fn writable(fd: BorrowedFd<'a>) -> Self {
        Self {
            fd,
            interest: PollFlags::POLLOUT,
            is_ready: false,
        }
    }
}

impl Signals {
    /// Claims the signals, before anything else happens: from here on a stop is noted and never lost.
    ///
    /// # Errors
    /// When the system gives no descriptor, or refuses a handler.
    pub fn claim() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let eventfd = || EventFd::from_flags(flags).map(ManuallyDrop::new);
        let (wake, stopped) = (eventfd()?, eventfd()?);
        WAKE.store(wake.as_raw_fd(), Ordering::Release);
        STOPPED.store(stopped.as_raw_fd(), Ordering::Release);
        // Without SA_RESTART: a call that blocks gives the guard a chance to look at what was asked of it.
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
        let mut ignored = Vec::new();
        let mut claimed = Mask::EMPTY;
        for signal in CLAIMED {
            // SAFETY: `note` is async-signal-safe, and the descriptors that it writes to were stored above.
            let before = unsafe { sigaction(signal, &action) }?;
            // Rust's runtime ignores SIGPIPE before `main`, so whether it was inherited as ignored cannot be
            // known: children get its default action.
            if matches!(before.handler(), SigHandler::SigIgn) && signal != NixSignal::SIGPIPE {
                ignored.push(signal);
            }
            claimed = claimed.with(Signal(signal as i32));
        }
        let mask = claimed.unblock();
        Ok(Self {
            wake,
            inherited: Inherited {
                is_mask_changed: mask.has_any_of(claimed),
                mask,
                ignored,
            },
        })
    }

    pub(crate) fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// Takes what was noted. It is called before a child is started, too, because signals that came earlier were
    /// not meant for that child.
    pub fn take(&self) -> Noted {
        let _ = self.wake.read();
        let noted = NOTED.swap(0, Ordering::AcqRel);
        let has = |signal: NixSignal| noted & Mask::bit(signal as i32) != 0;
        Noted {
            forward: FORWARDED
                .into_iter()
                .filter(|&signal| has(signal))
                .map(|s| Signal(s as i32))
                .collect(),
        }
    }

    /// The one place that waits: for a signal, for descriptors, or until a deadline.
    ///
    /// Gives whether a signal woke it.
    ///
    /// # Errors
    /// When the system cannot wait: out of memory.
    pub fn wait(&self, watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<bool> {
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(watches.len() + 1);
        polled.push(PollFd::new(self.wake.as_fd(), PollFlags::POLLIN));
        polled.extend(
            watches
                .iter()
                .map(|watch| PollFd::new(watch.fd, watch.interest)),
        );
        match nix::poll::poll(&mut polled, timeout(deadline)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = polled
            .iter()
            .map(|polled| polled.any() == Some(true))
            .collect();
        for (watch, &is_ready) in watches.iter_mut().zip(&ready[1..]) {
            watch.is_ready = is_ready;
        }
        // A signal that came during the call is told now, not by the next wait.
        Ok(ready[0] || NOTED.load(Ordering::Acquire) != 0)
    }

    /// Gives the signals back, as the last thing before exec.
    ///
    /// # Errors
    /// The stop that came until now. The server must not start.
    pub fn give_back(self) -> Result<(), Signal> {
        self.release_stops()?;
        self.inherited.restore_others();
        Ok(())
    }

    /// Gives stops the action back that they had, then looks at what came until then, so that none is
    /// swallowed: what comes later acts on the process itself.
    ///
    /// # Errors
    /// The stop that came until now.
    pub fn release_stops(&self) -> Result<(), Signal> {
        for signal in STOPS {
            set_action(signal, self.inherited.action(signal));
        }
        requested_stop().map_or(Ok(()), Err)
    }
}

/// The process to which `pass_on` passes signals on: the parent of a reaper.
static PARENT: AtomicI32 = AtomicI32::new(0);

/// Passes a signal on to the parent. Async-signal-safe: an atomic and `kill`.
extern "C" fn pass_on(number: libc::c_int) {
    let errno = Errno::last_raw();
    let parent = PARENT.load(Ordering::Acquire);
    // SAFETY: both calls take and give numbers. A process whose parent has ended has another parent, which the
    // comparison keeps from being signalled.
    unsafe {
        if libc::getppid() == parent {
            libc::kill(parent, number);
        }
    }
    Errno::set_raw(errno);
}

/// Has a reaper pass on to its parent what is sent to it: a step takes its parent for the guard. All signals
/// are blocked until then. It allocates nothing: it is called after a fork.
pub(super) fn pass_on_to(parent: Pid) {
    PARENT.store(parent.as_raw(), Ordering::Release);
    let action = SigAction::new(
        SigHandler::Handler(pass_on),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    let mut passed_on = Mask::EMPTY;
    for signal in STOPS.into_iter().chain(FORWARDED) {
        // SAFETY: `pass_on` is async-signal-safe. It fails for no signal in these lists.
        let _ = unsafe { sigaction(signal, &action) };
        passed_on = passed_on.with(Signal(signal as i32));
    }
    passed_on.unblock();
}

impl Inherited {
    fn action(&self, signal: NixSignal) -> SigHandler {
        if self.ignored.contains(&signal) {
            SigHandler::SigIgn
        } else {
            SigHandler::SigDfl
        }
    }

    /// Puts back all that the claim changed, in a child that is about to execute something else, where no signal
    /// may be noted as the guard's own. All are blocked until then.
    pub(super) fn restore_in_child(&self) {
        for signal in CLAIMED {
            set_action(signal, self.action(signal));
        }
        self.mask.set();
    }

    /// Puts back the rest of it in this process, where the stops have been put back already. Handlers are reset
    /// by the exec itself.
    fn restore_others(&self) {
        for &signal in self.ignored.iter().filter(|signal| !STOPS.contains(signal)) {
            set_action(signal, SigHandler::SigIgn);
        }
        if self.is_mask_changed {
            self.mask.set();
        }
    }
}

fn set_action(signal: NixSignal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action and ignoring run no code of ours. The call cannot fail for the signals in our
    // lists.
    let _ = unsafe { sigaction(signal, &action) };
}

/// The time until a deadline in whole milliseconds, rounded up: a wait never ends before it.
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

/// Wakes whoever waits in `Signals::wait`, as a signal would. For helper threads that have news.
pub(crate) fn wake() {
    ring(WAKE.load(Ordering::Acquire));
}

/// Readable once a stop was asked for; for waiting elsewhere in this folder.
pub(crate) fn stop_descriptor() -> Option<BorrowedFd<'static>> {
    let fd = STOPPED.load(Ordering::Acquire);
    // SAFETY: the eventfd is never closed before the process ends or executes something else.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}
