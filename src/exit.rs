//! The exit codes: one table, used by the program, printed by `startup-guard exit-codes`, and compared with
//! the documentation by a test. The numbers are those of `sysexits.h` where it has one, and the shell's from 124.

use std::fmt;

use serde::Serialize;

/// Why the guard ends, if it does not become the server.
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
    /// The guard was stopped by the signal with this number.
    Stopped(i32),
}

/// Whether starting again, with nothing changed, can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    No,
    Yes,
    Perhaps,
}

/// One row of the table.
#[derive(Serialize)]
struct Row {
    /// The number, or `128+n`.
    code: String,
    meaning: &'static str,
    /// `None`: there is nothing to retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
}

/// The rows of the table, in the order of their codes.
const TABLE: [Exit; 15] = [
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
    /// The code, and whether a retry helps. The code of a stop is added to the number of its signal.
    const fn entry(self) -> (u8, Option<Retry>) {
        use Retry::{No, Perhaps, Yes};
        match self {
            Exit::Done => (0, None),
            Exit::Unhealthy => (1, Some(Perhaps)),
            Exit::Usage => (64, Some(No)),
            Exit::InvalidInput => (65, Some(No)),
            Exit::NoInput => (66, Some(No)),
            Exit::NotReady => (69, Some(Yes)),
            Exit::StepFailed => (70, Some(Perhaps)),
            Exit::OsRefused => (71, Some(Yes)),
            Exit::LockNotHeld => (75, Some(Yes)),
            Exit::NotPermitted => (77, Some(No)),
            Exit::InvalidEnvironment => (78, Some(No)),
            Exit::TimedOut => (124, Some(Perhaps)),
            Exit::CannotExecute => (126, Some(No)),
            Exit::NotFound => (127, Some(No)),
            Exit::Stopped(_) => (128, None),
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done (every subcommand but `run`, and `run --no-server`)",
            Exit::Unhealthy => "`healthcheck` only: the service is not healthy",
            Exit::Usage => "wrong usage of the command line, or no command to run",
            Exit::InvalidInput => {
                "the manifest or an env file is invalid, empty, or too large (1 MiB)"
            }
            Exit::NoInput => {
                "the manifest or an env file is not there or cannot be read (a directory, too)"
            }
            Exit::NotReady => "a dependency was not ready in time",
            Exit::StepFailed => "a step failed (its own code or signal is in the message)",
            Exit::OsRefused => "the operating system refused (fork, pipe, memory)",
            Exit::LockNotHeld => "the migration lock was not free in time, or was lost",
            Exit::NotPermitted => {
                "a dependency refused our credentials, or its certificate is not to be trusted; we may not become `user`"
            }
            Exit::InvalidEnvironment => {
                "the environment is invalid: variables missing, placeholder or wrong"
            }
            Exit::TimedOut => "a step ran out of time and was stopped",
            Exit::CannotExecute => {
                "a command cannot be executed (permission, directory, no `#!` line, arguments too long)"
            }
            Exit::NotFound => "a command was not found (its interpreter, too)",
            Exit::Stopped(_) => "stopped by signal n before the server started",
        }
    }

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        let signal = match self {
            Exit::Stopped(signal) => u8::try_from(signal).unwrap_or(0),
            _ => 0,
        };
        // A signal's number is at most 64.
        self.entry().0.saturating_add(signal)
    }

    /// Whether starting again can help. `None`: there is nothing to retry.
    pub const fn retry(self) -> Option<Retry> {
        self.entry().1
    }

    fn row(self) -> Row {
        let (code, retry) = self.entry();
        Row {
            code: match self {
                Exit::Stopped(_) => format!("{code}+n"),
                _ => code.to_string(),
            },
            meaning: self.meaning(),
            retry,
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// The table for people.
pub fn text() -> String {
    let mut text = format!("{:<6}  {:<7}  meaning\n", "code", "retry?");
    for Row {
        code,
        meaning,
        retry,
    } in TABLE.map(Exit::row)
    {
        let retry = retry.map_or_else(String::new, |retry| retry.to_string());
        text.push_str(&format!("{code:<6}  {retry:<7}  {meaning}\n"));
    }
    text
}

/// The table for machines, as a JSON array.
pub fn json() -> String {
    let rows = TABLE.map(Exit::row);
    serde_json::to_string_pretty(&rows).expect("texts are always JSON") + "\n"
}
