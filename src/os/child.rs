//! A step's processes: a tree of their own, with the output piped to the guard.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setpgid};

use super::fork::{self, Launch};
pub use super::fork::{SpawnError, Tree};
use super::program::Program;
use super::signals::Signals;
use super::user::User;

/// How much a step may be ahead of us, in bytes: fewer, larger reads.
const PIPE_SIZE: i32 = 256 * 1024;

/// A running program with all its descendants.
pub struct Child {
    pub tree: Tree,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

impl Child {
    /// Starts a program with /dev/null as its input and pipes as its output. Of our descriptors it gets
    /// `inherited`, if that is given, and no other.
    ///
    /// # Errors
    /// When the system refuses, or the program cannot be executed.
    pub fn spawn(
        program: &Program,
        user: Option<&User>,
        inherited: Option<BorrowedFd<'_>>,
        signals: &Signals,
    ) -> Result<Self, SpawnError> {
        let null = open(
            "/dev/null",
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let (stdout, stdout_end) = output_pipe()?;
        let (stderr, stderr_end) = output_pipe()?;
        if let Some(user) = user {
            user.own_pipe(stdout_end.as_fd());
            user.own_pipe(stderr_end.as_fd());
        }
        let streams = [null.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()];
        let prepare = || {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            let [stdin, stdout, stderr] = streams.map(clear_of_standard);
            dup2_stdin(stdin?)?;
            dup2_stdout(stdout?)?;
            dup2_stderr(stderr?)?;
            if let Some(inherited) = inherited {
                fcntl(inherited, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        };
        let launch = Launch {
            program,
            user,
            inherited: signals.inherited(),
            prepare,
        };
        let tree = fork::spawn_tree(&launch, &[stdout_end.as_fd(), stderr_end.as_fd()])?;
        Ok(Self {
            tree,
            stdout,
            stderr,
        })
    }
}

/// Reads what is there.
///
/// # Errors
/// `WouldBlock` when nothing is there yet.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(nix::unistd::read(fd, buffer)?)
}

/// A pipe of which our end does not block.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // The system may admit less, which only costs time.
    let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((ours, theirs))
}

/// A descriptor that `dup2` to 0, 1 and 2 does not close. The runtime opens /dev/null for those of 0, 1 and 2
/// that are closed at the start, so none of the guard's own has such a number.
fn clear_of_standard(fd: BorrowedFd<'_>) -> Result<BorrowedFd<'_>, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        Ok(fd)
    } else {
        Err(Errno::EBADF)
    }
}
