//! Starting a program: in this process, or in a child of it.

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

/// Becomes the program: the same process, with the signals as they were inherited. Returns only an error.
///
/// # Errors
/// Why this process is not the program, a stop among the reasons.
pub fn exec(
    program: &Program,
    user: Option<&User>,
    signals: &Signals,
) -> Result<Infallible, StartError> {
    if let Some(user) = user {
        user.own_standard_streams();
        user.become_it().map_err(|errno| user.error(errno))?;
    }
    // Before the signals are restored: as PID 1 a stop between that and the server's own handler is lost, so
    // nothing that can be done earlier may make that moment longer.
    let place = program.find().map_err(|cause| program.error(cause))?;
    signals::unless_stopped().map_err(StartError::Stopped)?;
    // A stop that comes from here on is pending when the mask is restored, and then acts by default.
    signals.restore();
    let cause = program.execute(place);
    signals::block_signals_of_writes();
    Err(program.error(cause))
}

/// Starts a server in a child, with this process's streams and descriptors. Returns the child's number. The child
/// leads a process group, or for `Forward::Group` a session. If it is given the terminal, that group becomes its
/// foreground, or that session controls it.
///
/// # Errors
/// When the system refuses, or the program cannot be executed.
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

/// Our controlling terminal, which is one of our streams.
///
/// SIGTTOU must be blocked while its foreground is changed: the kernel would stop us if we are in the background.
pub struct Terminal(BorrowedFd<'static>);

impl Terminal {
    /// Finds it among our streams.
    pub fn controlling() -> Option<Self> {
        let mut streams = standard_streams().into_iter();
        let stream = streams.find(|stream| tcgetpgrp(stream).is_ok());
        stream.map(Self)
    }

    /// Whether our process group is in the foreground. A guard that was started in the background is not, and must
    /// not put its server there.
    pub fn is_in_foreground(&self) -> bool {
        tcgetpgrp(self.0) == Ok(getpgrp())
    }

    /// Makes a child's group the foreground. An error is ignored, because the server runs without that, too.
    pub fn give_to(&self, group: i32) {
        let _ = tcsetpgrp(self.0, Pid::from_raw(group));
    }

    /// Takes the foreground back from a child's group, if it still has it.
    pub fn take_back_from(&self, group: i32) {
        if tcgetpgrp(self.0) == Ok(Pid::from_raw(group)) {
            let _ = tcsetpgrp(self.0, getpgrp());
        }
    }

    /// Gives the terminal up, so that another session can have it. Returns whether this process led the session that
    /// had it. The kernel then sends SIGHUP and SIGCONT to this process.
    pub fn give_up(&self) -> bool {
        // SAFETY: the descriptor is open, and the request takes no argument.
        leads_session() && unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCNOTTY) } == 0
    }

    /// Makes it the controlling terminal of the session that this process, a child, has just begun.
    fn attach(&self) {
        // SAFETY: the descriptor is open, and the argument is a number: with 0 the terminal is not taken from
        // another session.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSCTTY, 0) };
    }
}

/// Whether this process leads its session. Then no shell above it notices that it was stopped.
pub fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// A program to run in a child, and what the child does before it becomes the program.
pub(super) struct Launch<'a> {
    pub program: &'a Program,
    pub user: Option<&'a User>,
    pub signals: &'a Signals,
    /// Called between fork and exec: it allocates nothing, and changes nothing but the child.
    pub prepare: &'a dyn Fn() -> nix::Result<()>,
}

/// The places in a `Cause` of what failed before the program was looked for.
pub(super) const PREPARATION: i32 = Program::NO_CANDIDATE - 1;
const USER: i32 = Program::NO_CANDIDATE - 2;

/// Not a cause: a reaper reports the number of the process that it has started.
pub(super) const STARTED: i32 = Program::NO_CANDIDATE - 3;

impl Launch<'_> {
    /// Becomes the program, in a child of `parent` that has just been forked. If that fails, it reports the cause
    /// and returns the exit code for the child.
    pub fn become_program(&self, parent: Pid, reports: &OwnedFd) -> i32 {
        let Err(cause) = self.try_to_become_program(parent);
        // Without the report, the exit code still tells that the program was not executed.
        let _ = send(reports, cause);
        127
    }

    /// All that happens between fork and exec. It allocates nothing.
    fn try_to_become_program(&self, parent: Pid) -> Result<Infallible, Cause> {
        let unprepared = |errno| [PREPARATION, errno as i32];
        (self.prepare)().map_err(unprepared)?;
        if let Some(user) = self.user {
            user.become_it().map_err(|errno| [USER, errno as i32])?;
        }
        // After the change of user, which clears the death signal.
        die_with(parent).map_err(unprepared)?;
        self.signals.restore();
        let place = self.program.find()?;
        Err(self.program.execute(place))
    }

    /// Reads what a child and its descendants report, until all have executed something else or closed the pipe.
    /// Returns the number of the process that a reaper has started.
    ///
    /// # Errors
    /// Why the program was not executed. The child has ended and was collected.
    pub fn expect_start(&self, reports: &OwnedFd, child: Pid) -> Result<Option<i32>, StartError> {
        let mut started = None;
        let error = loop {
            match receive(reports) {
                Ok(None) => return Ok(started),
                Ok(Some([STARTED, pid])) => started = Some(pid),
                Ok(Some(cause)) => break self.error(cause),
                Err(errno) => {
                    // The program may run by now. The death of the child ends it.
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

/// Forks. The child does `work`. If that returns, the child ends with the exit code that it returns.
pub(super) fn forked(work: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: `work` calls only async-signal-safe functions.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = work();
            // SAFETY: `_exit` runs nothing of the parent's.
            unsafe { libc::_exit(code) }
        }
    }
}

/// Has the kernel kill this process when its parent ends, so that nothing runs on without the guard.
pub(super) fn die_with(parent: Pid) -> nix::Result<()> {
    prctl::set_pdeathsig(NixSignal::SIGKILL)?;
    // The parent may have ended already.
    let is_alive = getppid() == parent;
    is_alive.then_some(()).ok_or(Errno::ESRCH)
}

/// Sends two numbers through a pipe.
pub(super) fn send(pipe: &OwnedFd, message: [i32; 2]) -> nix::Result<()> {
    let bytes = message.map(i32::to_ne_bytes);
    persistently(|| nix::unistd::write(pipe, bytes.as_flattened())).map(drop)
}

/// Receives two numbers from a pipe. Returns `None` when its other end is closed.
pub(super) fn receive(pipe: &OwnedFd) -> nix::Result<Option<[i32; 2]>> {
    let mut bytes = [[0; size_of::<i32>()]; 2];
    let count = persistently(|| nix::unistd::read(pipe, bytes.as_flattened_mut()))?;
    // POSIX guarantees that writes of up to PIPE_BUF bytes are not split.
    Ok((count > 0).then(|| bytes.map(i32::from_ne_bytes)))
}
