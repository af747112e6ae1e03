//! The hand-over: this process becomes the server.

use std::ffi::OsString;

use crate::check::{Plan, Words};
use crate::log::Phase;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Moment, Program, StartError};
use crate::os::signals::Signals;
use crate::os::spawn::exec;
use crate::os::user::User;

/// A server that is ready to start. It is built from a plan, which is not needed afterwards.
pub struct Server {
    pub(super) program: Program,
    /// The user that it runs as, or `None` for the guard's own user.
    pub(super) user: Option<User>,
    announce: Option<OsString>,
}

impl Server {
    /// Creates the server of a plan. Returns `None` if the plan has none.
    ///
    /// # Errors
    /// If the first word of its command is empty.
    pub fn of(plan: &Plan<'_>, user: Option<&User>) -> Result<Option<Self>, StartError> {
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

    /// Looks its program up, unless it was found before the steps, and logs its announcement.
    ///
    /// # Errors
    /// If it certainly cannot be started.
    pub fn announce(&self, is_found: bool) -> Result<(), StartError> {
        if !is_found {
            unless_certain(self.program.look_up(Moment::Last))?;
        }
        if let Some(text) = &self.announce {
            tracing::info!(target: "announce", phase = %Phase::Serve, "{}", text.display());
        }
        Ok(())
    }

    /// Executes the server in this process. Returns only if that fails.
    pub fn take_over(self, signals: &Signals) -> StartError {
        write_pending_output();
        let Err(error) = exec(&self.program, self.user.as_ref(), signals);
        error
    }
}

/// Creates the program of a command of the plan. Messages call it by its name in the manifest, unexpanded.
///
/// # Errors
/// If the first word is empty.
pub(super) fn program(command: &Words, plan: &Plan<'_>) -> Result<Program, StartError> {
    let environment = plan.environment.entries();
    let written = command.written.first().map(OsString::as_os_str);
    let words = command.expanded.clone();
    Program::new(words, written.unwrap_or_default(), environment)
}

/// Only the errors of `Program::look_up` that are certain. The others were warnings before the first step.
pub(super) fn unless_certain(found: Result<(), (StartError, bool)>) -> Result<(), StartError> {
    found.or_else(|(error, is_certain)| if is_certain { Err(error) } else { Ok(()) })
}

/// Writes all pending output of the guard before the server writes its own. Ignores errors, so that the server starts
/// in any case.
pub(super) fn write_pending_output() {
    let _ = STDERR.drain();
    let _ = STDOUT.drain();
}
