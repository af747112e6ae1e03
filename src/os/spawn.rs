//! Starts a program in this process or in a child of it.

use std::convert::Infallible;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal as NixSignal;
use nix::unistd::{
    ForkResult, Pid, fork, getpgrp, getpid, getppid, getsid, pipe2, setpgid, setsid, tcgetpgrp,
    tcsetpgrp,
};

use super::program::{Cause, Program, StartError};
use super::signals::{self, Forward, Signal, Signals};
use super::user::User;
use super::{family, persistently, standard_streams};

/// Executes a program in this process, with the inherited signal mask and actions. Returns only if that fails.
///
/// # Errors
/// If the user cannot be changed, the program cannot be executed, or a stop has arrived.
pub fn exec(
    program: &Program,
    user: Option<&User>,
    signals: &Signals,
) -> Result<Infallible, StartError> {
    if let Some(user) = user {
        user.own_standard_streams();
        user.become_it().map_err(|errno| user.error(errno))?;
    }
    // Before the signals are restored, to keep the time after that short: a process with PID 1 loses a stop that
    // arrives between the restoring of the signals and the installation of the server's own handler.
    let place = program.find().map_err(|cause| program.error(cause))?;
    signals::unless_stopped().map_err(StartError::Stopped)?;
    // A stop that arrives from here on is pending when the mask is restored, and then has its default action.
    signals.restore();
    let cause = program.execute(place);
    signals::block_signals_of_writes();
    Err(program.error(cause))
}

/// Starts a server in a child that inherits the standard streams and file descriptors. Returns the child's process ID.
/// The child leads a new process group, or a new session for `Forward::Group`. If `terminal` is given, the group
/// becomes its foreground process group, or the terminal becomes the controlling terminal of the session.
///
/// # Errors
/// If a system call fails, the user cannot be changed, or the program cannot be executed.
pub fn spawn_server(
    program: &Program,
    user: Option<&User>,
    forward: Forward,
    terminal: Option<&Terminal>,
    signals: &Signals,
) -> Result<i32, StartError> {
    if let Some(user) = user {
        user.own_standard_streams();
    }
    let prepare = || {
        match forward {
            Forward::Child => {
                setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
                terminal.inspect(|terminal| terminal.give_to(getpid().as_raw()));
            }
            Forward::Group => {
                setsid()?;
                terminal.inspect(|terminal| terminal.attach());
            }
        }
        Ok(())
    };
    let launch = Launch {
        program,
        user,
        signals,
        prepare: &prepare,
    };
    let (reports, reports_end) = pipe2(OFlag::O_CLOEXEC)?;
    let guard = getpid();
    let child = forked(|| launch.become_program(guard, &reports_end))?;
    drop(reports_end);
    launch.expect_start(&reports, child)?;
    Ok(child.as_raw())
}

/// The controlling terminal of this process, if one of its standard streams is that terminal.
///
/// SIGTTOU must be blocked while the foreground process group is changed: otherwise the kernel stops a process that
/// does so from the background.
pub struct Terminal(BorrowedFd<'static>);

impl Terminal {
    /// Looks for the controlling terminal among the standard streams.
    pub fn controlling() -> Option<Self> {
        let mut streams = standard_streams().into_iter();
        let stream = streams.find(|stream| tcgetpgrp(stream).is_ok());
        stream.map(Self)
    }

    /// Whether this process's group is the foreground process group. If the guard was started in the background, it
    /// must not put its server in the foreground.
    pub fn is_in_foreground(&self) -> bool {
        tcgetpgrp(self.0) == Ok(getpgrp())
    }

    /// Makes a child's group the foreground process group. Ignores errors, because the server runs without it, too.
    pub fn give_to(&self, group: i32) {
        let _ = tcsetpgrp(self.0, Pid::from_raw(group));
    }

    /// Makes this process's group the foreground process group again, if the child's group still is.
    pub fn take_back_from(&self, group: i32) {
        if tcgetpgrp(self.0) == Ok(Pid::from_raw(group)) {
            let _ = tcsetpgrp(self.0, getpgrp());
        }
    }

    /// Gives up the controlling terminal, so that another session can take it. Returns whether it was given up, which
    /// only the leader of the session can do. The kernel then sends SIGHUP and SIGCONT to this process.
    pub fn give_up(&self) -> bool {
        // SAFETY: the descriptor is open, and the request takes no argument.
        leads_session() && unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCNOTTY) } == 0
    }

    /// Makes this the controlling terminal of the session that this process, a child, has just created.
    fn attach(&self) {
        // SAFETY: the descriptor is open, and the argument is a number: with 0 the terminal is not taken from
        // another session.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSCTTY, 0) };
    }
}

/// Whether this process leads its session. If so, no shell manages it as a job and would continue it after a stop.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// A program to run in a child, and what the child does before it executes the program.
pub(super) struct Launch<'a> {
    pub program: &'a Program,
    pub user: Option<&'a User>,
    pub signals: &'a Signals,
    /// Called between fork and exec. Must not allocate, and must change only the child.
    pub prepare: &'a dyn Fn() -> nix::Result<()>,
}

/// What a `Cause` has instead of an index if an earlier call has failed: `prepare` or another preparation, or the
/// change of the user.
pub(super) const PREPARATION: i32 = Program::NO_CANDIDATE - 1;
const USER: i32 = Program::NO_CANDIDATE - 2;

/// Marks a message that is not a cause: a reaper reports the process ID of the program that it has started.
pub(super) const STARTED: i32 = Program::NO_CANDIDATE - 3;

impl Launch<'_> {
    /// Executes the program in a child of `parent` that has just been forked. If that fails, reports the cause and
    /// returns the exit code for the child.
    pub fn become_program(&self, parent: Pid, reports: &OwnedFd) -> i32 {
        let Err(cause) = self.try_to_become_program(parent);
        // If the report cannot be sent, the exit code still shows that the program was not executed.
        let _ = send(reports, cause);
        127
    }

    /// Everything between fork and exec. Allocates nothing.
    fn try_to_become_program(&self, parent: Pid) -> Result<Infallible, Cause> {
        let unprepared = |errno| [PREPARATION, errno as i32];
        (self.prepare)().map_err(unprepared)?;
        if let Some(user) = self.user {
            user.become_it().map_err(|errno| [USER, errno as i32])?;
        }
        // After the change of user, which clears the parent-death signal.
        die_with(parent).map_err(unprepared)?;
        self.signals.restore();
        let place = self.program.find()?;
        Err(self.program.execute(place))
    }

    /// Reads the reports of a child and its descendants until each of them has closed the pipe, which exec does as
    /// well. Returns the process ID of the program that a reaper has started.
    ///
    /// # Errors
    /// If the program was not executed. The child has ended and was collected then.
    pub fn expect_start(&self, reports: &OwnedFd, child: Pid) -> Result<Option<i32>, StartError> {
        let mut started = None;
        let error = loop {
            match receive(reports) {
                Ok(None) => return Ok(started),
                Ok(Some([STARTED, pid])) => started = Some(pid),
                Ok(Some(cause)) => break self.error(cause),
                Err(errno) => {
                    // The program may be running by now. It is killed when the child ends.
                    family::signal(child.as_raw(), Signal::KILL);
                    break errno.into();
                }
            }
        };
        family::collect_one(child);
        Err(error)
    }

    fn error(&self, cause @ [place, errno]: Cause) -> StartError {
        match (place, self.user) {
            (PREPARATION, _) => Errno::from_raw(errno).into(),
            (USER, Some(user)) => user.error(Errno::from_raw(errno)),
            _ => self.program.error(cause),
        }
    }
}

/// Forks. The child calls `work`, and if that returns, exits with the code that it returns.
pub(super) fn forked(work: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: `work` calls only async-signal-safe functions.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = work();
            // SAFETY: `_exit` runs no destructors and no exit handlers of the parent.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Sets SIGKILL as the parent-death signal of this process, so that no process outlives the guard. Fails if the parent
/// has already ended.
pub(super) fn die_with(parent: Pid) -> nix::Result<()> {
    prctl::set_pdeathsig(NixSignal::SIGKILL)?;
    // The parent may have ended before the call.
    let is_alive = getppid() == parent;
    is_alive.then_some(()).ok_or(Errno::ESRCH)
}

/// Sends two numbers through a pipe.
pub(super) fn send(pipe: &OwnedFd, message: [i32; 2]) -> nix::Result<()> {
    let bytes = message.map(i32::to_ne_bytes);
    persistently(|| nix::unistd::write(pipe, bytes.as_flattened())).map(drop)
}

/// Receives two numbers from a pipe. Returns `None` if all writing ends are closed.
pub(super) fn receive(pipe: &OwnedFd) -> nix::Result<Option<[i32; 2]>> {
    let mut bytes = [[0; size_of::<i32>()]; 2];
    let count = persistently(|| nix::unistd::read(pipe, bytes.as_flattened_mut()))?;
    // POSIX guarantees that writes of up to PIPE_BUF bytes are not split.
    Ok((count > 0).then(|| bytes.map(i32::from_ne_bytes)))
}
