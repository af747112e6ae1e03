//! Steps and a server that run as another user.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{Ended, Guard, field_of_status, is_alive, until};
use crate::{Needs, Test};

pub const TESTS: &[Test] = &[
    (
        "steps_and_server_run_as_the_user_with_its_groups_home_and_name",
        Needs::Namespaces,
        as_user,
    ),
    (
        "every_form_of_a_user_means_the_same_as_for_gosu",
        Needs::Namespaces,
        ways_to_write,
    ),
    (
        "an_unknown_user_or_group_ends_with_77_before_anything_runs",
        Needs::Namespaces,
        unknown,
    ),
    (
        "a_user_that_the_guard_may_not_become_ends_with_77_before_anything_runs",
        Needs::Root,
        not_permitted,
    ),
    (
        "no_permission_is_needed_if_the_user_does_not_change",
        Needs::Root,
        already,
    ),
    (
        "a_step_of_another_user_dies_with_the_guard",
        Needs::Root,
        dies_with_the_guard,
    ),
    ("an_init_keeps_its_own_user", Needs::Root, init_stays),
    (
        "a_file_that_the_user_may_not_execute_is_skipped_in_path_and_otherwise_an_error",
        Needs::Root,
        execution,
    ),
    (
        "the_users_limit_of_processes_ends_with_71",
        Needs::Root,
        no_process,
    ),
    (
        "an_init_that_may_not_signal_its_server_logs_that",
        Needs::Root,
        not_to_be_signalled,
    ),
    (
        "no_server_starts_while_processes_of_a_step_cannot_be_ended",
        Needs::Root,
        not_to_be_ended,
    ),
    (
        "secret_files_are_read_before_the_user_changes_and_streams_can_be_reopened_after",
        Needs::Root,
        secrets_and_streams,
    ),
];

fn no_process() {
    let folder = Public::new("processes");
    folder.script(
        "m.yaml",
        0o644,
        "version: 1\nsteps: [{name: s, command: [echo, ran]}]\nserver: {command: [echo, ran]}\n",
    );
    let file = folder.path().join("m.yaml");
    let guard = folder.path().join("guard");
    let (file, guard) = (
        file.to_str().expect("it is text"),
        guard.to_str().expect("it is text"),
    );
    let limited = [
        "run",
        "--no-manifest",
        "--",
        "prlimit",
        "--nproc=0",
        guard,
        "run",
        "--manifest",
        file,
    ];
    for words in [
        &limited[..],
        &[
            &limited[..7],
            &["--no-manifest", "--init", "--", "echo", "ran"],
        ]
        .concat(),
    ] {
        public_guard(&folder, words)
            .run()
            .expect_code(71)
            .expect_stdout("")
            .expect_stderr("the system refused to start");
    }
}

fn not_to_be_signalled() {
    let manifest = "version: 1\nuser: 4242:4242\nserver: {init: true, command: [sh, -c, 'echo ready; while :; do sleep 0.01; done']}\n";
    let guard = Guard::with_manifest(manifest);
    let running = guard
        .line("run --no-manifest -- setpriv --bounding-set=-kill --inh-caps=-kill")
        .args([env!("CARGO_BIN_EXE_startup-guard"), "run"])
        .start();
    running.wait_for("ready");
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = fs::read_to_string(children).expect("the guard runs");
    let server: i32 = children.trim().parse().expect("it has one child");
    for _ in 0..2 {
        running.signal(Signal::SIGTERM);
    }
    running.wait_for("SIGTERM cannot be forwarded to the server");
    assert!(is_alive(server));
    // SAFETY: kill takes any numbers.
    unsafe { libc::kill(server, libc::SIGKILL) };
    let ended = running.end().expect_code(137);
    assert_eq!(
        ended.stderr().matches("cannot be forwarded").count(),
        1,
        "{ended}"
    );
}

/// A step that leaves another user's process running, which the guard cannot end.
fn not_to_be_ended() {
    let folder = Public::new("unkillable");
    let escaped = folder.path().join("escaped");
    folder.script(
        "root.yaml",
        0o644,
        &format!("version: 1\nuser: 0:0\nserver: {{command: [sh, -c, 'echo $$ > {}; exec sleep 100']}}\n", escaped.display()),
    );
    folder.script(
        "m.yaml",
        0o644,
        "version: 1\nsteps: [{name: s, command: [sh, step.sh], stop_grace: 0s}]\nserver: {command: [echo, served]}\n",
    );
    let elevated = folder.path().join("elevated");
    fs::copy(env!("CARGO_BIN_EXE_startup-guard"), &elevated).expect("the guard can be copied");
    // The program is set-uid root, so only the user of this test may execute it.
    std::os::unix::fs::chown(&elevated, None, Some(65534)).expect("a group can be set");
    fs::set_permissions(&elevated, fs::Permissions::from_mode(0o4750)).expect("a mode can be set");
    folder.script(
        "step.sh",
        0o644,
        &format!(
            "setsid {} run --manifest root.yaml > /dev/null 2>&1 & while [ ! -s escaped ]; do sleep 0.01; done",
            elevated.display()
        ),
    );
    let script = format!(
        "cd {} && exec ./guard run --manifest m.yaml",
        folder.path().display()
    );
    let running = public_guard(
        &folder,
        &["run", "--no-manifest", "--", "sh", "-c", &script],
    )
    .start();
    let pid = || fs::read_to_string(&escaped).unwrap_or_default();
    until("it is root's", || pid().ends_with('\n'));
    let escaped: i32 = pid().trim().parse().expect("it is a number");
    let ended = running.end();
    let is_left = is_alive(escaped);
    // SAFETY: kill takes any numbers.
    unsafe { libc::kill(escaped, libc::SIGKILL) };
    assert!(is_left, "it could be ended after all");
    ended
        .expect_code(71)
        .expect_stdout("")
        .expect_stderr("step s: left processes running that the guard cannot end");
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:4242:4243:An app:/home/app:/bin/sh\n";
const GROUP: &str =
    "root:x:0:\napp:x:4243:\nextra:x:4300:other,app\nweb:x:4301:\nmore:x:4302:app\n";

const SHOW: &str = "grep -E '^(Uid|Gid|Groups):' /proc/self/status; echo home $HOME user $USER";

/// Gives the guard its own accounts, in a mount namespace.
fn with_accounts(guard: Guard) -> Guard {
    with_files(guard, PASSWD, GROUP)
}

fn with_files(guard: Guard, passwd: &str, group: &str) -> Guard {
    let passwd = c_path(&guard.folder.file("passwd", passwd));
    let group = c_path(&guard.folder.file("group", group));
    guard.before_exec(move || {
        apart();
        bind(&passwd, c"/etc/passwd");
        bind(&group, c"/etc/group");
    })
}

pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL is in it")
}

/// Moves this process to a new mount namespace.
pub fn apart() {
    let none = std::ptr::null();
    // SAFETY: system calls with strings that end in NUL.
    unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let changed = libc::mount(none, c"/".as_ptr(), none, private, none.cast());
        assert_eq!(changed, 0);
    }
}

/// Bind-mounts a file or folder to another path.
pub fn bind(file: &CStr, place: &CStr) {
    let none = std::ptr::null();
    // SAFETY: a system call with strings that end in NUL.
    let mounted = unsafe {
        libc::mount(
            file.as_ptr(),
            place.as_ptr(),
            none,
            libc::MS_BIND,
            none.cast(),
        )
    };
    assert_eq!(mounted, 0);
}

fn is(uid: u32, gid: u32, groups: &str, home: &str, user: &str) -> String {
    format!(
        "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nGroups:\t{groups} \nhome {home} user {user}\n"
    )
}

fn manifest(user: &str) -> Guard {
    Guard::with_manifest(&format!(
        "version: 1\nuser: {user}\nsteps: [{{name: s, command: [sh, -c, \"{SHOW}\"]}}]\nserver: {{command: [sh, -c, \"{SHOW}; echo ${{HOME}}\"]}}\n"
    ))
    .env("HOME", "/root")
    .env("USER", "root")
}

fn as_user() {
    let each = is(4242, 4243, "4300 4302", "/home/app", "app");
    for options in ["run", "run --init", "run --init --forward group"] {
        with_accounts(manifest("app"))
            .line(options)
            .run()
            .expect_code(0)
            .expect_stdout(&format!("{each}{each}/home/app\n"));
    }
}

/// The table lists the meaning of each form for a caller who starts the guard with root's privileges, like the set-uid
/// gosu in gosu's own tests.
fn ways_to_write() {
    let rows = include_str!("users/specs").lines();
    for row in rows.filter_map(|line| line.strip_prefix('"')) {
        let (spec, expected) = row.split_once('"').expect("a quote ends the spec");
        let guard = with_files(
            manifest(&format!("\"{spec}\"")),
            include_str!("users/passwd"),
            include_str!("users/group"),
        );
        let ended = guard
            .before_exec(|| {
                // SAFETY: system calls with numbers only.
                unsafe {
                    assert_eq!(libc::setresgid(65533, 65533, 65533), 0);
                    assert_eq!(libc::setresuid(65534, 0, 0), 0);
                }
            })
            .line("run --no-server")
            .run();
        if let Some(told) = expected.trim().strip_prefix("! ") {
            ended.expect_code(77).expect_stdout("").expect_stderr(told);
            continue;
        }
        let columns: Vec<&str> = expected.trim().splitn(5, ' ').collect();
        let [uid, gid, groups, home, user] = columns[..] else {
            panic!("{spec:?} has no five columns");
        };
        let number = |text: &str| text.parse().expect("it is a number");
        let groups = if groups == "-" {
            String::new()
        } else {
            groups.replace(',', " ")
        };
        let expected = is(number(uid), number(gid), &groups, home, user);
        ended.expect_code(0).expect_stdout(&expected);
    }
}

fn unknown() {
    for (user, told) in [
        (
            "nobody-here",
            "there is no user `nobody-here` in /etc/passwd",
        ),
        ("4294967295", "`4294967295` is not a uid or gid"),
        ("app:nothing", "there is no group `nothing` in /etc/group"),
    ] {
        let ended = with_accounts(manifest(user))
            .run()
            .expect_code(77)
            .expect_stdout("")
            .expect_stderr(told);
        assert!(
            ended
                .last_line()
                .ends_with("(phase user, exit code 77, a retry does not help)"),
            "{ended}"
        );
    }
    // The findings of the check come first, because both must be fixed and they are more.
    let manifest =
        "version: 1\nuser: nobody-here\nvariables: {A: {}}\nserver: {command: ['true']}\n";
    with_accounts(Guard::with_manifest(manifest))
        .run()
        .expect_code(78);
}

/// A folder of test files that every user can reach.
pub struct Public(PathBuf);

impl Public {
    pub fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("startup-guard-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn script(&self, name: &str, mode: u32, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder"))
            .expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A copy of the guard that every user can execute, run as a user other than root.
fn public_guard(folder: &Public, words: &[&str]) -> Guard {
    public_guard_with(&["--clear-groups"], folder, words)
}

/// Like `public_guard`, with options of setpriv that specify its groups and capabilities.
pub fn public_guard_with(options: &[&str], folder: &Public, words: &[&str]) -> Guard {
    let copy = folder.path().join("guard");
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_startup-guard"), &copy).expect("the guard can be copied");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    }
    let copy = copy.to_str().expect("it is text").to_owned();
    // The guard of the builder only executes setpriv, which runs the tested guard.
    Guard::new()
        .line("run --no-manifest -- setpriv --reuid 65534 --regid 65534")
        .args(options)
        .args([copy.as_str()])
        .args(words)
}

fn expect_not_permitted(ended: Ended) {
    ended.expect_code(77).expect_stdout("").expect_stderr(
        "the guard runs as uid 65534 and may not become uid 4242, gid 4242: start it as root",
    );
}

fn not_permitted() {
    let folder = Public::new("refused");
    for (name, keys) in [
        (
            "step.yaml",
            "steps: [{name: s, command: [echo, ran], allow_failure: true}]\nserver: {command: [echo, ran]}",
        ),
        ("server.yaml", "server: {command: [echo, ran]}"),
        ("init.yaml", "server: {command: [echo, ran], init: true}"),
    ] {
        let text = format!("version: 1\nuser: 4242:4242\n{keys}\n");
        folder.script(name, 0o644, &text);
        let file = folder.path().join(name);
        let file = file.to_str().expect("it is text");
        expect_not_permitted(public_guard(&folder, &["run", "--manifest", file]).run());
    }
}

fn already() {
    let folder = Public::new("already");
    let text =
        format!("version: 1\nuser: 65534:65534\nserver: {{command: [sh, -c, \"{SHOW}\"]}}\n");
    folder.script("m.yaml", 0o644, &text);
    let file = folder.path().join("m.yaml");
    let words = ["run", "--manifest", file.to_str().expect("it is text")];
    public_guard(&folder, &words)
        .env("HOME", "/kept")
        .env("USER", "kept")
        .run()
        .expect_code(0)
        .expect_stdout(&is(65534, 65534, "", "/kept", "kept"));
}

fn dies_with_the_guard() {
    let manifest = "version: 1\nuser: 4242:4242\nsteps: [{name: s, command: [sh, -c, 'echo st''''arted; while :; do sleep 1; done']}]\n";
    let running = Guard::with_manifest(manifest)
        .line("run --no-server")
        .start();
    running.wait_for("started");
    let child_of = |pid: i32| -> i32 {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(children).expect("the process runs");
        children.trim().parse().expect("it has one child")
    };
    // The step's parent is its reaper, a child of the guard.
    let step = child_of(child_of(running.pid()));
    assert_eq!(
        field_of_status(step, "Uid").as_deref(),
        Some("4242\t4242\t4242\t4242")
    );
    running.signal(Signal::SIGKILL);
    until("the step is gone", || !is_alive(step));
    running.end().expect_code(137);
}

fn init_stays() {
    let manifest = "version: 1\nuser: 4242:4242\nserver: {init: true, command: [sh, -c, 'trap \"exit 8\" TERM; echo ready; while :; do sleep 0.01; done']}\n";
    let running = Guard::with_manifest(manifest).start();
    running.wait_for("ready");
    let children = format!("/proc/{0}/task/{0}/children", running.pid());
    let children = fs::read_to_string(children).expect("the guard runs");
    let server: i32 = children.trim().parse().expect("it has one child");
    assert_eq!(
        field_of_status(running.pid(), "Uid").as_deref(),
        Some("0\t0\t0\t0")
    );
    assert_eq!(
        field_of_status(server, "Uid").as_deref(),
        Some("4242\t4242\t4242\t4242")
    );
    // The init may signal its server.
    running.signal(Signal::SIGTERM);
    running.end().expect_code(8);
}

fn execution() {
    let folder = Public::new("execution");
    folder.script("a/tool", 0o700, "#!/bin/sh\necho a\n");
    folder.script("b/tool", 0o755, "#!/bin/sh\necho b\n");
    folder.script("only", 0o700, "#!/bin/sh\necho only\n");
    let path = format!("{0}/a:{0}/b:{0}:/usr/bin:/bin", folder.path().display());
    for (command, code, stdout, told) in [
        ("tool", 0, "b\nb\n", ""),
        ("only", 126, "", "the command `only` may not be executed"),
        ("nothing", 127, "", "the command `nothing` was not found"),
    ] {
        for init in [false, true] {
            let manifest = format!(
                "version: 1\nuser: 4242:4242\nsteps: [{{name: s, command: [{command}]}}]\nserver: {{init: {init}, command: [{command}]}}\n"
            );
            Guard::with_manifest(&manifest)
                .env("PATH", &path)
                .run()
                .expect_code(code)
                .expect_stdout(stdout)
                .expect_stderr(told);
            let manifest = format!(
                "version: 1\nuser: 4242:4242\nserver: {{init: {init}, command: [{command}]}}\n"
            );
            let stdout = &stdout[..stdout.len() / 2];
            Guard::with_manifest(&manifest)
                .env("PATH", &path)
                .run()
                .expect_code(code)
                .expect_stdout(stdout)
                .expect_stderr(told);
        }
    }
}

fn secrets_and_streams() {
    let show = "echo server $TOKEN > /dev/stdout";
    for init in [false, true] {
        let manifest = format!(
            "version: 1\nuser: 4242:4242\nvariables: {{TOKEN: {{secret: true}}}}\nsteps: [{{name: s, command: [sh, -c, 'echo step $TOKEN > /dev/stdout; echo err > /dev/stderr']}}]\nserver: {{init: {init}, command: [sh, -c, '{show}']}}\n"
        );
        let guard = Guard::with_manifest(&manifest);
        let file = guard.folder.file("token", "fake-token\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        guard
            .env("TOKEN_FILE", file)
            .run()
            .expect_code(0)
            .expect_stdout("step ***\nserver fake-token\n")
            .expect_stderr("err\n");
    }
}
