//! The operating system: signals, processes, descriptors. The only home of `nix`, and of `unsafe`.

mod capabilities;
pub mod child;
pub mod container;
pub mod exec;
pub mod family;
pub mod file;
pub mod fork;
pub mod helper;
mod mask;
pub mod memory;
pub mod output;
mod pipe;
pub mod program;
pub mod queue;
pub mod server;
mod signal;
pub mod signals;
#[cfg(feature = "postgres")]
pub mod socket;
pub mod terminal;
pub mod termination;
pub mod user;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;

/// How often a call is attempted whose failure would leave the guard, or a reaper, deaf or waiting for ever.
const ATTEMPTS: usize = 3;

/// Makes a system call, and makes it again where it fails, unless the failure is an answer: that there is no
/// child (ECHILD), or nothing to read and no room to write (EAGAIN).
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

/// What `execve` takes: strings that end in NUL.
pub(crate) fn c_strings(texts: impl IntoIterator<Item = OsString>) -> Vec<CString> {
    // A NUL can come neither from an environment nor from arguments; the manifest's are checked.
    texts
        .into_iter()
        .filter_map(|text| CString::new(text.into_vec()).ok())
        .collect()
}
