//! Memory that is not needed any more.

/// Gives freed memory back to the system.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the argument is a number of bytes to keep; the call returns only memory that was freed.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
