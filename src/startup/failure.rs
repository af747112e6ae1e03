//! Why the server was not started although the check has passed.

use std::io;

use crate::log::Phase;
use crate::os::program::StartError;
use crate::os::signals::Signal;

/// An error of a wait, a step, its lock, or the server.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub kind: Kind,
    pub phase: Phase,
    /// The name of the step that did not succeed.
    pub step: Option<String>,
    pub text: String,
}

/// The kinds of failures. They differ in what helps, and so in the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A dependency was not ready in time.
    NotReady,
    /// A dependency refuses the log-in, or the guard may not become the user.
    NotPermitted,
    /// A connection can never work.
    Impossible,
    /// The lock was not free in time, or was lost.
    LockNotHeld,
    /// The step itself has failed.
    StepFailed,
    TimedOut,
    /// A program, or its interpreter, does not exist.
    NotFound,
    NotExecutable,
    Stopped(Signal),
    /// The operating system refused something.
    System,
}

impl Failure {
    pub fn new(kind: Kind, phase: Phase, text: impl Into<String>) -> Self {
        Self {
            kind,
            phase,
            step: None,
            text: text.into(),
        }
    }

    /// A stop that ends a wait, or a step if it is named afterwards.
    pub fn stopped(signal: Signal) -> Self {
        let text = StartError::Stopped(signal).to_string();
        Self::new(Kind::Stopped(signal), Phase::Wait, text)
    }

    /// Wraps an error of the operating system in a wait or a step. `what` is the operation that failed.
    pub fn system(what: &str) -> impl Fn(io::Error) -> Self {
        move |cause| {
            let text = format!("the system refused to {what}: {cause}");
            Self::new(Kind::System, Phase::Wait, text)
        }
    }

    /// Names the step that did not succeed. The phase is that of steps, unless it is that of the lock.
    pub fn of_step(self, step: &str) -> Self {
        let is_of_lock = self.phase == Phase::Lock;
        Self {
            kind: self.kind,
            phase: if is_of_lock { Phase::Lock } else { Phase::Step },
            text: format!("step {step}: {}", self.text),
            step: Some(step.to_owned()),
        }
    }
}

/// A program that cannot be started: the server's, unless a step is named afterwards.
impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let kind = match &error {
            StartError::NotFound(_) => Kind::NotFound,
            StartError::NotExecutable(_) => Kind::NotExecutable,
            StartError::NotPermitted(_) => Kind::NotPermitted,
            StartError::Stopped(signal) => Kind::Stopped(*signal),
            StartError::System(_) => Kind::System,
        };
        Self::new(kind, Phase::Serve, error.to_string())
    }
}
