//! The operating system: signals, processes, descriptors. The only home of `nix`, and of `unsafe`.

pub mod family;
pub mod file;
pub mod output;
pub mod program;
mod signal;
pub mod signals;
pub mod spawn;
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

/// The signals by which the C library reaches its threads, for example to change the user of all of them. A thread
/// that blocks these makes such a call wait for ever.
const OF_LIBRARY: SignalSet = SignalSet::of(&[Signal(32), Signal(33)]);

/// How often a call is attempted whose error would leave the guard, or a reaper, waiting for ever.
const ATTEMPTS: usize = 3;

/// Makes a system call, and repeats it when it fails, unless the error is an answer: that there is no child
/// (ECHILD), or nothing to read and no room to write (EAGAIN).
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

/// The type in a file's mode.
fn file_type(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

/// Whether this process runs in a container of Docker or Podman, each of which leaves a file there.
pub fn is_in_container() -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks.iter().any(|mark| Path::new(mark).exists())
}

/// Starts a helper thread, for calls that block and cannot be interrupted: the resolver of names, and a database's
/// client. No helper is waited for: it ends with the process, or when the process executes the server. It inherits a
/// mask that blocks all signals, so they all reach the main thread.
///
/// # Errors
/// When the system refuses a thread.
pub fn spawn_helper(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mask = SignalSet::ALL.without(OF_LIBRARY).set_as_mask();
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    mask.set_as_mask();
    started.map(drop)
}

/// Sends a report of a helper thread, and wakes the main thread, which waits in `Signals::wait`. Returns whether
/// anybody can still receive it.
pub fn send_report<T>(reports: &Sender<T>, report: T) -> bool {
    let is_received = reports.send(report).is_ok();
    signals::wake_main_thread();
    is_received
}

/// Gives freed memory back to the system.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the argument is a number of bytes to keep; the call returns only memory that was freed.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Leaves the folder that the guard was started in, once the server runs there: an init needs no folder, and would
/// keep the file system busy that the folder is on. Where `/` cannot be entered, the guard stays where it is.
pub fn leave_folder() {
    let _ = nix::unistd::chdir("/");
}

/// Has the kernel probe whether the other end of a TCP connection is still there: after `silence`, and then again and
/// again. The connection is broken when nothing was acknowledged for the time of `limit`.
///
/// # Errors
/// When it is no TCP connection.
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
    // Also limits the probes: the kernel does not count them then.
    let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    Ok(setsockopt(socket, sockopt::TcpUserTimeout, &limit)?)
}
