//! Becoming another user, for good.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown, getresgid, getresuid, getuid, setresgid, setresuid};

/// A user in the kernel's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Why we are still who we were.
#[derive(Debug, thiserror::Error)]
pub enum BecomeError {
    #[error(
        "the guard runs as uid {0} and may not become uid {uid}, gid {gid}: start it as root, with the \
         capabilities SETUID and SETGID, or take `user` out of the manifest",
        current()
    )]
    NotPermitted { uid: u32, gid: u32 },
    #[error("uid {uid}, gid {gid} do not exist in this user namespace")]
    NotMapped { uid: u32, gid: u32 },
    #[error("the system refused to make the guard uid {uid}, gid {gid}: {errno}")]
    System { uid: u32, gid: u32, errno: Errno },
}

fn current() -> u32 {
    getuid().as_raw()
}

/// The group of this process, which a user without an entry in /etc/passwd keeps.
pub fn current_gid() -> u32 {
    nix::unistd::getgid().as_raw()
}

impl User {
    /// Whether this process is this user already, in every respect that it could change without being root.
    pub fn is_current(&self) -> bool {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let is_user = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [uid; 3]);
        is_user && getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [gid; 3])
    }

    /// Becomes the user, with no way back. It allocates nothing: a child calls it between fork and exec.
    pub(super) fn become_it(&self) -> Result<(), Errno> {
        // SAFETY: the list is of as many numbers as it is said to be.
        Errno::result(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })?;
        let gid = Gid::from_raw(self.gid);
        setresgid(gid, gid, gid)?;
        let uid = Uid::from_raw(self.uid);
        setresuid(uid, uid, uid)
    }

    /// What it means that `become_it` failed.
    pub(super) fn refusal(&self, errno: Errno) -> BecomeError {
        let Self { uid, gid, .. } = *self;
        match errno {
            Errno::EPERM => BecomeError::NotPermitted { uid, gid },
            Errno::EINVAL => BecomeError::NotMapped { uid, gid },
            errno => BecomeError::System { uid, gid, errno },
        }
    }

    /// Gives a pipe to the user, as engines do for an image's USER: `/dev/stdout` could not be opened
    /// otherwise. Anything but a pipe is somebody's file, and stays theirs.
    pub(super) fn own_pipe(&self, stream: BorrowedFd<'_>) {
        let is_pipe = fstat(stream).is_ok_and(|status| {
            SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO
        });
        if is_pipe {
            let _ = fchown(stream, Some(Uid::from_raw(self.uid)), None);
        }
    }

    /// The same for this process's own streams.
    pub(super) fn own_standard_streams(&self) {
        for number in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: Rust's runtime keeps 0, 1 and 2 open.
            self.own_pipe(unsafe { BorrowedFd::borrow_raw(number) });
        }
    }
}
