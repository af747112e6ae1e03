//! How the binary is linked, according to the ELF headers of the file that the tests run.

use object::elf::{
    DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DT_FLAGS, DT_FLAGS_1, ET_DYN, FileHeader64, PF_W, PF_X,
    PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, read::elf::ElfFile64};

/// Whether Rust links static programs so that they can run at any address. It does not for aarch64, where there is
/// no dynamic section either, and everything is bound by the linker.
const IS_POSITION_INDEPENDENT: bool = !cfg!(target_arch = "aarch64");

/// The ELF headers of a program.
struct Headers {
    is_position_independent: bool,
    /// Each segment's type and flags.
    segments: Vec<(u32, u32)>,
    /// Each entry of the dynamic section: its tag and value.
    dynamic: Vec<(u64, u64)>,
}

fn headers() -> Headers {
    let content = std::fs::read(env!("CARGO_BIN_EXE_startup-guard")).expect("the guard is built");
    let file =
        ElfFile64::<Endianness>::parse(content.as_slice()).expect("the guard is an ELF file");
    let endian = file.endian();
    let header: &FileHeader64<Endianness> = file.elf_header();
    let segments = header
        .program_headers(endian, content.as_slice())
        .expect("it has program headers");
    let dynamic = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_DYNAMIC)
        .and_then(|segment| {
            segment
                .dynamic(endian, content.as_slice())
                .expect("the dynamic section can be read")
        })
        .unwrap_or_default();
    Headers {
        is_position_independent: header.e_type(endian) == ET_DYN,
        segments: segments
            .iter()
            .map(|segment| (segment.p_type(endian), segment.p_flags(endian)))
            .collect(),
        dynamic: dynamic
            .iter()
            .map(|entry| (entry.d_tag(endian), entry.d_val(endian)))
            .collect(),
    }
}

impl Headers {
    fn flags_of(&self, kind: u32) -> Vec<u32> {
        let segments = self.segments.iter().filter(|(other, _)| *other == kind);
        segments.map(|(_, flags)| *flags).collect()
    }

    fn dynamic_flags(&self, tag: u32) -> u64 {
        let entry = self
            .dynamic
            .iter()
            .find(|(other, _)| *other == u64::from(tag));
        entry.map_or(0, |(_, flags)| *flags)
    }
}

#[test]
fn the_binary_is_static_and_position_independent() {
    let headers = headers();
    assert_eq!(headers.is_position_independent, IS_POSITION_INDEPENDENT);
    let has_flag = headers.dynamic_flags(DT_FLAGS_1) & u64::from(DF_1_PIE) != 0;
    assert_eq!(has_flag, IS_POSITION_INDEPENDENT, "the flag PIE");
    assert!(
        headers.flags_of(PT_INTERP).is_empty(),
        "it asks for a dynamic loader"
    );
}

#[test]
fn the_binary_has_full_relro() {
    let headers = headers();
    assert_eq!(headers.flags_of(PT_GNU_RELRO).len(), 1);
    let is_bound_at_start = headers.dynamic_flags(DT_FLAGS) & u64::from(DF_BIND_NOW) != 0
        || headers.dynamic_flags(DT_FLAGS_1) & u64::from(DF_1_NOW) != 0;
    assert_eq!(
        is_bound_at_start, IS_POSITION_INDEPENDENT,
        "BIND_NOW or NOW"
    );
}

#[test]
fn no_segment_is_writable_and_executable() {
    let headers = headers();
    let stack = headers.flags_of(PT_GNU_STACK);
    assert!(
        matches!(stack[..], [flags] if flags & PF_X == 0),
        "the stack is executable: {stack:?}"
    );
    for flags in headers.flags_of(PT_LOAD) {
        assert_ne!(flags & (PF_W | PF_X), PF_W | PF_X);
    }
}
