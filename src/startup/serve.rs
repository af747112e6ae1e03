//! The hand-over: this process becomes the server.

use crate::check::Effective;
use crate::manifest::{Template, UnsetReference};
use crate::os::exec::{ExecError, exec};
use crate::os::family;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Program, Refusal};
use crate::os::signals::{Signal, Signals};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Unset(#[from] UnsetReference),
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
}

/// Becomes the server, in the effective environment. Comes back only with an error.
pub fn hand_over(command: &[Template], effective: &Effective, signals: Signals) -> ServeError {
    let program = match program(command, effective) {
        Ok(program) => program,
        Err(error) => return error,
    };
    // What was said must be read before the server speaks; a broken stream is no reason not to serve.
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
    family::release_orphans();
    match exec(&program, signals) {
        ExecError::Stopped(stop) => ServeError::Stopped(stop),
        ExecError::Refused(refusal) => refusal.into(),
    }
}

fn program(command: &[Template], effective: &Effective) -> Result<Program, ServeError> {
    let words = command
        .iter()
        .map(|word| effective.expand(word))
        .collect::<Result<_, _>>()?;
    Ok(Program::find(words, effective.environment().entries())?)
}
