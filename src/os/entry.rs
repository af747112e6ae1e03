//! Where the C library enters the program.
//!
//! Not through the standard library's own start: what that does for a program in general (it reads
//! `/proc/self/maps` to find the stack, and gives the signal handlers a stack of their own) took 60 of a start's
//! 900 µs. What the guard needs of it is done here.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::Mode;

/// Makes a function the program's `main`. Its result is the exit code.
macro_rules! entry {
    ($main:path) => {
        #[cfg(not(test))]
        #[expect(unsafe_code, reason = "C's main has a name that the linker must find")]
        // SAFETY: this is the one `main`, with the type that the C library calls; the standard library takes
        // the arguments for itself before.
        #[unsafe(no_mangle)]
        extern "C" fn main() -> std::ffi::c_int {
            $crate::os::entry::prepare();
            std::ffi::c_int::from($main())
        }
    };
}
pub(crate) use entry;

/// Opens standard streams that are closed, so that nothing else takes their numbers, and makes a reader that
/// went away an error of the write instead of our end.
#[cfg_attr(
    test,
    expect(dead_code, reason = "the test runner has a main of its own")
)]
pub fn prepare() {
    open_standard_streams();
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code of ours.
    let _ = unsafe { sigaction(Signal::SIGPIPE, &ignore) };
}

fn open_standard_streams() {
    // SAFETY: a number that is not open is what this asks about; it is not used for anything else.
    let streams = [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    let mut polled = streams.map(|stream| PollFd::new(stream, PollFlags::empty()));
    if poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready == 0) {
        return;
    }
    let is_closed = |polled: &&PollFd<'_>| {
        polled
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLNVAL))
    };
    for _ in polled.iter().filter(is_closed) {
        // The lowest free number is the first closed stream's.
        if let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty())
            && null.as_raw_fd() <= libc::STDERR_FILENO
        {
            // It stays open to the end.
            std::mem::forget(null);
        }
    }
}
