//! The errors of a run, each with its phase and its exit code.

use crate::cli::UsageError;
use crate::dotenv::{self, Fault};
use crate::exit::Exit;
use crate::log::{Phase, milliseconds};
use crate::manifest;
use crate::os::file;
use crate::os::program::StartError;
use crate::os::signals::Signal;
use crate::startup::RunError;
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
    Start(#[from] RunError),
    #[error("stopped by {} before the server started", signal.name())]
    Stopped {
        signal: Signal,
        /// The phase that the signal interrupted, if it is known.
        phase: Option<Phase>,
    },
    #[error("the service is not healthy: {0}")]
    Unhealthy(String),
    /// A command for authors of manifests has not succeeded.
    #[error("{text}")]
    Author { exit: Exit, text: String },
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

impl From<StartError> for Error {
    /// A server that cannot be started.
    fn from(error: StartError) -> Self {
        RunError::from(error).into()
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
            Error::Manifest(error) => match error {
                manifest::Error::Unreadable { .. } => (Exit::NO_INPUT, Phase::Manifest),
                manifest::Error::Invalid { .. } => (Exit::INVALID_INPUT, Phase::Manifest),
            },
            Error::Environment { .. } => (Exit::INVALID_ENVIRONMENT, Phase::Check),
            Error::User(_) => (Exit::NOT_PERMITTED, Phase::User),
            Error::EnvFile(error) => match error.fault {
                Fault::Unreadable(_) => (Exit::NO_INPUT, Phase::EnvFile),
                Fault::Invalid(_) | Fault::Lines(_) => (Exit::INVALID_INPUT, Phase::EnvFile),
            },
            Error::Start(error) => (error.exit, error.phase),
            Error::Unhealthy(_) => (Exit::UNHEALTHY, Phase::Healthcheck),
            Error::Stopped { signal, phase } => return (Exit::stopped(signal.0), *phase),
            Error::Author { exit, .. } => return (*exit, None),
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
            Error::Start(error) => error.step.as_deref(),
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
        let (code, retry) = (exit.code(), exit.retry());
        let (cause, summary) = match self {
            Error::Environment { cause, summary, .. } => (*cause, Some(summary.as_str())),
            _ => (None, None),
        };
        let took = match self {
            Error::Start(error) => error.took,
            _ => None,
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
        let line = format!("{self} ({})", parts.join(", ")).replace(char::is_control, "\u{fffd}");
        file::write_termination_log(&line);
        tracing::error!(
            phase = phase.map(tracing::field::display),
            step = self.step(),
            exit_code = u64::from(code),
            retry,
            cause,
            duration_ms = took.map(milliseconds),
            summary,
            "{line}"
        );
        code
    }
}

/// The maximum number of faults that are logged for one file.
const MAX_FAULTS: usize = 200;

fn capped(faults: &[impl ToString]) -> Vec<String> {
    // A key or a path can have line breaks, with which it would forge lines of the log, such as a command to GitHub.
    let clean = |fault: &_| ToString::to_string(fault).replace(char::is_control, "\u{fffd}");
    let mut lines: Vec<String> = faults.iter().take(MAX_FAULTS).map(clean).collect();
    let more = faults.len() - lines.len();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
