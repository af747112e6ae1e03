//! The hand-over: how commands are found, their errors, and what the server inherits.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};

use crate::support::Guard;

fn served(command: &str) -> Guard {
    Guard::with_manifest("version: 1\n").args(["run", "--", command])
}

#[test]
fn a_command_that_does_not_exist_ends_with_127() {
    served("no-such-server")
        .run()
        .expect_code(127)
        .expect_stderr("the command `no-such-server` was not found");
    served("./no/such")
        .run()
        .expect_code(127)
        .expect_stderr("the command `./no/such` was not found");
    let guard = served("./script");
    guard.folder.script("script", "#!/no/such/python -u\n");
    guard
        .run()
        .expect_code(127)
        .expect_stderr("its interpreter `/no/such/python` was not found");
    // A script with Windows line breaks.
    let guard = served("./script");
    guard.folder.script("script", "#!/bin/sh\r\nexit 0\r\n");
    guard
        .run()
        .expect_code(127)
        .expect_stderr("its interpreter `/bin/sh\\r` was not found");
}

#[test]
fn a_command_whose_program_expands_to_nothing_is_an_error_before_the_first_step() {
    let guard = Guard::with_manifest(
        "version: 1\nvariables:\n  SERVER: {level: optional}\nsteps:\n  - {name: s, command: [touch, ran]}\nserver: {command: ['${SERVER:-}', x]}\n",
    )
    .args(["run"]);
    let ran = guard.folder.path().join("ran");
    guard
        .run()
        .expect_code(127)
        .expect_stderr("the command has no program: its first word is empty");
    assert!(!ran.exists());
}

#[test]
fn a_command_that_cannot_be_executed_ends_with_126() {
    served("/tmp")
        .run()
        .expect_code(126)
        .expect_stderr("the command `/tmp` is a directory");
    let guard = served("./file");
    guard.folder.file("file", "#!/bin/sh\n");
    guard
        .run()
        .expect_code(126)
        .expect_stderr("the command `./file` may not be executed");
    let guard = served("./script");
    guard
        .folder
        .script("script", "echo a script without its first line\n");
    guard
        .run()
        .expect_code(126)
        .expect_stderr("neither a program nor a script with a `#!` line")
        .expect_stdout("");
    // Two values that are short enough make an argument that is too long: the kernel admits 128 KiB per argument.
    let manifest = "version: 1\nserver: {command: [echo, '${A}${A}']}\n";
    Guard::with_manifest(manifest)
        .env("A", "x".repeat(100_000))
        .run()
        .expect_code(126)
        .expect_stderr("its arguments and environment are too long for the system")
        .expect_stdout("");
}

#[test]
fn path_is_searched_like_execvp_and_files_that_are_not_executable_are_skipped() {
    let guard = served("tool");
    for folder in ["a", "b", "c"] {
        fs::create_dir(guard.folder.path().join(folder)).expect("a folder can be made");
    }
    guard.folder.file("a/tool", "#!/bin/sh\necho a\n");
    fs::create_dir(guard.folder.path().join("b/tool")).expect("a folder can be made");
    guard.folder.script("c/tool", "#!/bin/sh\necho c $0\n");
    guard
        .env("PATH", "nowhere:a:b:c:/usr/bin:/bin")
        .run()
        .expect_code(0)
        .expect_stdout("c c/tool\n");
    let guard = served("tool");
    guard.folder.file("tool", "#!/bin/sh\n");
    guard
        .env("PATH", "")
        .run()
        .expect_code(126)
        .expect_stderr("may not be executed");
}

#[test]
fn steps_and_server_have_the_same_start_errors() {
    for (command, code) in [
        ("no-such-step", 127),
        ("/tmp", 126),
        ("./script", 126),
        ("./wrong", 127),
        ("./loose", 127),
        ("./file", 126),
        ("./file/x", 127),
    ] {
        let manifest = format!(
            "version: 1\nsteps: [{{name: s, command: ['{command}'], allow_failure: true}}]\n"
        );
        let guard = Guard::with_manifest(&manifest).line("run -- echo served");
        guard.folder.script("script", "echo no first line\n");
        guard.folder.script("wrong", "#!/no/such\n");
        guard.folder.script("loose", "#!/bin/sh\r\n");
        guard.folder.file("file", "x");
        let ended = guard
            .run()
            .expect_code(code)
            .expect_stdout("")
            .expect_stderr("step s: the command");
        assert!(ended.last_line().contains("phase step"), "{ended}");
    }
}

const SHOW_SIGNALS: &str = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l";

/// The signal masks of a process that is started in the same way without the guard.
fn shown_without_guard(prepare: fn()) -> String {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", SHOW_SIGNALS])
        .stdin(std::process::Stdio::null());
    // SAFETY: the closures of these tests only change signals.
    unsafe {
        command.pre_exec(move || {
            prepare();
            Ok(())
        })
    };
    let output = command.output().expect("the shell starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn block_and_ignore() {
    let mut blocked = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGCHLD,
        Signal::SIGALRM,
    ] {
        blocked.add(signal);
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None);
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
        Signal::SIGTSTP,
    ] {
        let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: ignoring runs no code.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

#[test]
fn server_and_steps_inherit_mask_ignored_signals_and_descriptors_unchanged() {
    for prepare in [(|| {}) as fn(), block_and_ignore] {
        let expected = shown_without_guard(prepare);
        let manifest = "version: 1\nsteps: [{name: s, command: ['true']}]\n";
        let guard = Guard::with_manifest(manifest).before_exec(prepare).args([
            "run",
            "--",
            "sh",
            "-c",
            SHOW_SIGNALS,
        ]);
        guard.run().expect_code(0).expect_stdout(&expected);
        let manifest =
            format!("version: 1\nsteps: [{{name: s, command: [sh, -c, \"{SHOW_SIGNALS}\"]}}]\n");
        let guard = Guard::with_manifest(&manifest)
            .before_exec(prepare)
            .line("run --no-server");
        guard.run().expect_code(0).expect_stdout(&expected);
    }
}

#[test]
fn sigpipe_has_its_default_action_in_the_server() {
    let ignore_pipe = || {
        let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: ignoring runs no code.
        let _ = unsafe { sigaction(Signal::SIGPIPE, &action) };
    };
    let guard = Guard::new().before_exec(ignore_pipe);
    let ended = guard
        .args([
            "run",
            "--no-manifest",
            "--",
            "grep",
            "SigIgn",
            "/proc/self/status",
        ])
        .run();
    let ended = ended.expect_code(0);
    let ignored = ended
        .stdout()
        .trim_start_matches("SigIgn:")
        .trim()
        .to_owned();
    let ignored = u64::from_str_radix(&ignored, 16).expect("the kernel writes it so");
    assert_eq!(ignored & (1 << (Signal::SIGPIPE as u64 - 1)), 0, "{ended}");
}

#[test]
fn inherited_descriptors_stay_open() {
    let guard = Guard::new();
    let file =
        File::open(guard.folder.file("handed-in", "its content")).expect("the file is there");
    let number = file.as_raw_fd();
    let keep_open = move || {
        // SAFETY: the descriptor is open in the parent, and therefore in the child.
        let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        let _ = nix::fcntl::fcntl(
            file,
            nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
        );
    };
    let guard = guard.before_exec(keep_open);
    let ended = guard
        .args([
            "run",
            "--no-manifest",
            "--",
            "cat",
            &format!("/proc/self/fd/{number}"),
        ])
        .run();
    ended.expect_code(0).expect_stdout("its content");
    drop(file);
}

#[test]
fn a_command_that_expands_to_nothing_names_no_program() {
    Guard::new()
        .line("run --no-manifest --")
        .args([""])
        .run()
        .expect_code(64);
    for command in [
        "server: {command: ['${V:-}']}\n",
        "steps: [{name: s, command: ['${V:-}']}]\nserver: {command: [echo, served]}\n",
    ] {
        Guard::with_manifest(&format!("version: 1\n{command}"))
            .run()
            .expect_code(127)
            .expect_stdout("")
            .expect_stderr("the command has no program: its first word is empty");
    }
}

#[test]
fn the_server_has_the_guards_stdin_and_working_directory() {
    let guard = Guard::new();
    let input = File::open(guard.folder.file("input", "typed")).expect("the file is there");
    let folder = guard.folder.path().to_owned();
    let ended = guard
        .stdin(input)
        .args(["run", "--no-manifest", "--", "sh", "-c", "cat; pwd"])
        .run();
    ended.expect_stdout(&format!("typed{}\n", folder.display()));
}

#[test]
fn the_server_gets_the_commands_name_as_it_was_written() {
    for options in ["", "--init"] {
        Guard::new()
            .line(&format!(
                "run --no-manifest {options} -- cat /proc/self/cmdline"
            ))
            .run()
            .expect_code(0)
            .expect_stdout("cat\0/proc/self/cmdline\0");
    }
}
