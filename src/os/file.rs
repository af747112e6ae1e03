//! Files that we are told to read: whatever they are, a stop is heard while they are read.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::{Mode, fstat};

use super::signals::{requested_stop, stop_descriptor};

/// One read, in bytes.
const CHUNK: usize = 16 * 1024;

/// Reads a file, and of a large one no more than one byte over `limit`. A named pipe without a writer is
/// waited for, and a stop ends that wait.
///
/// # Errors
/// As the system says; `Interrupted` when a stop was asked for.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )?;
    // Exactly a plain file's content and the end behind it; what tells no size comes in chunks.
    let size = match usize::try_from(fstat(&file)?.st_size) {
        Ok(size @ 1..) => size.min(limit),
        _ => CHUNK,
    };
    let mut content = vec![0; size + 1];
    let mut filled = 0;
    while filled <= limit {
        if filled == content.len() {
            content.resize(filled + CHUNK, 0);
        }
        match nix::unistd::read(&file, &mut content[filled..]) {
            // A named pipe that nobody has opened for writing yet reads as empty; poll knows better.
            Ok(0) if filled > 0 || !is_unopened_pipe(&file)? => break,
            Ok(0) | Err(Errno::EAGAIN) => wait_for(&file)?,
            Ok(count) => filled += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    content.truncate(filled.min(limit + 1));
    Ok(content)
}

/// Reads standard input, and of a large one no more than one byte over `limit`.
///
/// # Errors
/// As the system says.
pub fn read_standard_input(limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::stdin()
        .lock()
        .take(limit as u64 + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// Poll reports the end of a pipe as soon as its last writer has gone, and nothing before the first came.
fn is_unopened_pipe(file: impl AsFd) -> io::Result<bool> {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    Ok(nix::poll::poll(&mut polled, PollTimeout::ZERO)? == 0)
}

fn wait_for(file: impl AsFd) -> io::Result<()> {
    if requested_stop().is_some() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let mut polled = vec![PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    polled.extend(stop_descriptor().map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
    match nix::poll::poll(&mut polled, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
