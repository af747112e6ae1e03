//! The terminals of our streams, and the controlling terminal.

use std::io::IsTerminal;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

/// Whether standard output is a terminal.
pub fn is_terminal_on_stdout() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
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
    /// Finds it among our streams.
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

    /// Whether our process group is in the foreground. A guard that was started in the background is not, and must
    /// not put its server there.
    pub fn is_in_foreground(&self) -> bool {
        tcgetpgrp(self.stream) == Ok(self.ours)
    }

    /// Makes a child's group the foreground. An error is ignored, because the server runs without that, too.
    pub fn give_to(&self, group: i32) {
        let _ = tcsetpgrp(self.stream, Pid::from_raw(group));
    }

    /// Takes the foreground back from a child's group, if it still has it.
    pub fn take_back_from(&self, group: i32) {
        if tcgetpgrp(self.stream) == Ok(Pid::from_raw(group)) {
            let _ = tcsetpgrp(self.stream, self.ours);
        }
    }

    /// Gives the terminal up, so that another session can have it. Returns whether this process led the session that
    /// had it. The kernel then sends SIGHUP and SIGCONT to this process.
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

/// Whether this process leads its session. Then no shell above it notices that it was stopped.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}
