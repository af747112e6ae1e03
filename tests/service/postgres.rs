//! A PostgreSQL of a test's own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A server that runs as long as this lives.
pub struct Postgres {
    /// With the password, such as `postgresql://app:…@127.0.0.1:5432/app`.
    pub url: String,
    process: Child,
    /// Its end is the server's.
    stdin: Option<ChildStdin>,
}

impl Postgres {
    /// Starts a server with an empty database.
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.py");
        let mut process = Command::new(venv("python"))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's script starts");
        let mut url = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped"))
            .read_line(&mut url)
            .expect("the script's output can be read");
        assert!(!url.is_empty(), "PostgreSQL did not start");
        Self {
            url: url.trim().to_owned(),
            stdin: process.stdin.take(),
            process,
        }
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

/// A program of the virtual environment that `make venv` makes.
pub fn venv(program: &str) -> PathBuf {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin");
    assert!(
        bin.join("uvicorn").exists(),
        "these tests need target/venv: run `make venv` first, or `make test` for all"
    );
    bin.join(program)
}
