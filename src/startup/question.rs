//! `up_to_date`: whether there is anything to do for a step.

use std::time::Duration;

use super::Form;
use super::step::{Run, StepProblem};
use super::supervise::Outcome;
use crate::os::family::Ending;

/// How long the answer may take.
const LIMIT: Duration = Duration::from_mins(1);

impl Run<'_> {
    /// Asks the step's `up_to_date`. Without one there is always something to do.
    ///
    /// # Errors
    /// When there is no answer: it cannot be run, or takes too long.
    pub fn is_up_to_date(&self) -> Result<bool, StepProblem> {
        let Some(question) = &self.step.up_to_date else {
            return Ok(false);
        };
        // alembic says FAILED whenever there is something to do.
        match self.launch(question, Some(LIMIT), Form::Debug, None)? {
            Outcome::Ended(Ending::Exited(0)) => Ok(true),
            // What a shell says of a command that it cannot execute, or find, is no answer.
            Outcome::Ended(ending @ Ending::Exited(126 | 127)) => {
                Err(StepProblem::QuestionFailed(ending))
            }
            Outcome::Ended(_) => Ok(false),
            Outcome::Left => Err(StepProblem::Left),
            Outcome::TimedOut => Err(StepProblem::QuestionTimedOut(LIMIT)),
            Outcome::Stopped(stop) => Err(StepProblem::Stopped(stop)),
            Outcome::Lost => Err(StepProblem::LockLost),
        }
    }
}
