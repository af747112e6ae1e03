//! The set of signals that a thread blocks.
//!
//! The system call is made directly. The C library's `sigprocmask` leaves out signals 32 and 33, which it uses
//! among its threads, so with it an inherited mask that has them could not be passed on, and an init could not
//! wait for them.

use nix::errno::Errno;
use nix::libc;

use super::signal::Signal;

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask(u64);

/// The size of the kernel's signal sets, in bytes.
const SIZE: usize = size_of::<u64>();

impl Mask {
    pub const EMPTY: Mask = Mask(0);
    pub const ALL: Mask = Mask(u64::MAX);

    /// The place of a signal in a set: they are numbered from 1 on.
    pub const fn bit(number: i32) -> u64 {
        1 << (number - 1)
    }

    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | Self::bit(signal.0))
    }

    /// Every signal of these numbers that a predicate admits.
    pub fn of(is_in: impl Fn(Signal) -> bool) -> Self {
        (1..=Signal::MAX)
            .map(Signal)
            .filter(|&signal| is_in(signal))
            .fold(Self::EMPTY, Self::with)
    }

    pub const fn has_any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn as_ptr(&self) -> *const u64 {
        &raw const self.0
    }

    /// Makes this the mask; gives the one that was.
    pub fn set(self) -> Self {
        change(libc::SIG_SETMASK, self)
    }

    /// Takes these signals out of the mask; gives the one that was.
    pub fn unblock(self) -> Self {
        change(libc::SIG_UNBLOCK, self)
    }
}

fn change(how: i32, mask: Mask) -> Mask {
    let mut before = Mask::EMPTY;
    // Signals that stayed blocked would leave the guard deaf to stops and to the end of its children.
    let _ = super::persistently(|| {
        // SAFETY: both pointers are to sets of the size that the call is told.
        Errno::result(unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                how,
                &raw const mask.0,
                &raw mut before.0,
                SIZE,
            )
        })
    });
    before
}
