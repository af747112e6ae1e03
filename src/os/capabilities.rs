//! Capabilities that would outlive a change of user.
//!
//! The kernel clears most of them when root becomes another user. The inheritable set stays, and with the
//! securebits `KEEP_CAPS` and `NO_SETUID_FIXUP` the others do, too (see capabilities(7)).

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Uid;

/// The version of the system calls that has 64 capabilities (`_LINUX_CAPABILITY_VERSION_3`).
const VERSION: u32 = 0x2008_0522;

/// What `capget` and `capset` are about (`struct __user_cap_header_struct`).
#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: libc::c_int,
}

/// 32 capabilities of each set (`struct __user_cap_data_struct`).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up what the calling thread, which has just become the user `uid`, must not pass on: the inheritable
/// set and with it the ambient one, and of a user other than root all others, too.
///
/// It allocates nothing: a child calls it between fork and exec.
///
/// # Errors
/// As the system says. The capabilities are then still there.
pub(super) fn give_up(uid: Uid) -> Result<(), Errno> {
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let mut sets = [Sets::default(); 2];
    // SAFETY: the header is valid, and of this version the call fills in two `Sets`.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    let kept = sets.map(|of| {
        if uid.is_root() {
            // The kernel takes out of the ambient set what leaves the inheritable one.
            Sets {
                inheritable: 0,
                ..of
            }
        } else {
            Sets::default()
        }
    });
    if kept == sets {
        return Ok(());
    }
    // SAFETY: the header is valid, and of this version the call reads two `Sets`.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, kept.as_ptr()) })?;
    Ok(())
}
