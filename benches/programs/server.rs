//! A trivial server: a static program without a C library that exits with 0 at once, so that only the start is measured
//! and not the server.
#![no_std]
#![no_main]

use core::arch::global_asm;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor edi, edi",
    "mov eax, 231 // exit_group",
    "syscall"
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x0, #0",
    "mov x8, #94 // exit_group",
    "svc #0"
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
