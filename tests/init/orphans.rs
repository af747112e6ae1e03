//! The init collects the server's orphans.

use std::fs;

use nix::sys::signal::Signal;

use crate::namespace;
use crate::support::{Folder, PATIENCE, field_of_status, until};
use crate::{Needs, Test, is_soak, roles};

pub const TESTS: &[Test] = &[
    (
        "thousands_of_orphans_are_collected_and_the_memory_stays_flat",
        Needs::Nothing,
        || collected(false),
    ),
    (
        "thousands_of_orphans_are_collected_by_pid_1",
        Needs::Namespaces,
        || collected(true),
    ),
];

fn children_of(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children
        .split_whitespace()
        .map(|child| child.parse().expect("the kernel writes numbers"))
        .collect()
}

/// The memory of a process, in KiB.
pub fn anonymous_memory(pid: i32) -> u32 {
    let field = field_of_status(pid, "RssAnon").expect("the guard runs");
    let number = field.trim_end_matches(" kB").trim();
    number.parse().expect("the kernel writes a number")
}

fn collected(is_pid_1: bool) {
    let count = if is_soak() { "10000" } else { "2000" };
    let role = roles::command(&["orphans", count]);
    let mut words = vec![
        env!("CARGO_BIN_EXE_startup-guard"),
        "run",
        "--no-manifest",
        "--init",
        "--",
    ];
    words.extend(role.iter().map(|word| word.to_str().expect("it is text")));
    let folder = Folder::new();
    let process = namespace::start(folder.path(), &words, &[], is_pid_1).expect("the guard starts");
    let pid = process.pid();
    until("the server runs", || children_of(pid).len() == 1);
    let before = anonymous_memory(pid);
    let deadline = std::time::Instant::now() + 6 * PATIENCE;
    while !folder.path().join("made").exists() {
        assert!(std::time::Instant::now() < deadline, "it hangs");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    until("only the server is left", || children_of(pid).len() == 1);
    let after = anonymous_memory(pid);
    println!("{count} orphans, RssAnon {before} kB before, {after} kB after");
    // One more page of the stack may be used.
    assert!(after <= before + 8, "from {before} kB to {after} kB");
    until("the server serves", || {
        folder.path().join("served").exists()
    });
    process.signal(Signal::SIGTERM);
    let mut code = None;
    let deadline = std::time::Instant::now() + PATIENCE;
    while code.is_none() {
        assert!(std::time::Instant::now() < deadline, "it hangs");
        code = process.code();
    }
    assert_eq!(code, Some(roles::STOPPED));
}
