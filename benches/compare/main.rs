//! What a start with the guard costs, beside a program that only execs, other inits, and the script
//! that it replaces.
//!
//!   cargo bench --bench compare -- [startup] [size] [relay] [replicas] [manifests] [--rounds N] [--unpinned]
//!
//! Without a name all run, one after the other. No figure is ever asserted: each goal is printed as
//! met or not.

mod manifests;
mod process;
mod relay;
mod replicas;
mod report;
mod startup;
mod statistics;
mod workshop;

use std::io;
use std::process::ExitCode;

/// Rounds of the start-up comparison, unless told otherwise.
const ROUNDS: usize = 1000;

/// Size of the guard's binary, in bytes, that it has to stay below: with a database's client, and without.
const SIZE: u64 = if cfg!(feature = "postgres") {
    4_000_000
} else {
    2_200_000
};
/// The parts of the benchmark, in the order in which they run: what makes this process itself large, which
/// its children would be seen to be at first, is the last.
const PARTS: [&str; 5] = ["startup", "size", "relay", "replicas", "manifests"];

/// What the command line asks for.
struct Options {
    /// All, if none is named.
    parts: Vec<&'static str>,
    rounds: usize,
    /// Whether the start-up comparison is tied to one processor, which makes its figures steadier.
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
            // cargo says so to every benchmark.
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
