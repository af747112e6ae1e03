//! Becoming another program.

use super::program::{Program, Refusal};
use super::signals::{Signal, Signals};
use super::user::{BecomeError, User};

/// Why this process has not become the program.
#[derive(Debug)]
pub enum ExecError {
    /// A stop came first.
    Stopped(Signal),
    User(BecomeError),
    Refused(Refusal),
}

/// Becomes the program: the same process, with the signals as they were given to us.
pub fn exec(program: &Program, user: Option<&User>, signals: Signals) -> ExecError {
    if let Some(user) = user {
        user.own_standard_streams();
        if let Err(errno) = user.become_it() {
            return ExecError::User(user.refusal(errno));
        }
    }
    // Before the signals are given back: as PID 1 a stop between that and the server's own handler is lost,
    // and nothing that can be done earlier may make that moment longer.
    let found = match program.find() {
        Ok(found) => found,
        Err(why) => return ExecError::Refused(program.refusal(why)),
    };
    if let Err(stop) = signals.give_back() {
        return ExecError::Stopped(stop);
    }
    ExecError::Refused(program.refusal(program.execute(found)))
}
