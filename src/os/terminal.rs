//! Terminals.

use std::io::IsTerminal;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

/// Whether a report on standard output is read on a terminal.
pub fn is_terminal_on_stdout() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether what we say is read on a terminal.
pub fn is_terminal_on_stderr() -> bool {
    std::io::stderr().is_terminal()
}

/// Our controlling terminal, which is one of our streams.
///
/// SIGTTOU must be blocked while its foreground is changed: the kernel would stop us if we are in the background.
pub struct Terminal {
    stream: BorrowedFd<'static>,
    /// Our own process group.
    ours: Pid,
}

impl Terminal {
    /// The terminal, if there is one.
    pub fn controlling() -> Option<Self> {
        let numbers = [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO];
        // SAFETY: 0, 1 and 2 are open: Rust's runtime has opened /dev/null for each that was closed when this
        // program was started, or has aborted, and nothing here closes one.
        let mut streams = numbers
            .map(|number| unsafe { BorrowedFd::borrow_raw(number) })
            .into_iter();
        let stream = streams.find(|stream| tcgetpgrp(stream).is_ok())?;
        Some(Self {
            stream,
            ours: getpgrp(),
        })
    }

    /// Whether our group has the foreground, so that it is ours to give. Who was started in the background
    /// has none to give.
    pub fn is_in_foreground(&self) -> bool {
        tcgetpgrp(self.stream) == Ok(self.ours)
    }

    /// Makes the process group of the caller, which is a child, the foreground. The server runs without that,
    /// too, so a failure is ignored.
    pub(super) fn give_to_caller(&self) {
        let _ = tcsetpgrp(self.stream, getpid());
    }

    /// Makes a child's group the foreground.
    pub fn give_to(&self, group: i32) {
        let _ = tcsetpgrp(self.stream, Pid::from_raw(group));
    }

    /// Takes the foreground back from a child's group, if it still has it.
    pub fn take_back_from(&self, group: i32) {
        if tcgetpgrp(self.stream) == Ok(Pid::from_raw(group)) {
            let _ = tcsetpgrp(self.stream, self.ours);
        }
    }

    /// Gives the terminal up, so that another session can have it, if we lead the session that has it now.
    /// The kernel sends us SIGHUP and SIGCONT for it.
    pub fn give_up(&self) -> bool {
        // SAFETY: the descriptor is open, and the request takes no argument.
        leads_session() && unsafe { libc::ioctl(self.stream.as_raw_fd(), libc::TIOCNOTTY) } == 0
    }

    /// Makes it the controlling terminal of the session that this process, a child, has just begun.
    pub(super) fn attach(&self) {
        // SAFETY: the descriptor is open, and the argument is a number: with 0 the terminal is not taken from
        // another session.
        unsafe { libc::ioctl(self.stream.as_raw_fd(), libc::TIOCSCTTY, 0) };
    }
}

/// Whether we lead our session: then no shell above us waits for us to be stopped.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}
