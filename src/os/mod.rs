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

/// What `execve` takes: strings that end in NUL.
pub(crate) fn c_strings(texts: impl IntoIterator<Item = OsString>) -> Vec<CString> {
    // A NUL can come neither from an environment nor from arguments; the manifest's are checked.
    texts
        .into_iter()
        .filter_map(|text| CString::new(text.into_vec()).ok())
        .collect()
}
