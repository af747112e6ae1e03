//! The exit codes: one table, used by the program, printed by `startup-guard exit-codes`, and held
//! against docs/exit-codes.md by a test. The numbers follow `sysexits.h` where it has one, and the shell above.

/// How the guard ends when it does not become the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Unhealthy,
    Usage,
    InvalidInput,
    NoInput,
    NotReady,
    StepFailed,
    OsRefused,
    LockNotHeld,
    NotPermitted,
    InvalidEnvironment,
    TimedOut,
    CannotExecute,
    NotFound,
    /// Stopped by the signal of this number.
    Stopped(i32),
}

/// Whether starting again, with nothing changed, can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// There is nothing to retry.
    NotNeeded,
    No,
    Yes,
    Perhaps,
}

/// What the table says of one code.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The number; for a stop, what the signal's number is added to.
    code: u8,
    pub meaning: &'static str,
    pub retry: Retry,
}

/// The table's rows, in the order of their codes. A stop stands for all signals.
pub const TABLE: [Exit; 15] = [
    Exit::Done,
    Exit::Unhealthy,
    Exit::Usage,
    Exit::InvalidInput,
    Exit::NoInput,
    Exit::NotReady,
    Exit::StepFailed,
    Exit::OsRefused,
    Exit::LockNotHeld,
    Exit::NotPermitted,
    Exit::InvalidEnvironment,
    Exit::TimedOut,
    Exit::CannotExecute,
    Exit::NotFound,
    Exit::Stopped(0),
];

impl Exit {
    /// The one table. A new kind of exit does not compile until it has its row here.
    pub const fn row(self) -> Row {
        use Retry::{No, NotNeeded, Perhaps, Yes};
        let (code, retry, meaning) = match self {
            Exit::Done => (
                0,
                NotNeeded,
                "done (every subcommand but `run`, and `run --no-server`)",
            ),
            Exit::Unhealthy => (1, Perhaps, "`healthcheck` only: the service is not healthy"),
            Exit::Usage => (
                64,
                No,
                "wrong usage of the command line, or no command to run",
            ),
            Exit::InvalidInput => (
                65,
                No,
                "the manifest or an env file is invalid, empty, or too large (1 MiB)",
            ),
            Exit::NoInput => (
                66,
                No,
                "the manifest or an env file is not there or cannot be read (a directory, too)",
            ),
            Exit::NotReady => (69, Yes, "a dependency was not ready in time"),
            Exit::StepFailed => (
                70,
                Perhaps,
                "a step failed (its own code or signal is in the message)",
            ),
            Exit::OsRefused => (71, Yes, "the operating system refused (fork, pipe, memory)"),
            Exit::LockNotHeld => (
                75,
                Yes,
                "the migration lock was not free in time, or was lost",
            ),
            Exit::NotPermitted => (
                77,
                No,
                "a dependency refused our credentials, or its certificate is not to be trusted; we may not become `user`",
            ),
            Exit::InvalidEnvironment => (
                78,
                No,
                "the environment is invalid: variables missing, placeholder or wrong",
            ),
            Exit::TimedOut => (124, Perhaps, "a step ran out of time and was stopped"),
            Exit::CannotExecute => (
                126,
                No,
                "a command cannot be executed (permission, directory, no `#!` line, arguments too long)",
            ),
            Exit::NotFound => (127, No, "a command was not found (its interpreter, too)"),
            Exit::Stopped(_) => (
                128,
                NotNeeded,
                "stopped by signal n before the server started",
            ),
        };
        Row {
            code,
            meaning,
            retry,
        }
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            // 128 and a signal's number (at most 64) fit a byte.
            Exit::Stopped(signal) => self
                .row()
                .code
                .saturating_add(u8::try_from(signal).unwrap_or(0)),
            _ => self.row().code,
        }
    }

    /// The code as the table shows it.
    pub fn label(self) -> String {
        match self {
            Exit::Stopped(_) => format!("{}+n", self.row().code),
            _ => self.row().code.to_string(),
        }
    }
}

impl Retry {
    /// The word used in the table and in the logs' `retry`; nothing where there is nothing to retry.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Retry::NotNeeded => None,
            Retry::No => Some("no"),
            Retry::Yes => Some("yes"),
            Retry::Perhaps => Some("perhaps"),
        }
    }
}
