//! startup-guard: checks a container's environment, runs its steps, then becomes its server.

#![deny(unsafe_code)]
#![cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "what only the database's client uses")
)]

mod check;
mod cli;
mod commands;
mod diagnosis;
mod dotenv;
mod environment;
mod error;
mod exit;
mod log;
mod manifest;
mod net;
#[expect(unsafe_code, reason = "the one place that talks to the kernel")]
mod os;
mod platform;
mod render;
mod report;
mod rule;
mod startup;
mod targets;
mod text;
mod url;

use std::process::ExitCode;

use cli::Command;
use environment::Environment;
use error::Error;
use os::output::{STDERR, STDOUT};
use os::signals::Signals;

fn main() -> ExitCode {
    abort_on_panic();
    let code = dispatch().unwrap_or_else(|error| error.tell());
    // A stop ends the wait for a slow reader; a broken stream cannot be reported anywhere.
    let _ = (STDOUT.drain(), STDERR.drain());
    ExitCode::from(code)
}

/// Runs the command. Returns the exit code: 0, or that of the server whose init this process was.
fn dispatch() -> Result<u8, Error> {
    // Before anything else: a signal that asks for a stop is noted from here on.
    let signals = Signals::claim();
    let environment = Environment::snapshot();
    let format = commands::log_format(&environment);
    let log = *format
        .as_ref()
        .unwrap_or(&log::Format::Text { colour: false });
    log::start(log, |line| STDERR.push(line));
    let signals = signals.map_err(Error::system("claim signals"))?;
    let command = cli::parse(environment::arguments())?;
    // Only `run` has anything to clean up. A stop simply ends every other command.
    if !matches!(command, Command::Run(_)) {
        signals.release_stops()?;
    }
    match command {
        Command::Print(text) => commands::print(text)?,
        Command::ExitCodes { as_json } => commands::exit_codes(as_json)?,
        Command::Healthcheck(url) => commands::healthcheck::run(&url, &environment)?,
        Command::Check(arguments) => {
            format?;
            commands::check::run(&arguments, environment)?;
        }
        Command::Run(arguments) => {
            return commands::run::run(&arguments, environment, format?, signals);
        }
    }
    Ok(0)
}

/// Ends the process at a panic of any thread: without its helper threads the guard must not go on. Only the
/// place of the panic is reported, because its message could hold a value.
#[expect(
    clippy::disallowed_methods,
    reason = "a panic on another thread cannot come back to main"
)]
fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_default();
        let line = format!("startup-guard: internal error at {place}; please report it\n");
        STDERR.push_in_panic(line.as_bytes());
        std::process::abort();
    }));
}
