//! Runs a program of the user, such as `git`, and collects its output.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, pipe2};

use super::family::{self, Ending};
use super::program::{Program, StartError};
use super::signals::{Signal, Signals};
use super::spawn::{Launch, forked};

/// How much is kept of each of a program's output streams, in bytes. The rest is read and discarded.
pub const MAX_OUTPUT: usize = 64 * 1024;

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

/// Runs a command in the working directory of this process, with this environment, from which PATH is taken. The program
/// reads `input` from its standard input, and need not read all of it. If this process ends first, the kernel kills the
/// program. Returns `None` if the program does not end within `limit`: it is killed then, and so are its descendants.
///
/// # Errors
/// If the program cannot be started, or if a system call fails.
pub fn run(
    words: Vec<OsString>,
    environment: &[(OsString, OsString)],
    input: &[u8],
    limit: Duration,
) -> Result<Option<Finished>, StartError> {
    let deadline = Instant::now() + limit;
    let signals = Signals::claimed();
    let shown = words.first().cloned().unwrap_or_default();
    let program = Program::new(words, &shown, environment)?;
    let pipe = || pipe2(OFlag::O_CLOEXEC);
    let ((stdin_end, stdin), (stdout, stdout_end), (stderr, stderr_end)) =
        (pipe()?, pipe()?, pipe()?);
    for end in [&stdin, &stdout, &stderr] {
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let prepare = || {
        dup2_stdin(&stdin_end)?;
        dup2_stdout(&stdout_end)?;
        dup2_stderr(&stderr_end)
    };
    let launch = Launch {
        program: &program,
        user: None,
        signals,
        prepare: &prepare,
    };
    let (reports, reports_end) = pipe()?;
    let guard = getpid();
    let child = forked(|| launch.become_program(guard, &reports_end))?;
    drop(reports_end);
    launch.expect_start(&reports, child)?;
    drop((stdin_end, stdout_end, stderr_end));
    let finished = finish(child, signals, (stdin, input), [stdout, stderr], deadline);
    if !matches!(finished, Ok(Some(_))) {
        kill(child);
    }
    finished
}

/// Exchanges data with the child until it has ended. Returns `None` at the deadline.
fn finish(
    child: Pid,
    signals: &Signals,
    (stdin, mut input): (OwnedFd, &[u8]),
    outputs: [OwnedFd; 2],
    deadline: Instant,
) -> Result<Option<Finished>, StartError> {
    let mut stdin = Some(stdin);
    let mut outputs = outputs.map(|pipe| (Some(pipe), Vec::new()));
    loop {
        // Before the output is read, so that all of it is read after the end.
        let ending = family::ending_of(child)?;
        write(&mut stdin, &mut input);
        for (pipe, content) in &mut outputs {
            read(pipe, content);
        }
        if let Some(ending) = ending {
            let [(_, stdout), (_, stderr)] = outputs;
            return Ok(Some(Finished {
                ending,
                stdout,
                stderr,
            }));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        let readable = outputs.iter().filter_map(|(pipe, _)| pipe.as_ref());
        let readable: Vec<_> = readable.map(AsFd::as_fd).collect();
        let writable: Vec<_> = stdin.iter().map(AsFd::as_fd).collect();
        // SIGCHLD ends the wait as well.
        let waited = signals.wait(None, &readable, &writable, Some(deadline));
        waited.map_err(|error| StartError::System(error.to_string()))?;
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
fn kill(child: Pid) {
    let descendants = family::descendants(child.as_raw(), |_| false);
    for process in descendants.unwrap_or_default() {
        family::signal(process.pid, Signal::KILL);
    }
    family::signal(child.as_raw(), Signal::KILL);
    family::collect_one(child);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use std::ffi::OsString;

    use super::{Signals, StartError, run};
    use crate::environment::temporary_folder;

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_descendants_after_the_limit() {
        Signals::claim().expect("the signals can be claimed");
        let file = temporary_folder().join(format!("tool-{}", std::process::id()));
        let script = format!("sleep 1234 & echo $! >{}; wait", file.display());
        let (limit, started) = (Duration::from_secs(2), Instant::now());
        let result = run(
            ["sh", "-c", &script].map(OsString::from).to_vec(),
            &[],
            b"input that is not read",
            limit,
        );
        assert!(matches!(result, Ok(None)));
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
        let result = run(
            vec!["no-such-program".into()],
            &[],
            b"",
            Duration::from_secs(20),
        );
        assert!(matches!(result, Err(StartError::NotFound(_))));
    }
}
