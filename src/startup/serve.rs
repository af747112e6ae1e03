//! The hand-over: this process becomes the server.

use std::ffi::OsString;
use std::io;

use crate::check::{Plan, Words};
use crate::log::Phase;
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

/// A server that is ready to take over. It is made from a plan, which is not needed afterwards.
pub struct Server {
    pub(super) program: Program,
    /// Who it runs as; none: who we are.
    pub(super) user: Option<User>,
    announce: Option<OsString>,
}

impl Server {
    /// The plan's server; `None` if it has none.
    ///
    /// # Errors
    /// If the first word of its command is empty. Whether the program exists is looked up at the hand-over: a step
    /// may create it.
    pub fn of(plan: &Plan, user: Option<&User>) -> Result<Option<Self>, ServeError> {
        let Some(server) = &plan.server else {
            return Ok(None);
        };
        let program = program(&server.command, plan)?;
        Ok(Some(Self {
            program,
            user: user.cloned(),
            announce: server.announce.clone(),
        }))
    }

    /// Logs the server's announcement.
    pub fn announce(&self) {
        if let Some(text) = &self.announce {
            tracing::info!(target: "announce", phase = %Phase::Serve, "{}", text.display());
        }
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

/// The program of a command of the plan. Messages show it as the user wrote it.
///
/// # Errors
/// If the first word is empty.
pub(super) fn program(command: &Words, plan: &Plan) -> Result<Program, Refusal> {
    let environment = plan.environment().entries();
    let written = command.written.first().map(OsString::as_os_str);
    Program::new(
        command.expanded.clone(),
        written.unwrap_or_default(),
        environment,
    )
}

/// What was said must be read before the server speaks; a broken stream is no reason not to serve.
pub(super) fn say_everything() {
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
}
