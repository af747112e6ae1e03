//! Steps: their errors, their time-outs, and their leftover processes.

use std::time::Duration;

use crate::support::{Guard, is_alive, until};

fn step(keys: &str) -> Guard {
    Guard::with_manifest(&format!(
        "version: 1\nsteps:\n  - name: migrate\n    {keys}\nserver: {{command: [echo, served]}}\n"
    ))
}

fn shell(script: &str, keys: &str) -> Guard {
    let guard = step(&format!("command: [sh, step.sh]\n{keys}"));
    guard.folder.file("step.sh", script);
    guard
}

#[test]
fn a_failed_step_ends_with_70_and_its_own_code_or_signal() {
    for (script, told) in [
        ("exit 1", "step migrate: failed with exit code 1"),
        ("exit 255", "step migrate: failed with exit code 255"),
        ("exit 127", "step migrate: failed with exit code 127"),
        ("kill -KILL $$", "step migrate: failed with SIGKILL (137)"),
        ("kill -TERM $$", "step migrate: failed with SIGTERM (143)"),
        ("kill -SEGV $$", "step migrate: failed with SIGSEGV (139)"),
    ] {
        let ended = shell(script, "")
            .run()
            .expect_code(70)
            .expect_stdout("")
            .expect_stderr(told);
        assert!(
            ended
                .last_line()
                .ends_with("(phase step, exit code 70, a retry may help)"),
            "{ended}"
        );
    }
}

#[test]
fn an_error_of_a_step_with_allow_failure_is_a_warning() {
    let ended = shell("exit 3", "    allow_failure: true\n")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    ended.expect_stderr("step migrate: failed with exit code 3");
    let guard = shell("sleep 100", "    allow_failure: true\n    timeout: 50ms\n");
    guard
        .run()
        .expect_code(0)
        .expect_stdout("served\n")
        .expect_stderr("ran out of time");
}

#[test]
fn a_step_out_of_time_ends_with_124() {
    let ended = shell("sleep 100", "    timeout: 100ms\n")
        .run()
        .expect_code(124)
        .expect_stdout("");
    ended.expect_stderr("step migrate: ran out of time (100ms) and was stopped");
}

#[test]
fn the_time_limit_of_an_up_to_date_command_can_be_set() {
    let question = |command: &str, timeout: &str| {
        let keys = format!("    up_to_date: {{command: {command}{timeout}}}");
        shell("echo migrated", &keys).run()
    };
    question("[sleep, '100']", ", timeout: 100ms")
        .expect_code(124)
        .expect_stdout("")
        .expect_stderr("step migrate: up_to_date ran out of time (100ms) and was stopped after");
    question("['true']", ", timeout: 3m")
        .expect_code(0)
        .expect_stdout("served\n");
    question("['false']", "")
        .expect_code(0)
        .expect_stdout("migrated\nserved\n");
}

#[test]
fn the_time_limit_of_an_up_to_date_command_also_applies_to_a_wait_for_the_step() {
    let manifest = "version: 1
wait_for: [{up_to_date: migrate}]
steps: [{name: migrate, command: ['true'], up_to_date: {command: [sleep, '100'], timeout: 100ms}}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .line("run --skip migrate")
        .run()
        .expect_code(124)
        .expect_stdout("")
        .expect_stderr("step migrate: up_to_date ran out of time (100ms) and was stopped");
}

#[test]
fn a_step_that_ignores_its_stop_signal_is_killed_with_its_tree_after_the_grace() {
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > grandchild; while :; do sleep 1; done' & wait";
    let running = shell(script, "    timeout: 300ms\n    stop_grace: 200ms\n").start();
    let grandchild = running.wait_for_pid("grandchild");
    let ended = running.end().expect_code(124);
    assert!(!is_alive(grandchild), "{grandchild} is left");
    assert!(
        ended.took >= Duration::from_millis(500) && ended.took < Duration::from_secs(5),
        "{:?}",
        ended.took
    );
}

#[test]
fn a_grace_of_zero_kills_right_after_the_stop_signal() {
    let running = shell(
        "trap '' TERM; echo ready; while :; do sleep 0.01; done",
        "    timeout: 300ms\n    stop_grace: 0s\n",
    )
    .start();
    let ended = running.end().expect_code(124).expect_stdout("ready\n");
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
}

#[test]
fn a_step_that_ignores_every_signal_is_ended() {
    // Both in its own session and in the step's process group.
    let script = "for signal in 1 2 3 6 10 12 13 14 15 16 17 18 20 21 22; do trap '' $signal; done
setsid sh -c 'echo $$ > escaped; while :; do sleep 1; done' &
while :; do sleep 1; done";
    let running = shell(script, "    timeout: 500ms\n    stop_grace: 100ms\n").start();
    let escaped = running.wait_for_pid("escaped");
    running.end().expect_code(124).expect_stdout("");
    assert!(!is_alive(escaped), "{escaped} is left");
}

#[test]
fn a_step_that_forks_without_end_is_ended_whole() {
    // Each process runs for a long time, and some leave the process group.
    let script = "(while :; do setsid sleep 101.7531 & sleep 0.02; done) &
while :; do sleep 101.7531 & done";
    let ended = shell(script, "    timeout: 400ms\n    stop_grace: 0s\n")
        .run()
        .expect_code(124)
        .expect_stdout("");
    assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
    let left = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten()
        .filter(|entry| {
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            arguments
                .split(|&byte| byte == 0)
                .any(|argument| argument == b"101.7531")
        });
    assert_eq!(left.count(), 0);
}

#[test]
fn the_end_of_a_very_short_step_is_noticed() {
    // Many in a row: if an early end were missed, one of them would hang.
    let mut manifest = "version: 1\nsteps:\n".to_owned();
    for number in 0..200 {
        manifest.push_str(&format!("  - {{name: s{number}, command: ['true']}}\n"));
    }
    Guard::with_manifest(&manifest)
        .line("run --no-server")
        .run()
        .expect_code(0);
}

#[test]
fn children_that_end_at_the_same_time_are_all_collected() {
    // A single SIGCHLD stands for several children: all children of the step end at the same moment as the step.
    let script =
        "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'while [ ! -e go ]; do :; done' &); done
touch go; exit 0";
    shell(script, "")
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
}

#[test]
fn a_process_of_the_group_gets_the_stop_signal_once() {
    // The leader ends by itself, and leaves a process in its group.
    let script = "sh -c 'trap \"echo asked >> asked\" TERM; echo $$ > left; while [ ! -e asked ]; do sleep 0.01; done; sleep 0.3' &
while [ ! -s left ]; do sleep 0.01; done";
    let ended = shell(script, "").run().expect_code(0);
    let asked = std::fs::read_to_string(ended.folder.path().join("asked"));
    assert_eq!(asked.expect("it was asked"), "asked\n");
}

#[test]
fn processes_that_left_the_group_are_ended_too() {
    let script = "setsid sh -c 'trap \"\" TERM; echo $$ > escaped; while :; do sleep 1; done' & while [ ! -s escaped ]; do :; done";
    let guard = shell(&format!("{script}; exit 0"), "    stop_grace: 100ms\n");
    let running = guard.start();
    let escaped = running.wait_for_pid("escaped");
    let ended = running.end().expect_code(0).expect_stdout("served\n");
    assert!(!is_alive(escaped), "{escaped} is left");
    ended.expect_stderr("the step left processes running; they are stopped");
}

#[test]
fn a_step_that_was_stopped_by_sigstop_times_out_too() {
    let running = shell(
        "kill -STOP $$; sleep 100",
        "    timeout: 100ms\n    stop_grace: 5s\n",
    )
    .start();
    let ended = running.end().expect_code(124);
    assert!(
        ended.took < Duration::from_secs(3),
        "it went on to be stopped by its signal: {:?}",
        ended.took
    );
}

#[test]
fn the_stop_signal_can_be_chosen() {
    let script = "trap 'echo got INT; exit 0' INT; echo ready; while :; do sleep 0.01; done";
    let guard = shell(script, "    stop_signal: INT\n    timeout: 300ms\n");
    let ended = guard.run().expect_code(124);
    assert_eq!(ended.stdout(), "ready\ngot INT\n", "{ended}");
}

#[test]
fn a_step_reads_nothing() {
    let manifest = "version: 1\nsteps: [{name: s, command: [cat]}]\nserver: {command: [cat]}\n";
    let guard = Guard::with_manifest(manifest);
    let input =
        std::fs::File::open(guard.folder.file("input", "typed")).expect("the file is there");
    guard
        .stdin(input)
        .run()
        .expect_code(0)
        .expect_stdout("typed");
}

#[test]
fn a_step_leads_a_group_of_its_own_and_dies_with_the_guard() {
    let running = shell(
        "echo $$ > pid; cut -d' ' -f5 /proc/$$/stat > group; while :; do sleep 1; done",
        "",
    )
    .start();
    let pid = running.wait_for_pid("pid");
    assert_eq!(running.wait_for_pid("group"), pid);
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.end().expect_code(137);
    until("the step is gone", || !is_alive(pid));
}

#[test]
fn an_inherited_child_of_the_guard_is_not_the_steps() {
    // A wrapper script that starts a process and then executes the guard.
    let guard = Guard::with_manifest(
        "version: 1\nsteps: [{name: s, command: [sh, -c, 'sleep 100 & exit 0']}]\n",
    );
    let binary = env!("CARGO_BIN_EXE_startup-guard");
    let script = format!(
        "sleep 99 & echo $! > given\nexec {binary} run -- sh -c 'kill -0 $(cat given) && echo alive; kill $(cat given)'\n"
    );
    let script = guard
        .folder
        .script("wrapper", &format!("#!/bin/sh\n{script}"));
    let ended = guard
        .args(["run", "--no-manifest", "--"])
        .args([script])
        .run();
    ended.expect_code(0).expect_stdout("alive\n");
}

#[test]
fn orphans_of_a_step_are_gone_before_the_server_runs() {
    let script = "for i in 1 2 3 4 5; do (setsid sleep 100 &) ; done; sh -c 'exit 0' & exit 0";
    let manifest = "version: 1
steps: [{name: s, command: [sh, step.sh], stop_grace: 1s}]
server: {command: [sh, -c, 'ps -o stat= --ppid $$ | grep -c Z; exit 0']}
";
    let guard = Guard::with_manifest(manifest);
    guard.folder.file("step.sh", script);
    guard.run().expect_code(0).expect_stdout("0\n");
}

#[test]
fn the_server_does_not_collect_the_orphans_of_its_own() {
    // A child subreaper flag that the guard has set while its steps ran would survive the exec.
    let manifest = "version: 1
steps: [{name: s, command: ['true']}]
server: {command: [sh, -c, '(sh -c \"while [ ! -e go ]; do sleep 0.01; done; ps -o ppid= -p \\$\\$ > parent\" &); touch go; while [ ! -s parent ]; do sleep 0.01; done; echo $$ > server']}
";
    let ended = Guard::with_manifest(manifest).run().expect_code(0);
    let read = |name: &str| {
        let text = std::fs::read_to_string(ended.folder.path().join(name));
        text.expect("the server wrote it").trim().to_owned()
    };
    assert_ne!(read("parent"), read("server"));
}

#[test]
fn a_lack_of_file_descriptors_ends_with_71() {
    use nix::sys::resource::{Resource, setrlimit};
    // First too few file descriptors for the guard itself, then enough for it but too few for a step's pipes.
    for (limit, told) in [
        (3, "the system refused to claim signals"),
        (7, "step migrate: the system refused to start the program"),
    ] {
        let ended = shell("exit 0", "    allow_failure: true")
            .before_exec(move || {
                let _ = setrlimit(Resource::RLIMIT_NOFILE, limit, limit);
            })
            .run();
        ended.expect_code(71).expect_stdout("").expect_stderr(told);
    }
}
