//! Restricted systems: system calls that a seccomp filter or an old kernel rejects, no /dev, a log file at its size
//! limit.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use nix::libc;

use crate::support::{Guard, broken_pipe, code_of, field_of_status, until};
use crate::user::{apart, bind, c_path};
use crate::{Needs, Test, roles};

pub const TESTS: &[Test] = &[
    (
        "every_line_passes_a_pipe_if_pwritev2_is_rejected",
        Needs::Strace,
        refused_pwritev2,
    ),
    (
        "every_line_passes_a_socket_if_send_is_rejected",
        Needs::Strace,
        refused_send,
    ),
    (
        "a_queued_signal_is_forwarded_without_its_value_if_that_cannot_be_sent",
        Needs::Strace,
        refused_value,
    ),
    (
        "a_guard_that_cannot_read_signals_ends_with_71_before_its_server_starts",
        Needs::Strace,
        refused_signals,
    ),
    (
        "a_signal_that_a_write_of_the_init_caused_is_not_forwarded",
        Needs::Strace,
        own_signal,
    ),
    (
        "a_step_without_dev_null_ends_with_71_and_a_server_needs_none",
        Needs::Namespaces,
        without_dev,
    ),
];

/// The errors with which old kernels, gVisor and seccomp filters reject a system call.
const REFUSALS: [&str; 5] = ["ENOSYS", "EPERM", "EACCES", "EINVAL", "EOPNOTSUPP"];

/// A guard that runs under strace, which makes this system call fail in the guard only. The guard's arguments must be
/// added.
fn refused(guard: Guard, call: &str, error: &str) -> Guard {
    guard
        .line("run --no-manifest -- strace -o /dev/null -e")
        .args([format!("trace={call}"), "-e".to_owned()])
        .args([format!("inject={call}:error={error}")])
        .args([env!("CARGO_BIN_EXE_startup-guard")])
}

/// The number of lines that a step writes, more than a pipe can hold.
const LINES: usize = 20_000;

fn talkative() -> (String, String, String) {
    let manifest = format!(
        "version: 1\nannounce: begins\nsteps: [{{name: s, announce: {{done: done}}, command: [seq, '{LINES}']}}]\nserver: {{announce: serves, command: [echo, served]}}\n"
    );
    let lines: Vec<String> = (1..=LINES).map(|line| line.to_string()).collect();
    let stdout = format!("{}\nserved\n", lines.join("\n"));
    let stderr = format!("begins\nstartup-guard: step s: seq {LINES}\n");
    (manifest, stdout, stderr)
}

fn refused_pwritev2() {
    let (manifest, stdout, stderr) = talkative();
    for error in REFUSALS {
        let ended = refused(Guard::with_manifest(&manifest), "pwritev2", error)
            .args(["run"])
            .run();
        // The duration is between them.
        let shown = ended.stderr();
        assert!(
            shown.starts_with(&stderr) && shown.ends_with("s\ndone\nserves\n"),
            "{error}: {shown}"
        );
        ended.expect_code(0).expect_stdout(&stdout);
    }
}

fn refused_send() {
    let (manifest, expected, _) = talkative();
    for error in REFUSALS {
        let (mut ours, theirs) = UnixStream::pair().expect("a socket can be made");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            ours.read_to_string(&mut text).expect("it is text");
            text
        });
        let status = refused(Guard::with_manifest(&manifest), "sendto", error)
            .args(["run"])
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .run_quietly();
        let text = reader.join().expect("the reader does not panic");
        assert_eq!(code_of(status), 0, "{error}");
        assert_eq!(text, expected, "{error}");
    }
}

/// A server that records the signals that it receives. It is killed on drop, also if the test fails.
struct Recorder(i32);

impl Recorder {
    /// Waits until the server that writes to this folder is ready.
    fn in_folder(folder: &Path) -> Self {
        let pid = || {
            let record = fs::read_to_string(folder.join("record")).ok()?;
            let (first, _) = record.split_once('\n')?;
            first.strip_prefix("ready ")?.parse().ok()
        };
        until("the server runs", || pid().is_some());
        Self(pid().expect("it runs"))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // SAFETY: kill accepts any numbers, and the server runs until it is killed here.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

fn parent(pid: i32) -> i32 {
    let parent = field_of_status(pid, "PPid").expect("it runs");
    parent.parse().expect("it is a number")
}

/// The signals that the server has received, each with its value.
fn record(folder: &Path) -> Vec<String> {
    let record = fs::read_to_string(folder.join("record")).expect("the server has written it");
    record.lines().skip(1).map(str::to_owned).collect()
}

fn send(pid: i32, signal: i32) {
    // SAFETY: kill takes any numbers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn refused_value() {
    for error in REFUSALS {
        let running = refused(Guard::new(), "rt_sigqueueinfo", error)
            .line("run --no-manifest --init --")
            .args(roles::command(&["record", "record"]))
            .start();
        let folder = running.folder.path();
        let server = Recorder::in_folder(folder);
        let signal = libc::SIGRTMIN() + 2;
        let value = libc::sigval {
            sival_ptr: 7 as *mut libc::c_void,
        };
        // The test has started strace. The guard is its child, and the server's parent.
        let guard = parent(server.0);
        // SAFETY: the value is passed on and not used as a pointer.
        let sent = unsafe { libc::sigqueue(guard, signal, value) };
        assert_eq!(sent, 0);
        until("it arrives", || record(folder) == [format!("{signal} -")]);
        drop(server);
        running.end().expect_code(137);
    }
}

fn refused_signals() {
    for options in ["", "--init"] {
        for error in REFUSALS {
            refused(Guard::new(), "signalfd4", error)
                .line(&format!("run --no-manifest {options} -- echo served"))
                .run()
                .expect_code(71)
                .expect_stdout("")
                .expect_stderr("the system refused to claim signals");
        }
    }
}

/// The guard logs that it cannot forward a signal. That write fails and raises another signal, which must not be
/// forwarded.
fn own_signal() {
    const LIMIT: usize = 64 * 1024;
    for (failed_write, is_pipe) in [("EPIPE", true), ("EFBIG", false)] {
        let guard = Guard::new();
        let stderr = if is_pipe {
            broken_pipe()
        } else {
            let log = guard.folder.file("log", "x".repeat(LIMIT));
            let log = File::options().append(true).open(log);
            log.expect("the log can be opened")
        };
        let (status, _, _) = guard
            .before_exec(limit_files(LIMIT))
            .stderr(stderr)
            .line("run --no-manifest -- strace -o calls -e trace=write,pwritev2,kill")
            .line("-e inject=kill:error=EPERM:when=1")
            .args([env!("CARGO_BIN_EXE_startup-guard")])
            .line("run --no-manifest --init --")
            .args(roles::command(&["record", "record"]))
            .run_quietly_and(|folder, _| {
                let server = Recorder::in_folder(folder.path());
                let guard = parent(server.0);
                let calls = || fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
                send(guard, libc::SIGUSR1);
                until("the guard cannot complain", || {
                    calls().contains(failed_write)
                });
                // The kernel delivers pending signals in the order of their numbers: after this one has arrived, no
                // other is pending.
                send(guard, libc::SIGRTMIN());
                let expected = format!("{} -", libc::SIGRTMIN());
                until("it arrives", || record(folder.path()).contains(&expected));
                assert_eq!(record(folder.path()), [expected]);
            });
        assert_eq!(code_of(status), 137);
    }
}

/// Sets the limit of the size of files, in bytes.
fn limit_files(size: usize) -> impl Fn() + Send + Sync {
    move || {
        let limit = libc::rlimit {
            rlim_cur: size as libc::rlim_t,
            rlim_max: size as libc::rlim_t,
        };
        // SAFETY: the call reads a valid limit.
        let result = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
        assert_eq!(result, 0);
    }
}

fn without_dev() {
    let guard = |steps: &str| {
        // A static server, which needs no file in /dev.
        let itself = env!("CARGO_BIN_EXE_startup-guard");
        let manifest = format!(
            "version: 1\nsteps: {}\nserver: {{command: ['{itself}', --version]}}\n",
            steps.replace("ITSELF", itself)
        );
        let guard = Guard::with_manifest(&manifest);
        let empty = guard.folder.path().join("empty");
        fs::create_dir(&empty).expect("a folder can be made");
        let empty = c_path(&empty);
        guard.before_exec(move || {
            apart();
            bind(&empty, c"/dev");
        })
    };
    for options in ["run", "run --init"] {
        guard("[{name: s, command: ['ITSELF', --version]}]")
            .line(options)
            .run()
            .expect_code(71)
            .expect_stdout("")
            .expect_stderr("step s: ");
        guard("[]")
            .line(options)
            .run()
            .expect_code(0)
            .expect_stdout(concat!("startup-guard ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}
