//! The errors of a run, each with its phase and its exit code.

use crate::cli::UsageError;
use crate::dotenv::{self, Fault};
use crate::exit::Exit;
use crate::log::Phase;
use crate::manifest;
use crate::os::file;
use crate::os::program::StartError;
use crate::os::signals::Signal;
use crate::startup::launch::LaunchError;
#[cfg(feature = "postgres")]
use crate::startup::lock::LockError;
use crate::startup::progress::Interruption;
use crate::startup::progress::WaitError;
use crate::startup::step::{StepError, StepErrorKind};
use crate::startup::user::UserError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error("{headline}")]
    Environment {
        headline: String,
        /// The code of the first likely cause, if there is one.
        cause: Option<&'static str>,
        /// The whole report as JSON.
        summary: String,
    },
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    EnvFile(#[from] dotenv::Error),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Serve(#[from] StartError),
    #[error("stopped by {} before the server started", signal.name())]
    Stopped {
        signal: Signal,
        /// The phase that the signal interrupted, if it is known.
        phase: Option<Phase>,
    },
    #[error("the service is not healthy: {0}")]
    Unhealthy(String),
    #[error("the system refused to {what}: {cause}")]
    System {
        what: &'static str,
        cause: std::io::Error,
    },
}

impl From<Signal> for Error {
    /// A stop in an unknown phase.
    fn from(signal: Signal) -> Self {
        let phase = None;
        Error::Stopped { signal, phase }
    }
}

impl From<(Option<String>, StartError)> for Error {
    /// A program that cannot be started, with the name of its step; `None` for the server.
    fn from((step, error): (Option<String>, StartError)) -> Self {
        let Some(step) = step else {
            return error.into();
        };
        let kind = LaunchError::from(error).into();
        StepError { step, kind }.into()
    }
}

impl Error {
    /// Wraps an error of the operating system. `what` is the operation that failed, such as "start a thread".
    pub fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Error::System { what, cause }
    }

    /// The exit code, and the phase in which the error happened. The phase is `None` for errors that can happen in any
    /// phase. The match has no wildcard, so a new variant does not compile until it has both.
    fn outcome(&self) -> (Exit, Option<Phase>) {
        let (exit, phase) = match self {
            Error::Usage(_) => (Exit::USAGE, Phase::Usage),
            Error::Manifest(manifest::Error::Unreadable { .. }) => {
                (Exit::NO_INPUT, Phase::Manifest)
            }
            Error::Manifest(manifest::Error::Invalid { .. }) => {
                (Exit::INVALID_INPUT, Phase::Manifest)
            }
            Error::Environment { .. } => (Exit::INVALID_ENVIRONMENT, Phase::Check),
            Error::User(_) => (Exit::NOT_PERMITTED, Phase::User),
            Error::EnvFile(error) => match error.fault {
                Fault::Unreadable(_) => (Exit::NO_INPUT, Phase::EnvFile),
                Fault::Invalid(_) | Fault::Lines(_) => (Exit::INVALID_INPUT, Phase::EnvFile),
            },
            Error::Wait(error) => (exit_of_wait(error), Phase::Wait),
            Error::Step(error) => outcome_of_step(&error.kind),
            Error::Serve(error) => (exit_of_start(error), Phase::Serve),
            Error::Unhealthy(_) => (Exit::UNHEALTHY, Phase::Healthcheck),
            Error::Stopped { signal, phase } => return (Exit::stopped(signal.0), *phase),
            Error::System { .. } => return (Exit::OS_REFUSED, None),
        };
        (exit, Some(phase))
    }

    /// The phase in which the error happened; `None` for errors that can happen in any phase.
    pub fn phase(&self) -> Option<Phase> {
        self.outcome().1
    }

    /// The name of the step that failed, for an error of a step.
    pub fn step(&self) -> Option<&str> {
        match self {
            Error::Step(error) => Some(&error.step),
            _ => None,
        }
    }

    /// The faults of the manifest or the env file, one line per fault.
    pub fn details(&self) -> Vec<String> {
        match self {
            Error::Manifest(manifest::Error::Invalid { faults, .. }) => capped(faults),
            Error::EnvFile(dotenv::Error {
                fault: Fault::Lines(faults),
                ..
            }) => capped(faults),
            _ => Vec::new(),
        }
    }

    /// Logs the details of the error and then the error itself, which is also written to Kubernetes' termination log.
    /// Returns the exit code.
    pub fn log(&self) -> u8 {
        let (exit, phase) = self.outcome();
        let code = exit.code();
        let retry = exit.retry();
        let (cause, summary) = match self {
            Error::Environment { cause, summary, .. } => (*cause, Some(summary.as_str())),
            _ => (None, None),
        };
        for detail in self.details() {
            tracing::error!(phase = phase.map(tracing::field::display), "{detail}");
        }
        let helps = retry.map(|retry| match retry {
            "yes" => "a retry helps",
            "no" => "a retry does not help",
            _ => "a retry may help",
        });
        let parts = [
            phase.map(|phase| format!("phase {phase}")),
            cause.map(|cause| format!("cause {cause}")),
            Some(format!("exit code {code}")),
            helps.map(str::to_owned),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let line = format!("{self} ({})", parts.join(", "));
        file::write_termination_log(&line);
        tracing::error!(
            phase = phase.map(tracing::field::display),
            step = self.step(),
            exit_code = u64::from(code),
            retry,
            cause,
            summary,
            "{line}"
        );
        code
    }
}

/// The maximum number of faults that are logged for one file.
const MAX_FAULTS: usize = 200;

fn capped(faults: &[impl ToString]) -> Vec<String> {
    let shown = faults.iter().take(MAX_FAULTS);
    let mut lines: Vec<String> = shown.map(ToString::to_string).collect();
    let more = faults.len() - lines.len();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn outcome_of_step(kind: &StepErrorKind) -> (Exit, Phase) {
    match kind {
        StepErrorKind::Command(LaunchError::LockLost) => (Exit::LOCK_NOT_HELD, Phase::Lock),
        StepErrorKind::Command(error) => (exit_of_launch(error), Phase::Step),
        StepErrorKind::Ahead(_) => (Exit::STEP_FAILED, Phase::Step),
        #[cfg(feature = "postgres")]
        StepErrorKind::Lock(error) => (exit_of_lock(error), Phase::Lock),
        #[cfg(feature = "postgres")]
        StepErrorKind::Question(error) => (exit_of_wait(error), Phase::Step),
    }
}

fn exit_of_launch(error: &LaunchError) -> Exit {
    match error {
        LaunchError::Failed { .. } | LaunchError::Ahead(_) => Exit::STEP_FAILED,
        LaunchError::TimedOut { .. } => Exit::TIMED_OUT,
        LaunchError::LockLost => Exit::LOCK_NOT_HELD,
        LaunchError::Stopped(signal) => Exit::stopped(signal.0),
        LaunchError::Start(error) => exit_of_start(error),
        LaunchError::Left | LaunchError::System(_) => Exit::OS_REFUSED,
    }
}

fn exit_of_wait(error: &WaitError) -> Exit {
    match error {
        WaitError::NotReady(_) => Exit::NOT_READY,
        WaitError::Refused(_) => Exit::NOT_PERMITTED,
        WaitError::Impossible(_) => Exit::INVALID_ENVIRONMENT,
        WaitError::Step { error, .. } => exit_of_launch(error),
        WaitError::Interrupted(error) => exit_of_interruption(error),
    }
}

#[cfg(feature = "postgres")]
fn exit_of_lock(error: &LockError) -> Exit {
    match error {
        LockError::NotFree(_) | LockError::Lost(_) => Exit::LOCK_NOT_HELD,
        LockError::Refused(_) => Exit::NOT_PERMITTED,
        LockError::Impossible(_) => Exit::INVALID_ENVIRONMENT,
        LockError::Interrupted(interruption) => exit_of_interruption(interruption),
    }
}

fn exit_of_interruption(interruption: &Interruption) -> Exit {
    match interruption {
        Interruption::Stopped(signal) => Exit::stopped(signal.0),
        Interruption::System(_) => Exit::OS_REFUSED,
    }
}

fn exit_of_start(error: &StartError) -> Exit {
    match error {
        StartError::NotFound(_) => Exit::NOT_FOUND,
        StartError::NotExecutable(_) => Exit::CANNOT_EXECUTE,
        StartError::NotPermitted(_) => Exit::NOT_PERMITTED,
        StartError::Stopped(signal) => Exit::stopped(signal.0),
        StartError::System(_) => Exit::OS_REFUSED,
    }
}
