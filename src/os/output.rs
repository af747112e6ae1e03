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

/// What a stream leads to, which decides how to write without blocking.
#[derive(Clone, Copy)]
enum Kind {
    /// A file: never blocks on a reader.
    File,
    Pipe,
    Socket,
    /// A terminal, or something unknown.
    Other,
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
        // SAFETY: descriptors 1 and 2 stay open as long as we live; Rust's runtime opens them if need be.
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
        let kind = *state.kind.get_or_insert_with(|| self.kind());
        let mut written = 0;
        while written < bytes.len() {
            match self.write_once(kind, &bytes[written..]) {
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
            return Kind::Other;
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
            Kind::Other
        }
    }

    /// One write that does not block; EAGAIN when it would.
    fn write_once(&self, kind: Kind, bytes: &[u8]) -> nix::Result<usize> {
        match kind {
            Kind::File => nix::unistd::write(self.descriptor(), bytes),
            Kind::Socket => send_now(self.descriptor, bytes),
            Kind::Pipe => match write_now(self.descriptor, bytes) {
                // An older kernel, which knows it for files only.
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => {
                    self.write_when_ready(bytes, SURE_WRITE)
                }
                result => result,
            },
            Kind::Other => self.write_when_ready(bytes, SURE_TERMINAL_WRITE),
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
