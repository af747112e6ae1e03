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
    let guard = served("./script");
    guard
        .folder
        .script("script", "#!/usr/bin/env no-such-node\n");
    guard
        .run()
        .expect_code(127)
        .expect_stderr("its interpreter `no-such-node` was not found");
}

#[test]
fn a_script_with_windows_line_endings_is_told_as_one() {
    for line in [
        "#!/bin/sh",
        "#!/usr/bin/env bash",
        "#! /usr/bin/env  python3 -u",
    ] {
        let guard = served("./script");
        guard
            .folder
            .script("script", &format!("{line}\r\nexit 0\r\n"));
        guard.run().expect_code(126).expect_stderr(
            "the command `./script` has Windows line endings (CRLF); save it with LF",
        );
    }
    // Only the first line is read before the start, and `env -S` ignores the carriage return.
    for line in ["#!/bin/sh\n", "#!/usr/bin/env -S sh\r\n"] {
        let guard = served("./script");
        guard
            .folder
            .script("script", &format!("{line}#\r\nexit 7 #\r\n"));
        guard.run().expect_code(7);
    }
}

/// An ELF file for a processor, with the path of its loader.
fn elf(machine: u16, loader: &str) -> Vec<u8> {
    let mut file = vec![0; 200];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[16..20].copy_from_slice(&[2, 0, machine.to_le_bytes()[0], machine.to_le_bytes()[1]]);
    // One program header at offset 64, with the path at offset 120.
    for (at, value) in [
        (32, 64),
        (54, 56),
        (56, 1),
        (64, 3),
        (72, 120),
        (96, loader.len()),
    ] {
        file[at] = u8::try_from(value).expect("it is small");
    }
    file[120..120 + loader.len()].copy_from_slice(loader.as_bytes());
    file
}

#[test]
fn a_program_for_another_platform_is_named() {
    let own = if cfg!(target_arch = "x86_64") {
        62
    } else {
        183
    };
    let other = if own == 62 {
        (183, "aarch64")
    } else {
        (62, "x86-64")
    };
    let foreign = format!("is a program for {}, and this machine is", other.1);
    for (content, code, told) in [
        (elf(other.0, ""), 126, foreign.as_str()),
        (
            elf(own, "/no/such/ld-linux-x86-64.so.2\0"),
            127,
            "the loader `/no/such/ld-linux-x86-64.so.2` that it is linked with was not found; it is built for glibc",
        ),
        (
            elf(own, "/no/such/ld-musl-x86_64.so.1\0"),
            127,
            "it is built for musl, as in Alpine images",
        ),
        (
            b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec(),
            126,
            "is a program for macOS",
        ),
        (b"MZ\x90\0".to_vec(), 126, "is a program for Windows"),
        (
            b"\xef\xbb\xbf#!/bin/sh\n".to_vec(),
            126,
            "begins with a byte order mark",
        ),
    ] {
        let guard = served("./program");
        let file = guard.folder.script("program", "");
        fs::write(file, &content).expect("it can be written");
        guard
            .run()
            .expect_code(code)
            .expect_stderr("the command `./program`")
            .expect_stderr(told);
    }
    // The interpreter of a script.
    let guard = served("./script");
    let interpreter = guard.folder.script("interpreter", "");
    fs::write(&interpreter, elf(other.0, "")).expect("it can be written");
    guard
        .folder
        .script("script", &format!("#!{}\n", interpreter.display()));
    guard
        .run()
        .expect_code(126)
        .expect_stderr("cannot start: its interpreter `")
        .expect_stderr(&foreign);
}

#[test]
fn a_program_that_nothing_can_install_is_an_error_before_the_first_step() {
    let manifest = "version: 1
wait_for: [{tcp: '127.0.0.1:1'}]
steps:
  - {name: one, command: [no-such-one]}
  - {name: two, command: [no-such-two]}
server: {command: [no-such-server]}
";
    let ended = Guard::with_manifest(manifest).run().expect_code(127);
    ended
        .expect_stderr("step one: the command `no-such-one` was not found; check its spelling, and PATH (phase step, exit code 127")
        .expect_stderr("not ready yet: step two: the command `no-such-two` was not found")
        .expect_stderr("not ready yet: the command `no-such-server` was not found")
        .expect_never("waiting");
    // Alembic installs nothing.
    let manifest = "version: 1
steps: [{name: migrate, command: [./alembic, upgrade, head]}]
server: {command: [no-such-server]}
";
    let behind_env = manifest.replace(
        "[./alembic",
        "[env, PGOPTIONS=-c lock_timeout=5s, ./alembic",
    );
    for manifest in [manifest, &behind_env] {
        let guard = Guard::with_manifest(manifest);
        guard.folder.script("alembic", "#!/bin/sh\necho migrated\n");
        guard
            .run()
            .expect_code(127)
            .expect_stdout("")
            .expect_stderr("the command `no-such-server` was not found; check its spelling, and PATH (phase serve, exit code 127");
    }
    // Without a step, two programs are told at once.
    let manifest = "version: 1
steps: [{name: s, command: ['true'], up_to_date: [no-such-question]}]
server: {command: [no-such-server]}
";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(127)
        .expect_stderr("step s: the command `no-such-question` was not found")
        .expect_stderr("the command `no-such-server` was not found");
}

#[test]
fn a_program_that_a_step_installs_or_that_is_not_needed_is_no_error() {
    let manifest = "version: 1
steps:
  - {name: install, command: [ln, -s, /bin/echo, tool]}
  - {name: migrate, command: [./tool, migrated]}
server: {command: [./tool, served]}
";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("migrated\nserved\n")
        .expect_stderr("not ready yet: step migrate: the command `./tool` was not found");
    let manifest = "version: 1
steps: [{name: s, command: [no-such-tool], up_to_date: ['true']}]
server: {command: [echo, served]}
";
    Guard::with_manifest(manifest)
        .run()
        .expect_code(0)
        .expect_stdout("served\n");
    // `check` looks nothing up.
    Guard::with_manifest(manifest)
        .args(["check"])
        .run()
        .expect_code(0)
        .expect_never("not found");
}

#[test]
fn a_command_that_is_written_as_for_a_shell_is_explained() {
    for (words, told) in [
        (
            &["HOST=canary", "PORT=3000", "bun", "server.js"][..],
            "the command `HOST…` was not found; an assignment needs a shell or `env`",
        ),
        (
            &["echo canary --port 80"],
            "the command `echo…` was not found; its name contains a space",
        ),
        (
            &["cd", "/app"],
            "it is a command of the shell, not a program",
        ),
        (
            &["exec", "echo"],
            "`exec` is a command of the shell: leave it out",
        ),
    ] {
        Guard::with_manifest("version: 1\n")
            .args(["run", "--"])
            .args(words)
            .run()
            .expect_code(127)
            .expect_stderr(told)
            .expect_never("canary");
    }
    Guard::with_manifest("version: 1\n")
        .args(["run", "--", "echo", "a", "&&", "echo", "b"])
        .run()
        .expect_code(0)
        .expect_stderr("the command of the server: its words contain an operator");
}

#[test]
fn a_server_in_a_shell_that_stays_gets_a_warning() {
    let told = "a shell without `exec` runs it";
    let run = |line: &[&str]| {
        Guard::with_manifest("version: 1\n")
            .args(["run"])
            .args(line)
            .run()
    };
    let ended = run(&["--", "sh", "-c", "echo served; true"]).expect_code(0);
    ended.expect_stderr(told);
    for line in [
        &["--", "sh", "-c", "true && exec echo served"][..],
        &["--", "bash", "-c", "echo served"],
        &[
            "--init",
            "--forward",
            "group",
            "--",
            "sh",
            "-c",
            "echo served; true",
        ],
    ] {
        run(line).expect_code(0).expect_never(told);
    }
    // Only the hand-over is asked for.
    run(&["--no-manifest", "--", "sh", "-c", "echo served; true"])
        .expect_code(0)
        .expect_stderr("")
        .expect_never(told);
    let manifest = "version: 1\nserver: {command: [sh, -c, 'echo served; true']}\n";
    let ended = Guard::with_manifest(manifest)
        .args(["check", "--format", "json"])
        .run();
    assert!(
        ended
            .expect_code(0)
            .stdout()
            .contains(r#""note":"command""#)
    );
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
        ("./loose", 126),
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
fn socket_activation_names_the_servers_own_process() {
    // The launcher sets LISTEN_PID to its own process ID and executes the guard.
    let manifest = "version: 1
steps: [{name: s, command: ['true']}]
server: {command: [sh, -c, 'test $LISTEN_PID = $$ && echo the same']}
";
    let guard = Guard::with_manifest(manifest);
    let launcher = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" run";
    guard
        .line("run --no-manifest -- sh -c")
        .args([launcher, env!("CARGO_BIN_EXE_startup-guard")])
        .run()
        .expect_code(0)
        .expect_stdout("the same\n");
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
