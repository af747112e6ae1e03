//! A step's processes: a tree of their own, with the output piped to the guard.

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

/// How much a step may write before the guard reads it, in bytes. Fewer and larger reads are faster.
const PIPE_SIZE: i32 = 256 * 1024;

/// A process tree of its own: a reaper, and below it a program with all its descendants.
///
/// The reaper is a child of the guard that executes nothing. It is the subreaper of what is below it, so
/// orphans of the program come to the reaper, and orphans of other children of the guard do not. When no process
/// is left below it, it ends with `Tree::COMPLETE`.
pub struct Tree {
    /// The reaper's process.
    pub reaper: i32,
    /// The program's process, which leads its process group.
    pub leader: i32,
    /// The pipe on which the reaper reports the program's end; `None` once that was read.
    reports: Option<OwnedFd>,
}

impl Tree {
    /// How a reaper ends below which no process is left.
    pub const COMPLETE: Ending = Ending::Exited(0);

    /// Starts a program with /dev/null as its input and pipes as its output. Of the guard's descriptors it gets
    /// `inherited`, if that is given, and no other. Returns its tree, and our ends of its standard output and error.
    ///
    /// # Errors
    /// When the system refuses, or the program cannot be executed.
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
            // None of these is 0, 1 or 2 itself: Rust's runtime opens /dev/null for each that is closed at the start.
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
            // When the reaper ends early, its death kills the program.
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

    /// The descriptor that is readable when the program has ended; `None` once that was read.
    pub fn reports(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().map(AsFd::as_fd)
    }

    /// How the program ended, and whether other processes of the tree were left then. `None` unless the reaper has
    /// reported it since the last call.
    pub fn leader_end(&mut self) -> Option<(Ending, bool)> {
        let report = receive(self.reports.as_ref()?);
        if report == Err(Errno::EAGAIN) {
            return None;
        }
        self.reports = None;
        // Without a report the reaper is gone.
        let [status, has_rest] = report.ok()??;
        Some((Ending::of(status)?, has_rest != 0))
    }
}

/// Runs in a reaper, a child of the guard: starts the program, reports its number and how it ended, and returns when
/// no process is left below the reaper. It allocates nothing.
fn run_reaper(
    launch: &Launch<'_>,
    guard: Pid,
    of_program: [&OwnedFd; 3],
    reports: &OwnedFd,
) -> nix::Result<()> {
    let [_, _, starts] = of_program;
    SignalSet::ALL.set_as_mask();
    let start = || {
        // In a group of its own it gets no signal that a terminal sends to the guard's group.
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
    // The reader of a pipe sees its end only when all copies of the other end are closed. The reaper ends by `_exit`,
    // which runs no destructor, so nothing closes these again.
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
        // Before the report: a stop that the program has sent before its end must not come too late.
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

/// A pipe of which our end does not block.
fn output_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // The system may allow less, which only costs time.
    let _ = fcntl(&ours, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((ours, theirs))
}
