//! An idle init never wakes up, and uses little memory and few file descriptors.

use std::time::Duration;

use crate::orphans::anonymous_memory;
use crate::support::{Guard, field_of_status};
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    ("an_idle_init_never_wakes_up", Needs::Nothing, never_wakes),
    (
        "an_idle_init_uses_little_memory_for_any_manifest",
        Needs::Nothing,
        holds_little,
    ),
    (
        "an_init_leaves_the_folder_that_its_server_is_started_in",
        Needs::Nothing,
        leaves_folder,
    ),
    (
        "the_server_has_the_inits_streams_and_descriptors_and_no_other",
        Needs::Nothing,
        descriptors,
    ),
];

/// A manifest and an environment whose check needs memory.
fn large() -> Guard {
    let mut manifest = "version: 1\nsteps: [{name: s, command: ['true']}]\nvariables:\n".to_owned();
    for number in 0..1500 {
        manifest.push_str(&format!(
            "  VARIABLE_{number}: {{pattern: '^[a-z]+-{number}$', secret: true, description: about number {number}}}\n"
        ));
    }
    manifest.push_str(&format!(
        "server: {{init: true, command: {}}}\n",
        roles::yaml(&["serve"])
    ));
    let mut guard = Guard::with_manifest(&manifest);
    for number in 0..1500 {
        guard = guard.env(format!("VARIABLE_{number}"), format!("value-{number}"));
    }
    guard.env("PADDING", "x".repeat(30_000))
}

/// The limit of private memory, in KiB. Relocations of a position-independent program are private memory, and a build
/// without optimisation has four times as many.
const LIMIT: u32 = if cfg!(debug_assertions) { 1000 } else { 512 };

fn holds_little() {
    for guard in [
        Guard::new()
            .line("run --no-manifest --init --")
            .args(roles::command(&["serve"])),
        large(),
    ] {
        let running = guard.start();
        running.wait_for_file("served");
        // The server may be running before the guard has released its memory.
        let held = || anonymous_memory(running.pid());
        crate::support::until("the memory is given back", || held() < LIMIT);
        println!("RssAnon {} kB", held());
        running.signal(nix::sys::signal::Signal::SIGTERM);
        running.end().expect_code(roles::STOPPED);
    }
}

fn never_wakes() {
    let running = large().start();
    running.wait_for_file("served");
    let switches = || {
        ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
            .map(|field| field_of_status(running.pid(), field).expect("the guard runs"))
    };
    let is_waiting =
        || field_of_status(running.pid(), "State").is_some_and(|state| state.starts_with('S'));
    crate::support::until("the guard waits", is_waiting);
    let before = switches();
    // Not a wait for readiness: nothing may happen during this time.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(switches(), before, "it woke up");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.end().expect_code(roles::STOPPED);
}

fn leaves_folder() {
    for options in ["", "--forward group"] {
        let running = Guard::new()
            .line(&format!("run --no-manifest --init {options} -- sh -c"))
            .args(["echo $$ > pid; exec sleep 100"])
            .start();
        let server = running.wait_for_pid("pid");
        let folder = |pid: i32| {
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd"));
            folder.expect("the process runs")
        };
        let root = std::path::Path::new("/");
        // The server may be running before the guard has changed its folder.
        crate::support::until("the guard is in /", || folder(running.pid()) == root);
        let started_in = running.folder.path().canonicalize();
        assert_eq!(folder(server), started_in.expect("it is there"));
        running.signal(nix::sys::signal::Signal::SIGTERM);
        running.end().expect_code(143);
    }
}

fn descriptors() {
    let show = "ls -l /proc/self/fd | sed 's/.* -> //' | sort";
    let shown = |options: &str| {
        let guard = Guard::new();
        let input = guard.folder.file("input", "typed");
        let stdin = std::fs::File::open(&input).expect("the file is there");
        let ended = guard
            .stdin(stdin)
            .line(&format!("run --no-manifest {options} -- sh -c"))
            .args([format!("cat; {show}")])
            .run()
            .expect_code(0);
        // The numbers of pipes and of the descriptors of `ls` differ between runs.
        let text = ended
            .stdout()
            .replace(&input.display().to_string(), "INPUT");
        text.chars()
            .filter(|c| !c.is_ascii_digit())
            .collect::<String>()
    };
    let directly = shown("");
    assert!(directly.starts_with("typed"), "{directly}");
    assert_eq!(shown("--init"), directly);
    assert_eq!(shown("--init --forward group"), directly);
}
