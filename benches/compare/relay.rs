//! Measures the relaying of a step's output, with ten secrets to mask.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::{Command, Ended, Streams, wait};
use crate::report;
use crate::workshop::{self, Build, GUARD};

/// The size of the output for the measurement of speed, in bytes.
const LONG: u64 = 1_000_000_000;
/// The size of the output that is searched for secrets, in bytes. The memory of the long run is compared to that of
/// this one.
const SHORT: u64 = 64_000_000;
/// The number of secrets, all of which occur in the output.
const SECRETS: u32 = 10;
/// The size of one read: the capacity of a pipe, in bytes.
const READ: usize = 64 * 1024;
/// How long a step pauses after its first line, in ms.
const PAUSE: u64 = 500;
/// The maximum difference in memory between the long and the short run to count as constant, in KiB.
const FLAT: u64 = 256;

/// Two ways for the same output: directly to the reader, or through the guard.
struct Ways {
    chatter: PathBuf,
    server: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a reader has found.
struct Seen {
    bytes: u64,
    lines: u64,
    secrets: u64,
}

/// Makes all measurements of the relay, and prints the results.
pub fn run() -> io::Result<()> {
    report::headline("A step's output, ten secrets masked");
    let ways = Ways::build()?;
    if ways.guarded(&["0"])?.run(Streams::with_own_error()?)?.code != 0 {
        report::left_out("the relay", "the guard did not run the step");
        return Ok(());
    }
    let short_peak = secrecy(&ways)?;
    speed(&ways, short_peak)?;
    first_line(&ways)
}

/// Searches all relayed output for secrets. Returns the guard's peak memory, in KiB.
fn secrecy(ways: &Ways) -> io::Result<u64> {
    let secrets: Vec<&str> = ways
        .environment
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let bytes = SHORT.to_string();
    let (straight, _) = drain(&ways.straight(&[&bytes]), |output| search(output, &secrets))?;
    let (through, ended) = drain(&ways.guarded(&[&bytes])?, |output| search(output, &secrets))?;
    println!(
        "  {} MB, {} lines, {} secrets written",
        straight.bytes / 1_000_000,
        straight.lines,
        straight.secrets
    );
    report::line(
        through.secrets == 0 && straight.secrets > 0,
        "no whole secret came through",
        through.secrets,
    );
    report::line(
        through.lines == straight.lines,
        "every line came through",
        through.lines,
    );
    Ok(ended.peak_kib)
}

fn speed(ways: &Ways, short_peak: u64) -> io::Result<()> {
    let bytes = LONG.to_string();
    let (time, _) = timed(|| drain(&ways.straight(&[&bytes]), count).map(|((), ended)| ended))?;
    println!(
        "  without the guard, to a pipe: {:.0} MB/s",
        megabytes_per_second(time)
    );
    let guarded = ways.guarded(&[&bytes])?;
    let (time, ended) = timed(|| drain(&guarded, count).map(|((), ended)| ended))?;
    report::at_least(
        "through the guard, to a pipe",
        megabytes_per_second(time),
        500.0,
        "MB/s",
    );
    let (time, _) = timed(|| guarded.run(Streams::null()?))?;
    report::at_least(
        "through the guard, to /dev/null",
        megabytes_per_second(time),
        500.0,
        "MB/s",
    );
    report::line(
        ended.peak_kib <= short_peak + FLAT,
        "memory is flat",
        format_args!(
            "{} KiB for {LONG} bytes, {short_peak} KiB for {SHORT}",
            ended.peak_kib
        ),
    );
    Ok(())
}

/// Measures the delay of the first line of a step that pauses after it.
fn first_line(ways: &Ways) -> io::Result<()> {
    let arguments = ["first", &PAUSE.to_string()];
    let straight = until_first_line(&ways.straight(&arguments))?;
    let through = until_first_line(&ways.guarded(&arguments)?)?;
    report::line(
        through < Duration::from_millis(PAUSE),
        "the first line is visible at once",
        format_args!("after {through:.1?}; without the guard {straight:.1?}"),
    );
    Ok(())
}

impl Ways {
    fn build() -> io::Result<Self> {
        let secret = |number| {
            (
                format!("SECRET_{number}"),
                format!("{number}Zq8Xw2Lm5Kt7Vr1Nd4Bc9Yp6Hj3Gf{number}"),
            )
        };
        Ok(Self {
            chatter: workshop::program("chatter", Build::Plain)?,
            server: workshop::program("server", Build::Freestanding)?,
            environment: (0..SECRETS).map(secret).collect(),
        })
    }

    fn straight(&self, arguments: &[&str]) -> Command {
        let words = std::iter::once(self.chatter.as_path()).chain(arguments.iter().map(Path::new));
        Command::new(words).with_environment(&self.environment)
    }

    /// Writes a manifest with the secrets and this step, and returns the guard's command.
    fn guarded(&self, arguments: &[&str]) -> io::Result<Command> {
        let folder = workshop::enter_scratch("relay")?;
        let variables: Vec<_> = self
            .environment
            .iter()
            .map(|(name, _)| format!("  {name}: {{secret: true}}"))
            .collect();
        let step = format!(
            "[\"{}\", \"{}\"]",
            self.chatter.display(),
            arguments.join("\", \"")
        );
        let variables = variables.join("\n");
        let manifest = format!(
            "version: 1\nvariables:\n{variables}\nsteps:\n  - name: migrate\n    command: {step}\n"
        );
        fs::write(
            folder.join("required-vars.yaml"),
            manifest + &workshop::server_section(&self.server),
        )?;
        let mut environment = self.environment.clone();
        environment.push(("STARTUP_GUARD_LOG".to_owned(), "text".to_owned()));
        Ok(Command::new([GUARD, "run"]).with_environment(&environment))
    }
}

/// Runs a command with a pipe as standard output, and reads the pipe to its end.
fn drain<T>(command: &Command, read: impl FnOnce(File) -> io::Result<T>) -> io::Result<(T, Ended)> {
    let (reader, writer) = io::pipe()?;
    let child = command.start(Streams::with_output(writer.into())?)?;
    let seen = read(File::from(OwnedFd::from(reader)))?;
    Ok((seen, wait(child)?))
}

/// Reads to the end without examining the data.
fn count(mut output: File) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    while output.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Reads to the end and searches for secrets, including those that are split over reads.
fn search(mut output: File, secrets: &[&str]) -> io::Result<Seen> {
    let longest = secrets
        .iter()
        .map(|secret| secret.len())
        .max()
        .unwrap_or_default();
    let mut seen = Seen {
        bytes: 0,
        lines: 0,
        secrets: 0,
    };
    let mut buffer = Vec::new();
    loop {
        let kept = buffer.len();
        if output.by_ref().take(READ as u64).read_to_end(&mut buffer)? == 0 {
            // The guard adds a line break to an incomplete last line.
            seen.lines += u64::from(buffer.last().is_some_and(|&last| last != b'\n'));
            return Ok(seen);
        }
        let new = &buffer[kept..];
        seen.bytes += new.len() as u64;
        seen.lines += memchr::memchr_iter(b'\n', new).count() as u64;
        // A secret that ended before the new bytes was already counted.
        let ends_in_new = |secret: &&str| {
            memchr::memmem::find_iter(&buffer, secret)
                .filter(|start| start + secret.len() > kept)
                .count() as u64
        };
        seen.secrets += secrets.iter().map(ends_in_new).sum::<u64>();
        buffer.drain(..buffer.len().saturating_sub(longest));
    }
}

fn until_first_line(command: &Command) -> io::Result<Duration> {
    let start = Instant::now();
    let (time, _) = drain(command, |mut output| {
        let _ = output.read(&mut vec![0; READ])?;
        let time = start.elapsed();
        count(output)?;
        Ok(time)
    })?;
    Ok(time)
}

fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(Duration, T)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed(), done))
}

/// The speed of the long run.
fn megabytes_per_second(time: Duration) -> f64 {
    /// The size of the long run, in MB.
    const MEGABYTES: f64 = 1000.0;
    MEGABYTES / time.as_secs_f64()
}
