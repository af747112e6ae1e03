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
mod target;
mod text;
mod url;

use std::process::ExitCode;

use cli::Command;
use environment::Environment;
use error::Error;
use exit::Exit;
use log::Phase;
use os::output::{STDERR, STDOUT};
use os::signals::Signals;

fn main() -> ExitCode {
    end_at_panics();
    let code = match dispatch() {
        Ok(code) => code,
        Err(error) => {
            tell(&error);
            error.exit().code()
        }
    };
    // A stop ends the wait for a slow reader; a broken stream cannot be told to anybody.
    let _ = (STDOUT.drain(), STDERR.drain());
    ExitCode::from(code)
}

/// Gives the exit code: 0, or that of a server of which we were the init.
fn dispatch() -> Result<u8, Error> {
    // Before anything else: from here on a stop is noted, and never lost.
    let signals = Signals::claim();
    let environment = Environment::snapshot();
    let format = commands::log_format(&environment);
    let log = *format
        .as_ref()
        .unwrap_or(&log::Format::Text { colour: false });
    log::start(log, |line| STDERR.push(line));
    let signals = signals.map_err(|cause| Error::System {
        what: "claim signals",
        cause,
    })?;
    let command = cli::parse(environment::arguments())?;
    // Only `run` has anything to clean up: all else a stop may simply end.
    if !matches!(command, Command::Run(_)) {
        signals.release_stops().map_err(|signal| Error::Stopped {
            signal,
            phase: None,
        })?;
    }
    let done = |()| Exit::Done.code();
    match command {
        Command::Help(topic) => print(cli::help(topic)).map(done),
        Command::Version => {
            print(concat!("startup-guard ", env!("CARGO_PKG_VERSION"), "\n")).map(done)
        }
        Command::ExitCodes(format) => commands::exit_codes(format).map(done),
        Command::Healthcheck(url) => commands::healthcheck::run(&url, &environment).map(done),
        Command::Check(arguments) => {
            commands::check::run(&arguments, environment, format?).map(done)
        }
        Command::Run(arguments) => commands::run::run(&arguments, environment, format?, signals),
    }
}

fn print(text: &str) -> Result<(), Error> {
    STDOUT.push(text.as_bytes());
    STDOUT.drain().map_err(|cause| Error::System {
        what: "write the text",
        cause,
    })
}

/// The last line of a failure, in the log and where Kubernetes looks for it.
fn tell(error: &Error) {
    let exit = error.exit();
    let phase = error.phase();
    let retry = exit.row().retry.word();
    for detail in error.details() {
        tracing::error!(phase = phase.map(tracing::field::display), "{detail}");
    }
    let line = last_line(error, phase, exit, retry);
    os::termination::write(&line);
    tracing::error!(
        phase = phase.map(tracing::field::display),
        step = error.step(),
        exit_code = u64::from(exit.code()),
        retry,
        cause = error.cause(),
        summary = error.summary(),
        "{line}"
    );
}

fn last_line(error: &Error, phase: Option<Phase>, exit: Exit, retry: Option<&str>) -> String {
    let phase = phase
        .map(|phase| format!("phase {phase}, "))
        .unwrap_or_default();
    let cause = error
        .cause()
        .map(|cause| format!("cause {cause}, "))
        .unwrap_or_default();
    let retry = match retry {
        None => "",
        Some("yes") => ", a retry helps",
        Some("perhaps") => ", a retry may help",
        Some(_) => ", a retry does not help",
    };
    format!("{error} ({phase}{cause}exit code {}{retry})", exit.code())
}

/// A panic is a bug of ours, on whichever thread it is. It ends the process at once: a helper that is gone must
/// not leave the others waiting, or let the start go on. Its message could hold a value, so only its place is told.
#[expect(
    clippy::disallowed_methods,
    reason = "a panic on another thread cannot come back to main"
)]
fn end_at_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        STDERR.push_in_panic(
            format!("startup-guard: internal error at {place}; please report it\n").as_bytes(),
        );
        std::process::abort();
    }));
}
