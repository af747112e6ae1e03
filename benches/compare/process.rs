//! One child process, from its start to its end: how long it took and what memory it needed.
//!
//! For time the child is started by `posix_spawn` (on Linux a `vfork`), so that what copying the
//! parent's address space costs does not blur the figures. For memory it is started by `fork`, since the
//! kernel counts what a child shared with its parent before `execve` as the child's own.
#![allow(
    unsafe_code,
    reason = "wait4, fork and the sets of processors: nix has no safe way to them"
)]

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork};

/// A program with its arguments and its whole environment, ready for `execve`.
#[derive(Clone)]
pub struct Command {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// How a child ended.
pub struct Ended {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub code: i32,
    /// The peak of its resident memory, or of one of its own children's, in KiB.
    pub peak_kib: u64,
    /// The page faults it took, each of which costs as much as several system calls.
    pub page_faults: u64,
}

/// The three standard streams of a child.
pub struct Streams {
    input: OwnedFd,
    output: OwnedFd,
    error: OwnedFd,
}

impl Command {
    /// A program's path and its arguments, with an empty environment.
    pub fn new<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Self {
        let arguments = words
            .into_iter()
            .map(|word| c_string(word.as_ref().as_bytes()))
            .collect();
        Self {
            arguments,
            environment: Vec::new(),
        }
    }

    /// The same command with these variables, in this order, and no others.
    pub fn with_environment(mut self, variables: &[(String, String)]) -> Self {
        self.environment = variables
            .iter()
            .map(|(name, value)| c_string(format!("{name}={value}").as_bytes()))
            .collect();
        self
    }

    /// Runs the command to its end; tells how long it took from before the spawn until it was reaped.
    pub fn time(&self, streams: &Streams) -> io::Result<(Duration, Ended)> {
        let actions = streams.actions()?;
        let attributes = PosixSpawnAttr::init()?;
        let start = Instant::now();
        let child = posix_spawn(
            &*self.arguments[0],
            &actions,
            &attributes,
            &self.arguments,
            &self.environment,
        )?;
        let ended = wait(child)?;
        Ok((start.elapsed(), ended))
    }

    /// Runs the command to its end; its peak of memory is its own.
    pub fn run(&self, streams: Streams) -> io::Result<Ended> {
        Ok(wait(self.start(streams)?)?)
    }

    fn become_command(&self) -> nix::Result<Infallible> {
        execve(&self.arguments[0], &self.arguments, &self.environment)
    }

    /// Starts the command, for which the caller then has to wait. Its streams are closed here.
    pub fn start(&self, streams: Streams) -> io::Result<Pid> {
        // SAFETY: this process has one thread, so that its child may do whatever it may do itself.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => {
                // A pipe ends only when nobody but the child can write to it.
                drop(streams);
                Ok(child)
            }
            ForkResult::Child => {
                let Err(error) = streams
                    .become_standard()
                    .and_then(|()| self.become_command());
                // SAFETY: `_exit` has no conditions; what the parent does at its own exit must not run here.
                unsafe { libc::_exit(if error == Errno::ENOENT { 127 } else { 126 }) }
            }
        }
    }
}

impl Streams {
    /// For a child that has nothing to read and whose output nobody reads.
    pub fn null() -> io::Result<Self> {
        Ok(Self {
            input: null()?,
            output: null()?,
            error: null()?,
        })
    }

    /// As `null`, with this as standard output.
    pub fn with_output(output: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            output,
            ..Self::null()?
        })
    }

    /// As `null`, with this process's standard error.
    pub fn with_own_error() -> io::Result<Self> {
        Ok(Self {
            error: io::stderr().as_fd().try_clone_to_owned()?,
            ..Self::null()?
        })
    }

    fn actions(&self) -> nix::Result<PosixSpawnFileActions> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(self.input.as_raw_fd(), libc::STDIN_FILENO)?;
        actions.add_dup2(self.output.as_raw_fd(), libc::STDOUT_FILENO)?;
        actions.add_dup2(self.error.as_raw_fd(), libc::STDERR_FILENO)?;
        Ok(actions)
    }

    fn become_standard(&self) -> nix::Result<()> {
        dup2_stdin(&self.input)?;
        dup2_stdout(&self.output)?;
        dup2_stderr(&self.error)
    }
}

/// Waits for the end of a child.
pub fn wait(child: Pid) -> nix::Result<Ended> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a valid one: it holds numbers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live variables of the types that wait4 writes.
        let waited = unsafe { libc::wait4(child.as_raw(), &raw mut status, 0, &raw mut usage) };
        match Errno::result(waited) {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        128 + libc::WTERMSIG(status)
    };
    Ok(Ended {
        code,
        peak_kib: usage.ru_maxrss.unsigned_abs(),
        page_faults: usage.ru_minflt.unsigned_abs(),
    })
}

/// While it lives this process, and with it its children, runs on one processor.
pub struct Pinned {
    /// The number of that processor.
    pub processor: usize,
    before: libc::cpu_set_t,
}

impl Pinned {
    /// On the last of the processors that this process may use, as the first has the most interrupts.
    pub fn to_last() -> nix::Result<Self> {
        // SAFETY: all-zero sets are empty ones.
        let (mut before, mut one): (libc::cpu_set_t, libc::cpu_set_t) =
            unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live set of the size that is told.
        Errno::result(unsafe {
            libc::sched_getaffinity(0, size_of_val(&before), &raw mut before)
        })?;
        // SAFETY: the number is below the size of the set.
        let is_ours = |&processor: &usize| unsafe { libc::CPU_ISSET(processor, &before) };
        let processor = (0..8 * size_of_val(&before))
            .rev()
            .find(is_ours)
            .ok_or(Errno::EINVAL)?;
        // SAFETY: as above.
        unsafe { libc::CPU_SET(processor, &mut one) };
        allow(&one)?;
        Ok(Self { processor, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed again; if not, the rest is only measured less well.
        let _ = allow(&self.before);
    }
}

/// Sets the processors that this process may run on.
fn allow(processors: &libc::cpu_set_t) -> nix::Result<()> {
    // SAFETY: the pointer is to a live set of the size that is told.
    Errno::result(unsafe { libc::sched_setaffinity(0, size_of_val(processors), processors) })
        .map(drop)
}

fn null() -> io::Result<OwnedFd> {
    Ok(File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

/// Text that holds no NUL: paths and the benchmark's own words.
fn c_string(text: &[u8]) -> CString {
    CString::new(text).expect("neither paths nor the benchmark's own words hold a NUL")
}
