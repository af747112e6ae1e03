//! The hand-over: this process becomes the server.

use std::io;

use crate::check::Effective;
use crate::manifest::{Template, UnsetReference};
use crate::os::exec::{ExecError, exec};
use crate::os::fork::SpawnError;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Program, Refusal};
use crate::os::queue::QueueError;
use crate::os::signals::{Signal, Signals};
use crate::os::user::{BecomeError, User};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    User(#[from] BecomeError),
    #[error(transparent)]
    Unset(#[from] UnsetReference),
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    #[error("the system refused to start the server: {0}")]
    System(#[from] io::Error),
}

impl From<SpawnError> for ServeError {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Refused(refusal) => ServeError::Refused(refusal),
            SpawnError::User(error) => ServeError::User(error),
            SpawnError::System(error) => ServeError::System(error),
        }
    }
}

impl From<QueueError> for ServeError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Stopped(signal) => ServeError::Stopped(signal),
            QueueError::System(error) => ServeError::System(error),
        }
    }
}

/// A server that is ready to take over. Only an effective environment, which a passed check makes, leads to
/// one; afterwards neither that nor the manifest is needed any more.
pub struct Server {
    pub(super) program: Program,
    /// Who it runs as; none: who we are.
    pub(super) user: Option<User>,
}

impl Server {
    /// The server of this command, in the effective environment.
    ///
    /// # Errors
    /// When the command refers to a variable that is not set, or comes to no program at all. Whether there is
    /// such a program is asked at the hand-over: a step may make it.
    pub fn new(
        command: &[Template],
        effective: &Effective,
        user: Option<User>,
    ) -> Result<Self, ServeError> {
        let program = program::<ServeError>(command, effective)?;
        Ok(Self { program, user })
    }

    /// Becomes the server. Comes back only with an error.
    pub fn take_over(self, signals: Signals) -> ServeError {
        say_everything();
        match exec(&self.program, self.user.as_ref(), signals) {
            ExecError::Stopped(stop) => ServeError::Stopped(stop),
            ExecError::User(error) => error.into(),
            ExecError::Refused(refusal) => refusal.into(),
        }
    }
}

/// The program of a command, in the effective environment. Messages show the command as it is written.
///
/// # Errors
/// A reference to a variable that is not set, or a command that names no program.
pub(super) fn program<E: From<UnsetReference> + From<Refusal>>(
    command: &[Template],
    effective: &Effective,
) -> Result<Program, E> {
    let words = command
        .iter()
        .map(|word| effective.expand(word))
        .collect::<Result<_, _>>()?;
    let shown = command.first().map(Template::source).unwrap_or_default();
    Ok(Program::new(
        words,
        shown,
        effective.environment().entries(),
    )?)
}

/// What was said must be read before the server speaks; a broken stream is no reason not to serve.
pub(super) fn say_everything() {
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
}
