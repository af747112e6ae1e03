//! The process tree of a step. Its standard output and error are pipes to the guard.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, close, dup2_stderr, dup2_stdin, dup2_stdout, getpid, pipe2, setpgid};

use super::family::{self, Ending};
use super::persistently;
use super::program::{Program, StartError};
use super::signal::SignalSet;
use super::signals::Signals;
use super::spawn::{Launch, PREPARATION, STARTED, die_with, forked, receive, send};
use super::user::User;

/// The capacity of an output pipe, in bytes. A large one allows fewer and larger reads, which are faster.
const PIPE_SIZE: i32 = 256 * 1024;

/// A process tree: a reaper, its child the program, and all descendants of the program.
///
/// The reaper is a forked child of the guard that does not call exec. It is a child subreaper, so orphans in its tree
/// become its children, while orphans of other children of the guard do not. It exits with `Tree::COMPLETE` when it has
/// no descendants left.
pub struct Tree {
    /// The reaper's process ID.
    pub reaper: i32,
    /// The program's process ID. The program leads its process group.
    pub leader: i32,
    /// The pipe through which the reaper reports the program's ending. `None` after the report was read.
    reports: Option<OwnedFd>,
}

impl Tree {
    /// How a reaper ends when it has no descendants left.
    pub const COMPLETE: Ending = Ending::Exited(0);

    /// Starts a program with /dev/null as standard input and pipes as standard output and error. It inherits the file
    /// descriptor `inherited`, if given, and no other one of the guard. Returns its tree, and the reading ends of the
    /// two pipes.
    ///
    /// # Errors
    /// If a system call fails, the user cannot be changed, or the program cannot be executed.
    pub fn spawn(
        program: &Program,
        user: Option<&User>,
        inherited: Option<BorrowedFd<'_>>,
        signals: &Signals,
    ) -> Result<(Self, [OwnedFd; 2]), StartError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let null = open("/dev/null", flags, Mode::empty())?;
        let (stdout, stdout_end) = output_pipe()?;
        let (stderr, stderr_end) = output_pipe()?;
        if let Some(user) = user {
            user.own_pipe(stdout_end.as_fd());
            user.own_pipe(stderr_end.as_fd());
        }
        let prepare = || {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            // None of these descriptors is 0, 1 or 2: Rust's runtime opens /dev/null for each of those that is closed
            // at start.
            dup2_stdin(&null)?;
            dup2_stdout(&stdout_end)?;
            dup2_stderr(&stderr_end)?;
            if let Some(inherited) = inherited {
                fcntl(inherited, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        };
        let launch = Launch {
            program,
            user,
            signals,
            prepare: &prepare,
        };
        let (starts, starts_end) = pipe2(OFlag::O_CLOEXEC)?;
        let (reports, reports_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let guard = getpid();
        let reaper = forked(|| {
            let of_program = [&stdout_end, &stderr_end, &starts_end];
            let result = run_reaper(&launch, guard, of_program, &reports_end);
            // If the reaper ends early, the kernel kills the program.
            i32::from(result.is_err())
        })?;
        drop(starts_end);
        let Some(leader) = launch.expect_start(&starts, reaper)? else {
            // The reaper was killed before it could report anything.
            family::collect_one(reaper);
            return Err(Errno::ECHILD.into());
        };
        let (reaper, reports) = (reaper.as_raw(), Some(reports));
        let tree = Tree {
            reaper,
            leader,
            reports,
        };
        Ok((tree, [stdout, stderr]))
    }

    /// The file descriptor that becomes readable when the program has ended. `None` after the report was read.
    pub fn reports(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().map(AsFd::as_fd)
    }

    /// Returns how the program ended, and whether other processes of the tree were left at that time. Returns `None`
    /// unless the reaper has reported this since the last call.
    pub fn leader_end(&mut self) -> Option<(Ending, bool)> {
        let report = receive(self.reports.as_ref()?);
        if report == Err(Errno::EAGAIN) {
            return None;
        }
        self.reports = None;
        // If the pipe is closed without a report, the reaper has ended.
        let [status, has_rest] = report.ok()??;
        Some((Ending::of(status)?, has_rest != 0))
    }
}

/// Runs in a reaper, a child of the guard. Starts the program, reports its process ID and its ending, and returns when
/// the reaper has no descendants left. Allocates nothing, because it runs after a fork.
fn run_reaper(
    launch: &Launch<'_>,
    guard: Pid,
    of_program: [&OwnedFd; 3],
    reports: &OwnedFd,
) -> nix::Result<()> {
    let [_, _, starts] = of_program;
    SignalSet::ALL.set_as_mask();
    let start = || {
        // In its own process group the reaper gets none of the signals that a terminal sends to the guard's group.
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        prctl::set_child_subreaper(true)?;
        die_with(guard)?;
        let reaper = getpid();
        forked(|| launch.become_program(reaper, starts))
    };
    let leader = start();
    let report = match leader {
        Ok(leader) => [STARTED, leader.as_raw()],
        Err(errno) => [PREPARATION, errno as i32],
    };
    send(starts, report)?;
    let leader = leader?;
    // A pipe's reader sees the end of file only after all copies of the writing end are closed. The reaper ends with
    // `_exit`, which runs no destructors, so no descriptor is closed twice.
    for descriptor in of_program {
        persistently(|| match close(descriptor.as_raw_fd()) {
            Err(Errno::EBADF) => Ok(()),
            result => result,
        })?;
    }
    loop {
        let mut ended = None;
        let has_rest = family::collect(|pid, status| {
            if pid == leader.as_raw() && Ending::of(status).is_some() {
                ended = Some(status);
            }
        })?;
        // Before the report, so that a stop that the program has sent before its end reaches the guard first.
        let has_changed = launch.signals.forward_to(guard);
        if let Some(status) = ended {
            send(reports, [status, i32::from(has_rest)])?;
        }
        if !has_rest {
            return Ok(());
        }
        if !has_changed {
            launch.signals.wait_for_any()?;
        }
    }
}

/// Creates a pipe. Its reading end, the first of the two, does not block.
fn output_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // The system may not allow this size. That only makes the relaying slower.
    let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((ours, theirs))
}
