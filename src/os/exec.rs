//! Becoming another program.

use nix::errno::Errno;
use nix::unistd::execve;

use super::program::{Program, Refusal};
use super::signals::{Signal, Signals};

/// Why we are still here.
#[derive(Debug)]
pub enum ExecError {
    /// A stop came first.
    Stopped(Signal),
    Refused(Refusal),
}

/// Becomes the program: the same process, with the signals as they were given to us.
pub fn exec(program: &Program, signals: Signals) -> ExecError {
    if let Err(stop) = signals.give_back() {
        return ExecError::Stopped(stop);
    }
    let Err(errno) = execve(&program.file, &program.arguments, &program.environment);
    ExecError::Refused(program.refusal(errno))
}

/// The same in a child, where only the error's number can be told.
pub(super) fn exec_in_child(program: &Program) -> Errno {
    let Err(errno) = execve(&program.file, &program.arguments, &program.environment);
    errno
}
