//! One signal: its number and its names.

use nix::libc;
use nix::sys::signal::Signal as NixSignal;

/// A signal by its number, real-time ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub i32);

/// What a process gets for a fault of its own. Sent by somebody else it has no place to be delivered to but
/// the process itself: nobody could go on behind its handler.
const FAULTS: [i32; 6] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
];

impl Signal {
    pub const TERM: Signal = Signal(libc::SIGTERM);
    pub const INT: Signal = Signal(libc::SIGINT);
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    pub const HUP: Signal = Signal(libc::SIGHUP);
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    pub const CONT: Signal = Signal(libc::SIGCONT);
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    pub const STOP: Signal = Signal(libc::SIGSTOP);
    pub const TSTP: Signal = Signal(libc::SIGTSTP);
    pub const TTIN: Signal = Signal(libc::SIGTTIN);
    pub const TTOU: Signal = Signal(libc::SIGTTOU);
    pub const KILL: Signal = Signal(libc::SIGKILL);

    /// The largest number there is.
    pub const MAX: i32 = 64;

    /// Reads a number, or a name with or without `SIG`, in any case: `15`, `TERM`, `SIGRTMIN+1`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = match text.parse() {
            Ok(number) => number,
            Err(_) => number_of(&text.to_ascii_uppercase())?,
        };
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// Its usual name, such as `SIGTERM`.
    pub fn name(self) -> String {
        match NixSignal::try_from(self.0) {
            Ok(signal) => signal.as_str().to_owned(),
            Err(_) if self.0 >= libc::SIGRTMIN() => {
                format!("SIGRTMIN+{}", self.0 - libc::SIGRTMIN())
            }
            Err(_) => format!("signal {}", self.0),
        }
    }

    /// Whether it asks the guard to stop.
    pub fn is_stop(self) -> bool {
        [Self::TERM, Self::INT, Self::HUP, Self::QUIT].contains(&self)
    }

    /// Whether an init can receive it to pass it on: it can be caught, is no fault of the init's own, and is
    /// not about the init's children.
    pub fn can_be_passed_on(self) -> bool {
        let is_caught = ![Self::KILL, Self::STOP, Self::CHLD].contains(&self);
        is_caught && !FAULTS.contains(&self.0)
    }
}

/// Which processes an init passes signals on to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forward {
    /// The server alone, in a process group of its own (as `tini` does).
    #[default]
    Child,
    /// All of the server's process group, in a session of its own (as `dumb-init` does).
    Group,
}

/// A signal that an init passes on as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    pub from: Signal,
    /// `None`: the signal is dropped.
    pub to: Option<Signal>,
}

fn number_of(name: &str) -> Option<i32> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        _ => text
            .strip_prefix(sign)?
            .parse()
            .ok()
            .filter(|offset| *offset >= 0),
    };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return libc::SIGRTMIN().checked_add(offset(rest, '+')?);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let number = libc::SIGRTMAX().checked_sub(offset(rest, '-')?)?;
        return (number >= libc::SIGRTMIN()).then_some(number);
    }
    let signal: NixSignal = format!("SIG{name}").parse().ok()?;
    Some(signal as i32)
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
    fn what_is_no_signal_is_none() {
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
    fn faults_and_what_cannot_be_caught_are_not_passed_on() {
        let kept: Vec<i32> = (1..=64)
            .filter(|&number| !Signal(number).can_be_passed_on())
            .collect();
        assert_eq!(kept, [4, 5, 7, 8, 9, 11, 17, 19, 31]);
    }
}
