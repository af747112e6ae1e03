//! Changes the user of this process permanently.

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

/// A user's uid, gid and supplementary groups.
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
    /// Whether this process already runs as this user, so that nothing has to be changed.
    ///
    /// Supplementary groups are compared only for root, because no other user could give them up. A container that runs
    /// as another user with additional groups, such as Kubernetes' `fsGroup`, keeps them.
    pub fn is_current(&self) -> bool {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let is_user = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [uid; 3]);
        let is_group =
            getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [gid; 3]);
        is_user && is_group && (self.uid != 0 || self.has_current_groups())
    }

    /// Whether this process has exactly the user's supplementary groups. The gid is added to both sets, because
    /// container engines add it to the supplementary groups and /etc/group may not list it.
    fn has_current_groups(&self) -> bool {
        let with_gid = |groups: Vec<u32>| groups.into_iter().chain([self.gid]).collect();
        let wanted: BTreeSet<u32> = with_gid(self.groups.clone());
        getgroups()
            .is_ok_and(|groups| wanted == with_gid(groups.into_iter().map(Gid::as_raw).collect()))
    }

    /// Changes this process's user permanently, and gives up the capabilities that would outlive the change. Allocates
    /// nothing, because a child calls it between fork and exec.
    pub(super) fn become_it(&self) -> Result<(), Errno> {
        // SAFETY: the pointer and the length describe one vector of gids, which the call only reads.
        Errno::result(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })?;
        let gid = Gid::from_raw(self.gid);
        setresgid(gid, gid, gid)?;
        let uid = Uid::from_raw(self.uid);
        setresuid(uid, uid, uid)?;
        give_up_capabilities(uid)
    }

    /// Translates an error of `become_it` into a message.
    pub(super) fn error(&self, errno: Errno) -> StartError {
        let ids = format!("uid {}, gid {}", self.uid, self.gid);
        match errno {
            Errno::EPERM => StartError::NotPermitted(format!(
                "the guard runs as uid {} and may not become {ids}: start it as root with the capabilities SETUID \
                 and SETGID, or remove `user` from the manifest",
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
    /// could not open `/dev/stdout`. Does not change the owner of anything else, such as a file or a named pipe.
    pub(super) fn own_pipe(&self, stream: BorrowedFd<'_>) {
        if is_anonymous_pipe(stream) {
            // Errors are ignored: the user can still write to the inherited descriptor.
            let _ = fchown(stream, Some(Uid::from_raw(self.uid)), None);
        }
    }

    /// Makes the user the owner of those standard streams of this process that are anonymous pipes.
    pub(super) fn own_standard_streams(&self) {
        for stream in standard_streams() {
            self.own_pipe(stream);
        }
    }
}

/// The version of `capget` and `capset` for 64 capabilities (`_LINUX_CAPABILITY_VERSION_3`).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Gives up the capabilities that would outlive a change of user to `uid`: the inheritable set, and with it the ambient
/// set; unless the user is root, also the effective and permitted sets. The kernel clears the latter itself, except
/// with the securebits `KEEP_CAPS` and `NO_SETUID_FIXUP`, but keeps the inheritable set (see capabilities(7)).
///
/// Allocates nothing, because a child calls it between fork and exec.
fn give_up_capabilities(uid: Uid) -> Result<(), Errno> {
    // The version, and the process ID 0, which means the calling thread (`struct __user_cap_header_struct`).
    let mut header = [CAPABILITY_VERSION, 0];
    // The effective, permitted and inheritable sets: two halves of 32 capabilities each (`struct
    // __user_cap_data_struct`).
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: the header is valid, and with this version the call writes six numbers.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr())
    })?;
    let kept = sets.map(|[effective, permitted, _]| {
        if uid.is_root() {
            // The kernel also removes from the ambient set what is removed from the inheritable set.
            [effective, permitted, 0]
        } else {
            [0; 3]
        }
    });
    if kept != sets {
        // SAFETY: the header is valid, and with this version the call reads six numbers.
        Errno::result(unsafe {
            libc::syscall(libc::SYS_capset, header.as_mut_ptr(), kept.as_ptr())
        })?;
    }
    Ok(())
}
