//! Pipes.

use std::os::fd::BorrowedFd;

use nix::sys::statfs::{FsType, fstatfs};

/// The type of the file system that holds anonymous pipes and nothing else (`PIPEFS_MAGIC` in the kernel's
/// `linux/magic.h`).
const PIPEFS: FsType = FsType(0x5049_5045);

/// Whether a descriptor is one end of an anonymous pipe, as `pipe(2)` makes it. A named pipe is a file in
/// somebody's folder, and is none.
pub(super) fn is_anonymous_pipe(descriptor: BorrowedFd<'_>) -> bool {
    fstatfs(descriptor).is_ok_and(|status| status.filesystem_type() == PIPEFS)
}
