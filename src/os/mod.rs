//! The operating system: signals, processes, file descriptors. Only this module uses `nix` and `unsafe`.
//!
//! A *stop* is a signal that asks the guard to end: SIGTERM, SIGINT, SIGHUP or SIGQUIT.

mod defect;
pub mod family;
pub mod file;
pub mod output;
pub mod program;
mod signal;
pub mod signals;
pub mod spawn;
pub mod tool;
pub mod tree;
pub mod user;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::mpsc::Sender;
#[cfg(feature = "postgres")]
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{FileStat, SFlag};
use signal::{Signal, SignalSet};

/// The signals that the C library sends between its threads, for example to change the user of all threads. If a thread
/// blocks them, such a call never returns.
const OF_LIBRARY: SignalSet = SignalSet::of(&[Signal(32), Signal(33)]);

/// The maximum number of attempts for a system call whose error would make the guard or a reaper wait forever.
const ATTEMPTS: usize = 3;

/// Makes a system call, and repeats it if it fails. ECHILD (there is no child) and EAGAIN (nothing to read, or no room
/// to write) are regular results and are returned at once.
fn persistently<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut result = call();
    for _ in 1..ATTEMPTS {
        if matches!(result, Ok(_) | Err(Errno::ECHILD | Errno::EAGAIN)) {
            break;
        }
        result = call();
    }
    result
}

/// Standard input, output and error.
fn standard_streams() -> [BorrowedFd<'static>; 3] {
    let numbers = [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO];
    // SAFETY: 0, 1 and 2 are open: Rust's runtime has opened /dev/null for each that was closed when this program was
    // started, or has aborted, and nothing here closes one.
    numbers.map(|number| unsafe { BorrowedFd::borrow_raw(number) })
}

/// The file type bits of a file's mode.
fn file_type(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

/// Whether this process runs in a container of Docker or Podman, which both create a marker file.
pub fn is_in_container() -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks.iter().any(|mark| Path::new(mark).exists())
}

/// Random bytes of the kernel, for secrets. Waits until the kernel has collected enough randomness after it was started.
///
/// # Errors
/// If the kernel has no such call.
pub fn random_bytes(count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        let rest = &mut bytes[filled..];
        // SAFETY: the kernel writes at most `rest.len()` bytes to `rest`.
        let result = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(result) {
            Ok(written) => filled += written.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(bytes)
}

/// Starts a helper thread for calls that block and cannot be interrupted: name resolution and the database client.
/// Nothing joins the thread: it ends when the process ends or executes the server. It inherits a signal mask that
/// blocks all signals, so that the main thread receives them.
///
/// # Errors
/// If the thread cannot be created.
pub fn spawn_helper(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mask = SignalSet::ALL.without(OF_LIBRARY).set_as_mask();
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    mask.set_as_mask();
    started.map(drop)
}

/// Sends a report of a helper thread, and wakes the main thread, which waits in `Signals::wait`. Returns whether the
/// receiving end still exists.
pub fn send_report<T>(reports: &Sender<T>, report: T) -> bool {
    let is_received = reports.send(report).is_ok();
    signals::wake_main_thread();
    is_received
}

/// Returns freed memory to the system. Does nothing with a C library other than glibc.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the argument is a number of bytes to keep; the call returns only memory that was freed.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Changes the working directory to `/` after the server has started, so that the guard does not keep the file system
/// of its working directory busy. Ignores errors.
pub fn leave_folder() {
    let _ = nix::unistd::chdir("/");
}

/// Enables TCP keep-alive: the kernel probes the peer after `silence` without data, and then every `interval`. It
/// closes the connection when the peer has acknowledged nothing for `limit`.
///
/// # Errors
/// If the socket is not a TCP socket.
#[cfg(feature = "postgres")]
pub fn keep_alive(
    socket: &impl std::os::fd::AsFd,
    silence: Duration,
    interval: Duration,
    limit: Duration,
) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &seconds(silence))?;
    setsockopt(socket, sockopt::TcpKeepInterval, &seconds(interval))?;
    // Also limits the number of probes: with this option the kernel ignores TCP_KEEPCNT.
    let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    Ok(setsockopt(socket, sockopt::TcpUserTimeout, &limit)?)
}
