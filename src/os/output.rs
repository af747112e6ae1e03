//! Standard output and error, written so that a slow reader never keeps the guard from a signal or a
//! time-out. `O_NONBLOCK` is never set: the descriptors are shared with whoever started us.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::{SFlag, fstat};

use super::signals::{requested_stop, stop_descriptor};

/// How much may wait for a slow reader before whoever produces has to wait, in bytes.
const LIMIT: usize = 256 * 1024;

/// What a ready pipe takes for certain without blocking, in bytes (POSIX, `PIPE_BUF` on Linux).
const SURE_WRITE: usize = 4096;

/// What a ready terminal takes for certain, in bytes (the kernel reports it ready from this room on).
const SURE_TERMINAL_WRITE: usize = 256;

/// One of our two streams.
pub struct Output {
    descriptor: i32,
    state: Mutex<State>,
}

pub static STDOUT: Output = Output::new(libc::STDOUT_FILENO);
pub static STDERR: Output = Output::new(libc::STDERR_FILENO);

struct State {
    /// What could not be written yet.
    backlog: Vec<u8>,
    kind: Option<Kind>,
    /// Why nothing can be written any more: the reader went away, or the disk is full.
    broken: Option<Errno>,
}

/// How to write to a stream without blocking, which depends on what it leads to.
#[derive(Clone, Copy)]
enum Kind {
    /// A file: never blocks on a reader.
    File,
    /// A pipe, by `pwritev2` with `RWF_NOWAIT`.
    Pipe,
    /// A socket, by `send` with `MSG_DONTWAIT`.
    Socket,
    /// Anything else: so many bytes at a time, each time that `poll` reports it ready.
    Polled(usize),
}

impl Output {
    const fn new(descriptor: i32) -> Self {
        Self {
            descriptor,
            state: Mutex::new(State {
                backlog: Vec::new(),
                kind: None,
                broken: None,
            }),
        }
    }

    /// The descriptor, to wait for.
    pub fn descriptor(&self) -> BorrowedFd<'static> {
        // SAFETY: 1 and 2 are open: Rust's runtime has opened /dev/null for each that was closed when this
        // program was started, or has aborted, and nothing here closes one.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }

    /// Writes what can be written at once and keeps the rest.
    pub fn push(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if state.broken.is_some() {
            return;
        }
        if state.backlog.is_empty() {
            let written = self.write_some(&mut state, bytes);
            state.backlog.extend_from_slice(&bytes[written..]);
        } else {
            state.backlog.extend_from_slice(bytes);
            self.flush(&mut state);
        }
    }

    /// Writes what can be written at once, for a panic: it may have come while the stream was locked.
    pub fn push_in_panic(&self, bytes: &[u8]) {
        if let Ok(mut state) = self.state.try_lock() {
            self.flush(&mut state);
            self.write_some(&mut state, bytes);
        }
    }

    /// Writes what can be written of the backlog without blocking.
    pub fn pump(&self) {
        self.flush(&mut self.lock());
    }

    /// Whether something waits to be written.
    pub fn is_pending(&self) -> bool {
        !self.lock().backlog.is_empty()
    }

    /// Whether so much waits that no more should be produced.
    pub fn is_full(&self) -> bool {
        self.lock().backlog.len() >= LIMIT
    }

    /// Waits until everything is written, the stream breaks, or a stop is asked for. What then still waits
    /// is lost.
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
            if state.backlog.is_empty() || requested_stop().is_some() {
                return Ok(());
            }
            drop(state);
            self.wait();
        }
    }

    /// Waits until there is room, or a stop comes.
    fn wait(&self) {
        let mut polled = vec![PollFd::new(self.descriptor(), PollFlags::POLLOUT)];
        polled.extend(stop_descriptor().map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        // An error shows at the next write.
        let _ = nix::poll::poll(&mut polled, PollTimeout::NONE);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, state: &mut State) {
        if state.backlog.is_empty() {
            return;
        }
        let backlog = std::mem::take(&mut state.backlog);
        let written = self.write_some(state, &backlog);
        state.backlog = backlog;
        state.backlog.drain(..written);
    }

    /// Writes as much as goes without blocking; what a broken stream does not take counts as written.
    fn write_some(&self, state: &mut State, bytes: &[u8]) -> usize {
        let mut kind = state.kind.unwrap_or_else(|| self.kind());
        let mut written = 0;
        while written < bytes.len() {
            let result = self.write_once(&mut kind, &bytes[written..]);
            state.kind = Some(kind);
            match result {
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => {
                    state.broken = Some(errno);
                    return bytes.len();
                }
            }
        }
        written
    }

    fn kind(&self) -> Kind {
        let Ok(status) = fstat(self.descriptor()) else {
            return Kind::Polled(SURE_TERMINAL_WRITE);
        };
        let format = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
        // /dev/null is a character device that always takes everything.
        let is_null = format == SFlag::S_IFCHR && status.st_rdev == libc::makedev(1, 3);
        if format == SFlag::S_IFREG || is_null {
            Kind::File
        } else if format == SFlag::S_IFIFO {
            Kind::Pipe
        } else if format == SFlag::S_IFSOCK {
            Kind::Socket
        } else {
            Kind::Polled(SURE_TERMINAL_WRITE)
        }
    }

    /// One write that does not block; EAGAIN when it would.
    ///
    /// Where the call that cannot block is not to be had, the kind becomes one that does without it. An old
    /// kernel, a sandbox or a seccomp filter may each say so with an error of its own (EOPNOTSUPP, ENOSYS,
    /// EINVAL, EPERM, EACCES), so whatever says nothing of the stream itself is left to a plain write, whose
    /// error then counts.
    fn write_once(&self, kind: &mut Kind, bytes: &[u8]) -> nix::Result<usize> {
        let result = match *kind {
            Kind::File => return nix::unistd::write(self.descriptor(), bytes),
            Kind::Polled(sure) => return self.write_when_ready(bytes, sure),
            Kind::Pipe => write_now(self.descriptor, bytes),
            Kind::Socket => send_now(self.descriptor, bytes),
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

fn write_now(descriptor: i32, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: `part` describes `bytes`, which is only read. Offset -1: the stream's own position.
    let count = unsafe { libc::pwritev2(descriptor, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(count).map(isize::unsigned_abs)
}

fn send_now(descriptor: i32, bytes: &[u8]) -> nix::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` is valid for its length.
    let count = unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), flags) };
    Errno::result(count).map(isize::unsigned_abs)
}
