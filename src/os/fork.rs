//! From a program to a child that runs it, or to the reason why there is none.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal as NixSignal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};

use super::mask::Mask;
use super::program::{NotExecuted, Program, Refusal};
use super::signals::Inherited;
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

/// Starts a program in a child that has prepared itself (its group, its streams) and become the user.
///
/// `prepare` is called between fork and exec: it allocates nothing, and changes nothing but the child.
pub(super) fn spawn(
    program: &Program,
    user: Option<&User>,
    inherited: &Inherited,
    prepare: impl FnOnce() -> Result<(), Errno>,
) -> Result<Pid, SpawnError> {
    let (report, report_end) = pipe2(OFlag::O_CLOEXEC)?;
    let guard = getpid();
    // A signal between fork and exec would run our handler in the child, which would note it as the
    // guard's own.
    let mask = Mask::ALL.set();
    // SAFETY: the child calls only async-signal-safe functions until it executes or ends.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        let hindrance = become_program(program, user, inherited, prepare, guard);
        let _ = nix::unistd::write(&report_end, &hindrance.to_bytes());
        // SAFETY: `_exit` runs nothing of the parent's.
        unsafe { libc::_exit(127) };
    }
    mask.set();
    let ForkResult::Parent { child } = forked? else {
        unreachable!("the child has executed the program or ended");
    };
    drop(report_end);
    let Some(hindrance) = hindrance(&report) else {
        return Ok(child);
    };
    while nix::sys::wait::waitpid(child, None) == Err(Errno::EINTR) {}
    Err(match (hindrance, user) {
        (Hindrance::Program(why), _) => SpawnError::Refused(program.refusal(why)),
        (Hindrance::User(errno), Some(user)) => SpawnError::User(user.refusal(errno)),
        (Hindrance::User(errno) | Hindrance::Preparation(errno), _) => errno.into(),
    })
}

/// Everything between fork and exec; gives the reason when it comes back.
fn become_program(
    program: &Program,
    user: Option<&User>,
    inherited: &Inherited,
    prepare: impl FnOnce() -> Result<(), Errno>,
    guard: Pid,
) -> Hindrance {
    if let Err(errno) = prepare() {
        return Hindrance::Preparation(errno);
    }
    if let Some(Err(errno)) = user.map(User::become_it) {
        return Hindrance::User(errno);
    }
    if let Err(errno) = die_with(guard) {
        return Hindrance::Preparation(errno);
    }
    inherited.restore_in_child();
    Hindrance::Program(match program.find() {
        Ok(found) => program.execute(found),
        Err(why) => why,
    })
}

/// If the guard is killed, nothing of its goes on without it. Set after the change of user, which clears it.
fn die_with(guard: Pid) -> Result<(), Errno> {
    prctl::set_pdeathsig(NixSignal::SIGKILL)?;
    // It may have been killed already.
    if getppid() == guard {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

impl Hindrance {
    const PREPARATION: i32 = -1;
    const USER: i32 = -2;
    const NO_CANDIDATE: i32 = -3;

    fn to_bytes(&self) -> [u8; 8] {
        let (what, errno) = match self {
            Self::Preparation(errno) => (Self::PREPARATION, *errno),
            Self::User(errno) => (Self::USER, *errno),
            Self::Program(NotExecuted { errno, candidate }) => {
                let place = candidate.and_then(|place| i32::try_from(place).ok());
                (place.unwrap_or(Self::NO_CANDIDATE), *errno)
            }
        };
        (i64::from(what) << 32 | i64::from(errno as i32)).to_ne_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let both = i64::from_ne_bytes(bytes);
        // An errno is never negative, so the halves do not touch.
        let half = |number: i64| i32::try_from(number).unwrap_or_default();
        let errno = Errno::from_raw(half(both & i64::from(u32::MAX)));
        match half(both >> 32) {
            Self::PREPARATION => Self::Preparation(errno),
            Self::USER => Self::User(errno),
            place => Self::Program(NotExecuted {
                errno,
                candidate: usize::try_from(place).ok(),
            }),
        }
    }
}

/// What a child reports that did not come to execute its program; nothing when it did.
fn hindrance(report: &OwnedFd) -> Option<Hindrance> {
    let mut bytes = [0; 8];
    loop {
        match nix::unistd::read(report, &mut bytes) {
            Err(Errno::EINTR) => {}
            Ok(8) => return Some(Hindrance::from_bytes(bytes)),
            _ => return None,
        }
    }
}
