//! The steps: commands that must succeed, one after the other, before the server starts.

use std::ffi::OsStr;
use std::io;
use std::time::{Duration, Instant};

use crate::log::Phase;

#[cfg(feature = "postgres")]
use super::lock::LockError;
use super::mask::Mask;
use super::relay::{Form, Relay, Stream};
use super::serve::program;
use super::supervise::{Keeper, Limits, Outcome, Supervisor};
use crate::check::{Plan, Step, Words};
use crate::os::child::{Child, SpawnError};
use crate::os::family::Ending;
use crate::os::program::Refusal;
use crate::os::signals::{Signal, Signals, requested_stop};
use crate::os::user::{BecomeError, User};

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("step {step}: {problem}")]
pub struct StepError {
    pub step: String,
    pub problem: StepProblem,
}

/// What went wrong with a step.
#[derive(Debug, thiserror::Error)]
pub enum StepProblem {
    #[error("failed with {}", ending(*.0))]
    Failed(Ending),
    #[error("ran out of time ({}) and was stopped", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("stopped by {} before the server started", .0.name())]
    Stopped(Signal),
    #[error("left processes running that the guard cannot end")]
    Left,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    User(#[from] BecomeError),
    #[error("up_to_date failed with {}", ending(*.0))]
    QuestionFailed(Ending),
    #[error("up_to_date ran out of time ({}) and was stopped", humantime::format_duration(*.0))]
    QuestionTimedOut(Duration),
    #[error("the lock was lost while it ran, so it was killed")]
    LockLost,
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the system refused to start it: {0}")]
    System(#[from] io::Error),
}

impl StepProblem {
    /// Whether it is the step's own failure, which it can be allowed. A stop never is, nor a lock.
    fn is_failure(&self) -> bool {
        matches!(
            self,
            StepProblem::Failed(_)
                | StepProblem::TimedOut(_)
                | StepProblem::QuestionFailed(_)
                | StepProblem::QuestionTimedOut(_)
        )
    }
}

fn ending(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signaled(signal) => format!("{} ({})", signal.name(), 128 + signal.0),
    }
}

impl From<SpawnError> for StepProblem {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Refused(refusal) => StepProblem::Refused(refusal),
            SpawnError::User(error) => StepProblem::User(error),
            SpawnError::System(error) => StepProblem::System(error),
        }
    }
}

/// What every step is given.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub plan: &'a Plan,
    pub user: Option<&'a User>,
    pub form: Form,
}

/// Runs the steps of the plan in order, as `user` or else as the current user. The first that does not succeed ends it, unless it is allowed to fail.
///
/// # Errors
/// Which step did not succeed, and why. A stop explains whatever failed after it was asked for.
pub fn run_all(
    plan: &Plan,
    user: Option<&User>,
    form: Form,
    signals: &Signals,
) -> Result<(), StepError> {
    let context = Context { plan, user, form };
    let steps = &plan.steps;
    let Some(first) = steps.first() else {
        return Ok(());
    };
    let mask = Mask::new(plan.secrets());
    let mut current = first;
    let mut run_each = || {
        for step in steps {
            current = step;
            stop_if_asked()?;
            let run = Run {
                step,
                context,
                mask: &mask,
                signals,
            };
            match run.run() {
                Err(problem) if step.allow_failure && problem.is_failure() => {
                    stop_if_asked()?;
                    tracing::warn!(
                        phase = %Phase::Step,
                        step = step.name,
                        "step {}: {problem}; it is allowed to",
                        step.name
                    );
                }
                result => result?,
            }
        }
        stop_if_asked()
    };
    run_each().map_err(|problem| StepError {
        step: current.name.clone(),
        problem: requested_stop().map_or(problem, StepProblem::Stopped),
    })
}

fn stop_if_asked() -> Result<(), StepProblem> {
    requested_stop().map_or(Ok(()), |stop| Err(StepProblem::Stopped(stop)))
}

/// One run of a step.
pub struct Run<'a> {
    pub step: &'a Step,
    pub context: Context<'a>,
    pub mask: &'a Mask,
    pub signals: &'a Signals,
}

impl Run<'_> {
    fn run(&self) -> Result<(), StepProblem> {
        if self.is_up_to_date()? {
            self.skip();
            return Ok(());
        }
        #[cfg(feature = "postgres")]
        if let Some(lock) = &self.step.lock {
            return self.run_locked(lock);
        }
        self.execute(None)
    }

    /// There is nothing to do: what the step is for is done.
    pub fn skip(&self) {
        let step = self.step;
        tracing::info!(
            phase = %Phase::Step,
            step = step.name,
            "step {}: up to date, nothing to do",
            step.name
        );
        self.announce(step.announce_done.as_deref());
    }

    /// Runs the step's command.
    pub fn execute(&self, keeper: Option<&dyn Keeper>) -> Result<(), StepProblem> {
        let step = self.step;
        match &step.announce_start {
            None => tracing::info!(
                phase = %Phase::Step,
                step = step.name,
                "step {}: {}",
                step.name,
                step.command.shown()
            ),
            announcement => self.announce(announcement.as_deref()),
        }
        let form = self.context.form;
        match self.launch(&step.command, step.timeout, form, keeper)? {
            Outcome::Ended(Ending::Exited(0)) => {
                self.announce(step.announce_done.as_deref());
                Ok(())
            }
            Outcome::Ended(ending) => Err(StepProblem::Failed(ending)),
            Outcome::Left => Err(StepProblem::Left),
            Outcome::TimedOut => Err(StepProblem::TimedOut(step.timeout.unwrap_or_default())),
            Outcome::Stopped(stop) => Err(StepProblem::Stopped(stop)),
            Outcome::Lost => Err(StepProblem::LockLost),
        }
    }

    /// Runs a command of the step to its end, and ends whatever it left running.
    pub fn launch(
        &self,
        command: &Words,
        timeout: Option<Duration>,
        form: Form,
        keeper: Option<&dyn Keeper>,
    ) -> Result<Outcome, StepProblem> {
        let Context { plan, user, .. } = self.context;
        let program = program(command, plan)?;
        // What came until now was not meant for this step.
        self.signals.take();
        let started = Instant::now();
        let child = Child::spawn(&program, user, keeper.map(Keeper::descriptor), self.signals)?;
        let limits = Limits {
            deadline: timeout.and_then(|timeout| started.checked_add(timeout)),
            stop_signal: self.step.stop_signal,
            stop_grace: self.step.stop_grace,
        };
        let name = &self.step.name;
        let mut relays = [
            (Stream::Stdout, child.stdout),
            (Stream::Stderr, child.stderr),
        ]
        .map(|(stream, pipe)| Relay::new(name, stream, form, pipe, self.mask));
        let supervisor = Supervisor::new(child.tree, limits, keeper);
        let outcome = supervisor.supervise(self.signals, &mut relays)?;
        relays.iter_mut().for_each(Relay::read_last);
        Ok(outcome)
    }

    fn announce(&self, text: Option<&OsStr>) {
        if let Some(text) = text {
            let step = &self.step.name;
            tracing::info!(target: "announce", phase = %Phase::Step, step, "{}", text.display());
        }
    }
}
