//! Measures the time to the start of the server: of the guard with the example's sound environment, the floor, other
//! inits, and the script that the guard replaces. Every round runs all of them, one after the other.

use std::fs;
use std::io;
use std::path::Path;

use crate::process::{Command, Pinned, Streams};
use crate::report;
use crate::statistics::{paired_ratio, summary};
use crate::workshop::{self, Build, Peer};

/// The number of warm-up rounds, for the page cache and the processor.
const WARM_UP: usize = 50;

/// The limit of the guard's peak memory, in KiB. The kernel also counts the memory before exec, which is this
/// benchmark's own, 4 MiB, so no contender can show less.
const MEMORY: u64 = 4 * 1024 + 512;

const ALONE: &str = "server alone";
const FLOOR: &str = "floor (exec only)";
const GUARD: &str = "startup-guard run";
const TINI: &str = "tini-static";
const SCRIPT: &str = "bash start.sh";
/// The usual setup of a container with the script: an init starts the script, which starts the server.
const CHAIN: &str = "tini -- start.sh";

/// One command of the comparison, with its results.
struct Contender {
    name: &'static str,
    command: Command,
    /// The time of each round, in µs.
    micros: Vec<f64>,
    /// Measured in a separate run, see `process`.
    peak_kib: u64,
    /// Measured in the last round.
    page_faults: u64,
}

/// Makes the comparison, and prints the results.
pub fn run(rounds: usize, is_pinned: bool) -> io::Result<()> {
    report::headline("Until a trivial server has ended");
    let mut contenders = contenders()?;
    let pinned = is_pinned.then(Pinned::to_last).transpose()?;
    let place = pinned
        .as_ref()
        .map_or("any processor".to_owned(), |pinned| {
            format!("processor {}", pinned.processor)
        });
    println!("  {rounds} rounds on {place}; ratios are medians of each round's own");
    for round in 0..WARM_UP + rounds {
        one_round(&mut contenders, round)?;
    }
    table(&contenders);
    goals(&contenders);
    Ok(())
}

/// All commands that can run on this machine. Prints those that cannot.
fn contenders() -> io::Result<Vec<Contender>> {
    let server = workshop::program("server", Build::Freestanding)?;
    let folder = workshop::enter_scratch("startup")?;
    fs::write(
        folder.join("required-vars.yaml"),
        workshop::example_manifest(&server)?,
    )?;

    let script = workshop::start_script();
    let user = nix::unistd::getuid().to_string();
    let peers = workshop::peers()?;
    let peer = |name: &str| -> Peer {
        let found = peers.iter().find(|(peer, _)| peer == name);
        found.map_or_else(
            || Err("benches/peers.sh says nothing of it".to_owned()),
            |(_, peer)| peer.clone(),
        )
    };

    let server = server.as_path();
    let tried = [
        contender(ALONE, Ok(server.to_owned()), &[]),
        contender(
            FLOOR,
            Ok(workshop::program("floor", Build::Plain)?),
            &[server],
        ),
        contender(
            "floor, release profile",
            Ok(workshop::program("floor", Build::Release)?),
            &[server],
        ),
        contender(
            GUARD,
            Ok(workshop::installed(Path::new(workshop::GUARD))?),
            &[Path::new("run")],
        ),
        contender(
            TINI,
            peer("tini-static"),
            &[Path::new("-s"), Path::new("--"), server],
        ),
        contender("dumb-init", peer("dumb-init"), &[server]),
        contender(
            "dash -c exec",
            peer("dash"),
            &[Path::new("-c"), Path::new("exec \"$0\""), server],
        ),
        contender(SCRIPT, peer("bash"), &[&script, server]),
        contender(
            CHAIN,
            peer("tini-static").and_then(|tini| peer("bash").map(|_| tini)),
            &[Path::new("-s"), Path::new("--"), &script, server],
        ),
        contender("gosu", peer("gosu"), &[Path::new(&user), server]),
    ];
    Ok(tried.into_iter().flatten().collect())
}

/// Creates a contender after one successful run, in which its memory is measured.
fn contender(name: &'static str, program: Peer, arguments: &[&Path]) -> Option<Contender> {
    let tried = program.and_then(|program| {
        let words = std::iter::once(program.as_path()).chain(arguments.iter().copied());
        let command = Command::new(words).with_environment(&workshop::sound_environment());
        let ended = Streams::null()
            .and_then(|streams| command.run(streams))
            .map_err(|error| error.to_string())?;
        if ended.code != 0 {
            return Err(format!("it ended with {}", ended.code));
        }
        Ok(Contender {
            name,
            command,
            micros: Vec::new(),
            peak_kib: ended.peak_kib,
            page_faults: 0,
        })
    });
    tried
        .inspect_err(|reason| report::left_out(name, reason))
        .ok()
}

/// Runs each contender once. Each round begins with another contender, and every other cycle has the reverse order, so
/// that no contender always runs after the same one.
fn one_round(contenders: &mut [Contender], round: usize) -> io::Result<()> {
    let streams = Streams::null()?;
    let count = contenders.len();
    for position in 0..count {
        let position = if (round / count).is_multiple_of(2) {
            position
        } else {
            count - 1 - position
        };
        let contender = &mut contenders[(position + round) % count];
        let (time, ended) = contender.command.time(&streams)?;
        contender.page_faults = ended.page_faults;
        if round >= WARM_UP {
            contender.micros.push(time.as_secs_f64() * 1e6);
        }
    }
    Ok(())
}

fn table(contenders: &[Contender]) {
    println!(
        "{:24} {:>9} {:>8} {:>8} {:>8} {:>8} {:>10} {:>7} {:>9}",
        "command",
        "median µs",
        "min µs",
        "p90 µs",
        "÷ floor",
        "÷ tini",
        "÷ start.sh",
        "faults",
        "peak KiB"
    );
    for contender in contenders {
        let summary = summary(&contender.micros);
        let ratio = |base| {
            ratio(contenders, contender.name, base)
                .map_or("-".to_owned(), |ratio| format!("{ratio:.3}"))
        };
        println!(
            "{:24} {:>9.0} {:>8.0} {:>8.0} {:>8} {:>8} {:>10} {:>7} {:>9}",
            contender.name,
            summary.median,
            summary.minimum,
            summary.p90,
            ratio(FLOOR),
            ratio(TINI),
            ratio(SCRIPT),
            contender.page_faults,
            contender.peak_kib
        );
    }
}

fn goals(contenders: &[Contender]) {
    for (base, bound, goal) in [
        (FLOOR, 1.8, 1.4),
        (TINI, 1.4, 1.2),
        (SCRIPT, 0.9, 0.8),
        (CHAIN, 0.7, 0.6),
    ] {
        if let Some(ratio) = ratio(contenders, GUARD, base) {
            report::ratio(&format!("{GUARD} ÷ {base}"), ratio, bound, goal);
        }
    }
    if let Some(guard) = find(contenders, GUARD) {
        report::below(
            &format!("{GUARD}, peak memory with the twelve"),
            guard.peak_kib,
            MEMORY,
            "KiB",
        );
    }
}

/// The median ratio of two contenders, if both can run.
fn ratio(contenders: &[Contender], name: &str, base: &str) -> Option<f64> {
    Some(paired_ratio(
        &find(contenders, name)?.micros,
        &find(contenders, base)?.micros,
    ))
}

fn find<'a>(contenders: &'a [Contender], name: &str) -> Option<&'a Contender> {
    contenders.iter().find(|contender| contender.name == name)
}
