//! A change of user removes supplementary groups and capabilities, and never changes the owner of files.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::libc;
use nix::sys::stat::Mode;

use crate::support::{Ended, Guard, code_of};
use crate::user::{Public, public_guard_with};
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    (
        "root_gives_up_supplementary_groups_that_its_user_does_not_have",
        Needs::Root,
        groups_of_root,
    ),
    (
        "root_that_cannot_give_up_its_groups_ends_with_77_before_anything_runs",
        Needs::Root,
        groups_that_stay,
    ),
    (
        "additional_groups_are_kept_if_the_user_does_not_change",
        Needs::Root,
        additional_groups,
    ),
    (
        "no_capability_outlives_a_change_of_user",
        Needs::Root,
        capabilities,
    ),
    (
        "earlier_capabilities_do_not_let_the_user_execute_other_files",
        Needs::Root,
        reach,
    ),
    (
        "capabilities_that_cannot_be_given_up_end_with_77_before_anything_runs",
        Needs::StraceAsRoot,
        capabilities_that_stay,
    ),
    (
        "a_named_pipe_on_a_standard_stream_stays_its_owners",
        Needs::Root,
        named_pipe,
    ),
];

const GROUPS: &str = "grep ^Groups: /proc/self/status; echo home $HOME";

fn with_groups(guard: Guard, groups: &'static [u32]) -> Guard {
    guard.before_exec(move || {
        // SAFETY: the pointer and the length are those of one slice.
        assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
    })
}

/// A step and a server that show their groups and their home.
fn showing_groups(user: &str) -> String {
    format!(
        "version: 1\nuser: '{user}'\nsteps: [{{name: s, command: [sh, -c, '{GROUPS}']}}]\nserver: {{command: [sh, -c, '{GROUPS}']}}\n"
    )
}

fn groups_of_root() {
    const NOTHING_TO_CHANGE: &str = "/kept";
    for (user, current, groups, home) in [
        ("0:0", &[4, 27][..], "", "/root"),
        ("0:0", &[0, 4, 27], "", "/root"),
        // The gid among the supplementary groups, where engines add it, is not an additional group.
        ("0:0", &[0], "0 ", NOTHING_TO_CHANGE),
        ("0:0", &[], "", NOTHING_TO_CHANGE),
    ] {
        for options in ["run", "run --init"] {
            let guard = with_groups(Guard::with_manifest(&showing_groups(user)), current);
            let each = format!("Groups:\t{groups}\nhome {home}\n").replace("\t\n", "\t \n");
            guard
                .env("HOME", "/kept")
                .line(options)
                .run()
                .expect_code(0)
                .expect_stdout(&each.repeat(2));
        }
    }
}

/// The guard as root, without the capability SETGID.
fn without_setgid(current: &'static [u32]) -> Guard {
    with_groups(Guard::with_manifest(&showing_groups("0:0")), current)
        .line("run --no-manifest -- setpriv --bounding-set=-setgid --inh-caps=-setgid")
        .args([env!("CARGO_BIN_EXE_startup-guard"), "run"])
}

fn groups_that_stay() {
    without_setgid(&[4, 27])
        .run()
        .expect_code(77)
        .expect_stdout("")
        .expect_stderr("may not become uid 0, gid 0");
    // Without groups to give up it needs no capability.
    without_setgid(&[0]).run().expect_code(0);
}

fn additional_groups() {
    let folder = Public::new("groups");
    for user in ["65534:65534", "65534"] {
        folder.script("m.yaml", 0o644, &showing_groups(user));
        let file = folder.path().join("m.yaml");
        let words = ["run", "--manifest", file.to_str().expect("it is text")];
        let shown = "Groups:\t4 27 \nhome /kept\n";
        public_guard_with(&["--groups=4,27"], &folder, &words)
            .env("HOME", "/kept")
            .run()
            .expect_code(0)
            .expect_stdout(&shown.repeat(2));
    }
}

/// Makes all capabilities of the process inheritable and ambient, and sets securebits that preserve them.
fn spread_capabilities(securebits: libc::c_ulong) -> impl Fn() + Send + Sync {
    const VERSION: u32 = 0x2008_0522;
    const RAISE: libc::c_ulong = 2;
    move || {
        let header = [VERSION, 0];
        // The effective, permitted and inheritable sets, two halves of 32 each.
        let mut sets = [[0u32; 3]; 2];
        // SAFETY: with this version the calls write and read two times three numbers.
        unsafe {
            let (header, sets_at) = (header.as_ptr(), sets.as_mut_ptr());
            assert_eq!(libc::syscall(libc::SYS_capget, header, sets_at), 0);
            for [_, permitted, inheritable] in &mut sets {
                *inheritable = *permitted;
            }
            let sets = sets.as_ptr();
            assert_eq!(libc::syscall(libc::SYS_capset, header, sets), 0);
            for capability in 0..libc::c_ulong::from(64u32) {
                // Fails for capabilities that the process does not have.
                libc::prctl(libc::PR_CAP_AMBIENT, RAISE, capability, 0, 0);
            }
            assert_eq!(libc::prctl(libc::PR_SET_SECUREBITS, securebits, 0, 0, 0), 0);
        }
    }
}

const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;

/// The fields with capabilities that a step and a server print, one per line.
const CAPABILITIES: &str = "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status";
const NONE: &str = "0000000000000000";

fn showing_capabilities(user: &str) -> String {
    format!(
        "version: 1\nuser: {user}\nsteps: [{{name: s, command: [sh, -c, \"{CAPABILITIES}\"]}}]\nserver: {{command: [sh, -c, \"{CAPABILITIES}\"]}}\n"
    )
}

/// Whether the sets of the step and the server, which must be equal, are not empty: inheritable, permitted, effective,
/// ambient.
fn sets(ended: &Ended) -> [bool; 4] {
    let shown = ended.stdout();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 8, "{ended}");
    assert_eq!(lines[..4], lines[4..], "{ended}");
    ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|name| {
        let line = lines.iter().find(|line| line.starts_with(name));
        !line.expect("it is shown").ends_with(NONE)
    })
}

fn capabilities() {
    for (user, expected) in [
        ("4242:4242", [false; 4]),
        ("0:4242", [false, true, true, false]),
    ] {
        for securebits in [0, NO_SETUID_FIXUP] {
            for options in ["run", "run --init", "run --init --forward group"] {
                let ended = Guard::with_manifest(&showing_capabilities(user))
                    .before_exec(spread_capabilities(securebits))
                    .line(options)
                    .run()
                    .expect_code(0);
                assert_eq!(sets(&ended), expected, "{user}, {securebits}, {options}");
            }
        }
    }
    // Also from one user other than root to another, where the kernel clears nothing.
    let folder = Public::new("capabilities");
    folder.script("m.yaml", 0o644, &showing_capabilities("4242:4242"));
    let file = folder.path().join("m.yaml");
    let words = ["run", "--manifest", file.to_str().expect("it is text")];
    let options = [
        "--clear-groups",
        "--inh-caps=+setuid,+setgid",
        "--ambient-caps=+setuid,+setgid",
    ];
    let ended = public_guard_with(&options, &folder, &words)
        .run()
        .expect_code(0);
    assert_eq!(sets(&ended), [false; 4]);
    // Without a change of user all of them are preserved, which shows that the test works.
    let manifest = showing_capabilities("0:0");
    let ended = with_groups(Guard::with_manifest(&manifest), &[])
        .before_exec(spread_capabilities(0))
        .run()
        .expect_code(0);
    assert_eq!(sets(&ended), [true; 4]);
}

/// A program in a folder that only its owner can enter, who is neither of these users.
fn reach() {
    let folder = Public::new("reach");
    folder.script("private/tool", 0o755, "");
    let (private, tool) = (
        folder.path().join("private"),
        folder.path().join("private/tool"),
    );
    fs::copy("/bin/true", &tool).expect("a program can be copied");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("a mode can be set");
    std::os::unix::fs::chown(&private, Some(65534), None).expect("an owner can be set");
    let tool = tool.display();
    for (user, code) in [("4242:4242", 126), ("0:4242", 0)] {
        for securebits in [0, NO_SETUID_FIXUP] {
            for init in [false, true] {
                let manifest = format!(
                    "version: 1\nuser: {user}\nserver: {{init: {init}, command: [{tool}]}}\n"
                );
                Guard::with_manifest(&manifest)
                    .before_exec(spread_capabilities(securebits))
                    .run()
                    .expect_code(code);
            }
        }
    }
}

fn capabilities_that_stay() {
    for call in ["capget", "capset"] {
        for keys in [
            "steps: [{name: s, command: [echo, ran]}]\nserver: {command: [echo, ran]}",
            "server: {command: [echo, ran]}",
            "server: {command: [echo, ran], init: true}",
        ] {
            let manifest = format!("version: 1\nuser: 4242:4242\n{keys}\n");
            Guard::with_manifest(&manifest)
                .before_exec(spread_capabilities(0))
                .line("run --no-manifest -- strace -f -o /dev/null -e")
                .args([format!("trace={call}"), "-e".to_owned()])
                .args([format!("inject={call}:error=EPERM")])
                .args([env!("CARGO_BIN_EXE_startup-guard"), "run"])
                .run()
                .expect_code(77)
                .expect_stdout("")
                .expect_stderr("may not become uid 4242, gid 4242");
        }
    }
}

fn named_pipe() {
    let manifest = |init| {
        format!(
            "version: 1\nuser: 4242:4242\nsteps: [{{name: s, command: ['true']}}]\nserver: {{init: {init}, command: ['true']}}\n"
        )
    };
    for init in [false, true] {
        let guard = Guard::with_manifest(&manifest(init));
        let place = guard.folder.path().join("fifo");
        nix::unistd::mkfifo(&place, Mode::from_bits_truncate(0o600)).expect("it can be made");
        let open = || {
            let options = File::options().read(true).write(true).open(&place);
            options.expect("it can be opened")
        };
        let (stdin, stdout, stderr) = (open(), open(), open());
        let (status, _, _folder) = guard
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .run_quietly_and(|_, _| {});
        assert_eq!(code_of(status), 0);
        let owner = fs::metadata(&place).expect("it is there").uid();
        assert_eq!(owner, 0, "init: {init}");
    }
}
