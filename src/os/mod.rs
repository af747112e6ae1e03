//! The operating system: signals, processes, descriptors. The only home of `nix`, and of `unsafe`.

pub mod family;
pub mod file;
pub mod helper;
pub mod output;
pub mod program;
mod signal;
pub mod signals;
pub mod spawn;
pub mod terminal;
pub mod tree;
pub mod user;

use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};

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

/// The type in a file's mode.
fn file_type(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

/// Whether this process runs in a container of Docker or Podman, each of which leaves a file there.
pub fn is_in_container() -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks.iter().any(|mark| Path::new(mark).exists())
}

/// Gives freed memory back to the system.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the argument is a number of bytes to keep; the call returns only memory that was freed.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Leaves the folder that the guard was started in, once the server runs there: an init needs no folder, and would
/// keep the file system busy that the folder is on. Where `/` cannot be entered, the guard stays where it is.
pub fn leave_folder() {
    let _ = nix::unistd::chdir("/");
}

/// The times of a connection's keep-alive probes.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug)]
pub struct KeepAliveTimes {
    /// The silence before the first probe.
    pub idle: std::time::Duration,
    /// The time between probes.
    pub interval: std::time::Duration,
    /// After how many unanswered probes the connection is broken.
    pub count: u32,
    /// How long sent data may stay unacknowledged before the connection is broken.
    pub unacknowledged: std::time::Duration,
}

/// Has the kernel probe whether the other end of a TCP connection is still there.
///
/// # Errors
/// When it is no TCP connection.
#[cfg(feature = "postgres")]
pub fn keep_alive(socket: &impl std::os::fd::AsFd, times: KeepAliveTimes) -> std::io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let milliseconds = u32::try_from(times.unacknowledged.as_millis()).unwrap_or(u32::MAX);
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &seconds(times.idle))?;
    setsockopt(socket, sockopt::TcpKeepInterval, &seconds(times.interval))?;
    setsockopt(socket, sockopt::TcpKeepCount, &times.count)?;
    setsockopt(socket, sockopt::TcpUserTimeout, &milliseconds)?;
    Ok(())
}
