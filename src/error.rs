//! Why the guard ends without the server: every error with its phase and its exit code.

use crate::cli::UsageError;
use crate::dotenv;
use crate::exit::Exit;
use crate::log::Phase;
use crate::manifest;
use crate::os::program::Refusal;
use crate::os::signals::Signal;
use crate::os::user::BecomeError;
#[cfg(feature = "postgres")]
use crate::startup::lock::LockError;
use crate::startup::serve::ServeError;
use crate::startup::step::{StepError, StepProblem};
use crate::startup::user::UserError;
use crate::startup::wait::WaitError;

/// Any failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(
        "there is no command to run: write it under server.command in the manifest, or after `--`"
    )]
    NoCommand,
    #[error("{place} names the step `{name}`, which the manifest does not have{hint}")]
    UnknownStep {
        place: &'static str,
        name: String,
        hint: String,
    },
    #[error("{variable} is not valid UTF-8")]
    NotText { variable: &'static str },
    #[error("STARTUP_GUARD_LOG is none of auto, text and json")]
    UnknownLogFormat,
    #[error("STARTUP_GUARD_INIT is none of true and false")]
    UnknownInit,
    #[error(
        "--forward and --rewrite say how to be an init: add --init, or set server.init: true in the manifest"
    )]
    NoInit,
    #[error("--rewrite {rewrite}: {problem}")]
    Rewrite {
        rewrite: String,
        problem: &'static str,
    },
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error("{headline}")]
    Environment {
        headline: String,
        /// What explains the most, by its code.
        cause: Option<&'static str>,
        /// The whole report, as JSON; left out where the log has no place for it.
        summary: Option<String>,
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
    Serve(#[from] ServeError),
    #[error("stopped by {} before the server started", signal.name())]
    Stopped {
        signal: Signal,
        /// What it cut short.
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

impl Error {
    /// The exit code. No wildcard: a new error does not compile until it has one.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Usage(_)
            | Error::NoCommand
            | Error::UnknownStep { .. }
            | Error::NotText { .. }
            | Error::UnknownLogFormat
            | Error::UnknownInit
            | Error::NoInit
            | Error::Rewrite { .. } => Exit::Usage,
            Error::Manifest(error) => match error {
                manifest::Error::NotFound { .. }
                | manifest::Error::Unreadable { .. }
                | manifest::Error::Directory { .. } => Exit::NoInput,
                manifest::Error::TooLarge { .. } | manifest::Error::Invalid { .. } => {
                    Exit::InvalidInput
                }
            },
            Error::Environment { .. } => Exit::InvalidEnvironment,
            Error::User(error) => match error {
                UserError::UnknownUser(_)
                | UserError::UnknownGroup(_)
                | UserError::OutOfRange(_)
                | UserError::Unreadable { .. } => Exit::NotPermitted,
            },
            Error::EnvFile(error) => match error.problem {
                dotenv::Problem::NotFound
                | dotenv::Problem::Directory
                | dotenv::Problem::Unreadable(_) => Exit::NoInput,
                dotenv::Problem::TooLarge
                | dotenv::Problem::Empty
                | dotenv::Problem::Utf16
                | dotenv::Problem::NoText { .. }
                | dotenv::Problem::Invalid(_) => Exit::InvalidInput,
            },
            Error::Wait(error) => match error {
                WaitError::NotReady(_) => Exit::NotReady,
                WaitError::Refused(_) => Exit::NotPermitted,
                WaitError::Stopped(signal) => Exit::Stopped(signal.0),
                WaitError::System(_) => Exit::OsRefused,
            },
            Error::Step(error) => match &error.problem {
                StepProblem::Failed(_) | StepProblem::QuestionFailed(_) => Exit::StepFailed,
                StepProblem::TimedOut(_) | StepProblem::QuestionTimedOut(_) => Exit::TimedOut,
                StepProblem::LockLost => Exit::LockNotHeld,
                #[cfg(feature = "postgres")]
                StepProblem::Lock(error) => match error {
                    LockError::NotFree { .. } | LockError::Lost(_) => Exit::LockNotHeld,
                    LockError::Refused { .. } => Exit::NotPermitted,
                    LockError::Unfit { .. } => Exit::InvalidEnvironment,
                    LockError::Stopped(signal) => Exit::Stopped(signal.0),
                    LockError::System(_) => Exit::OsRefused,
                },
                StepProblem::Stopped(signal) => Exit::Stopped(signal.0),
                StepProblem::Refused(refusal) => exit_of_refusal(refusal),
                StepProblem::User(error) => exit_of_user(error),
                StepProblem::Left | StepProblem::System(_) => Exit::OsRefused,
            },
            Error::Serve(error) => match error {
                ServeError::Refused(refusal) => exit_of_refusal(refusal),
                ServeError::User(error) => exit_of_user(error),
                ServeError::Stopped(signal) => Exit::Stopped(signal.0),
                ServeError::System(_) => Exit::OsRefused,
            },
            Error::Stopped { signal, .. } => Exit::Stopped(signal.0),
            Error::Unhealthy(_) => Exit::Unhealthy,
            Error::System { .. } => Exit::OsRefused,
        }
    }

    /// Where it happened; none where it can be anywhere.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Error::Usage(_)
            | Error::NoCommand
            | Error::UnknownStep { .. }
            | Error::NotText { .. }
            | Error::UnknownLogFormat
            | Error::UnknownInit
            | Error::NoInit
            | Error::Rewrite { .. } => Some(Phase::Usage),
            Error::Manifest(_) => Some(Phase::Manifest),
            Error::Environment { .. } => Some(Phase::Check),
            Error::User(_) => Some(Phase::User),
            Error::EnvFile(_) => Some(Phase::EnvFile),
            Error::Wait(_) => Some(Phase::Wait),
            Error::Step(error) => Some(match &error.problem {
                StepProblem::LockLost => Phase::Lock,
                #[cfg(feature = "postgres")]
                StepProblem::Lock(_) => Phase::Lock,
                _ => Phase::Step,
            }),
            Error::Serve(_) => Some(Phase::Serve),
            Error::Unhealthy(_) => Some(Phase::Healthcheck),
            Error::Stopped { phase, .. } => *phase,
            Error::System { .. } => None,
        }
    }

    /// What there is to say before the last line, a line each: the faults of a manifest or an env file.
    pub fn details(&self) -> Vec<String> {
        match self {
            Error::Manifest(manifest::Error::Invalid { faults, .. }) => {
                told(faults, ToString::to_string)
            }
            Error::EnvFile(dotenv::Error {
                problem: dotenv::Problem::Invalid(faults),
                ..
            }) => told(faults, |fault| {
                format!("line {} {}", fault.line, fault.problem)
            }),
            _ => Vec::new(),
        }
    }

    /// The step that it is about.
    pub fn step(&self) -> Option<&str> {
        match self {
            Error::Step(error) => Some(&error.step),
            _ => None,
        }
    }

    /// The report that it sums up, as JSON.
    pub fn summary(&self) -> Option<&str> {
        match self {
            Error::Environment { summary, .. } => summary.as_deref(),
            _ => None,
        }
    }

    /// The cause, by its code.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Error::Environment { cause, .. } => *cause,
            _ => None,
        }
    }
}

/// So many faults of one file are told.
const TOLD_FAULTS: usize = 200;

fn told<T>(faults: &[T], tell: impl Fn(&T) -> String) -> Vec<String> {
    let mut told: Vec<String> = faults.iter().take(TOLD_FAULTS).map(tell).collect();
    let more = faults.len() - told.len();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
}

fn exit_of_user(error: &BecomeError) -> Exit {
    match error {
        BecomeError::NotPermitted { .. } | BecomeError::NotMapped { .. } => Exit::NotPermitted,
        BecomeError::System { .. } => Exit::OsRefused,
    }
}

fn exit_of_refusal(refusal: &Refusal) -> Exit {
    if refusal.is_shortage() {
        Exit::OsRefused
    } else if refusal.is_absence() {
        Exit::NotFound
    } else {
        Exit::CannotExecute
    }
}
