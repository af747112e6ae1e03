//! The hand-over: this process becomes the server.

use std::ffi::OsString;

use crate::check::{Plan, Words};
use crate::log::Phase;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Program, StartError};
use crate::os::signals::Signals;
use crate::os::spawn::exec;
use crate::os::user::User;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServeError(#[from] pub StartError);

/// A server that is ready to take over. It is made from a plan, which is not needed afterwards.
pub struct Server {
    pub(super) program: Program,
    /// The user it runs as; `None`: the guard's own.
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

    /// Becomes the server. Returns only an error.
    pub fn take_over(self, signals: Signals) -> ServeError {
        say_everything();
        let Err(error) = exec(&self.program, self.user.as_ref(), signals);
        error.into()
    }
}

/// The program of a command of the plan. Messages show it as the user wrote it.
///
/// # Errors
/// If the first word is empty.
pub(super) fn program(command: &Words, plan: &Plan) -> Result<Program, StartError> {
    let environment = plan.environment().entries();
    let written = command.written.first().map(OsString::as_os_str);
    Program::new(
        command.expanded.clone(),
        written.unwrap_or_default(),
        environment,
    )
}

/// Writes all output of the guard before the server writes its own. The server starts in spite of a broken stream.
pub(super) fn say_everything() {
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
}
