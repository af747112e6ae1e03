//! startup-guard: checks a container's environment, runs its steps, then becomes its server.

#![deny(unsafe_code)]
#![cfg_attr(
    not(feature = "postgres"),
    allow(
        dead_code,
        reason = "some items are used by the PostgreSQL client only"
    )
)]

mod alembic;
mod author;
mod check;
mod cli;
mod commands;
mod diagnosis;
mod dotenv;
mod environment;
mod error;
mod exit;
mod input;
mod log;
mod manifest;
mod net;
#[expect(unsafe_code, reason = "all unsafe system calls are in this module")]
mod os;
mod platform;
mod python;
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
    let code = dispatch().unwrap_or_else(|error| error.log());
    // If a reader is slow, a stop signal ends the draining. If a stream is broken, there is no other place to report
    // it.
    let _ = (STDOUT.drain(), STDERR.drain());
    ExitCode::from(code)
}

/// Runs the command that the arguments select. Returns the exit code: 0, or the server's own if this process was its
/// init.
fn dispatch() -> Result<u8, Error> {
    // This comes first, so that no stop signal is lost.
    let signals = Signals::claim();
    let environment = Environment::snapshot();
    let format = commands::log_format(&environment);
    let text = log::Format::Text { colour: false };
    log::start(*format.as_ref().unwrap_or(&text), |line| STDERR.push(line));
    let signals = signals.map_err(Error::system("claim signals"))?;
    let command = cli::parse(environment::arguments(), &author::SUBCOMMANDS)?;
    // Only `run` has anything to clean up at a stop. For every other command the default action of the signal is right.
    if !matches!(command, Command::Run(_)) {
        signals.release_stops()?;
    }
    match command {
        Command::Print(text) => {
            let printed = STDOUT.print(&text);
            printed.map_err(Error::system("write to standard output"))?;
        }
        Command::Author(given) => author::run(&given, &environment)?,
        Command::Healthcheck(arguments) => commands::healthcheck::run(&arguments, &environment)?,
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

/// Makes a panic on any thread abort the process, because the guard must not continue without one of its helper
/// threads. Only the location of the panic is reported: its message could contain a variable's value.
#[expect(
    clippy::disallowed_methods,
    reason = "a panic on another thread cannot return an error to main"
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
