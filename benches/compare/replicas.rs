//! Measures replicas that start together on a real PostgreSQL: whether their number affects the time, and the resources
//! of a waiting one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::database::{self, CONNECTIONS, Postgres, search_path};
use crate::fleet::{Running, together};
use crate::report;
use crate::statistics::{paired_ratio, summary};
use crate::workshop::{GUARD, enter_scratch};

/// The numbers of replicas that are compared.
const FEW: usize = 2;
const MANY: usize = 100;
/// The number of rounds with a step that needs no connections.
const ROUNDS: usize = 5;
/// The goals for the ratio of their times: with a step that needs no connections, and with one that needs them while
/// there are fewer than replicas.
const FLAT: f64 = 1.2;
const FLAT_IF_SCARCE: f64 = 3.0;
/// The connections of the server with few of them.
const SCARCE: u32 = 30;
/// How long a fleet may take.
const LIMIT: Duration = Duration::from_mins(5);
/// How long a waiting guard is observed.
const WATCHED: Duration = Duration::from_secs(20);
/// The maximum processor time while waiting, in percent of a processor.
const IDLE: f64 = 1.0;
/// The maximum memory of a waiting guard, in MB.
const MEMORY: f64 = 5.0;
/// The number of clock ticks of `/proc/PID/stat` per second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The step only sleeps and the question takes no time, so that two processors can simulate 100 machines.
const TOGETHER: &str = "together.yaml";
const TOGETHER_MANIFEST: &str = "version: 1
service: replicas
variables: {DATABASE_URL: {secret: true}}
steps:
  - name: migrate
    command: [sh, -c, 'sleep 2; touch done']
    up_to_date: [test, -e, done]
    lock: {postgres: DATABASE_URL}
server: {command: ['true']}
";

/// The step and the question connect to the database.
const CONNECTING: &str = "connecting.yaml";
const CONNECTING_MANIFEST: &str = "version: 1
service: replicas
variables: {DATABASE_URL: {secret: true}}
steps:
  - name: migrate
    command: [sh, -c, 'psql -X -v ON_ERROR_STOP=1 \"$DATABASE_URL\" -c \"SELECT pg_sleep(2)\" -c \"CREATE TABLE done ()\"']
    up_to_date: [sh, -c, 'psql -X \"$DATABASE_URL\" -c \"SELECT FROM done\"']
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

/// Makes all measurements of replicas, and prints the results. `waves` is the number of rounds in which connections are
/// scarce.
pub fn run(waves: usize) -> io::Result<()> {
    report::headline("Replicas that start together");
    if !database::is_installed() {
        report::left_out("replicas", "there is no target/venv; run `make venv`");
        return Ok(());
    }
    enter_scratch("replicas")?;
    for (name, text) in [
        (TOGETHER, TOGETHER_MANIFEST),
        (CONNECTING, CONNECTING_MANIFEST),
        (LOCKED, LOCKED_MANIFEST),
        (WAITING, WAITING_MANIFEST),
    ] {
        fs::write(name, text)?;
    }
    let scarce = Postgres::start(SCARCE)?;
    let what = format!("a step of 2 s and a question with psql on {SCARCE} connections");
    compare(
        &what,
        FLAT_IF_SCARCE,
        waves,
        CONNECTING,
        &scarce.url,
        || scarce.run("DROP TABLE IF EXISTS done"),
    )?;
    drop(scarce);

    let postgres = Postgres::start(CONNECTIONS)?;
    let what = "a shell step of 2 s, a question that takes no time";
    compare(
        what,
        FLAT,
        ROUNDS,
        TOGETHER,
        &postgres.url,
        || match fs::remove_file("done") {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    )?;

    let holder = Running::start(guard(LOCKED, &postgres.url)?)?;
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

/// A guard with this manifest.
fn guard(manifest: &str, url: &str) -> io::Result<Command> {
    let mut command = Command::new(GUARD);
    command.args(["run", "--manifest", manifest]).env_clear();
    command.env("PATH", search_path()?).env("DATABASE_URL", url);
    Ok(command)
}

/// Runs rounds of a few and of many replicas of a manifest, and prints the median ratio of their times. `prepare`
/// undoes the step.
fn compare(
    what: &str,
    goal: f64,
    rounds: usize,
    manifest: &str,
    url: &str,
    prepare: impl Fn() -> io::Result<()>,
) -> io::Result<()> {
    let (mut few, mut many, mut failed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        for (count, seconds) in [(FEW, &mut few), (MANY, &mut many)] {
            prepare()?;
            let guards = (0..count)
                .map(|_| guard(manifest, url))
                .collect::<io::Result<_>>()?;
            let ended = together(guards, LIMIT)?;
            seconds.push(ended.time.as_secs_f64());
            failed += ended.failed + ended.hung;
        }
    }
    println!(
        "  {what}: until the last of {FEW} has become its server {:.2} s, of {MANY} {:.2} s (medians of {rounds})",
        summary(&few).median,
        summary(&many).median
    );
    let name = format!("{what}: {MANY} replicas beside {FEW}");
    report::goal(&name, paired_ratio(&many, &few), goal);
    let name = format!("{what}: replicas that failed");
    let of = rounds * (FEW + MANY);
    report::line(failed == 0, &name, format_args!("{failed} of {of}"));
    Ok(())
}

/// Observes a waiting guard.
fn watch(what: &str, manifest: &str, url: &str) -> io::Result<()> {
    let guard = Running::start(guard(manifest, url)?)?;
    let process = PathBuf::from(format!("/proc/{}", guard.id()));
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
