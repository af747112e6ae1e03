//! Reads files that the user names. Only regular files are read, and, for an input on the command line, anonymous
//! pipes: a read of any other file could block forever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{O_NOCTTY, O_NONBLOCK};
use nix::poll::PollFlags;
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use super::file_type;
use super::signals::wait_unless_stopped;

/// The size of one read, in bytes.
const CHUNK: usize = 16 * 1024;

/// The file from which Kubernetes reads why a container has ended.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// How much of that file Kubernetes reads, in bytes.
const MAX_TERMINATION_LOG: usize = 4096;

/// The type of the kernel's file system for anonymous pipes (`PIPEFS_MAGIC` in `linux/magic.h`).
const PIPEFS: FsType = FsType(0x5049_5045);

/// Reads at most `limit` + 1 bytes of a regular file, so that the caller can detect a longer one. Follows symbolic
/// links.
///
/// # Errors
/// If the file cannot be opened or read. `InvalidInput`, with the file's type in its text, if it is not a regular file.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_to_end(open_admitted(path, false)?.as_fd(), limit, false)
}

/// Reads at most `limit` + 1 bytes of a file that is named on the command line: a regular file or an anonymous pipe,
/// such as a shell passes for `<(command)`, or `/dev/stdin` in a pipeline.
///
/// # Errors
/// If the file cannot be opened or read. `InvalidInput`, with the file's type in its text, if it is neither.
/// `Interrupted` if a stop arrives while a pipe is read.
pub fn read_input(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open_admitted(path, true)?;
    read_to_end(file.as_fd(), limit, is_anonymous_pipe(file.as_fd()))
}

/// Reads at most `limit` + 1 bytes of standard input, which may be a file of any type.
///
/// # Errors
/// If the read fails. `Interrupted` if a stop arrives.
pub fn read_standard_input(limit: usize) -> io::Result<Vec<u8>> {
    read_to_end(io::stdin().as_fd(), limit, true)
}

/// Creates a file with this text. If the text cannot be written, no file is left.
///
/// # Errors
/// `AlreadyExists` if the path exists, also as a symbolic link that leads nowhere. Any other error of the system.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Writes a line to the termination log, if that file exists. Ignores errors.
pub fn write_termination_log(line: &str) {
    let file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(TERMINATION_LOG);
    if let Ok(mut file) = file {
        let end = line.floor_char_boundary(MAX_TERMINATION_LOG - 1);
        let _ = file.write_all(&line.as_bytes()[..end]);
    }
}

/// Whether a descriptor is one end of an anonymous pipe, which `pipe(2)` creates. Returns false for a named pipe.
pub(super) fn is_anonymous_pipe(descriptor: BorrowedFd<'_>) -> bool {
    fstatfs(descriptor).is_ok_and(|status| status.filesystem_type() == PIPEFS)
}

/// Opens a regular file, or an anonymous pipe if `admits_pipe` is true.
fn open_admitted(path: &Path, admits_pipe: bool) -> io::Result<OwnedFd> {
    let check = |file: BorrowedFd<'_>| {
        let kind = match file_type(&fstat(file)?) {
            SFlag::S_IFREG => return Ok(()),
            SFlag::S_IFDIR => return Err(Errno::EISDIR.into()),
            SFlag::S_IFIFO if is_anonymous_pipe(file) && admits_pipe => return Ok(()),
            SFlag::S_IFIFO if is_anonymous_pipe(file) => "pipe",
            SFlag::S_IFIFO => "named pipe",
            SFlag::S_IFSOCK => "socket",
            SFlag::S_IFCHR => "character device",
            SFlag::S_IFBLK => "block device",
            _ => "special file",
        };
        let text = format!("not a regular file but a {kind}");
        Err(io::Error::new(ErrorKind::InvalidInput, text))
    };
    // Check the type before opening the file for reading: opening a device or a named pipe has side effects.
    let place = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    check(place.as_fd())?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = open(path, flags, Mode::empty())?;
    // The path may name another file by now.
    check(file.as_fd())?;
    Ok(file)
}

/// Reads to the end of the file, or `limit` + 1 bytes. If `is_waited_for` is true, waits for a writer of the pipe until
/// a stop arrives.
fn read_to_end(file: BorrowedFd<'_>, limit: usize, is_waited_for: bool) -> io::Result<Vec<u8>> {
    let (mut content, mut chunk) = (Vec::new(), [0; CHUNK]);
    while content.len() <= limit {
        if is_waited_for && !wait_unless_stopped(file, PollFlags::POLLIN)? {
            return Err(ErrorKind::Interrupted.into());
        }
        match nix::unistd::read(file, &mut chunk) {
            Ok(0) => break,
            Ok(count) => content.extend_from_slice(&chunk[..count]),
            Err(Errno::EINTR) => {}
            // Another reader of the same pipe has read the data.
            Err(Errno::EAGAIN) if is_waited_for => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    content.truncate(limit + 1);
    Ok(content)
}
