//! What the processor is asked before the guard gets to its own work: in a virtual machine each question costs
//! a trap, and the C library's own start has dozens.

use std::ffi::c_long;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::ptr;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{Needs, Test};

pub const TESTS: &[Test] = &[(
    "the_processor_is_asked_nothing_on_the_way_in",
    Needs::QuickStart,
    no_questions,
)];

/// The `cpuid` instruction, as the lower half of a word.
const CPUID: c_long = 0xa20f;

/// Follows the guard instruction by instruction.
fn no_questions() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_startup-guard"));
    command.arg("--version").stdout(Stdio::null());
    // SAFETY: between fork and exec this makes one system call.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let mut child = command.spawn().expect("the guard starts, traced");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("the kernel's ids are small"));

    let (mut instructions, mut questions) = (0_u64, 0_u64);
    loop {
        match waitpid(pid, None).expect("it is our child") {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            WaitStatus::Exited(_, code) => {
                assert_eq!(code, 0);
                break;
            }
            other => {
                let _ = child.kill();
                panic!("{other:?}");
            }
        }
        instructions += 1;
        questions += u64::from(next_word(pid) & 0xffff == CPUID);
        // SAFETY: it is our tracee, and stopped.
        let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid.as_raw(), 0, 0) };
        assert_eq!(stepped, 0);
    }
    // It is collected already.
    let _ = child.wait();
    assert!(instructions > 1000, "{instructions} instructions");
    assert_eq!(questions, 0);
}

/// What the tracee is about to execute.
fn next_word(pid: Pid) -> c_long {
    let none = ptr::null_mut::<libc::c_void>();
    let place = std::mem::offset_of!(libc::user, regs.rip);
    // SAFETY: it is our tracee, and stopped; both read a word of its and write nothing.
    unsafe {
        let instruction = libc::ptrace(libc::PTRACE_PEEKUSER, pid.as_raw(), place, none);
        libc::ptrace(libc::PTRACE_PEEKTEXT, pid.as_raw(), instruction, none)
    }
}
