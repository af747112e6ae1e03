//! Everything after the check: waits for dependencies, runs the steps, and hands over to the server. Takes a plan,
//! which only a passed check creates.

mod backoff;
pub mod init;
mod launch;
#[cfg(feature = "postgres")]
mod lock;
mod mask;
mod progress;
#[cfg(feature = "postgres")]
mod question;
mod relay;
pub mod serve;
pub mod step;
mod supervise;
pub mod user;
pub mod wait;

use std::io;
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::log::Phase;
use crate::os::program::StartError;
use crate::os::signals::Signal;

/// The end of a wait that begins now. A time-out beyond the range of the clock counts as a day.
pub fn deadline(now: Instant, timeout: Duration) -> Instant {
    let deadline = now.checked_add(timeout);
    deadline.unwrap_or(now + Duration::from_hours(24))
}

/// Why the server was not started although the check has passed: an error of a wait, a step, its lock, or the server.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct RunError {
    pub exit: Exit,
    pub phase: Phase,
    /// The name of the step that did not succeed.
    pub step: Option<String>,
    pub text: String,
    /// How long the command of the step ran that did not succeed.
    pub took: Option<Duration>,
}

impl RunError {
    pub fn new(exit: Exit, phase: Phase, text: impl Into<String>) -> Self {
        Self {
            exit,
            phase,
            step: None,
            text: text.into(),
            took: None,
        }
    }

    /// A stop that ends a wait, or a step if it is named afterwards.
    pub fn stopped(signal: Signal) -> Self {
        let text = StartError::Stopped(signal).to_string();
        Self::new(Exit::stopped(signal.0), Phase::Wait, text)
    }

    /// A lock that does not exclude other processes any more.
    pub fn lock_lost(reason: &str) -> Self {
        let text = format!("the lock was lost: {reason}");
        Self::new(Exit::LOCK_NOT_HELD, Phase::Lock, text)
    }

    /// Wraps an error of the operating system in a wait or a step. `what` is the operation that failed.
    pub fn system(what: &str) -> impl Fn(io::Error) -> Self {
        move |cause| {
            let text = format!("the system refused to {what}: {cause}");
            Self::new(Exit::OS_REFUSED, Phase::Wait, text)
        }
    }

    /// Names the wait that did not succeed.
    pub fn of_wait(self, name: &str) -> Self {
        Self::new(self.exit, Phase::Wait, format!("{name}: {}", self.text))
    }

    /// Names the step that did not succeed. The phase is that of steps, unless it is that of the lock.
    pub fn of_step(self, step: &str) -> Self {
        let is_of_lock = self.phase == Phase::Lock;
        Self {
            phase: if is_of_lock { Phase::Lock } else { Phase::Step },
            text: format!("step {step}: {}", self.text),
            step: Some(step.to_owned()),
            ..self
        }
    }
}

/// A program that cannot be started: the server's, unless a step is named afterwards.
impl From<StartError> for RunError {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::NotFound(_) => Exit::NOT_FOUND,
            StartError::NotExecutable(_) => Exit::CANNOT_EXECUTE,
            StartError::NotPermitted(_) => Exit::NOT_PERMITTED,
            StartError::Stopped(signal) => Exit::stopped(signal.0),
            StartError::System(_) => Exit::OS_REFUSED,
        };
        Self::new(exit, Phase::Serve, error.to_string())
    }
}
