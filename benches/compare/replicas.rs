//! Measures replicas that start together on a real PostgreSQL: whether their number affects the time, and the resources
//! of a waiting one.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::report;
use crate::workshop::{GUARD, enter_scratch};

/// The maximum ratio of the times of two hundred replicas and of two.
const FLAT: f64 = 1.5;
/// The numbers of replicas in the two runs.
const FEW: usize = 2;
const MANY: usize = 200;
/// How long a waiting guard is observed.
const WATCHED: Duration = Duration::from_secs(20);
/// The maximum processor time while waiting, in percent of a processor.
const IDLE: f64 = 1.0;
/// The maximum memory of a waiting guard, in MB.
const MEMORY: f64 = 5.0;
/// The number of clock ticks of `/proc/PID/stat` per second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The step and its `up_to_date` command only sleep, so that two processors can simulate 200 machines.
const TOGETHER: &str = "together.yaml";
const MANIFEST: &str = "version: 1
service: replicas
variables: {DATABASE_URL: {secret: true}}
steps:
  - name: migrate
    command: [sh, -c, 'sleep 5; touch done']
    up_to_date: [sh, -c, 'sleep 0.3; test -e done']
    lock: {postgres: DATABASE_URL}
server: {command: ['true']}
";

/// Manifests whose wait never ends: for a lock that another process holds, or for a missing database.
const LOCKED: &str = "locked.yaml";
const LOCKED_MANIFEST: &str = "version: 1
service: replicas
variables: {DATABASE_URL: {secret: true}}
steps:
  - name: migrate
    command: [sleep, '1000']
    lock: {postgres: DATABASE_URL}
server: {command: ['true']}
";
const WAITING: &str = "waiting.yaml";
const WAITING_MANIFEST: &str = "version: 1
variables: {DATABASE_URL: {secret: true}}
wait_for: [{postgres: DATABASE_URL, timeout: 10m}]
server: {command: ['true']}
";

/// Makes all measurements of replicas, and prints the results.
pub fn run() -> io::Result<()> {
    report::headline("Replicas that start together");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    if !python.exists() {
        report::left_out("replicas", "there is no target/venv; run `make venv`");
        return Ok(());
    }
    let postgres = Postgres::start(&python)?;
    enter_scratch("replicas")?;
    for (name, text) in [
        (TOGETHER, MANIFEST),
        (LOCKED, LOCKED_MANIFEST),
        (WAITING, WAITING_MANIFEST),
    ] {
        fs::write(name, text)?;
    }
    let (few, many) = (together(&postgres, FEW)?, together(&postgres, MANY)?);
    println!("  from the first start to the last server: {FEW} {few:.2?}, {MANY} {many:.2?}");
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    report::ratio(&format!("{MANY} beside {FEW}"), ratio, FLAT, FLAT);

    let holder = Guard::start(LOCKED, &postgres.url)?;
    watch("waiting for a lock", LOCKED, &postgres.url)?;
    drop(holder);
    let nobody = "postgresql://app:x@127.0.0.1:1/app";
    watch("waiting for a database that is not there", WAITING, nobody)?;
    let standby = format!("{}?target_session_attrs=standby", postgres.url);
    watch(
        "waiting for a database that is not ready",
        WAITING,
        &standby,
    )
}

/// Starts `count` replicas at once. Returns the time until the last one has executed its server and ended.
fn together(postgres: &Postgres, count: usize) -> io::Result<Duration> {
    let _ = fs::remove_file("done");
    let started = Instant::now();
    let guards: Vec<Guard> = (0..count)
        .map(|_| Guard::start(TOGETHER, &postgres.url))
        .collect::<io::Result<_>>()?;
    for mut guard in guards {
        let status = guard.0.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("a guard ended with {status}")));
        }
    }
    Ok(started.elapsed())
}

/// Observes a waiting guard.
fn watch(what: &str, manifest: &str, url: &str) -> io::Result<()> {
    let guard = Guard::start(manifest, url)?;
    let process = PathBuf::from(format!("/proc/{}", guard.0.id()));
    // Excludes the start of the guard.
    std::thread::sleep(Duration::from_secs(2));
    let before = ticks(&process)?;
    std::thread::sleep(WATCHED);
    let used = (ticks(&process)? - before) / TICKS / WATCHED.as_secs_f64() * 100.0;
    report::at_most(&format!("{what}: processor"), used, IDLE, "%");
    let status = fs::read_to_string(process.join("status"))?;
    let memory = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes =
            line.and_then(|rest| rest.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
        kilobytes.unwrap_or(f64::NAN) / 1000.0
    };
    let name = format!(
        "{what}: resident memory ({:.1} MB not of the file)",
        memory("RssAnon")
    );
    report::at_most(&name, memory("VmRSS"), MEMORY, "MB");
    Ok(())
}

/// The processor time of a process so far, in ticks: the sum of fields 14 and 15 of `/proc/PID/stat`.
fn ticks(process: &Path) -> io::Result<f64> {
    let status = fs::read_to_string(process.join("stat"))?;
    let (_, after_name) = status.rsplit_once(')').unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    Ok(fields.filter_map(|field| field.parse::<f64>().ok()).sum())
}

/// A guard that is killed on drop.
struct Guard(Child);

impl Guard {
    fn start(manifest: &str, url: &str) -> io::Result<Self> {
        let child = Command::new(GUARD)
            .args(["run", "--manifest", manifest])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("DATABASE_URL", url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that is stopped on drop.
struct Postgres {
    url: String,
    process: Child,
    stdin: Option<ChildStdin>,
}

impl Postgres {
    fn start(python: &Path) -> io::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.py");
        let mut process = Command::new(python)
            .arg(script)
            .args(["--set", "max_connections=300"])
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
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}
