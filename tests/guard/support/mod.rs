//! A builder that starts the guard in its own folder, and helpers to examine a run.

mod running;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

pub use running::Running;

/// The time after which a test counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A temporary folder, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("the folder of a test can be made");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the file of a test can be written");
        path
    }

    /// Writes an executable file.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A guard to be started, with an environment that only contains PATH, in its own folder.
#[must_use = "a guard does nothing until it is run"]
pub struct Guard {
    pub folder: Folder,
    command: Command,
    has_arguments: bool,
}

impl Guard {
    pub fn new() -> Self {
        Self::instead(env!("CARGO_BIN_EXE_startup-guard"))
    }

    /// Another program instead of the guard, to compare the two.
    pub fn instead(program: impl AsRef<OsStr>) -> Self {
        let folder = Folder::new();
        let mut command = Command::new(program);
        command
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        Self {
            folder,
            command,
            has_arguments: false,
        }
    }

    /// A guard with this `required-vars.yaml` in its folder.
    pub fn with_manifest(manifest: &str) -> Self {
        let guard = Self::new();
        guard.folder.file("required-vars.yaml", manifest);
        guard
    }

    /// Runs it in another folder.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.has_arguments = true;
        self.command.args(arguments);
        self
    }

    /// Adds arguments that are separated by spaces in one text.
    pub fn line(self, line: &str) -> Self {
        self.args(line.split_whitespace())
    }

    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Sets another `argv[0]`.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.arg0(name);
        self
    }

    /// Calls `action` in the child before it executes the guard.
    pub fn before_exec(mut self, action: impl Fn() + Send + Sync + 'static) -> Self {
        let action = move || {
            action();
            Ok(())
        };
        // SAFETY: the closures of these tests only set signals, limits and descriptors.
        unsafe { self.command.pre_exec(action) };
        self
    }

    /// Starts it, and collects its output.
    pub fn start(mut self) -> Running {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(self.folder, self.command)
    }

    /// Runs it until it ends.
    pub fn run(self) -> Ended {
        self.start().end()
    }

    /// Runs it until it ends, without collecting its output.
    pub fn run_quietly(self) -> ExitStatus {
        self.run_quietly_and(|_, _| {}).0
    }

    /// Like `run_quietly`, and calls a function once it runs. Also returns how long it ran from then on, and its
    /// folder.
    pub fn run_quietly_and(
        mut self,
        action: impl FnOnce(&Folder, i32),
    ) -> (ExitStatus, Duration, Folder) {
        let mut child = self.command.spawn().expect("the guard starts");
        // This process's copies of the streams would keep them open.
        drop(self.command);
        action(&self.folder, i32::try_from(child.id()).expect("a pid fits"));
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("the guard can be waited for") {
                return (status, started.elapsed(), self.folder);
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("the guard hangs");
            }
            pause();
        }
    }
}

/// A run that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub took: Duration,
    pub folder: Folder,
}

impl Ended {
    /// The exit code as a shell reports it.
    pub fn code(&self) -> i32 {
        code_of(self.status)
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    #[track_caller]
    pub fn expect_stderr(self, text: &str) -> Self {
        assert!(
            self.stderr().contains(text),
            "stderr has no {text:?}\n{self}"
        );
        self
    }

    #[track_caller]
    pub fn expect_stdout(self, text: &str) -> Self {
        assert_eq!(self.stdout(), text, "{self}");
        self
    }

    /// Asserts that the output does not contain this text.
    #[track_caller]
    pub fn expect_never(self, text: &str) -> Self {
        assert!(
            !self.stdout().contains(text) && !self.stderr().contains(text),
            "{text:?} is shown\n{self}"
        );
        self
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The text on stderr, with `…` for each duration such as `0.3s`.
    pub fn stderr_without_times(&self) -> String {
        let time = regex_lite::Regex::new(r"\b\d+\.\ds\b").expect("the pattern is well-formed");
        time.replace_all(&self.stderr(), "…").into_owned()
    }

    pub fn last_line(&self) -> String {
        self.stderr().lines().last().unwrap_or_default().to_owned()
    }

    /// The lines on stderr as JSON.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| {
            assert!(line.len() < 16 * 1024, "Docker splits the line {line}");
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
        };
        self.stderr().lines().map(parse).collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        write!(
            out,
            "{}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---",
            self.status
        )
    }
}

/// The exit code as a shell reports it.
pub fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().expect("it ended somehow"))
}

/// Polls until a condition holds. On a busy machine a server that imports much takes longer than a guard may.
#[track_caller]
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + 3 * PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        pause();
    }
}

/// Pauses between two checks of a condition.
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// A pipe whose reading end is closed.
pub fn broken_pipe() -> File {
    use std::os::fd::OwnedFd;
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    File::from(OwnedFd::from(writer))
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    field_of_status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// A field of `/proc/PID/status`.
pub fn field_of_status(pid: i32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether a guard is waiting in `poll` and has claimed its signals.
pub fn is_polling(pid: i32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    [Some(nix::libc::SYS_poll), Some(nix::libc::SYS_ppoll)].contains(&number)
        && blocks(pid, Signal::SIGWINCH)
}

fn blocks(pid: i32, signal: Signal) -> bool {
    let blocked = field_of_status(pid, "SigBlk").unwrap_or_default();
    let blocked = u64::from_str_radix(&blocked, 16).unwrap_or_default();
    blocked & (1 << (signal as u64 - 1)) != 0
}
