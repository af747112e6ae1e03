//! Closed, full and broken streams. The guard does not hang, and its exit code shows what happened.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::libc;

use crate::support::{Guard, broken_pipe, code_of};

const MANIFEST: &str = "version: 1
steps: [{name: s, command: [sh, -c, 'echo migrated; echo err >&2; touch done']}]
server: {command: [sh, -c, 'touch served; exit 7']}
";

/// A guard whose output is not read.
fn unread(manifest: &str) -> Guard {
    Guard::with_manifest(manifest)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// A device without free space.
fn full() -> File {
    File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it")
}

fn closed(numbers: &'static [i32]) -> impl Fn() + Send + Sync {
    move || {
        for &number in numbers {
            // SAFETY: the process is about to execute the guard, and does not use the descriptors.
            unsafe { libc::close(number) };
        }
    }
}

/// A stream whose content can be read after the guard has ended.
fn kept() -> (impl FnOnce() -> String, Stdio) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let read = move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("it is text");
        text
    };
    (read, OwnedFd::from(writer).into())
}

#[test]
fn the_server_starts_whatever_the_streams_are() {
    let starts: [fn(Guard) -> Guard; 8] = [
        |guard| guard.before_exec(closed(&[0])),
        |guard| guard.before_exec(closed(&[1])),
        |guard| guard.before_exec(closed(&[2])),
        |guard| guard.before_exec(closed(&[0, 1, 2])),
        |guard| guard.stdout(full()),
        |guard| guard.stderr(full()),
        |guard| guard.stdout(broken_pipe()).stderr(broken_pipe()),
        |guard| guard.stdout(full()).stderr(full()),
    ];
    for (number, start) in starts.into_iter().enumerate() {
        for options in ["run", "run --init"] {
            let (status, _, folder) =
                start(unread(MANIFEST).line(options)).run_quietly_and(|_, _| {});
            assert_eq!(code_of(status), 7, "start {number}, {options}");
            for file in ["done", "served"] {
                assert!(folder.path().join(file).exists(), "start {number}: {file}");
            }
        }
    }
}

#[test]
fn an_error_has_its_exit_code_whatever_the_streams_are() {
    let starts: [fn(Guard) -> Guard; 4] = [
        |guard| guard.before_exec(closed(&[0, 1, 2])),
        |guard| guard.stderr(full()),
        |guard| guard.stderr(broken_pipe()),
        |guard| guard.stdout(broken_pipe()),
    ];
    for start in starts {
        for (manifest, code) in [
            ("version: 2\n", 65),
            (
                "version: 1\nvariables: {A: {}}\nserver: {command: ['true']}\n",
                78,
            ),
            (
                "version: 1\nsteps: [{name: s, command: ['false']}]\nserver: {command: ['true']}\n",
                70,
            ),
            ("version: 1\nserver: {command: [no-such-server]}\n", 127),
            // After the attempted hand-over, when SIGPIPE had its default action.
            ("version: 1\nserver: {command: [./script]}\n", 126),
        ] {
            let guard = unread(manifest);
            guard.folder.script("script", "no first line\n");
            assert_eq!(code_of(start(guard).run_quietly()), code, "{manifest}");
        }
    }
}

/// The limit of the size of files in these tests, in bytes.
const LIMIT: usize = 64;

/// Sets the limit, beyond which a write raises SIGXFSZ, and the state of that signal.
fn limited(state: SizeSignal) -> impl Fn() + Send + Sync {
    let limit = libc::rlimit {
        rlim_cur: LIMIT as libc::rlim_t,
        rlim_max: LIMIT as libc::rlim_t,
    };
    move || {
        // SAFETY: the pointers are valid, and the process is about to execute the guard.
        unsafe {
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
            match state {
                SizeSignal::Default => {}
                SizeSignal::Ignored => {
                    libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                }
                SizeSignal::Blocked => {
                    let mut set = std::mem::zeroed();
                    libc::sigemptyset(&raw mut set);
                    libc::sigaddset(&raw mut set, libc::SIGXFSZ);
                    libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                }
            }
        }
    }
}

/// The state of SIGXFSZ when the guard is started.
#[derive(Clone, Copy, Debug)]
enum SizeSignal {
    Default,
    Ignored,
    Blocked,
}

const SIZE_SIGNALS: [SizeSignal; 3] = [
    SizeSignal::Default,
    SizeSignal::Ignored,
    SizeSignal::Blocked,
];

#[test]
fn a_log_file_that_has_reached_its_limit_does_not_end_the_start() {
    let manifest = format!("announce: {}\n{MANIFEST}", "x".repeat(LIMIT));
    for state in SIZE_SIGNALS {
        for options in ["run", "run --init"] {
            let guard = Guard::with_manifest(&manifest);
            let (log, stdout) = (guard.folder.file("log", ""), guard.folder.file("out", ""));
            let open = |file| File::create(file).expect("a file can be made");
            let (status, _, folder) = guard
                .stdout(open(&stdout))
                .stderr(open(&log))
                .before_exec(limited(state))
                .line(options)
                .run_quietly_and(|_, _| {});
            assert_eq!(code_of(status), 7, "{state:?}, {options}");
            for file in ["done", "served"] {
                assert!(folder.path().join(file).exists(), "{state:?}: {file}");
            }
            let length = std::fs::metadata(log).expect("it is there").len();
            assert_eq!(length, LIMIT as u64, "the log is full");
        }
    }
}

#[test]
fn step_and_server_inherit_the_state_of_sigxfsz_unchanged() {
    const SHOW: [&str; 3] = ["grep", "-E", "^Sig(Blk|Ign|Cgt):"];
    for state in SIZE_SIGNALS {
        let mut directly = Command::new(SHOW[0]);
        directly.args(&SHOW[1..]).arg("/proc/self/status");
        let prepare = limited(state);
        // SAFETY: the calls only set a limit and signals.
        unsafe {
            directly.pre_exec(move || {
                prepare();
                Ok(())
            })
        };
        let directly = directly.output().expect("grep starts").stdout;
        let directly = String::from_utf8(directly).expect("it is text");
        assert_eq!(directly.lines().count(), 3, "{directly}");
        let command = format!(
            "[{}, {}, '{}', /proc/self/status]",
            SHOW[0], SHOW[1], SHOW[2]
        );
        let manifest = format!(
            "version: 1\nsteps: [{{name: s, command: {command}}}]\nserver: {{command: {command}}}\n"
        );
        for options in ["run", "run --init", "run --init --forward group"] {
            let guard = Guard::with_manifest(&manifest);
            let log = guard.folder.file("log", "x".repeat(LIMIT));
            let log = File::options().append(true).open(log).expect("it is there");
            let (shown, stdout) = kept();
            let status = guard
                .stdout(stdout)
                .stderr(log)
                .before_exec(limited(state))
                .line(options)
                .run_quietly();
            assert_eq!(code_of(status), 0, "{state:?}, {options}");
            assert_eq!(shown(), directly.repeat(2), "{state:?}, {options}");
        }
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for words in [&["--help"][..], &["exit-codes"], &["--version"], &["check"]] {
        for stream in [full(), broken_pipe()] {
            let (text, stderr) = kept();
            let guard = Guard::with_manifest("version: 1\n");
            let status = guard
                .args(words)
                .stdout(stream)
                .stderr(stderr)
                .run_quietly();
            assert_eq!(code_of(status), 71, "{words:?}");
            let text = text();
            assert!(text.contains("the system refused to "), "{words:?}: {text}");
        }
    }
}

#[test]
fn a_closed_stream_of_the_server_is_never_a_file_of_the_guard() {
    // Rust's runtime opens /dev/null for a closed stream. Otherwise the next file that the guard opens would be the
    // server's stdin.
    let (text, stdout) = kept();
    let status = Guard::new()
        .before_exec(closed(&[0]))
        .stdout(stdout)
        .args([
            "run",
            "--no-manifest",
            "--",
            "sh",
            "-c",
            "readlink /proc/$$/fd/0; cat",
        ])
        .run_quietly();
    assert_eq!(code_of(status), 0);
    assert_eq!(text(), "/dev/null\n");
}
