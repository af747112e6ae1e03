//! Runs a child process, and measures its time and memory.
//!
//! To measure time, the child is started with `posix_spawn` (a `vfork` on Linux), so that the figures do not include
//! the copy of the parent's address space. To measure memory, it is started with `fork`, because the kernel counts
//! memory that a child shares with its parent before `execve` as the child's own.
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

/// A program with its arguments and its environment, ready for `execve`.
#[derive(Clone)]
pub struct Command {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// How a child ended.
pub struct Ended {
    /// The exit code, or 128 + N if signal N terminated it.
    pub code: i32,
    /// The peak resident memory of the child or one of its own children, in KiB.
    pub peak_kib: u64,
    /// The number of page faults, each of which takes as long as several system calls.
    pub page_faults: u64,
}

/// The three standard streams of a child.
pub struct Streams {
    input: OwnedFd,
    output: OwnedFd,
    error: OwnedFd,
}

impl Command {
    /// Creates a command from a program's path and its arguments, with an empty environment.
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

    /// Replaces the environment by these variables, in this order.
    pub fn with_environment(mut self, variables: &[(String, String)]) -> Self {
        self.environment = variables
            .iter()
            .map(|(name, value)| c_string(format!("{name}={value}").as_bytes()))
            .collect();
        self
    }

    /// Runs the command until it ends. Returns the time from before the spawn until it was reaped.
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

    /// Runs the command until it ends. Its peak memory does not include this process's memory.
    pub fn run(&self, streams: Streams) -> io::Result<Ended> {
        Ok(wait(self.start(streams)?)?)
    }

    fn become_command(&self) -> nix::Result<Infallible> {
        execve(&self.arguments[0], &self.arguments, &self.environment)
    }

    /// Starts the command. The caller has to wait for it. Closes this process's copies of the streams.
    pub fn start(&self, streams: Streams) -> io::Result<Pid> {
        // SAFETY: this process has one thread, so the child may call any function.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => {
                // The reader of a pipe sees its end only after all other writing ends are closed.
                drop(streams);
                Ok(child)
            }
            ForkResult::Child => {
                let Err(error) = streams
                    .become_standard()
                    .and_then(|()| self.become_command());
                // SAFETY: `_exit` has no preconditions. The parent's exit handlers must not run here.
                unsafe { libc::_exit(if error == Errno::ENOENT { 127 } else { 126 }) }
            }
        }
    }
}

impl Streams {
    /// /dev/null for all three streams.
    pub fn null() -> io::Result<Self> {
        Ok(Self {
            input: null()?,
            output: null()?,
            error: null()?,
        })
    }

    /// Like `null`, with this standard output.
    pub fn with_output(output: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            output,
            ..Self::null()?
        })
    }

    /// Like `null`, with this process's standard error.
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
    // SAFETY: an all-zero rusage is valid, because it only contains numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers refer to variables of the types that wait4 writes.
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

/// Restricts this process and its children to one processor until it is dropped.
pub struct Pinned {
    /// The number of that processor.
    pub processor: usize,
    before: libc::cpu_set_t,
}

impl Pinned {
    /// Chooses the last processor that this process may use, because the first one has the most interrupts.
    pub fn to_last() -> nix::Result<Self> {
        // SAFETY: all-zero sets are valid, and empty.
        let (mut before, mut one): (libc::cpu_set_t, libc::cpu_set_t) =
            unsafe { std::mem::zeroed() };
        // SAFETY: the pointer refers to a set of the size that is passed.
        Errno::result(unsafe {
            libc::sched_getaffinity(0, size_of_val(&before), &raw mut before)
        })?;
        // SAFETY: the number is below the size of the set.
        let is_ours = |&processor: &usize| unsafe { libc::CPU_ISSET(processor, &before) };
        let processor = (0..8 * size_of_val(&before))
            .rev()
            .find(is_ours)
            .ok_or(Errno::EINVAL)?;
        // SAFETY: see above.
        unsafe { libc::CPU_SET(processor, &mut one) };
        allow(&one)?;
        Ok(Self { processor, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Restores the previous processors. An error only makes later measurements less precise.
        let _ = allow(&self.before);
    }
}

/// Sets the processors that this process may run on.
fn allow(processors: &libc::cpu_set_t) -> nix::Result<()> {
    // SAFETY: the pointer refers to a set of the size that is passed.
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

/// Converts a path or a constant text, which contains no NUL.
fn c_string(text: &[u8]) -> CString {
    CString::new(text).expect("neither paths nor the benchmark's own words hold a NUL")
}
