//! The way from the kernel into `main`, in place of the C library's own.
//!
//! A static program of the GNU C library asks the processor about itself before `main`: which instructions it
//! has, and, one by one, how large its caches are, to choose among variants of `memcpy` and its like. That is 68
//! `cpuid` instructions. A virtual machine traps each of them: 0.54 of the 1.0 ms that a start of the guard took.
//! For a program that copies a few kilobytes and then becomes another, the answer does not matter. So this start
//! does all that the library's does, in its order, but for the questions; without answers every choice falls to
//! the variant that any x86-64 processor can run. (Whoever profits from more, the masking of a relay or the
//! cryptography, asks by itself when it gets to work.)
//!
//! What it calls is the library's inside, and may change with each version. Hence `build.rs` takes this in only
//! where it finds version 2.36, of which this follows `csu/libc-start.c`; with any other, the program starts as
//! ever, with the same effect. `--no-default-features` takes it out, too.
//!
//! Until the relocations are applied nothing here may call `memcpy` or `memset`, not even by the compiler's
//! choice, and until the thread-local storage is set up nothing may touch it.

use std::arch::asm;
use std::ffi::{c_char, c_int, c_void};

use nix::libc::exit;

/// `main`, and what stands in the arrays of initialisers.
type Entry = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;

/// Of x86-64's relocations the only one in a static program.
const R_X86_64_IRELATIVE: u64 = 37;
/// A place that holds the address of one among several functions, and which function chooses it.
#[repr(C)]
struct Relocation {
    place: *mut usize,
    info: u64,
    choose: extern "C" fn() -> usize,
}

/// The library's name for the plain instruction set.
const HWCAP_X86_64: u64 = 2;

unsafe extern "C" {
    static mut __environ: *mut *mut c_char;
    static mut __libc_stack_end: *mut c_void;
    static mut _dl_hwcap: u64;
    /// Sixteen random bytes of the kernel's, wherever it put them.
    static _dl_random: *const usize;
    static __libc_enable_secure: c_int;
    /// What the processor can do: left at zero, nothing but the plain instruction set, except for `Caches`.
    static mut _dl_x86_cpu_features: CpuFeatures;

    // Where the linker lets each begin and end.
    static __rela_iplt_start: [Relocation; 0];
    static __rela_iplt_end: [Relocation; 0];
    static __preinit_array_start: [Entry; 0];
    static __preinit_array_end: [Entry; 0];
    static __init_array_start: [Entry; 0];
    static __init_array_end: [Entry; 0];

    fn _dl_aux_init(vector: *mut *mut c_char);
    fn __tunables_init(environment: *mut *mut c_char);
    fn __libc_setup_tls();
    fn __libc_early_init(is_initial: bool);
    fn __libc_init_first(count: c_int, arguments: *mut *mut c_char, environment: *mut *mut c_char);
    fn __libc_check_standard_fds();
    fn _dl_debug_initialize(load_address: usize, name_space: isize) -> *mut c_void;
    fn _init();
}

/// The end of the library's `struct cpu_features`, of which a library that is loaded later takes a copy.
#[repr(C)]
struct CpuFeatures {
    of_the_processor: [u8; 0x150],
    caches: Caches,
}

/// From which sizes on memory is copied how, in bytes.
#[repr(C)]
struct Caches {
    data_cache: usize,
    shared_cache: usize,
    non_temporal_threshold: usize,
    rep_movsb_threshold: usize,
    rep_movsb_stop_threshold: usize,
    rep_stosb_threshold: usize,
}

/// What the library itself assumes of a processor that it does not know.
static CACHES: Caches = Caches {
    data_cache: 32 * 1024,
    shared_cache: 1024 * 1024,
    non_temporal_threshold: 768 * 1024,
    rep_movsb_threshold: 2048,
    rep_movsb_stop_threshold: 768 * 1024,
    rep_stosb_threshold: 2048,
};

/// The copies of these values that the functions themselves read.
mod thresholds {
    use super::CACHES;
    use std::ffi::c_int;

    macro_rules! thresholds {
        ($($name:ident: $type:ty = $value:expr;)*) => {$(
            #[used]
            #[unsafe(no_mangle)]
            // SAFETY: the library's own definition stands in the object that this file replaces; same type.
            static $name: $type = $value;
        )*};
    }

    thresholds! {
        __x86_data_cache_size: usize = CACHES.data_cache;
        __x86_data_cache_size_half: usize = CACHES.data_cache / 2;
        __x86_shared_cache_size: usize = CACHES.shared_cache;
        __x86_shared_cache_size_half: usize = CACHES.shared_cache / 2;
        __x86_shared_non_temporal_threshold: usize = CACHES.non_temporal_threshold;
        __x86_rep_movsb_threshold: usize = CACHES.rep_movsb_threshold;
        __x86_rep_movsb_stop_threshold: usize = CACHES.rep_movsb_stop_threshold;
        __x86_rep_stosb_threshold: usize = CACHES.rep_stosb_threshold;
        __x86_string_control: c_int = 0;
    }
}

/// Called by `_start` with what the kernel left on the stack.
///
/// The library's own can also end the main thread alone and run destructors of the whole program (`fini_array`);
/// the guard has neither.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_start_main(
    main: Entry,
    count: c_int,
    arguments: *mut *mut c_char,
    _init_unused: *const c_void,
    _fini_unused: *const c_void,
    // Of a dynamic linker's: there is none.
    _rtld_fini: *const c_void,
    stack_end: *mut c_void,
) -> ! {
    // SAFETY: this is the only thread, at the very beginning; each function is called once, where the library's
    // own start calls it; the kernel puts arguments, environment and auxiliary vector one behind the other.
    unsafe {
        let environment = arguments.offset(count as isize + 1);
        __environ = environment;
        __libc_stack_end = stack_end;
        let mut end = environment;
        while !(*end).is_null() {
            end = end.add(1);
        }
        _dl_aux_init(end.add(1));
        __tunables_init(environment);

        // One by one: all at once could become a call of memcpy.
        _dl_x86_cpu_features.caches.data_cache = CACHES.data_cache;
        _dl_x86_cpu_features.caches.shared_cache = CACHES.shared_cache;
        _dl_x86_cpu_features.caches.non_temporal_threshold = CACHES.non_temporal_threshold;
        _dl_x86_cpu_features.caches.rep_movsb_threshold = CACHES.rep_movsb_threshold;
        _dl_x86_cpu_features.caches.rep_movsb_stop_threshold = CACHES.rep_movsb_stop_threshold;
        _dl_x86_cpu_features.caches.rep_stosb_threshold = CACHES.rep_stosb_threshold;
        _dl_hwcap = HWCAP_X86_64;
        choose_functions();

        __libc_setup_tls();
        set_canaries(
            _dl_random.read_unaligned(),
            _dl_random.add(1).read_unaligned(),
        );
        __libc_early_init(true);
        __libc_init_first(count, arguments, environment);
        if __libc_enable_secure != 0 {
            __libc_check_standard_fds();
        }

        let initialise = |start: *const Entry, end: *const Entry| {
            let mut next = start;
            while next < end {
                (*next)(count, arguments, environment);
                next = next.add(1);
            }
        };
        initialise(
            (&raw const __preinit_array_start).cast(),
            (&raw const __preinit_array_end).cast(),
        );
        _init();
        initialise(
            (&raw const __init_array_start).cast(),
            (&raw const __init_array_end).cast(),
        );
        _dl_debug_initialize(0, 0);
        exit(main(count, arguments, environment))
    }
}

/// Applies the relocations: each asks a function of the library which variant of another it is to be.
///
/// # Safety
/// Once, before anything of the library that has variants is called.
unsafe fn choose_functions() {
    // SAFETY: the linker made the table and the places that it names; in a program at a fixed address they are
    // where it says.
    unsafe {
        let mut next: *const Relocation = (&raw const __rela_iplt_start).cast();
        let end: *const Relocation = (&raw const __rela_iplt_end).cast();
        while next < end {
            let relocation = &*next;
            if relocation.info & 0xffff_ffff != R_X86_64_IRELATIVE {
                // There is no way yet to say why.
                asm!("ud2", options(noreturn));
            }
            *relocation.place = (relocation.choose)();
            next = next.add(1);
        }
    }
}

/// Sets the stack's canary, whose first byte ends a string, and what stored jump targets are mixed with.
///
/// # Safety
/// Once, right after the thread's control block exists.
unsafe fn set_canaries(stack: usize, pointers: usize) {
    // SAFETY: the places are the x86-64 ABI's in the thread's control block, to which fs points.
    unsafe {
        asm!(
            "mov fs:[0x28], {stack}",
            "mov fs:[0x30], {pointers}",
            stack = in(reg) stack & !0xff,
            pointers = in(reg) pointers,
            options(nostack, preserves_flags)
        );
    }
}
