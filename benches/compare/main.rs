//! Measures a start with the guard, compared to a program that only calls exec, to other inits, and to the script that
//! it replaces.
//!
//!   cargo bench --bench compare -- [startup] [size] [relay] [simulation] [replicas] [manifests] [--rounds N] [--unpinned]
//!
//! Without a name, all parts run one after the other. No figure is asserted: each goal is printed as met or not met.

mod manifests;
mod process;
mod relay;
mod replicas;
mod report;
mod simulation;
mod startup;
mod statistics;
mod workshop;

use std::io;
use std::process::ExitCode;

/// The default number of rounds of the start-up comparison.
const ROUNDS: usize = 1000;

/// The limits of the binary's size, in bytes: with the PostgreSQL client, and without it.
const SIZE: u64 = if cfg!(feature = "postgres") {
    4_000_000
} else {
    2_200_000
};
/// The parts of the benchmark, in the order in which they run. The part that makes this process itself large is the
/// last one, because the kernel counts that size in the children's peak memory.
const PARTS: [&str; 6] = [
    "startup",
    "size",
    "relay",
    "simulation",
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
        "startup-guard, relocation model {}",
        workshop::relocation_model()?
    );
    let is_asked_for = |part: &&str| options.parts.is_empty() || options.parts.contains(part);
    for part in PARTS.into_iter().filter(is_asked_for) {
        match part {
            "startup" => startup::run(options.rounds, options.is_pinned)?,
            "size" => size()?,
            "relay" => relay::run()?,
            "simulation" => simulation::run(),
            "replicas" => replicas::run()?,
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
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // cargo passes this to every benchmark.
            "--bench" => {}
            "--unpinned" => options.is_pinned = false,
            "--rounds" => {
                let rounds = arguments
                    .next()
                    .and_then(|text| text.parse().ok())
                    .filter(|&rounds| rounds > 0);
                options.rounds = rounds.ok_or("--rounds needs a number above 0")?;
            }
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
