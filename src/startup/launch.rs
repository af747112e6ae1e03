//! Runs the commands of a step as child processes.

use std::io;
use std::time::{Duration, Instant};

use super::mask::Mask;
use super::relay::Relay;
use super::serve::{program, unless_certain};
use super::supervise::{Lease, Outcome, supervise};
use crate::check::{DeclaredStep, Plan, Words};
use crate::log::Format;
use crate::os::family::Ending;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::{Moment, StartError};
use crate::os::signals::{Signal, Signals};
use crate::os::tree::Tree;
use crate::os::user::User;

/// How long an `up_to_date` command may run.
pub const UP_TO_DATE_LIMIT: Duration = Duration::from_mins(1);

/// Why a command of a step did not succeed. `what` is empty for the step's command, and `up_to_date ` for its
/// `up_to_date` command.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{what}failed with {}", shown_ending(*.ending))]
    Failed { what: &'static str, ending: Ending },
    #[error(
        "failed with {}: probably the database is ahead of this code, as if an older image was started; start the newer \
         one, or let this one skip the step with `up_to_date: {{alembic: DATABASE_URL, on_ahead: skip}}`",
        shown_ending(*.0)
    )]
    Ahead(Ending),
    #[error("{what}ran out of time ({}) and was stopped", humantime::format_duration(*.limit))]
    TimedOut { what: &'static str, limit: Duration },
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    #[error("left processes running that the guard cannot end")]
    Left,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the lock was lost while it ran, so it was killed")]
    LockLost,
    #[error("the system refused to start it: {0}")]
    System(#[from] io::Error),
}

fn shown_ending(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signaled(signal) => format!("{} ({})", signal.name(), 128 + signal.0),
    }
}

/// Runs the commands of one step.
pub struct Launcher<'a> {
    pub step: &'a DeclaredStep,
    pub plan: &'a Plan<'a>,
    /// The user that they run as, or `None` for the guard's own user.
    pub user: Option<&'a User>,
    pub mask: &'a Mask,
    pub signals: &'a Signals,
}

impl Launcher<'_> {
    /// Runs a command of the step until it ends, and ends the processes that it leaves running.
    pub fn launch(
        &self,
        what: &'static str,
        command: &Words,
        timeout: Option<Duration>,
        format: Option<Format>,
        lease: Option<&dyn Lease>,
    ) -> Result<Ending, LaunchError> {
        let program = program(command, self.plan)?;
        unless_certain(program.look_up(Moment::Last))?;
        // Discards earlier signals, which were not meant for this command.
        self.signals.take();
        let started = Instant::now();
        let (user, inherited) = (self.user, lease.map(Lease::descriptor));
        let (tree, [stdout, stderr]) = Tree::spawn(&program, user, inherited, self.signals)?;
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        let name = &self.step.name;
        let mut relays = [(&STDOUT, stdout), (&STDERR, stderr)]
            .map(|(stream, pipe)| Relay::new(name, stream, format, pipe, self.mask));
        let outcome = supervise(tree, self.step, deadline, lease, self.signals, &mut relays)?;
        relays.iter_mut().for_each(Relay::read_last);
        match outcome {
            // The output of `up_to_date`, which has no format, does not matter.
            Outcome::Ended(ending)
                if format.is_some()
                    && ending != Ending::Exited(0)
                    && relays.iter().any(|relay| relay.is_ahead) =>
            {
                Err(LaunchError::Ahead(ending))
            }
            Outcome::Ended(ending) => Ok(ending),
            Outcome::Left => Err(LaunchError::Left),
            Outcome::TimedOut => {
                let limit = timeout.unwrap_or_default();
                Err(LaunchError::TimedOut { what, limit })
            }
            Outcome::Stopped(stop) => Err(LaunchError::Stopped(stop)),
            Outcome::Lost => Err(LaunchError::LockLost),
        }
    }

    /// Runs the step's `up_to_date` command for at most `limit`. Returns whether there is nothing to do.
    pub fn is_up_to_date(&self, command: &Words, limit: Duration) -> Result<bool, LaunchError> {
        let what = "up_to_date ";
        // Its output is discarded, because alembic writes FAILED whenever there is something to do.
        match self.launch(what, command, Some(limit), None, None)? {
            // A shell exits with these codes if a command cannot be executed or is not found.
            ending @ Ending::Exited(126 | 127) => Err(LaunchError::Failed { what, ending }),
            ending => Ok(ending == Ending::Exited(0)),
        }
    }
}
