//! Runs the commands of steps and waits as child processes.

use std::time::{Duration, Instant};

use super::RunError;
use super::mask::Mask;
use super::progress::shown;
use super::relay::Relay;
use super::serve::{program, unless_certain};
use super::supervise::{Lease, Outcome, Stop, supervise};
use crate::check::{Plan, Words};
use crate::exit::Exit;
use crate::log::{Format, Phase};
use crate::os::family::Ending;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::Moment;
use crate::os::signals::Signals;
use crate::os::tree::Tree;
use crate::os::user::User;

const LEFT: &str = "left processes running that the guard cannot end";
const LOCK_LOST: &str = "the lock was lost while it ran, so it was killed";

/// Advice if alembic has reported that a revision has no file.
pub const AHEAD: &str = ": probably the database is ahead of this code, as if an older image was started; start the newer one, \
                     or let this one skip the step with `up_to_date: {alembic: DATABASE_URL, on_ahead: skip}`";

/// A command that has failed. `what` is empty for the step's command, and `up_to_date ` for its `up_to_date` command.
pub fn failed(what: &str, ending: Ending, took: Duration, advice: &str) -> RunError {
    let (ending, after) = (shown_ending(ending), shown(took));
    let text = format!("{what}failed with {ending} after {after}{advice}");
    RunError {
        took: Some(took),
        ..RunError::new(Exit::STEP_FAILED, Phase::Step, text)
    }
}

pub fn shown_ending(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signaled(signal) => format!("{} ({})", signal.name(), 128 + signal.0),
    }
}

/// A command that has ended by itself.
pub struct Ran {
    pub ending: Ending,
    pub took: Duration,
    /// Whether alembic has reported that a revision has no file.
    pub is_ahead: bool,
    /// The last line of discarded output, masked.
    pub last_line: Option<String>,
}

/// Runs the commands of one step or wait.
pub struct Launcher<'a> {
    /// The name of the step.
    pub name: &'a str,
    pub stop: Stop,
    pub plan: &'a Plan<'a>,
    /// The user that they run as, or `None` for the guard's own user.
    pub user: Option<&'a User>,
    pub mask: &'a Mask,
    pub signals: &'a Signals,
}

impl Launcher<'_> {
    /// Runs a command until it ends, and ends the processes that it leaves running. `what` is empty for the step's own
    /// command. Without a format the output is discarded.
    pub fn launch(
        &self,
        what: &str,
        command: &Words,
        timeout: Option<Duration>,
        format: Option<Format>,
        lease: Option<&dyn Lease>,
    ) -> Result<Ran, RunError> {
        let program = program(command, self.plan)?;
        unless_certain(program.look_up(Moment::Last))?;
        // Discards earlier signals, which were not meant for this command.
        self.signals.take();
        let started = Instant::now();
        let (user, inherited) = (self.user, lease.map(Lease::descriptor));
        let (tree, [stdout, stderr]) = Tree::spawn(&program, user, inherited, self.signals)?;
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        let mut relays = [(&STDOUT, stdout), (&STDERR, stderr)]
            .map(|(stream, pipe)| Relay::new(self.name, stream, format, pipe, self.mask));
        let outcome = supervise(tree, self.stop, deadline, lease, self.signals, &mut relays)
            .map_err(RunError::system("start it"))?;
        relays.iter_mut().for_each(Relay::read_last);
        let took = started.elapsed();
        match outcome {
            Outcome::Ended(ending) => Ok(Ran {
                ending,
                took,
                is_ahead: relays.iter().any(|relay| relay.is_ahead),
                last_line: relays.iter_mut().rev().find_map(|relay| relay.last.take()),
            }),
            Outcome::Left => Err(RunError::new(Exit::OS_REFUSED, Phase::Step, LEFT)),
            Outcome::TimedOut => {
                let limit = humantime::format_duration(timeout.unwrap_or_default());
                let after = shown(took);
                let text = format!("{what}ran out of time ({limit}) and was stopped after {after}");
                Err(RunError {
                    took: Some(took),
                    ..RunError::new(Exit::TIMED_OUT, Phase::Step, text)
                })
            }
            Outcome::Stopped(stop) => Err(RunError::stopped(stop)),
            Outcome::Lost => Err(RunError::new(Exit::LOCK_NOT_HELD, Phase::Lock, LOCK_LOST)),
        }
    }

    /// Runs the step's `up_to_date` command for at most `limit`. Returns whether there is nothing to do.
    pub fn is_up_to_date(&self, command: &Words, limit: Duration) -> Result<bool, RunError> {
        let what = "up_to_date ";
        // Its output is discarded, because alembic writes FAILED whenever there is something to do.
        let Ran { ending, took, .. } = self.launch(what, command, Some(limit), None, None)?;
        match ending {
            // A shell exits with these codes if a command cannot be executed or is not found.
            Ending::Exited(126 | 127) => Err(failed(what, ending, took, "")),
            _ => Ok(ending == Ending::Exited(0)),
        }
    }
}
