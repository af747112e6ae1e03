//! Measures a start with the guard, compared to a program that only calls exec, to other inits, and to the script that
//! it replaces.
//!
//!   cargo bench --bench compare -- [PART]… [--rounds N] [--unpinned] [--waves N]
//!
//! The parts are startup, size, relay, simulation, service, replicas and manifests. Without a name, all of them run one
//! after the other. `--rounds` is for startup, `--waves` for the rounds of replicas that have few connections. No figure is asserted: each goal is printed as met or not met.

mod database;
mod fleet;
mod manifests;
mod process;
mod relay;
mod replicas;
mod report;
mod service;
mod simulation;
mod startup;
mod statistics;
mod workshop;

use std::io;
use std::process::ExitCode;

/// The default number of rounds of the start-up comparison.
const ROUNDS: usize = 1000;
/// The default number of rounds of replicas that have few connections.
const WAVES: usize = 3;

/// The limits of the binary's size, in bytes: with the PostgreSQL client, and without it.
const SIZE: u64 = if cfg!(feature = "postgres") {
    4_550_000
} else {
    3_100_000
};
/// The parts of the benchmark, in the order in which they run. The part that makes this process itself large is the
/// last one, because the kernel counts that size in the children's peak memory.
const PARTS: [&str; 7] = [
    "startup",
    "size",
    "relay",
    "simulation",
    "service",
    "replicas",
    "manifests",
];

/// The options of the command line.
struct Options {
    /// The parts to run. All of them if none is named.
    parts: Vec<&'static str>,
    rounds: usize,
    /// Whether the start-up comparison runs on a single processor, which makes its figures more stable.
    is_pinned: bool,
    waves: usize,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(complaint) => {
            eprintln!("compare: {complaint}");
            return ExitCode::from(64);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    println!(
        "startup-guard, relocation model {}, on {}",
        workshop::relocation_model()?,
        workshop::machine()?
    );
    let is_asked_for = |part: &&str| options.parts.is_empty() || options.parts.contains(part);
    for part in PARTS.into_iter().filter(is_asked_for) {
        match part {
            "startup" => startup::run(options.rounds, options.is_pinned)?,
            "size" => size()?,
            "relay" => relay::run()?,
            "simulation" => simulation::run(),
            "service" => service::run()?,
            "replicas" => replicas::run(options.waves)?,
            _ => manifests::run()?,
        }
    }
    Ok(())
}

fn size() -> io::Result<()> {
    report::headline("Size");
    report::below(
        "startup-guard",
        std::fs::metadata(workshop::GUARD)?.len(),
        SIZE,
        "bytes",
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the guard: this is another program"
)]
fn options() -> Result<Options, String> {
    let mut options = Options {
        parts: Vec::new(),
        rounds: ROUNDS,
        is_pinned: true,
        waves: WAVES,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // cargo passes this to every benchmark.
            "--bench" => {}
            "--unpinned" => options.is_pinned = false,
            "--rounds" => options.rounds = number("--rounds", arguments.next())?,
            "--waves" => options.waves = number("--waves", arguments.next())?,
            name => {
                let part = PARTS.into_iter().find(|&part| part == name);
                options
                    .parts
                    .push(part.ok_or_else(|| format!("{name}: not one of {}", PARTS.join(", ")))?);
            }
        }
    }
    Ok(options)
}

/// The value of an option.
fn number(option: &str, value: Option<String>) -> Result<usize, String> {
    let number = value.and_then(|text| text.parse().ok());
    let number = number.filter(|&number| number > 0);
    number.ok_or_else(|| format!("{option} needs a number above 0"))
}
