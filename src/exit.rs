//! The table of exit codes. The program uses it, `startup-guard exit-codes` prints it, and a test compares it with the
//! documentation. The codes below 124 follow `sysexits.h`; those from 124 on follow the shell and `timeout`.

use std::collections::BTreeMap;

/// The table as it is printed. "retry?" says whether another start can succeed if nothing else changes.
pub const TABLE: &str = "\
code    retry?   meaning
0                success (every subcommand except `run`, and `run --no-server`)
1       perhaps  `healthcheck` only: the service is not healthy
64      no       wrong usage of the command line, or no command to run
65      no       the manifest or an env file is invalid, empty, or too large (1 MiB)
66      no       the manifest or an env file does not exist, is a directory, or cannot be read
69      yes      a dependency was not ready in time
70      perhaps  a step, or the program of `export --apply`, failed (the message has its own exit code or signal)
71      yes      a system call failed (fork, pipe, memory), or a process of a step survived SIGKILL
75      yes      the migration lock was not free in time, or was lost
77      no       a dependency rejected the credentials or has an untrusted certificate, or the guard cannot switch to `user`
78      no       the environment is invalid (variables are missing, placeholders or wrong), or a connection can never work
124     perhaps  a step, or the program of `export --apply`, did not end within its time-out and was stopped
126     no       a command cannot be executed (permission, directory, no `#!` line, another processor, Windows line endings, arguments too long)
127     no       a command, or its interpreter or loader, was not found
128+n            stopped by signal n before the server started
";

/// The widths of the first two columns, in bytes.
const WIDTHS: (usize, usize) = (8, 9);

/// An exit code of the guard: the code of one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    pub const UNHEALTHY: Self = Self(1);
    pub const USAGE: Self = Self(64);
    pub const INVALID_INPUT: Self = Self(65);
    pub const NO_INPUT: Self = Self(66);
    pub const NOT_READY: Self = Self(69);
    pub const STEP_FAILED: Self = Self(70);
    pub const OS_REFUSED: Self = Self(71);
    pub const LOCK_NOT_HELD: Self = Self(75);
    pub const NOT_PERMITTED: Self = Self(77);
    pub const INVALID_ENVIRONMENT: Self = Self(78);
    pub const TIMED_OUT: Self = Self(124);
    pub const CANNOT_EXECUTE: Self = Self(126);
    pub const NOT_FOUND: Self = Self(127);

    /// The code for a guard that was stopped by the signal with this number (1 to 64).
    pub fn stopped(signal: i32) -> Self {
        Self(u8::try_from(signal).unwrap_or(0).saturating_add(128))
    }

    /// The process's exit status.
    pub fn code(self) -> u8 {
        self.0
    }

    /// Whether a retry helps: `yes`, `no` or `perhaps`. `None` if the question does not apply.
    pub fn retry(self) -> Option<&'static str> {
        let own = self.0.to_string();
        let [_, _, retry] = rows().find(|[code, ..]| *code == own)?;
        Some(retry).filter(|retry| !retry.is_empty())
    }
}

/// The code (a number, or `128+n`), the meaning, and the "retry?" of each row, which can be empty.
fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    TABLE.lines().skip(1).map(|line| {
        let (code, rest) = line.split_at(WIDTHS.0);
        let (retry, meaning) = rest.split_at(WIDTHS.1);
        [code.trim_end(), meaning, retry.trim_end()]
    })
}

/// The table as a JSON array.
pub fn json() -> String {
    let objects = rows().map(|row| {
        let fields = ["code", "meaning", "retry"].into_iter().zip(row);
        fields.filter(|(_, text)| !text.is_empty()).collect()
    });
    let objects: Vec<BTreeMap<&str, &str>> = objects.collect();
    serde_json::to_string_pretty(&objects).expect("strings can always be serialized") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{Exit, rows};

    #[test]
    fn each_code_has_a_row_and_only_a_stop_or_a_success_has_nothing_to_retry() {
        let codes = [
            Exit::UNHEALTHY,
            Exit::USAGE,
            Exit::INVALID_INPUT,
            Exit::NO_INPUT,
            Exit::NOT_READY,
            Exit::STEP_FAILED,
            Exit::OS_REFUSED,
            Exit::LOCK_NOT_HELD,
            Exit::NOT_PERMITTED,
            Exit::INVALID_ENVIRONMENT,
            Exit::TIMED_OUT,
            Exit::CANNOT_EXECUTE,
            Exit::NOT_FOUND,
        ];
        // Besides these there are 0 and 128+n.
        assert_eq!(rows().count(), codes.len() + 2);
        for exit in codes {
            assert!(
                matches!(exit.retry(), Some("no" | "yes" | "perhaps")),
                "{exit:?}"
            );
        }
        assert_eq!(Exit::stopped(15).code(), 143);
        assert_eq!(Exit::stopped(15).retry(), None);
    }
}
