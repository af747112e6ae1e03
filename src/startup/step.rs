//! Runs the steps: commands that must succeed, one after the other, before the server starts.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

#[cfg(feature = "postgres")]
use super::lock::{AdvisoryLock, Goal, HeldLock, LockError};
use super::mask::Mask;
use super::relay::Relay;
use super::serve::program;
use super::supervise::{Lease, Outcome, supervise};
#[cfg(feature = "postgres")]
use crate::check::Lock;
use crate::check::{Plan, Step, Words};
use crate::log::{Format, Phase};
use crate::os::family::Ending;
use crate::os::output::{STDERR, STDOUT};
use crate::os::program::StartError;
use crate::os::signals::{Signal, Signals, unless_stopped};
use crate::os::tree::Tree;
use crate::os::user::User;

/// How long an `up_to_date` command may run.
const UP_TO_DATE_LIMIT: Duration = Duration::from_mins(1);

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("step {step}: {kind}")]
pub struct StepError {
    pub step: String,
    pub kind: StepErrorKind,
}

/// The kind of a step's error. `what` is empty for the step's command, and `up_to_date ` for its `up_to_date` command.
#[derive(Debug, thiserror::Error)]
pub enum StepErrorKind {
    #[error("{what}failed with {}", shown_ending(*.ending))]
    Failed { what: &'static str, ending: Ending },
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
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the system refused to start it: {0}")]
    System(#[from] io::Error),
}

fn shown_ending(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signaled(signal) => format!("{} ({})", signal.name(), 128 + signal.0),
    }
}

/// Runs the steps of the plan in order, as `user` or, if that is `None`, as the current user. Stops at the first step
/// that does not succeed, unless the step has `allow_failure`.
///
/// # Errors
/// If a step does not succeed. After a stop has arrived, the error is the stop.
pub fn run_all(
    plan: &Plan<'_>,
    user: Option<&User>,
    format: Format,
    signals: &Signals,
) -> Result<(), StepError> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    let mask = Mask::new(plan.secrets());
    for step in &plan.steps {
        let runner = Runner {
            step,
            plan,
            user,
            format,
            mask: &mask,
            signals,
        };
        let stopped = || unless_stopped().map_err(StepErrorKind::Stopped);
        let result = stopped().and_then(|()| runner.run());
        // A stop also replaces the error that it may have caused.
        let result = stopped().and(result);
        match result {
            // `allow_failure` covers only errors of the step itself, not a stop or a lost lock.
            Err(kind @ (StepErrorKind::Failed { .. } | StepErrorKind::TimedOut { .. }))
                if step.declared.allow_failure =>
            {
                let name = &step.declared.name;
                let text = format!("step {name}: {kind}; ignored because of allow_failure");
                tracing::warn!(phase = %Phase::Step, step = name, "{text}");
            }
            result => result.map_err(|kind| StepError {
                step: step.declared.name.clone(),
                kind,
            })?,
        }
    }
    Ok(())
}

/// Runs one step.
struct Runner<'a> {
    step: &'a Step<'a>,
    plan: &'a Plan<'a>,
    /// The user that it runs as, or `None` for the guard's own user.
    user: Option<&'a User>,
    format: Format,
    mask: &'a Mask,
    signals: &'a Signals,
}

impl Runner<'_> {
    fn run(&self) -> Result<(), StepErrorKind> {
        if self.is_up_to_date()? {
            return Ok(());
        }
        #[cfg(feature = "postgres")]
        if let Some(lock) = &self.step.lock {
            return self.run_locked(lock);
        }
        self.execute(None)
    }

    /// Runs the step while no other replica runs it, unless another replica has already brought it up to date.
    #[cfg(feature = "postgres")]
    fn run_locked(&self, lock: &Lock) -> Result<(), StepErrorKind> {
        let (step, signals) = (self.step, self.signals);
        let service = self.plan.service.as_deref().unwrap_or_default();
        let mut lock = AdvisoryLock::new(
            lock.database.clone(),
            service,
            &step.declared.name,
            lock.timeout,
        );
        let goal = match step.up_to_date {
            None => Goal::Taken,
            Some(_) => Goal::TakenOrBusy,
        };
        let held = loop {
            if let Some(held) = lock.wait_for(goal, signals)? {
                break held;
            }
            // The holder probably runs the same step. When the lock is free, all waiting replicas check concurrently
            // and without the lock whether the step is up to date. With the lock, each would have to wait for all
            // others.
            lock.wait_for(Goal::Free, signals)?;
            if self.is_up_to_date()? {
                return Ok(());
            }
        };
        let ran = self.run_holding(&held);
        let released = held.release(signals);
        // A lost lock matters only if the step has run while it was held.
        if ran? {
            released?;
        }
        Ok(())
    }

    /// Runs the step unless it is up to date. Returns whether it ran.
    #[cfg(feature = "postgres")]
    fn run_holding(&self, held: &HeldLock) -> Result<bool, StepErrorKind> {
        // Another replica may have run the step since the last check.
        if self.is_up_to_date()? {
            return Ok(false);
        }
        held.verify()?;
        self.execute(Some(held))?;
        Ok(true)
    }

    /// Runs the step's `up_to_date` command, and logs if there is nothing to do. Returns false for a step without such
    /// a command.
    fn is_up_to_date(&self) -> Result<bool, StepErrorKind> {
        let what = "up_to_date ";
        let Some(command) = &self.step.up_to_date else {
            return Ok(false);
        };
        // Its output is discarded, because alembic writes FAILED whenever there is something to do.
        match self.launch(what, command, Some(UP_TO_DATE_LIMIT), None, None)? {
            Ending::Exited(0) => {
                let step = &self.step.declared.name;
                let text = format!("step {step}: up to date, nothing to do");
                tracing::info!(phase = %Phase::Step, step, "{text}");
                self.announce(self.step.announce_done.as_deref());
                Ok(true)
            }
            // A shell exits with these codes if a command cannot be executed or is not found.
            ending @ Ending::Exited(126 | 127) => Err(StepErrorKind::Failed { what, ending }),
            _ => Ok(false),
        }
    }

    /// Runs the step's command.
    fn execute(&self, lease: Option<&dyn Lease>) -> Result<(), StepErrorKind> {
        let step = self.step;
        if step.announce_start.is_none() {
            let text = format!("step {}: {}", step.declared.name, step.command.shown());
            tracing::info!(phase = %Phase::Step, step = step.declared.name, "{text}");
        }
        self.announce(step.announce_start.as_deref());
        let what = "";
        match self.launch(
            what,
            &step.command,
            step.declared.timeout,
            Some(self.format),
            lease,
        )? {
            Ending::Exited(0) => {
                self.announce(step.announce_done.as_deref());
                Ok(())
            }
            ending => Err(StepErrorKind::Failed { what, ending }),
        }
    }

    /// Runs a command of the step until it ends, and ends the processes that it leaves running.
    fn launch(
        &self,
        what: &'static str,
        command: &Words,
        timeout: Option<Duration>,
        format: Option<Format>,
        lease: Option<&dyn Lease>,
    ) -> Result<Ending, StepErrorKind> {
        let program = program(command, self.plan)?;
        // Discards earlier signals, which were not meant for this command.
        self.signals.take();
        let started = Instant::now();
        let (user, inherited) = (self.user, lease.map(Lease::descriptor));
        let (tree, [stdout, stderr]) = Tree::spawn(&program, user, inherited, self.signals)?;
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        let name = &self.step.declared.name;
        let mut relays = [(&STDOUT, stdout), (&STDERR, stderr)]
            .map(|(stream, pipe)| Relay::new(name, stream, format, pipe, self.mask));
        let outcome = supervise(tree, self.step, deadline, lease, self.signals, &mut relays)?;
        relays.iter_mut().for_each(Relay::read_last);
        match outcome {
            Outcome::Ended(ending) => Ok(ending),
            Outcome::Left => Err(StepErrorKind::Left),
            Outcome::TimedOut => {
                let limit = timeout.unwrap_or_default();
                Err(StepErrorKind::TimedOut { what, limit })
            }
            Outcome::Stopped(stop) => Err(StepErrorKind::Stopped(stop)),
            Outcome::Lost => Err(StepErrorKind::LockLost),
        }
    }

    fn announce(&self, text: Option<&OsStr>) {
        if let Some(text) = text {
            let step = &self.step.declared.name;
            tracing::info!(target: "announce", phase = %Phase::Step, step, "{}", text.display());
        }
    }
}
