//! Processes that exist before the guard, for example because an image's entrypoint starts one in the background and
//! then executes the guard. They belong neither to a step nor to the server.

use std::cell::Cell;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Folder, Guard, is_alive, until};
use crate::{Needs, Test, namespace};

pub const TESTS: &[Test] = &[
    (
        "what_a_sidecar_starts_during_a_step_is_not_ended_with_the_step",
        Needs::Nothing,
        || during_a_step(false),
    ),
    (
        "what_a_sidecar_starts_during_a_step_of_pid_1_is_not_ended_with_the_step",
        Needs::Namespaces,
        || during_a_step(true),
    ),
    (
        "what_a_sidecar_starts_while_the_server_runs_is_not_ended_with_the_server",
        Needs::Nothing,
        beside_a_server,
    ),
    (
        "after_a_killed_reaper_no_server_starts",
        Needs::Nothing,
        reaper_killed,
    ),
    (
        "after_a_reaper_that_is_killed_after_the_step_no_server_starts",
        Needs::Nothing,
        reaper_killed_late,
    ),
];

/// A sidecar that starts two processes when the gate is opened, one of them in its own session, and then exits, so that
/// they become orphans.
const SIDECAR: &str = "echo $$ > sidecar
while [ ! -e go ]; do sleep 0.01; done
sh -c 'echo $$ > plain; exec sleep 99' &
setsid sh -c 'echo $$ > apart; exec sleep 99' &
while [ ! -s plain ] || [ ! -s apart ]; do sleep 0.01; done
";

/// Lets the sidecar start the processes, and waits until it has ended.
const USE_SIDECAR: &str = "touch go
while [ ! -s plain ] || [ ! -s apart ]; do sleep 0.01; done
while grep -q '^State:.[^Z]' /proc/$(cat sidecar)/status 2>/dev/null; do sleep 0.01; done
";

/// A folder with the sidecar, the script that uses it, and this manifest.
fn folder(manifest: &str) -> Folder {
    let folder = Folder::new();
    folder.file("sidecar.sh", SIDECAR);
    folder.file("use.sh", USE_SIDECAR);
    folder.file("required-vars.yaml", manifest);
    folder
}

fn during_a_step(is_pid_1: bool) {
    let manifest = "version: 1
steps: [{name: s, command: [sh, use.sh]}]
server: {command: [sh, -c, 'kill $(cat plain) $(cat apart) && exit 5']}
";
    let folder = folder(manifest);
    let script = format!(
        "sh sidecar.sh & while [ ! -s sidecar ]; do sleep 0.01; done; exec {} run",
        env!("CARGO_BIN_EXE_startup-guard")
    );
    let words = ["/bin/sh", "-c", &script];
    let process = namespace::start(folder.path(), &words, &["PATH=/usr/bin:/bin"], is_pid_1)
        .expect("the shell starts");
    let code = Cell::new(None);
    until("the server has ended", || {
        code.set(process.code());
        code.get().is_some()
    });
    // The server could signal both, so both were still running.
    assert_eq!(code.get(), Some(5));
}

fn beside_a_server() {
    let folder =
        folder("version: 1\nserver: {init: true, command: [sh, -c, '. ./use.sh; exit 5']}\n");
    let binary = env!("CARGO_BIN_EXE_startup-guard");
    let script = folder.script(
        "wrapper",
        &format!(
            "#!/bin/sh\nsh sidecar.sh & while [ ! -s sidecar ]; do sleep 0.01; done\nexec {binary} run\n"
        ),
    );
    let running = Guard::new()
        .in_folder(folder.path())
        .line("run --no-manifest --")
        .args([script])
        .start();
    let guard = running.pid();
    until("the guard has ended", || !is_alive(guard));
    let pid = |name: &str| -> i32 {
        let text = fs::read_to_string(folder.path().join(name)).expect("the sidecar wrote it");
        text.trim().parse().expect("it holds a number")
    };
    assert!(is_alive(pid("plain")), "it was ended with the server");
    for name in ["plain", "apart"] {
        let _ = kill(Pid::from_raw(pid(name)), Signal::SIGKILL);
    }
    running.end().expect_code(5);
}

fn reaper_killed() {
    let manifest = "version: 1
steps:
  - name: s
    allow_failure: true
    command: [sh, -c, 'echo $$ > step; while :; do sleep 0.01; done']
server: {command: [touch, served]}
";
    let running = Guard::with_manifest(manifest).start();
    let step = running.wait_for_pid("step");
    let status = fs::read_to_string(format!("/proc/{step}/status")).expect("the step runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent: i32 = parent
        .and_then(|pid| pid.trim().parse().ok())
        .expect("every process has a parent");
    assert_ne!(parent, running.pid(), "there is no reaper between them");
    kill(Pid::from_raw(parent), Signal::SIGKILL).expect("the reaper is there");
    let ended = running
        .end()
        .expect_code(71)
        .expect_stderr("left processes running that the guard cannot end");
    assert!(!ended.folder.path().join("served").exists());
    until("the step is gone", || !is_alive(step));
}

/// A process that waits until it is an orphan, and therefore a child of the reaper, and then kills the reaper.
const KILLER: &str = "trap '' TERM
echo $$ > left
parent=$1
while [ \"$parent\" = \"$1\" ]; do read -r _ _ _ parent _ < /proc/$$/stat; done
kill -KILL $parent
exec sleep 97
";

fn reaper_killed_late() {
    let manifest = "version: 1
steps: [{name: s, command: [sh, -c, 'setsid sh killer.sh $$ & while [ ! -s left ]; do sleep 0.01; done']}]
server: {command: [touch, served]}
";
    let guard = Guard::with_manifest(manifest);
    guard.folder.file("killer.sh", KILLER);
    let running = guard.start();
    let left = running.wait_for_pid("left");
    let pid = running.pid();
    until("the guard has ended", || !is_alive(pid));
    kill(Pid::from_raw(left), Signal::SIGKILL).expect("it was left");
    let ended = running
        .end()
        .expect_code(71)
        .expect_stderr("left processes running that the guard cannot end");
    assert!(!ended.folder.path().join("served").exists());
}
