//! Becoming another user, for good.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{
    Gid, Uid, fchown, getgid, getgroups, getresgid, getresuid, getuid, setresgid, setresuid,
};

use super::capabilities;
use super::pipe::is_anonymous_pipe;

/// A user in the kernel's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Why this process could not become the user.
#[derive(Debug, thiserror::Error)]
pub enum BecomeError {
    #[error(
        "the guard runs as uid {0} and may not become uid {uid}, gid {gid}: start it as root, with the \
         capabilities SETUID and SETGID, or take `user` out of the manifest",
        current_uid()
    )]
    NotPermitted { uid: u32, gid: u32 },
    #[error("uid {uid}, gid {gid} do not exist in this user namespace")]
    NotMapped { uid: u32, gid: u32 },
    #[error("the system refused to make the guard uid {uid}, gid {gid}: {errno}")]
    System { uid: u32, gid: u32, errno: Errno },
}

/// The real uid of this process.
pub fn current_uid() -> u32 {
    getuid().as_raw()
}

/// The real gid of this process.
pub fn current_gid() -> u32 {
    getgid().as_raw()
}

impl User {
    /// Whether this process is this user already, so that there is nothing to change.
    ///
    /// Supplementary groups count for root alone, who can give them up. A container that was started as
    /// another user with additional groups, such as Kubernetes' `fsGroup`, keeps them.
    pub fn is_current(&self) -> bool {
        let is_user = getresuid()
            .is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [Uid::from_raw(self.uid); 3]);
        let is_group = getresgid()
            .is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [Gid::from_raw(self.gid); 3]);
        is_user && is_group && (self.uid != 0 || self.has_current_groups())
    }

    /// Whether this process belongs to the user's groups and to no other. The gid is a group, too: container
    /// engines list it among the supplementary groups, and /etc/group need not.
    fn has_current_groups(&self) -> bool {
        let with_gid = |groups: Vec<u32>| groups.into_iter().chain([self.gid]).collect();
        let wanted: BTreeSet<u32> = with_gid(self.groups.clone());
        getgroups()
            .is_ok_and(|groups| wanted == with_gid(groups.into_iter().map(Gid::as_raw).collect()))
    }

    /// Becomes the user, with no way back, and gives up the capabilities that would outlive the change.
    /// It allocates nothing: a child calls it between fork and exec.
    pub(super) fn become_it(&self) -> Result<(), Errno> {
        // SAFETY: the pointer and the length are those of one vector of gids, which the call only reads.
        Errno::result(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })?;
        let gid = Gid::from_raw(self.gid);
        setresgid(gid, gid, gid)?;
        let uid = Uid::from_raw(self.uid);
        setresuid(uid, uid, uid)?;
        capabilities::give_up(uid)
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

    /// Gives an anonymous pipe to the user, as container engines do for an image's USER: without it the user
    /// could not open `/dev/stdout`. Everything else, a named pipe too, is a file of somebody's and stays theirs.
    pub(super) fn own_pipe(&self, stream: BorrowedFd<'_>) {
        if is_anonymous_pipe(stream) {
            // Without it the user can still write to the descriptor that it inherits.
            let _ = fchown(stream, Some(Uid::from_raw(self.uid)), None);
        }
    }

    /// The same for this process's own streams.
    pub(super) fn own_standard_streams(&self) {
        for number in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: 0, 1 and 2 are open: Rust's runtime has opened /dev/null for each that was closed when
            // this program was started, or has aborted, and nothing here closes one.
            self.own_pipe(unsafe { BorrowedFd::borrow_raw(number) });
        }
    }
}
