//! Runs a program of the user, such as `git`, and collects its output.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::getpid;

use super::family::{self, Ending};
use super::signals::{Signal, Signals};
use super::spawn::die_with;

/// How much is kept of each of a program's output streams, in bytes. The rest is read and discarded.
const MAX_OUTPUT: usize = 64 * 1024;

/// The size of one read, in bytes.
const CHUNK: usize = 16 * 1024;

/// A program that has ended.
pub struct Finished {
    pub ending: Ending,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a program, which is looked up in PATH, with the environment and the working directory of this process. It reads
/// `input` from its standard input, and need not read all of it. If this process ends first, the kernel kills the
/// program.
///
/// # Errors
/// If the program cannot be started; `NotFound` if it does not exist. `TimedOut` if it does not end within `limit`: it is
/// killed then, and so are its descendants.
pub fn run(
    program: &str,
    arguments: &[&OsStr],
    input: &[u8],
    limit: Duration,
) -> io::Result<Finished> {
    let deadline = Instant::now() + limit;
    let signals = Signals::claimed()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let guard = getpid();
    let prepare = move || {
        die_with(guard)?;
        signals.restore();
        Ok(())
    };
    // SAFETY: `prepare` makes only system calls, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn()?;
    let result = finish(&mut child, signals, input, deadline);
    if result.is_err() {
        kill(&mut child);
    }
    result
}

/// Exchanges data with the child until it has ended.
fn finish(
    child: &mut Child,
    signals: &Signals,
    mut input: &[u8],
    deadline: Instant,
) -> io::Result<Finished> {
    let mut stdin = child.stdin.take().map(OwnedFd::from);
    let outputs = [
        child.stdout.take().map(OwnedFd::from),
        child.stderr.take().map(OwnedFd::from),
    ];
    for pipe in outputs.iter().chain([&stdin]).flatten() {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let mut outputs = outputs.map(|pipe| (pipe, Vec::new()));
    loop {
        // Before the output is read, so that all of it is read after the end.
        let status = child.try_wait()?;
        write(&mut stdin, &mut input);
        for (pipe, content) in &mut outputs {
            read(pipe, content);
        }
        if let Some(ending) = status.and_then(|status| Ending::of(status.into_raw())) {
            let [(_, stdout), (_, stderr)] = outputs;
            return Ok(Finished {
                ending,
                stdout,
                stderr,
            });
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let readable = outputs.iter().filter_map(|(pipe, _)| pipe.as_ref());
        let readable: Vec<_> = readable.map(AsFd::as_fd).collect();
        let writable: Vec<_> = stdin.iter().map(AsFd::as_fd).collect();
        // SIGCHLD ends the wait as well.
        signals.wait(None, &readable, &writable, Some(deadline))?;
        signals.take();
    }
}

/// Writes as much of the input as the pipe takes. Closes the pipe at the end of the input, or if nobody reads it.
fn write(pipe: &mut Option<OwnedFd>, input: &mut &[u8]) {
    while let Some(open) = &*pipe {
        if input.is_empty() {
            *pipe = None;
            return;
        }
        match nix::unistd::write(open, input) {
            Ok(count) => *input = &input[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return,
            Err(_) => *pipe = None,
        }
    }
}

/// Reads what the pipe contains, and appends it to `content` up to `MAX_OUTPUT`. Closes the pipe at its end.
fn read(pipe: &mut Option<OwnedFd>, content: &mut Vec<u8>) {
    let mut chunk = [0; CHUNK];
    while let Some(open) = &*pipe {
        match nix::unistd::read(open, &mut chunk) {
            Ok(0) => *pipe = None,
            Ok(count) => {
                let room = MAX_OUTPUT - content.len();
                content.extend_from_slice(&chunk[..count.min(room)]);
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return,
            Err(_) => *pipe = None,
        }
    }
}

/// Kills a child and its descendants. A wrapper script, for example of npm, starts the program itself in a child.
fn kill(child: &mut Child) {
    let root = i32::try_from(child.id()).unwrap_or_default();
    for process in family::descendants(root, |_| false).unwrap_or_default() {
        family::signal(process.pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::io::ErrorKind;
    use std::time::{Duration, Instant};

    use super::{Signals, run};
    use crate::environment::temporary_folder;

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_descendants_after_the_limit() {
        Signals::claim().expect("the signals can be claimed");
        let file = temporary_folder().join(format!("tool-{}", std::process::id()));
        let script = format!("sleep 1234 & echo $! >{}; wait", file.display());
        let arguments = ["-c", script.as_str()].map(OsStr::new);
        let (limit, started) = (Duration::from_secs(2), Instant::now());
        let result = run("sh", &arguments, b"input that is not read", limit);
        let kind = result.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::TimedOut));
        assert!(started.elapsed() >= limit);
        let pid = fs::read_to_string(&file).expect("the script has started");
        let _ = fs::remove_file(&file);
        let is_running = || {
            let status = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while is_running() {
            assert!(Instant::now() < deadline, "a descendant is left");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error_of_its_own() {
        Signals::claim().expect("the signals can be claimed");
        let result = run("no-such-program", &[], b"", Duration::from_secs(20));
        let kind = result.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::NotFound));
    }
}
