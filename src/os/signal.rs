//! Signals, and sets of signals.
//!
//! Sets have the kernel's own representation and are passed to it with direct system calls. The C library's functions
//! ignore signals 32 and 33, which it uses between its threads, so they could not restore an inherited mask that
//! contains these, and an init could not forward them.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal as NixSignal;

/// A signal by its number, real-time signals included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

/// Signals that an init does not forward: those that cannot be caught; SIGCHLD, which is about the init's own children;
/// and the synchronous ones, which the kernel raises when the process itself executes a faulty instruction.
const KEPT: SignalSet = SignalSet::of(&[
    Signal::KILL,
    Signal::STOP,
    Signal::CHLD,
    Signal(libc::SIGILL),
    Signal(libc::SIGTRAP),
    Signal(libc::SIGBUS),
    Signal(libc::SIGFPE),
    Signal(libc::SIGSEGV),
    Signal(libc::SIGSYS),
]);

impl Signal {
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const INT: Signal = Signal(libc::SIGINT);
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const HUP: Signal = Signal(libc::SIGHUP);
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    pub const WINCH: Signal = Signal(libc::SIGWINCH);
    pub const CONT: Signal = Signal(libc::SIGCONT);
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const PIPE: Signal = Signal(libc::SIGPIPE);
    pub const XFSZ: Signal = Signal(libc::SIGXFSZ);
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    pub const TSTP: Signal = Signal(libc::SIGTSTP);
    pub const TTIN: Signal = Signal(libc::SIGTTIN);
    pub const TTOU: Signal = Signal(libc::SIGTTOU);
    pub const KILL: Signal = Signal(libc::SIGKILL);

    /// The largest signal number.
    pub const MAX: i32 = 64;

    /// Parses a number, or a name with or without `SIG`, in any case: `15`, `TERM`, `SIGRTMIN+1`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = match text.parse() {
            Ok(number) => number,
            Err(_) => number_of(&text.to_ascii_uppercase())?,
        };
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The usual name, such as `SIGTERM`.
    pub fn name(self) -> String {
        match NixSignal::try_from(self.0) {
            Ok(signal) => signal.as_str().to_owned(),
            Err(_) if self.0 >= libc::SIGRTMIN() => {
                format!("SIGRTMIN+{}", self.0 - libc::SIGRTMIN())
            }
            Err(_) => format!("signal {}", self.0),
        }
    }

    /// Whether this signal asks the guard to end.
    pub fn is_stop(self) -> bool {
        SignalSet::STOPS.contains(self)
    }

    /// Whether an init can receive this signal and forward it to its server.
    pub fn can_be_passed_on(self) -> bool {
        !KEPT.contains(self)
    }
}

/// The processes to which an init forwards signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forward {
    /// The server alone, in a process group of its own (as `tini` does).
    #[default]
    Child,
    /// All of the server's process group, in a session of its own (as `dumb-init` does).
    Group,
}

/// A signal that an init forwards as another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub from: Signal,
    /// `None` if the signal is dropped.
    pub to: Option<Signal>,
}

fn number_of(name: &str) -> Option<i32> {
    let name = match name.strip_prefix("SIG").unwrap_or(name) {
        "RTMIN" => "RTMIN+0",
        "RTMAX" => "RTMAX-0",
        name => name,
    };
    if let Ok(signal) = format!("SIG{name}").parse::<NixSignal>() {
        return Some(signal as i32);
    }
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    (first..=last).find(|number| {
        let (after, before) = (number - first, last - number);
        name == format!("RTMIN+{after}") || name == format!("RTMAX-{before}")
    })
}

/// A set of signals: bit N - 1 is signal N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignalSet(pub u64);

impl SignalSet {
    pub const ALL: Self = Self(u64::MAX);

    /// Signals that ask the guard to end. After one of them no server is started.
    pub const STOPS: Self = Self::of(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT]);

    /// The size of the kernel's signal sets, in bytes.
    pub const SIZE: usize = size_of::<u64>();

    pub const fn of(signals: &[Signal]) -> Self {
        let (mut set, mut index) = (0, 0);
        while index < signals.len() {
            set |= 1 << (signals[index].0 - 1);
            index += 1;
        }
        Self(set)
    }

    /// The signals that an init receives: all that can be forwarded, and SIGCHLD.
    pub const OF_INIT: Self = Self(!KEPT.0).with(Self::of(&[Signal::CHLD]));

    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & Self::of(&[signal]).0 != 0
    }

    /// Makes this set the calling thread's mask. Returns the previous mask.
    pub fn set_as_mask(self) -> Self {
        self.change_mask(libc::SIG_SETMASK)
    }

    /// Adds these signals to the calling thread's mask. Returns the previous mask.
    pub fn block(self) -> Self {
        self.change_mask(libc::SIG_BLOCK)
    }

    fn change_mask(self, how: i32) -> Self {
        let mut before = Self(0);
        let (new, old) = (&raw const self.0, &raw mut before.0);
        let _ = super::persistently(|| {
            // SAFETY: both pointers refer to sets of the size that is passed.
            let result =
                unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, Self::SIZE) };
            Errno::result(result)
        });
        before
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[test]
    fn a_signal_is_known_by_its_number_and_its_names() {
        for text in ["15", "TERM", "SIGTERM", "sigterm", "Term"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        for (text, number) in [
            ("SIGRTMIN", 34),
            ("RTMIN+3", 37),
            ("RTMAX", 64),
            ("rtmax-1", 63),
            ("64", 64),
            ("33", 33),
        ] {
            assert_eq!(Signal::parse(text), Some(Signal(number)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_signals() {
        for text in [
            "", "0", "65", "-1", "SIG", "TERMS", "RTMIN+31", "RTMIN-1", "RTMAX-31", "RTMIN+",
            "RTMIN+-1", "RTMIN+x",
        ] {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_name_can_be_read_again() {
        for number in (1..=31).chain(34..=64) {
            let name = Signal(number).name();
            assert_eq!(Signal::parse(&name), Some(Signal(number)), "{name}");
        }
    }

    #[test]
    fn synchronous_faults_and_what_cannot_be_caught_are_not_forwarded() {
        let kept: Vec<i32> = (1..=64)
            .filter(|&number| !Signal(number).can_be_passed_on())
            .collect();
        assert_eq!(kept, [4, 5, 7, 8, 9, 11, 17, 19, 31]);
    }
}
