//! From a program to a child process that runs it, or to the reason why there is none.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal as NixSignal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2, setpgid};

use super::family::{self, Ending, Left};
use super::mask::Mask;
use super::program::{NotExecuted, Program, Refusal};
use super::signals::{self, Inherited, Signal};
use super::user::{BecomeError, User};

/// Why there is no child.
#[derive(Debug)]
pub enum SpawnError {
    /// The command cannot be executed.
    Refused(Refusal),
    /// The child may not become the user that it should be.
    User(BecomeError),
    /// The system gave no process or no pipe.
    System(io::Error),
}

impl From<Errno> for SpawnError {
    fn from(errno: Errno) -> Self {
        SpawnError::System(errno.into())
    }
}

/// What stopped a child between fork and exec. It goes through a pipe as two numbers.
enum Hindrance {
    Preparation(Errno),
    User(Errno),
    Program(NotExecuted),
}

/// A program to run in a child, and what the child does before it becomes the program.
pub(super) struct Launch<'a, P: Fn() -> Result<(), Errno>> {
    pub program: &'a Program,
    pub user: Option<&'a User>,
    pub inherited: &'a Inherited,
    /// Called between fork and exec: it allocates nothing, and changes nothing but the child.
    pub prepare: P,
}

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
    /// The reaper's reports; none when there will be no more.
    reports: Option<OwnedFd>,
}

/// How the program of a tree ended.
#[derive(Clone, Copy, Debug)]
pub struct LeaderEnd {
    pub ending: Ending,
    /// Whether other processes of the tree were left.
    pub left: Left,
}

/// Starts a program in a child of this process.
pub(super) fn spawn<P: Fn() -> Result<(), Errno>>(
    launch: &Launch<'_, P>,
) -> Result<Pid, SpawnError> {
    let (hindrances, hindrances_end) = pipe2(OFlag::O_CLOEXEC)?;
    let guard = getpid();
    let child = forked(|| launch.become_program(guard, &hindrances_end))?;
    drop(hindrances_end);
    launch.check(&hindrances, child)?;
    Ok(child)
}

/// Starts a program below a reaper. The reaper closes its copies of the descriptors `of_program`.
pub(super) fn spawn_tree<P: Fn() -> Result<(), Errno>>(
    launch: &Launch<'_, P>,
    of_program: &[BorrowedFd<'_>],
) -> Result<Tree, SpawnError> {
    let (hindrances, hindrances_end) = pipe2(OFlag::O_CLOEXEC)?;
    // Reads do not block from the beginning: a change after the program was started could be refused, and then the
    // program would have to be ended again.
    let (reports, reports_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let guard = getpid();
    let reaper = forked(|| {
        let result = launch.run_below_reaper(guard, of_program, &hindrances_end, &reports_end);
        // When the reaper ends early, its death kills the program.
        i32::from(result.is_err())
    })?;
    drop((hindrances_end, reports_end));
    let leader = match receive_patiently(&reports) {
        Ok(Some([leader, _])) if leader > 0 => leader,
        Ok(Some([_, errno])) => return Err(no_child(reaper, Errno::from_raw(errno))),
        // It was killed before it could say anything.
        Ok(None) => return Err(no_child(reaper, Errno::ECHILD)),
        Err(errno) => {
            family::signal(reaper.as_raw(), Signal::KILL);
            return Err(no_child(reaper, errno));
        }
    };
    launch.check(&hindrances, reaper)?;
    Ok(Tree {
        reaper: reaper.as_raw(),
        leader,
        reports: Some(reports),
    })
}

impl Tree {
    /// How a reaper ends below which no process is left.
    pub const COMPLETE: Ending = Ending::Exited(0);

    /// The descriptor on which the end of the program is reported; none once it was.
    pub fn reports(&self) -> Option<&OwnedFd> {
        self.reports.as_ref()
    }

    /// How the program ended, if the reaper has reported it since the last call.
    pub fn leader_end(&mut self) -> Option<LeaderEnd> {
        match receive(self.reports.as_ref()?) {
            Ok(Some([status, left])) => {
                self.reports = None;
                Some(LeaderEnd {
                    ending: Ending::of(status),
                    left: if left == 0 {
                        Left::Nobody
                    } else {
                        Left::Somebody
                    },
                })
            }
            Err(Errno::EAGAIN) => None,
            // The reaper is gone, and what it reported before was read.
            Ok(None) | Err(_) => {
                self.reports = None;
                None
            }
        }
    }
}

impl<P: Fn() -> Result<(), Errno>> Launch<'_, P> {
    /// Becomes the program, in a child of `parent` that has just been forked, or reports why not. Gives the
    /// exit code of a child that has not become the program.
    fn become_program(&self, parent: Pid, hindrances: &OwnedFd) -> i32 {
        // Without the report, the exit code still tells that the program was not executed.
        let _ = send(hindrances, self.try_to_become_program(parent).to_message());
        127
    }

    /// The life of a reaper: starts the program, reports its number and how it ended, and ends when nobody is
    /// left below it.
    fn run_below_reaper(
        &self,
        guard: Pid,
        of_program: &[BorrowedFd<'_>],
        hindrances: &OwnedFd,
        reports: &OwnedFd,
    ) -> Result<(), Errno> {
        // In a group of its own it gets no signal that a terminal, or whoever signals the guard's group, sends
        // to the guard as well.
        let leader = setpgid(Pid::from_raw(0), Pid::from_raw(0))
            .and_then(|()| prctl::set_child_subreaper(true))
            .and_then(|()| die_with(guard))
            .and_then(|()| {
                let reaper = getpid();
                forked(|| self.become_program(reaper, hindrances))
            });
        let report = leader.map_or_else(|errno| [0, errno as i32], |leader| [leader.as_raw(), 0]);
        send(reports, report)?;
        let leader = leader?;
        let of_program = of_program.iter().map(AsRawFd::as_raw_fd);
        for descriptor in of_program.chain([hindrances.as_raw_fd()]) {
            close(descriptor)?;
        }
        signals::pass_on_to(guard);
        family::reap_all(leader, |status, left| {
            send(reports, [status, i32::from(left == Left::Somebody)])
        })
    }

    /// Everything between fork and exec; gives the reason when it comes back.
    fn try_to_become_program(&self, parent: Pid) -> Hindrance {
        if let Err(errno) = (self.prepare)() {
            return Hindrance::Preparation(errno);
        }
        if let Some(Err(errno)) = self.user.map(User::become_it) {
            return Hindrance::User(errno);
        }
        // After the change of user, which takes the death signal back.
        if let Err(errno) = die_with(parent) {
            return Hindrance::Preparation(errno);
        }
        self.inherited.restore_in_child();
        Hindrance::Program(match self.program.find() {
            Ok(found) => self.program.execute(found),
            Err(why) => why,
        })
    }

    /// Gives the reason why the program was not executed, if it was not, and collects the child.
    fn check(&self, hindrances: &OwnedFd, child: Pid) -> Result<(), SpawnError> {
        let hindrance = match receive(hindrances) {
            // The pipe was closed by the exec.
            Ok(None) => return Ok(()),
            Ok(Some(message)) => Hindrance::from_message(message),
            Err(errno) => {
                // The program may run by now, and the guard is about to give up.
                family::signal(child.as_raw(), Signal::KILL);
                Hindrance::Preparation(errno)
            }
        };
        family::collect_one(child);
        Err(match (hindrance, self.user) {
            (Hindrance::Program(why), _) => SpawnError::Refused(self.program.refusal(why)),
            (Hindrance::User(errno), Some(user)) => SpawnError::User(user.refusal(errno)),
            (Hindrance::User(errno) | Hindrance::Preparation(errno), _) => errno.into(),
        })
    }
}

/// Forks. The child does `work` with all signals blocked, since a signal between fork and exec would run the
/// guard's handler, which would note it as the guard's own. If `work` comes back, the child ends with the exit
/// code that it gives.
fn forked(work: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    let mask = Mask::ALL.set();
    // SAFETY: `work` calls only async-signal-safe functions.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        let code = work();
        // SAFETY: `_exit` runs nothing of the parent's.
        unsafe { libc::_exit(code) };
    }
    mask.set();
    match forked? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => unreachable!("the child has ended"),
    }
}

/// The error for a child that ended before its program was started. The child is collected.
fn no_child(child: Pid, errno: Errno) -> SpawnError {
    family::collect_one(child);
    errno.into()
}

/// Has the kernel kill this process when its parent ends: nothing of the guard's goes on without it.
fn die_with(parent: Pid) -> Result<(), Errno> {
    prctl::set_pdeathsig(NixSignal::SIGKILL)?;
    // The parent may have ended already.
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

impl Hindrance {
    const PREPARATION: i32 = -1;
    const USER: i32 = -2;
    const NO_CANDIDATE: i32 = -3;

    fn to_message(&self) -> Message {
        match self {
            Self::Preparation(errno) => [Self::PREPARATION, *errno as i32],
            Self::User(errno) => [Self::USER, *errno as i32],
            Self::Program(NotExecuted { errno, candidate }) => {
                let place = candidate.and_then(|place| i32::try_from(place).ok());
                [place.unwrap_or(Self::NO_CANDIDATE), *errno as i32]
            }
        }
    }

    fn from_message([what, errno]: Message) -> Self {
        let errno = Errno::from_raw(errno);
        match what {
            Self::PREPARATION => Self::Preparation(errno),
            Self::USER => Self::User(errno),
            place => Self::Program(NotExecuted {
                errno,
                candidate: usize::try_from(place).ok(),
            }),
        }
    }
}

/// What a child tells through a pipe.
type Message = [i32; 2];

fn send(pipe: &OwnedFd, message: Message) -> Result<(), Errno> {
    let bytes = message.map(i32::to_ne_bytes);
    super::persistently(|| nix::unistd::write(pipe, bytes.as_flattened())).map(drop)
}

/// Closes a descriptor in a child that does not use it again. Whoever reads at the other end of a pipe waits for
/// that.
fn close(descriptor: i32) -> Result<(), Errno> {
    super::persistently(|| {
        // SAFETY: the child ends by `_exit`, which runs no destructor, so nothing else closes it again.
        match Errno::result(unsafe { libc::close(descriptor) }) {
            Err(Errno::EBADF) => Ok(()),
            result => result.map(drop),
        }
    })
}

/// Receives a message; none when the pipe is closed at its other end.
fn receive(pipe: &OwnedFd) -> Result<Option<Message>, Errno> {
    let mut bytes = [[0; size_of::<i32>()]; 2];
    let count = super::persistently(|| {
        loop {
            match nix::unistd::read(pipe, bytes.as_flattened_mut()) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    })?;
    // POSIX guarantees that writes of up to PIPE_BUF bytes are not split.
    Ok((count > 0).then(|| bytes.map(i32::from_ne_bytes)))
}

/// Receives a message from a pipe whose reads do not block, and waits until there is one.
fn receive_patiently(pipe: &OwnedFd) -> Result<Option<Message>, Errno> {
    loop {
        match receive(pipe) {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        super::persistently(|| match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => Ok(0),
            result => result,
        })?;
    }
}
