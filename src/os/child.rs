//! A step's process: forked into a group of its own, its output piped to us.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal as NixSignal;
use nix::sys::stat::Mode;
use nix::unistd::{
    ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, getppid, pipe2, setpgid,
};

use super::exec::exec_in_child;
use super::program::{Program, Refusal};
use super::signals::{self, Signal, Signals};

/// How much a step may be ahead of us, in bytes: fewer, larger reads.
const PIPE_SIZE: i32 = 256 * 1024;

/// A running child, the leader of its process group.
pub struct Child {
    pid: Pid,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Why there is no child.
#[derive(Debug)]
pub enum SpawnError {
    /// The command cannot be executed.
    Refused(Refusal),
    /// The system gave no process or no pipe.
    System(io::Error),
}

impl From<Errno> for SpawnError {
    fn from(errno: Errno) -> Self {
        SpawnError::System(errno.into())
    }
}

impl Child {
    /// Starts a program with /dev/null as its input and pipes as its output.
    ///
    /// # Errors
    /// When the system refuses, or the program cannot be executed.
    pub fn spawn(program: &Program, signals: &Signals) -> Result<Self, SpawnError> {
        let null = open(
            "/dev/null",
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let (stdout, stdout_end) = output_pipe()?;
        let (stderr, stderr_end) = output_pipe()?;
        let (report, report_end) = pipe2(OFlag::O_CLOEXEC)?;
        let streams = [null.as_fd(), stdout_end.as_fd(), stderr_end.as_fd()];
        let guard = getpid();
        // A signal between fork and exec would run our handler in the child, which would note it as the
        // guard's own.
        let mask = signals::block_all();
        // SAFETY: the child calls only async-signal-safe functions until it executes or ends.
        let forked = unsafe { fork() };
        if let Ok(ForkResult::Child) = forked {
            let errno = become_program(program, signals, streams, guard);
            let _ = nix::unistd::write(&report_end, &(errno as i32).to_ne_bytes());
            // SAFETY: `_exit` runs nothing of the parent's.
            unsafe { libc::_exit(127) };
        }
        signals::set_mask(&mask);
        let ForkResult::Parent { child: pid } = forked? else {
            unreachable!("the child has executed the program or ended");
        };
        // In the child as well: whoever comes first, the group is there for both.
        let _ = setpgid(pid, pid);
        drop(report_end);
        match refused_with(&report) {
            None => Ok(Self {
                pid,
                stdout,
                stderr,
            }),
            Some(errno) => {
                let _ = nix::sys::wait::waitpid(pid, None);
                Err(SpawnError::Refused(program.refusal(errno)))
            }
        }
    }

    /// The leader's number.
    pub fn id(&self) -> i32 {
        self.pid.as_raw()
    }
}

/// Reads what is there.
///
/// # Errors
/// `WouldBlock` when nothing is there yet.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(nix::unistd::read(fd, buffer)?)
}

/// Sends a signal to the group that a child leads. Nobody there is no error.
pub fn signal_group(leader: i32, signal: Signal) {
    // SAFETY: kill takes any numbers; the leader is our child, or not reaped yet.
    unsafe { libc::kill(-leader, signal.0) };
}

/// Whether anybody is left in the group that a child led; zombies count.
pub fn has_group(leader: i32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { libc::kill(-leader, 0) == 0 }
}

/// A pipe of which our end does not block.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // The system may admit less, which only costs time.
    let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((ours, theirs))
}

/// Everything between fork and exec; gives the reason when it comes back.
fn become_program(
    program: &Program,
    signals: &Signals,
    streams: [BorrowedFd<'_>; 3],
    guard: Pid,
) -> Errno {
    let prepare = || -> Result<(), Errno> {
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        // If the guard is killed, no step goes on without it. It may have been killed already.
        prctl::set_pdeathsig(NixSignal::SIGKILL)?;
        if getppid() != guard {
            return Err(Errno::ESRCH);
        }
        let [stdin, stdout, stderr] = streams.map(clear_of_standard);
        dup2_stdin(stdin?)?;
        dup2_stdout(stdout?)?;
        dup2_stderr(stderr?)?;
        Ok(())
    };
    if let Err(errno) = prepare() {
        return errno;
    }
    signals::reset_claimed();
    signals.inherited().restore();
    exec_in_child(program)
}

/// The runtime keeps 0, 1 and 2 open, so none of ours has one of these numbers.
fn clear_of_standard(fd: BorrowedFd<'_>) -> Result<BorrowedFd<'_>, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        Ok(fd)
    } else {
        Err(Errno::EBADF)
    }
}

/// The number that a child reports which could not execute its program; nothing when it could.
fn refused_with(report: &OwnedFd) -> Option<Errno> {
    let mut number = [0; 4];
    loop {
        match nix::unistd::read(report, &mut number) {
            Err(Errno::EINTR) => {}
            Ok(4) => return Some(Errno::from_raw(i32::from_ne_bytes(number))),
            _ => return None,
        }
    }
}
