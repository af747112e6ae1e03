//! Files that a user names. A file that is not regular is refused, since it could keep the guard waiting without
//! a word, and a stop is heard while a pipe is read.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::pipe::is_anonymous_pipe;
use super::signals::{requested_stop, stop_descriptor};

/// One read, in bytes.
const CHUNK: usize = 16 * 1024;

/// Reads a regular file, and of a large one no more than one byte over `limit`. Links are followed.
///
/// # Errors
/// As the system says; `InvalidInput`, with what it is, when it is not a regular file.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open_admitted(path, |_| false)?;
    // What tells no size comes in chunks.
    let size = usize::try_from(fstat(&file)?.st_size).unwrap_or_default();
    read_to_end(file.as_fd(), size, limit, false)
}

/// Reads what a person names: a regular file, or an anonymous pipe, which is what a shell makes of `<(command)`
/// and of standard input as `/dev/stdin`. Of a large one no more than one byte over `limit`.
///
/// # Errors
/// As the system says; `InvalidInput`, with what it is, when it is neither; `Interrupted` when a stop was asked
/// for while a pipe was read.
pub fn read_input(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open_admitted(path, is_anonymous_pipe)?;
    let size = usize::try_from(fstat(&file)?.st_size).unwrap_or_default();
    let is_pipe = is_anonymous_pipe(file.as_fd());
    read_to_end(file.as_fd(), size, limit, is_pipe)
}

/// Reads standard input, whatever it is, and of a large one no more than one byte over `limit`.
///
/// # Errors
/// As the system says; `Interrupted` when a stop was asked for.
pub fn read_standard_input(limit: usize) -> io::Result<Vec<u8>> {
    read_to_end(io::stdin().as_fd(), 0, limit, true)
}

/// Opens a file that is regular, or that `is_admitted` takes all the same.
fn open_admitted(path: &Path, is_admitted: fn(BorrowedFd<'_>) -> bool) -> io::Result<OwnedFd> {
    let check = |file: BorrowedFd<'_>| match kind_of(file)? {
        None => Ok(()),
        Some(_) if is_admitted(file) => Ok(()),
        Some("directory") => Err(Errno::EISDIR.into()),
        Some(kind) => Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!("not a regular file but a {kind}"),
        )),
    };
    // To open a device can do something, and to open a named pipe lets its writer go on: so look before.
    let place = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    check(place.as_fd())?;
    let file = open(
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY,
        Mode::empty(),
    )?;
    // There may be another file by now.
    check(file.as_fd())?;
    Ok(file)
}

/// What a file is if it is not regular.
fn kind_of(file: BorrowedFd<'_>) -> io::Result<Option<&'static str>> {
    let mode = SFlag::from_bits_truncate(fstat(file)?.st_mode) & SFlag::S_IFMT;
    Ok(match mode {
        SFlag::S_IFREG => None,
        SFlag::S_IFDIR => Some("directory"),
        SFlag::S_IFIFO if is_anonymous_pipe(file) => Some("pipe"),
        SFlag::S_IFIFO => Some("named pipe"),
        SFlag::S_IFSOCK => Some("socket"),
        SFlag::S_IFCHR => Some("character device"),
        SFlag::S_IFBLK => Some("block device"),
        _ => Some("special file"),
    })
}

/// Reads up to the end, or to one byte over `limit`. What comes from another process is waited for.
fn read_to_end(
    file: BorrowedFd<'_>,
    size: usize,
    limit: usize,
    is_waited_for: bool,
) -> io::Result<Vec<u8>> {
    let first = if size == 0 { CHUNK } else { size.min(limit) };
    // A byte more, so that the end behind a file of that size shows at once.
    let mut content = vec![0; first + 1];
    let mut filled = 0;
    while filled <= limit {
        if filled == content.len() {
            content.resize(filled + CHUNK, 0);
        }
        if is_waited_for {
            wait_for(file)?;
        }
        match nix::unistd::read(file, &mut content[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::EINTR) => {}
            // Another reader of the same pipe was faster.
            Err(Errno::EAGAIN) if is_waited_for => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    content.truncate(filled.min(limit + 1));
    Ok(content)
}

/// Waits until there is something to read, or the end.
fn wait_for(file: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        if requested_stop().is_some() {
            return Err(ErrorKind::Interrupted.into());
        }
        let mut polled = vec![PollFd::new(file, PollFlags::POLLIN)];
        polled.extend(stop_descriptor().map(|stop| PollFd::new(stop, PollFlags::POLLIN)));
        match nix::poll::poll(&mut polled, PollTimeout::NONE) {
            Ok(_) if polled[0].any() == Some(true) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
