//! A running guard.

use std::io::Read;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Ended, Folder, PATIENCE, is_polling, pause, until};

/// A guard that was started, and its output so far.
pub struct Running {
    pub folder: Folder,
    child: Child,
    started: Instant,
    stdout: Collected,
    stderr: Collected,
}

struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                shared
                    .lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    fn end(self) -> Vec<u8> {
        self.reader.join().expect("no reader panics");
        std::mem::take(&mut self.bytes.lock().expect("no reader panics"))
    }
}

impl Running {
    pub(super) fn start(folder: Folder, mut command: Command) -> Self {
        // Computed before the start: on a busy machine the guard can end before `spawn` returns.
        let started = Instant::now();
        let mut child = command.spawn().expect("the guard starts");
        let stdout = Collected::new(child.stdout.take().expect("stdout is piped"));
        let stderr = Collected::new(child.stderr.take().expect("stderr is piped"));
        Self {
            folder,
            child,
            started,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    /// Whether it waits for something.
    pub fn is_polling(&self) -> bool {
        is_polling(self.pid())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the guard is there to be signalled");
    }

    /// The output so far, of both streams.
    pub fn shown(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// Waits until a text was written on stdout or stderr.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown().contains(text) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {text:?} in\n{}",
                self.shown()
            );
            pause();
        }
    }

    /// Waits for a file in the guard's folder whose content ends with a line break, and returns the content.
    #[track_caller]
    pub fn wait_for_file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        let content = || std::fs::read_to_string(&path).unwrap_or_default();
        until(&format!("{name} is written"), || content().ends_with('\n'));
        content()
    }

    /// Waits for a file that contains a process ID.
    #[track_caller]
    pub fn wait_for_pid(&self, name: &str) -> i32 {
        self.wait_for_file(name)
            .trim()
            .parse()
            .expect("the file holds a number")
    }

    /// Waits until it ends.
    #[track_caller]
    pub fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// Like `end`, with another time limit.
    #[track_caller]
    pub fn end_within(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the guard can be waited for") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!(
                    "the guard hangs:\n{}\n{}",
                    self.stdout.text(),
                    self.stderr.text()
                );
            }
            pause();
        };
        let took = self.started.elapsed();
        Ended {
            status,
            took,
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
            folder: self.folder,
        }
    }
}
