//! Measures whole runs of the guard with large manifests and a trivial server, with every variable set. The floor is
//! measured with the same environment, which the kernel has to copy twice.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::process::{Command, Streams};
use crate::report;
use crate::statistics::summary;
use crate::workshop::{self, Build, GUARD};

/// The number of runs with each manifest, of which the median counts.
const RUNS: usize = 15;

/// A kind of variable in a manifest.
struct Kind {
    what: &'static str,
    /// The beginning of the name, followed by a number.
    prefix: &'static str,
    /// The rest of the variable's entry in the manifest.
    rules: fn(u32) -> String,
    value: fn(u32) -> String,
}

/// Variables that are only required, with the shortest possible lines, because a manifest is limited to 1 MiB.
const BARE: Kind = Kind {
    what: "bare",
    prefix: "A",
    rules: |_| String::new(),
    value: |_| "1".to_owned(),
};
const DESCRIBED: Kind = Kind {
    what: "described",
    prefix: "VARIABLE_",
    rules: |number| format!(" {{level: required, description: Setting {number} of the service}}"),
    value: |number| format!("value-{number}"),
};
/// Variables with different patterns, so that no cache of patterns helps.
const PATTERNED: Kind = Kind {
    what: "with a pattern",
    prefix: "VARIABLE_",
    rules: |number| format!(" {{pattern: \"^re_[a-z0-9]+_{number}$\", description: Key {number}}}"),
    value: |number| format!("re_k3y0f7h3s3rv1c3_{number}"),
};

/// The environment of the measurements.
struct Bench {
    floor: PathBuf,
    server: PathBuf,
}

/// The median times, in ms.
struct Times {
    guard: f64,
    floor: f64,
}

/// Measures all kinds, and prints the results.
pub fn run() -> io::Result<()> {
    report::headline("Large manifests");
    let bench = Bench {
        floor: workshop::program("floor", Build::Plain)?,
        server: workshop::program("server", Build::Freestanding)?,
    };
    for (kind, bound) in [(DESCRIBED, 50.0), (PATTERNED, 120.0)] {
        if let Some(times) = bench.times(&kind, 10_000)? {
            let what = format!(
                "10000 variables, {} (floor {:.1} ms)",
                kind.what, times.floor
            );
            report::at_most(&what, times.guard, bound, "ms");
        }
    }
    bench.linearity()
}

impl Bench {
    /// Prints the time per variable for manifests of growing size. The total time is linear if this does not rise.
    fn linearity(&self) -> io::Result<()> {
        /// The maximum ratio of the times per variable in the largest manifest and in the one before.
        const TOLERANCE: f64 = 1.5;
        let mut per_variable = Vec::new();
        for count in [1_000_u32, 10_000, 100_000] {
            if let Some(Times { guard, floor }) = self.times(&BARE, count)? {
                let nanos = guard * 1e6 / f64::from(count);
                println!(
                    "  {count:7} variables, {}: {guard:.2} ms (floor {floor:.2} ms), {nanos:.0} ns each",
                    BARE.what
                );
                per_variable.push(nanos);
            }
        }
        if let [_, before, last] = per_variable[..] {
            let growth = last / before;
            let seen = format_args!("{growth:.2} × what each takes at 10,000");
            report::line(growth <= TOLERANCE, "linear to 100,000", seen);
        }
        Ok(())
    }

    /// The times with a manifest of `count` variables. `None` if the guard fails, which is printed.
    fn times(&self, kind: &Kind, count: u32) -> io::Result<Option<Times>> {
        let folder = workshop::enter_scratch("manifest")?;
        let name = |number| format!("{}{number}", kind.prefix);
        let entries =
            (0..count).map(|number| format!(" {}:{}\n", name(number), (kind.rules)(number)));
        let start = "version: 1\nvariables:\n".to_owned();
        let manifest = entries.fold(start, |text, entry| text + &entry)
            + &workshop::server_section(&self.server);
        fs::write(folder.join("required-vars.yaml"), manifest)?;

        let environment: Vec<_> = (0..count)
            .map(|number| (name(number), (kind.value)(number)))
            .collect();
        let guard = Command::new([GUARD, "run"]).with_environment(&environment);
        let floor = Command::new([&self.floor, &self.server]).with_environment(&environment);
        let tried = guard.run(Streams::with_own_error()?)?;
        if tried.code != 0 {
            let reason = format!("the guard ended with {}", tried.code);
            report::left_out(&format!("{count} variables, {}", kind.what), &reason);
            return Ok(None);
        }

        let streams = Streams::null()?;
        let (mut guards, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            guards.push(guard.time(&streams)?.0.as_secs_f64() * 1e3);
            floors.push(floor.time(&streams)?.0.as_secs_f64() * 1e3);
        }
        Ok(Some(Times {
            guard: summary(&guards).median,
            floor: summary(&floors).median,
        }))
    }
}
