//! A test's own PostgreSQL server.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A server that is stopped on drop.
pub struct Postgres {
    /// The URL with the password, such as `postgresql://app:…@127.0.0.1:5432/app`.
    pub url: String,
    process: Child,
    /// The standard input of the process that runs the server. Closing it stops the server.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Postgres {
    /// Starts a server with an empty database.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Like `start`, with settings such as `max_connections=20`.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_by(Command::new(venv("python")), settings)
    }

    /// Like `start_with`, with another command that runs Python.
    pub fn start_by(mut python: Command, settings: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.py");
        let mut process = python
            .arg(script)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's script starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        stdout
            .read_line(&mut url)
            .expect("the script's output can be read");
        assert!(!url.is_empty(), "PostgreSQL did not start");
        Self {
            url: url.trim().to_owned(),
            stdin: process.stdin.take(),
            stdout,
            process,
        }
    }

    /// Stops the server, which disconnects all clients.
    pub fn stop(&mut self) {
        self.tell("stop\n");
    }

    /// Starts it again, with the same data.
    pub fn start_again(&mut self) {
        self.tell("start\n");
    }

    fn tell(&mut self, word: &str) {
        let stdin = self.stdin.as_mut().expect("the script listens");
        stdin
            .write_all(word.as_bytes())
            .expect("the script listens");
        let mut answer = String::new();
        self.stdout
            .read_line(&mut answer)
            .expect("the script answers");
        assert_eq!(answer, word);
    }

    /// The password in the URL.
    pub fn password(&self) -> &str {
        let user = self.url.split('@').next().unwrap_or_default();
        user.rsplit(':').next().expect("the URL has a password")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// A program in the virtual environment of `make venv`.
pub fn venv(program: &str) -> PathBuf {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin");
    assert!(
        bin.join("uvicorn").exists(),
        "these tests need target/venv: run `make venv` first, or `make test` for all"
    );
    bin.join(program)
}
