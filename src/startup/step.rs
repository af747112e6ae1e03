//! The steps: commands that must succeed, one after the other, before the server starts.

use std::io;
use std::time::{Duration, Instant};

use super::relay::{Form, Relay, Stream};
use super::supervise::{Family, Limits, Outcome, Supervisor};
use crate::check::Effective;
use crate::manifest::{Step, StopSignal, Template, UnsetReference, shown};
use crate::os::child::{Child, SpawnError};
use crate::os::family::{self, Adoption, Ending};
use crate::os::program::{Program, Refusal};
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
    #[error(transparent)]
    Unset(#[from] UnsetReference),
    #[error("the system refused to start it: {0}")]
    System(#[from] io::Error),
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
    pub effective: &'a Effective,
    /// Who it runs as; none: who we are.
    pub user: Option<&'a User>,
    pub form: Form,
}

/// Runs the steps in order. The first that does not succeed ends it, unless it is allowed to fail.
///
/// # Errors
/// Which step did not succeed, and why. A stop explains whatever failed after it was asked for.
pub fn run_all(steps: &[&Step], context: Context<'_>, signals: &Signals) -> Result<(), StepError> {
    let Some(first) = steps.first() else {
        return Ok(());
    };
    let _orphans = Adoption::begin();
    let mut current = *first;
    let mut run_each = || {
        for step in steps {
            current = step;
            stop_if_asked()?;
            match run(step, context, signals) {
                Err(problem @ (StepProblem::Failed(_) | StepProblem::TimedOut(_)))
                    if step.allow_failure =>
                {
                    stop_if_asked()?;
                    tracing::warn!(
                        phase = "step",
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

/// Runs one step to its end, and ends whatever it left running.
fn run(step: &Step, context: Context<'_>, signals: &Signals) -> Result<(), StepProblem> {
    let effective = context.effective;
    match &step.announce_start {
        None => tracing::info!(
            phase = "step",
            step = step.name,
            "step {}: {}",
            step.name,
            shown(&step.command)
        ),
        announcement => announce(step, announcement.as_ref(), effective)?,
    }
    let words = step
        .command
        .iter()
        .map(|word| effective.expand(word))
        .collect::<Result<_, _>>()?;
    let program = Program::new(words, effective.environment().entries());
    // Processes that were given to us are not the step's. Nearly always there are none.
    let spared = family::children();
    // What came until now was not meant for this step.
    signals.take();
    let started = Instant::now();
    let child = Child::spawn(&program, context.user, signals)?;
    let limits = Limits {
        deadline: step
            .timeout
            .and_then(|timeout| started.checked_add(timeout)),
        stop_signal: signal_of(step.stop_signal),
        stop_grace: step.stop_grace,
    };
    let family = Family {
        leader: child.id(),
        spared: &spared,
    };
    let mut relays = [
        (Stream::Stdout, child.stdout),
        (Stream::Stderr, child.stderr),
    ]
    .map(|(stream, pipe)| Relay::new(&step.name, stream, context.form, pipe, effective.secrets()));
    let outcome = Supervisor::new(family, limits).supervise(signals, &mut relays)?;
    relays.iter_mut().for_each(Relay::read_last);
    match (outcome, step.timeout) {
        (Outcome::Ended(Ending::Exited(0)), _) => {
            announce(step, step.announce_done.as_ref(), effective)
        }
        (Outcome::Ended(ending), _) => Err(StepProblem::Failed(ending)),
        (Outcome::Left, _) => Err(StepProblem::Left),
        (Outcome::TimedOut, timeout) => Err(StepProblem::TimedOut(timeout.unwrap_or_default())),
        (Outcome::Stopped(stop), _) => Err(StepProblem::Stopped(stop)),
    }
}

fn announce(
    step: &Step,
    text: Option<&Template>,
    effective: &Effective,
) -> Result<(), StepProblem> {
    if let Some(text) = text {
        let text = effective.expand(text)?;
        tracing::info!(target: "announce", phase = "step", step = step.name, "{}", text.display());
    }
    Ok(())
}

fn signal_of(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Kill => Signal::KILL,
    }
}
