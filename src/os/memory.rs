//! Memory that is not needed any more.

/// Gives freed memory back to the system.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number of bytes to keep, and touches nothing that is in use.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
