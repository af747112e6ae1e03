//! Standard output and error, written without blocking, so that a slow reader never keeps the guard from a signal or
//! a time-out. `O_NONBLOCK` is never set: the descriptors are shared with whoever started the guard.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};

use super::signals::wait_unless_stopped;
use super::{file_type, standard_streams};

/// How much may wait for a slow reader before the guard reads no more of a step's output, in bytes.
const LIMIT: usize = 256 * 1024;

/// How much a ready pipe takes without blocking, in bytes (POSIX, `PIPE_BUF` on Linux).
const SURE_WRITE: usize = 4096;

/// How much a ready terminal takes without blocking, in bytes (the kernel reports it ready from this room on).
const SURE_TERMINAL_WRITE: usize = 256;

/// One of the guard's two output streams.
pub struct Output {
    /// Its descriptor's number.
    number: usize,
    state: Mutex<State>,
}

pub static STDOUT: Output = Output::new(1);
pub static STDERR: Output = Output::new(2);

struct State {
    /// What is not written yet.
    backlog: Vec<u8>,
    kind: Option<Kind>,
    /// Why nothing more can be written: the reader has closed the stream, or the disk is full.
    broken: Option<Errno>,
}

/// How to write to a stream without blocking.
#[derive(Clone, Copy)]
enum Kind {
    /// A file, which has no reader to wait for.
    File,
    /// A pipe, by `pwritev2` with `RWF_NOWAIT`.
    Pipe,
    /// A socket, by `send` with `MSG_DONTWAIT`.
    Socket,
    /// Anything else, by so many bytes at a time, each time that `poll` reports it ready.
    Polled(usize),
}

impl Output {
    const fn new(number: usize) -> Self {
        Self {
            number,
            state: Mutex::new(State {
                backlog: Vec::new(),
                kind: None,
                broken: None,
            }),
        }
    }

    /// The descriptor, to wait for.
    pub fn descriptor(&self) -> BorrowedFd<'static> {
        standard_streams()[self.number]
    }

    /// Writes what can be written at once and keeps the rest.
    pub fn push(&self, bytes: &[u8]) {
        self.add(&mut self.lock(), bytes);
    }

    /// The same for a panic, which may have happened while the stream was locked. Nothing is written then.
    pub fn push_in_panic(&self, bytes: &[u8]) {
        if let Ok(mut state) = self.state.try_lock() {
            self.add(&mut state, bytes);
        }
    }

    fn add(&self, state: &mut State, bytes: &[u8]) {
        if state.broken.is_none() {
            state.backlog.extend_from_slice(bytes);
            self.flush(state);
        }
    }

    /// Writes what can be written of the backlog without blocking.
    pub fn pump(&self) {
        self.flush(&mut self.lock());
    }

    /// Whether something is not written yet.
    pub fn is_pending(&self) -> bool {
        !self.lock().backlog.is_empty()
    }

    /// Whether so much is not written yet that nothing more should be added.
    pub fn is_full(&self) -> bool {
        self.lock().backlog.len() >= LIMIT
    }

    /// Waits until everything is written, the stream breaks, or a stop comes. The rest is lost then.
    ///
    /// # Errors
    /// Why the stream is broken.
    pub fn drain(&self) -> io::Result<()> {
        loop {
            self.pump();
            let state = self.lock();
            if let Some(errno) = state.broken {
                return Err(errno.into());
            }
            if state.backlog.is_empty() {
                return Ok(());
            }
            drop(state);
            // An error of the wait shows at the next write.
            if wait_unless_stopped(self.descriptor(), PollFlags::POLLOUT) == Ok(false) {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as possible without blocking. What a broken stream does not take counts as written.
    fn flush(&self, state: &mut State) {
        let backlog = &mut state.backlog;
        let mut written = 0;
        while written < backlog.len() {
            let kind = state.kind.get_or_insert_with(|| self.kind());
            match self.write_once(kind, &backlog[written..]) {
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => {
                    state.broken = Some(errno);
                    written = backlog.len();
                }
            }
        }
        backlog.drain(..written);
    }

    fn kind(&self) -> Kind {
        let Ok(status) = fstat(self.descriptor()) else {
            return Kind::Polled(SURE_TERMINAL_WRITE);
        };
        match file_type(&status) {
            SFlag::S_IFREG => Kind::File,
            // /dev/null is a character device that always takes everything.
            SFlag::S_IFCHR if status.st_rdev == libc::makedev(1, 3) => Kind::File,
            SFlag::S_IFIFO => Kind::Pipe,
            SFlag::S_IFSOCK => Kind::Socket,
            _ => Kind::Polled(SURE_TERMINAL_WRITE),
        }
    }

    /// One write that does not block; EAGAIN when it would.
    ///
    /// Where the system does not support the call that cannot block, the kind becomes `Polled`. An old kernel, a
    /// sandbox or a seccomp filter may each report that by an error of its own (EOPNOTSUPP, ENOSYS, EINVAL, EPERM,
    /// EACCES). So after every error that is not about the stream itself a plain write is tried, whose error
    /// counts.
    fn write_once(&self, kind: &mut Kind, bytes: &[u8]) -> nix::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let result = match *kind {
            Kind::File => return nix::unistd::write(self.descriptor(), bytes),
            Kind::Polled(sure) => return self.write_when_ready(bytes, sure),
            Kind::Pipe => write_now(self.descriptor().as_raw_fd(), bytes),
            Kind::Socket => send(self.descriptor().as_raw_fd(), bytes, flags),
        };
        match result {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::EPIPE) => result,
            Err(_) => {
                *kind = Kind::Polled(SURE_WRITE);
                self.write_when_ready(bytes, SURE_WRITE)
            }
        }
    }

    fn write_when_ready(&self, bytes: &[u8], sure: usize) -> nix::Result<usize> {
        let mut polled = [PollFd::new(self.descriptor(), PollFlags::POLLOUT)];
        if nix::poll::poll(&mut polled, PollTimeout::ZERO)? == 0 {
            return Err(Errno::EAGAIN);
        }
        nix::unistd::write(self.descriptor(), &bytes[..bytes.len().min(sure)])
    }
}

fn write_now(fd: i32, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: `part` describes `bytes`, which is only read. Offset -1: the stream's own position.
    let count = unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(count).map(isize::unsigned_abs)
}
