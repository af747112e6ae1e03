//! Becoming another user, for good.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{
    Gid, Uid, fchown, getgid, getgroups, getresgid, getresuid, getuid, setresgid, setresuid,
};

use super::file::is_anonymous_pipe;
use super::program::StartError;
use super::standard_streams;

/// A user in the kernel's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// The real uid and gid of this process.
pub fn current_ids() -> (u32, u32) {
    (getuid().as_raw(), getgid().as_raw())
}

impl User {
    /// Whether this process is this user already, so that nothing is to be changed.
    ///
    /// Supplementary groups are compared for root alone, who can give them up. A container that was started as
    /// another user with additional groups, such as Kubernetes' `fsGroup`, keeps them.
    pub fn is_current(&self) -> bool {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let is_user = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [uid; 3]);
        let is_group =
            getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [gid; 3]);
        is_user && is_group && (self.uid != 0 || self.has_current_groups())
    }

    /// Whether this process belongs to the user's groups and to no other. The gid is added to both sides: container
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
        give_up_capabilities(uid)
    }

    /// What an error of `become_it` means for a person.
    pub(super) fn error(&self, errno: Errno) -> StartError {
        let ids = format!("uid {}, gid {}", self.uid, self.gid);
        match errno {
            Errno::EPERM => StartError::NotPermitted(format!(
                "the guard runs as uid {} and may not become {ids}: start it as root, with the capabilities SETUID \
                 and SETGID, or take `user` out of the manifest",
                getuid()
            )),
            Errno::EINVAL => {
                StartError::NotPermitted(format!("{ids} do not exist in this user namespace"))
            }
            errno => StartError::System(format!(
                "the system refused to make the guard {ids}: {errno}"
            )),
        }
    }

    /// Makes the user the owner of an anonymous pipe, as container engines do for an image's USER: otherwise the user
    /// could not open `/dev/stdout`. Everything else, a named pipe too, is a file that belongs to somebody.
    pub(super) fn own_pipe(&self, stream: BorrowedFd<'_>) {
        if is_anonymous_pipe(stream) {
            // An error is ignored: the user can still write to the inherited descriptor.
            let _ = fchown(stream, Some(Uid::from_raw(self.uid)), None);
        }
    }

    /// The same for this process's own streams.
    pub(super) fn own_standard_streams(&self) {
        for stream in standard_streams() {
            self.own_pipe(stream);
        }
    }
}

/// The version of the system calls that has 64 capabilities (`_LINUX_CAPABILITY_VERSION_3`).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Gives up the capabilities that would outlive a change of user to `uid`: the inheritable set and with it the
/// ambient set; of a user other than root all others, too. The kernel itself clears most of them. It keeps the
/// inheritable set, and with the securebits `KEEP_CAPS` and `NO_SETUID_FIXUP` the others (see capabilities(7)).
///
/// It allocates nothing: a child calls it between fork and exec.
fn give_up_capabilities(uid: Uid) -> Result<(), Errno> {
    // The version, and 0 for the calling thread (`struct __user_cap_header_struct`).
    let mut header = [CAPABILITY_VERSION, 0];
    // Twice 32 capabilities: effective, permitted, inheritable (`struct __user_cap_data_struct`).
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: the header is valid, and of this version the call fills in six numbers.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr())
    })?;
    let kept = sets.map(|[effective, permitted, _]| {
        if uid.is_root() {
            // The kernel removes from the ambient set what leaves the inheritable set.
            [effective, permitted, 0]
        } else {
            [0; 3]
        }
    });
    if kept != sets {
        // SAFETY: the header is valid, and of this version the call reads six numbers.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_capset, header.as_mut_ptr(), kept.as_ptr())
        })?;
    }
    Ok(())
}
