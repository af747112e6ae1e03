//! The signals that an init forwards to its server.

use std::fs;
use std::path::Path;

use nix::libc;

use crate::support::{Guard, Running, field_of_status, until};
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    (
        "every_signal_that_can_be_caught_reaches_the_server_as_it_is",
        Needs::Nothing,
        every_signal,
    ),
    (
        "a_queued_signal_keeps_its_count_and_its_value",
        Needs::Nothing,
        queued_signals,
    ),
    (
        "signals_go_to_the_server_alone_or_to_its_group_with_forward_group",
        Needs::Nothing,
        child_or_group,
    ),
    (
        "a_signal_can_be_rewritten_or_dropped",
        Needs::Nothing,
        rewritten,
    ),
    (
        "a_group_is_stopped_and_continued_together_with_the_init",
        Needs::Nothing,
        stopped_group,
    ),
    (
        "inherited_ignored_and_blocked_signals_are_inherited_by_the_server_and_still_forwarded",
        Needs::Nothing,
        inherited,
    ),
];

/// An init whose server records the signals that it receives.
fn recorder(options: &str) -> Running {
    let running = Guard::new()
        .line(&format!("run --no-manifest --init {options} --"))
        .args(roles::command(&["record", "record"]))
        .start();
    until("the server runs", || {
        !lines(running.folder.path(), "record").is_empty()
    });
    running
}

fn lines(folder: &Path, file: &str) -> Vec<String> {
    let record = fs::read_to_string(folder.join(file)).unwrap_or_default();
    // Skips a line that is not complete yet.
    let whole = record.rfind('\n').map_or(0, |end| end + 1);
    record[..whole].lines().map(str::to_owned).collect()
}

/// The record without its first line, which contains the server's process ID.
fn record(running: &Running) -> Vec<String> {
    lines(running.folder.path(), "record").split_off(1)
}

fn server_of(running: &Running) -> i32 {
    pid_in(running, "record")
}

fn pid_in(running: &Running, file: &str) -> i32 {
    let first = &lines(running.folder.path(), file)[0];
    let pid = first.strip_prefix("ready ").expect("it begins so");
    pid.parse().expect("it is a number")
}

/// Uses libc's kill, because nix does not support real-time signals.
fn send(pid: i32, signal: i32) {
    // SAFETY: kill takes any numbers.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "{signal} can be sent");
}

fn kill_server(running: Running) {
    send(server_of(&running), libc::SIGKILL);
    running.end().expect_code(137);
}

fn every_signal() {
    const KEPT: [i32; 9] = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGCHLD,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
    ];
    let running = recorder("");
    let mut expected = Vec::new();
    for signal in (1..=64).filter(|signal| !KEPT.contains(signal)) {
        send(running.pid(), signal);
        expected.push(format!("{signal} -"));
        until(&format!("{signal} arrives"), || {
            record(&running).len() == expected.len()
        });
    }
    assert_eq!(record(&running), expected);
    kill_server(running);
}

fn queued_signals() {
    let running = recorder("");
    let signal = libc::SIGRTMIN() + 2;
    for value in 1..=50usize {
        let value = libc::sigval {
            sival_ptr: value as *mut libc::c_void,
        };
        // SAFETY: the value is passed on and not used as a pointer.
        assert_eq!(unsafe { libc::sigqueue(running.pid(), signal, value) }, 0);
    }
    until("all arrive", || record(&running).len() == 50);
    let expected: Vec<String> = (1..=50).map(|value| format!("{signal} {value}")).collect();
    assert_eq!(record(&running), expected);
    kill_server(running);
}

fn child_or_group() {
    for (options, second_gets) in [
        ("", vec![]),
        ("--forward child", vec![]),
        ("--forward group", vec!["10 -", "12 -"]),
    ] {
        let guard = Guard::new();
        let second = roles::command(&["record", "second"]);
        let first = roles::command(&["record", "record"]);
        let quoted = |words: &[std::ffi::OsString]| {
            let words: Vec<String> = words
                .iter()
                .map(|word| format!("'{}'", word.display()))
                .collect();
            words.join(" ")
        };
        let script = format!("{} & exec {}", quoted(&second), quoted(&first));
        let running = guard
            .line(&format!("run --no-manifest --init {options} -- sh -c"))
            .args([script])
            .start();
        let is_ready = |file| !lines(running.folder.path(), file).is_empty();
        until("both run", || is_ready("record") && is_ready("second"));
        send(running.pid(), libc::SIGUSR1);
        until("it arrives", || !record(&running).is_empty());
        let server = server_of(&running);
        // A later signal shows that no other signal is pending.
        send(running.pid(), libc::SIGUSR2);
        until("it arrives", || record(&running).len() == 2);
        assert_eq!(record(&running), ["10 -", "12 -"], "{options}");
        let second = || lines(running.folder.path(), "second").split_off(1);
        until("the other gets what is meant for it", || {
            second().len() >= second_gets.len()
        });
        assert_eq!(second(), second_gets, "{options}");
        // The server has its own group in this session, or its own session.
        let session = session_of(server);
        assert_eq!(session == server, options.contains("group"), "{options}");
        assert_ne!(session_of(running.pid()), server);
        kill_server(running);
    }
}

fn session_of(pid: i32) -> i32 {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::unistd::getsid(Some(pid))
        .expect("it is there")
        .as_raw()
}

fn rewritten() {
    let running = recorder(
        "--rewrite TERM:INT --rewrite 10:0 --rewrite SIGUSR2:RTMIN+1 --rewrite rtmin:1 --rewrite 1:3 --rewrite HUP:QUIT",
    );
    for signal in [
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGRTMIN(),
        libc::SIGHUP,
        libc::SIGWINCH,
    ] {
        send(running.pid(), signal);
        if signal != libc::SIGUSR1 {
            let before = record(&running).len();
            until("it arrives", || {
                record(&running).len() > before || is_recorded(&running, signal)
            });
        }
    }
    until("the last arrives", || {
        record(&running).last().is_some_and(|last| last == "28 -")
    });
    assert_eq!(record(&running), ["2 -", "35 -", "1 -", "3 -", "28 -"]);
    kill_server(running);
}

fn is_recorded(running: &Running, sent: i32) -> bool {
    let got = match sent {
        libc::SIGTERM => 2,
        libc::SIGUSR2 => 35,
        libc::SIGHUP => 3,
        28 => 28,
        _ => 1,
    };
    record(running).contains(&format!("{got} -"))
}

fn stopped_group() {
    let running = recorder("--forward group");
    let server = server_of(&running);
    let is_stopped =
        |pid| field_of_status(pid, "State").is_some_and(|state| state.starts_with('T'));
    for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        send(running.pid(), signal);
        until("both are stopped", || {
            is_stopped(server) && is_stopped(running.pid())
        });
        send(running.pid(), libc::SIGCONT);
        until("both go on", || {
            !is_stopped(server) && !is_stopped(running.pid())
        });
    }
    kill_server(running);
}

fn inherited() {
    let prepare: fn() = || {
        // SAFETY: ignoring runs no code, and the set is of the size that is told.
        unsafe {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            let blocked: u64 = 1 << (libc::SIGUSR1 - 1) | 1 << (libc::SIGTERM - 1) | 1 << 32;
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const blocked,
                0,
                8,
            );
        }
    };
    let mut direct = std::process::Command::new("grep");
    direct.args(["-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    // SAFETY: as above; nothing is allocated.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut direct, move || {
            prepare();
            Ok(())
        })
    };
    let direct = direct.output().expect("grep runs").stdout;
    let direct = String::from_utf8(direct).expect("it is text");
    assert!(direct.contains("SigBlk:\t0000000100004200\n"), "{direct}");
    for options in ["", "--init"] {
        Guard::new()
            .before_exec(prepare)
            .line(&format!(
                "run --no-manifest {options} -- grep -E ^Sig(Blk|Ign) /proc/self/status"
            ))
            .run()
            .expect_code(0)
            .expect_stdout(&direct);
    }
    // The end of the server is noticed although the inherited action ignores SIGCHLD, and HUP is received and
    // forwarded.
    let running = Guard::new()
        .before_exec(prepare)
        .line("run --no-manifest --init --")
        .args(roles::command(&["record", "record"]))
        .start();
    until("the server runs", || {
        !lines(running.folder.path(), "record").is_empty()
    });
    send(running.pid(), libc::SIGTERM);
    until("it arrives", || record(&running) == ["15 -"]);
    kill_server(running);
}
