//! Standard output and standard error, written without blocking, so that a slow reader never delays the handling of
//! signals and time-outs. `O_NONBLOCK` is never set, because the guard shares the open file descriptions with its
//! parent.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::{SFlag, fstat};

use super::signals::wait_unless_stopped;
use super::{file_type, standard_streams};

/// The size of a backlog at which the guard stops reading a step's output, in bytes.
const LIMIT: usize = 256 * 1024;

/// How much can be written without blocking to a pipe or a socket that `poll` reports as writable, in bytes
/// (`PIPE_BUF`).
const SURE_WRITE: usize = 4096;

/// How much can be written without blocking to a terminal that `poll` reports as writable, in bytes. The kernel reports
/// it as writable when it has at least this much room.
const SURE_TERMINAL_WRITE: usize = 256;

/// One of the guard's two output streams.
pub struct Output {
    /// The number of its file descriptor.
    number: usize,
    state: Mutex<State>,
}

pub static STDOUT: Output = Output::new(1);
pub static STDERR: Output = Output::new(2);

struct State {
    /// The bytes that are not written yet.
    backlog: Vec<u8>,
    kind: Option<Kind>,
    /// The error of the last write, after which nothing more is written, for example because the reader has closed the
    /// pipe or the disk is full.
    broken: Option<Errno>,
}

/// How to write to a stream without blocking.
enum Kind {
    /// A regular file or `/dev/null`, with a plain `write`: it has no reader to wait for.
    File,
    /// A pipe, with `pwritev2` and `RWF_NOWAIT`.
    Pipe,
    /// Anything else: at most this many bytes each time that `poll` reports it as writable.
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

    /// The file descriptor, to poll for.
    pub fn descriptor(&self) -> BorrowedFd<'static> {
        standard_streams()[self.number]
    }

    /// The width of the terminal, in columns; `None` if the stream is not a terminal, or if its width is not known.
    pub fn columns(&self) -> Option<usize> {
        let mut size = libc::winsize {
            ws_row: 0,
            ws_col: 0,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let number = self.descriptor().as_raw_fd();
        // SAFETY: the kernel writes to `size` only.
        let result = unsafe { libc::ioctl(number, libc::TIOCGWINSZ, &raw mut size) };
        (result == 0 && size.ws_col > 0).then(|| size.ws_col.into())
    }

    /// Writes as much as possible without blocking, and keeps the rest in the backlog.
    pub fn push(&self, bytes: &[u8]) {
        self.add(&mut self.lock(), bytes);
    }

    /// Like `push`, for a panic handler. If the stream is locked, because the panic happened during a write, writes
    /// nothing.
    pub fn push_in_panic(&self, bytes: &[u8]) {
        if let Ok(mut state) = self.state.try_lock() {
            self.add(&mut state, bytes);
        }
    }

    /// Writes the whole text.
    ///
    /// # Errors
    /// If a write has failed.
    pub fn print(&self, text: &str) -> io::Result<()> {
        self.push(text.as_bytes());
        self.drain()
    }

    fn add(&self, state: &mut State, bytes: &[u8]) {
        if state.broken.is_none() {
            state.backlog.extend_from_slice(bytes);
            self.flush(state);
        }
    }

    /// Writes as much of the backlog as possible without blocking.
    pub fn pump(&self) {
        self.flush(&mut self.lock());
    }

    /// Whether the backlog is not empty.
    pub fn is_pending(&self) -> bool {
        !self.lock().backlog.is_empty()
    }

    /// Whether the backlog has reached its limit, so that nothing more should be added.
    pub fn is_full(&self) -> bool {
        self.lock().backlog.len() >= LIMIT
    }

    /// Waits until everything is written, a write fails, or a stop arrives. What is not written then is lost.
    ///
    /// # Errors
    /// If a write has failed.
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
            // An error of the wait is ignored: the next write returns it as well.
            if wait_unless_stopped(self.descriptor(), PollFlags::POLLOUT) == Ok(false) {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as possible without blocking. After an error, discards the backlog.
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
            // /dev/null is a character device whose writes always succeed.
            SFlag::S_IFCHR if status.st_rdev == libc::makedev(1, 3) => Kind::File,
            SFlag::S_IFIFO => Kind::Pipe,
            SFlag::S_IFSOCK => Kind::Polled(SURE_WRITE),
            _ => Kind::Polled(SURE_TERMINAL_WRITE),
        }
    }

    /// Makes one write that does not block. Returns EAGAIN if it would block.
    ///
    /// If the system does not support the non-blocking call, the kind becomes `Polled`. Old kernels, sandboxes and
    /// seccomp filters report that with different errors (EOPNOTSUPP, ENOSYS, EINVAL, EPERM, EACCES). So after every
    /// error that is not about the stream itself, a plain write is attempted, and its result is returned.
    fn write_once(&self, kind: &mut Kind, bytes: &[u8]) -> nix::Result<usize> {
        let result = match *kind {
            Kind::File => return nix::unistd::write(self.descriptor(), bytes),
            Kind::Polled(sure) => return self.write_when_ready(bytes, sure),
            Kind::Pipe => write_now(self.descriptor().as_raw_fd(), bytes),
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
    // SAFETY: `part` describes `bytes`, which is only read. The offset -1 means the current file offset.
    let count = unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    Errno::result(count).map(isize::unsigned_abs)
}
