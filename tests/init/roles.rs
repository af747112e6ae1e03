//! The roles of this test binary when a test starts it as a server or a step.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

const FLAG: &str = "--role";

/// The exit code of a server after SIGTERM.
pub const STOPPED: i32 = 42;

/// The command that starts this binary in a role.
pub fn command(role: &[&str]) -> Vec<OsString> {
    let itself = std::env::current_exe().expect("this program has a file");
    let mut words = vec![itself.into_os_string(), FLAG.into()];
    words.extend(role.iter().map(OsString::from));
    words
}

/// The command as a list in YAML.
pub fn yaml(role: &[&str]) -> String {
    let words: Vec<String> = command(role)
        .iter()
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    format!("[{}]", words.join(", "))
}

/// Runs the role that the arguments name, if they name one.
pub fn play() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, role, rest @ ..] = arguments.as_slice() else {
        return None;
    };
    if flag != FLAG {
        return None;
    }
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let code = match (role.as_str(), rest.as_slice()) {
        ("exit", [code]) => number(code),
        ("die", [signal]) => die(number(signal)),
        ("record", [file]) => record(file),
        ("serve", []) => serve(),
        ("step", [cookie]) => step(cookie),
        ("wait", [_cookie]) => wait(),
        ("orphans", [count]) => orphans(number(count)),
        _ => panic!("no such role: {arguments:?}"),
    };
    Some(ExitCode::from(
        u8::try_from(code).expect("a code fits a byte"),
    ))
}

/// Gives every signal its default action. A shell that starts the tests in the background sets some signals to be
/// ignored, which child processes would inherit.
pub fn reset_signals() {
    for signal in (1..=64).filter(|&signal| signal != libc::SIGPIPE) {
        set_default(signal);
    }
    SigSet::empty()
        .thread_set_mask()
        .expect("a mask can be set");
}

/// Uses the system call, because the C library does not change signals 32 and 33, which may be ignored as well.
fn set_default(signal: i32) {
    let default = [0u64; 4];
    // SAFETY: the default action runs no handler. The call fails for SIGKILL and SIGSTOP, which have no other action.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), 0, 8) };
}

fn number(text: &str) -> i32 {
    text.parse().expect("it is a number")
}

/// Terminates this process by a signal.
fn die(signal: i32) -> i32 {
    // SAFETY: sets the default action, and signals this process. There is no core dump, because the limit is 0.
    unsafe {
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
        set_default(signal);
        libc::kill(libc::getpid(), signal);
    }
    wait()
}

fn wait() -> i32 {
    std::thread::sleep(Duration::from_secs(100));
    0
}

/// Records every signal that arrives, with the value of a queued one, until it is killed.
fn record(file: &str) -> i32 {
    let mut out = fs::File::options()
        .create(true)
        .append(true)
        .open(file)
        .expect("the record can be written");
    let all = u64::MAX;
    // SAFETY: the set has the size that is passed. Uses the system call, because the C library ignores signals 32 and
    // 33.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            0,
            8,
        )
    };
    writeln!(out, "ready {}", std::process::id()).expect("the record can be written");
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the set has the size that is passed, and the pointer is valid for the result.
        let signal = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const all,
                info.as_mut_ptr(),
                0,
                8,
            )
        };
        if signal < 1 {
            continue;
        }
        // SAFETY: the call has initialised it, and a queued signal has a value.
        let value = unsafe {
            let info = info.assume_init();
            (info.si_code == libc::SI_QUEUE).then(|| info.si_value().sival_ptr as usize)
        };
        let value = value.map_or("-".to_owned(), |value| value.to_string());
        writeln!(out, "{signal} {value}").expect("the record can be written");
    }
}

static IS_STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_stop(_: libc::c_int) {
    IS_STOPPED.store(true, Ordering::SeqCst);
}

/// A server that exits with a certain code after SIGTERM.
fn serve() -> i32 {
    let mut mask = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        mask.add(signal);
    }
    mask.thread_block().expect("signals can be blocked");
    let action = SigAction::new(
        SigHandler::Handler(note_stop),
        SaFlags::empty(),
        SigSet::empty(),
    );
    for signal in &mask {
        // SAFETY: the handler only stores a flag.
        unsafe { sigaction(signal, &action) }.expect("a handler can be set");
    }
    fs::write("served", "yes\n").expect("the folder can be written to");
    while !IS_STOPPED.load(Ordering::SeqCst) {
        // Blocked until here, so that no signal is missed between the check and the wait. SAFETY: an empty set.
        unsafe { libc::sigsuspend(SigSet::empty().as_ref()) };
    }
    STOPPED
}

/// A step that starts a process in its own session, and leaves it running.
fn step(cookie: &str) -> i32 {
    let words = command(&["wait", cookie]);
    let mut escaped = Command::new(&words[0]);
    escaped
        .args(&words[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: setsid is async-signal-safe.
    unsafe {
        escaped.pre_exec(|| {
            libc::setsid();
            Ok(())
        })
    };
    #[expect(clippy::zombie_processes, reason = "it is left on purpose")]
    escaped.spawn().expect("it starts");
    0
}

/// Creates `count` orphans, each of which ends after its parent.
fn orphans(count: i32) -> i32 {
    /// The number of orphans that exist at the same time.
    const BATCH: i32 = 500;
    let mut made = 0;
    while made < count {
        let batch = BATCH.min(count - made);
        // The orphans of a batch live until the pipe is closed.
        let (gate, key) = nix::unistd::pipe().expect("a pipe can be made");
        for _ in 0..batch {
            make_orphan(&gate, &key);
        }
        made += batch;
    }
    fs::write("made", "yes\n").expect("the folder can be written to");
    serve()
}

fn make_orphan(gate: &OwnedFd, key: &OwnedFd) {
    // SAFETY: this process has one thread, and its children only make system calls.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let grandchild = libc::fork();
            if grandchild == 0 {
                libc::close(key.as_raw_fd());
                let mut byte = 0u8;
                libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1);
            }
            libc::_exit(i32::from(grandchild < 0));
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        assert_eq!(status, 0, "there is no process to be had");
    }
}
