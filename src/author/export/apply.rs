//! Runs Railway's command-line program.

use std::ffi::OsString;
use std::time::Duration;

use super::railway::Call;
use super::values::{Item, is_blank};
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::os::family::Ending;
use crate::os::output::STDERR;
use crate::os::program::StartError;
use crate::os::tool::{self, Finished, MAX_OUTPUT};

const PROGRAM: &str = "railway";

/// The time after which a call is stopped.
const LIMIT: Duration = Duration::from_mins(1);

/// The first version that has `railway variable set`.
const FIRST_VERSION: (u32, u32) = (4, 24);

/// The shortest value that is masked in the program's messages if it is not a secret, in bytes.
const MIN_MASKED: usize = 4;

/// The maximum number of characters of a message of the program that are shown.
const MAX_MESSAGE: usize = 600;

/// Makes the calls in their order, and reports each on standard error. Stops at the first that fails.
///
/// # Errors
/// If the program is missing or too old, or if a call fails. The error names what was set and what was not.
pub fn apply(calls: &[Call<'_>], items: &[Item], environment: &Environment) -> Result<(), Error> {
    let run = |words: &[&str], input: &str| {
        let words = words.iter().map(OsString::from).collect();
        tool::run(words, environment.entries(), input.as_bytes(), LIMIT)
    };
    let version = run(&[PROGRAM, "--version"], "").map_err(|cause| unavailable(&cause))?;
    let version = version.map(|finished| finished.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).trim().to_owned();
    if version_in(&version).is_some_and(|version| version < FIRST_VERSION) {
        let shown = version.escape_debug();
        let text = format!(
            "nothing was set: `{shown}` has no `variable set`; update it to 4.24 or later, or set the values in the dashboard"
        );
        return Err(error(Exit::STEP_FAILED, text));
    }
    for (index, call) in calls.iter().enumerate() {
        let words = call.arguments.iter().map(String::as_str);
        let words: Vec<&str> = [PROGRAM].into_iter().chain(words).collect();
        let (exit, what) = match run(&words, call.input.unwrap_or_default()) {
            Ok(Some(Finished {
                ending: Ending::Exited(0),
                ..
            })) => {
                let names = call.names.join(", ");
                STDERR.push(format!("set {names} (exit status 0)\n").as_bytes());
                continue;
            }
            Ok(Some(finished)) => (Exit::STEP_FAILED, told(&finished, items)),
            Ok(None) => {
                let limit = LIMIT.as_secs();
                let what = format!("did not end within {limit} seconds and was stopped");
                (Exit::TIMED_OUT, what)
            }
            Err(cause) => (Exit::OS_REFUSED, format!("could not be run ({cause})")),
        };
        let text = format!("railway {what}; {}", left(calls, index));
        return Err(error(exit, text));
    }
    Ok(())
}

fn error(exit: Exit, text: String) -> Error {
    Error::Author { exit, text }
}

/// The error for a program that cannot be run at all.
fn unavailable(cause: &StartError) -> Error {
    match cause {
        StartError::NotFound(_) => error(
            Exit::NOT_FOUND,
            "nothing was set: there is no `railway` in PATH that works; install Railway's command-line program, or leave out `--apply` to print the commands".to_owned(),
        ),
        StartError::NotExecutable(text) => {
            error(Exit::CANNOT_EXECUTE, format!("nothing was set: {text}"))
        }
        other => error(Exit::OS_REFUSED, format!("nothing was set: {other}")),
    }
}

/// The first two numbers of a version such as `railway 4.24.1`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.rsplit(' ').next()?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What was done when a call failed, as the second half of a sentence. Whether the failed call has set something is
/// unknown.
fn left(calls: &[Call<'_>], failed: usize) -> String {
    let listed = |title: &str, calls: &[Call<'_>]| {
        let names: Vec<&str> = calls.iter().flat_map(|call| &call.names).copied().collect();
        let names = names.join(", ");
        (!names.is_empty()).then(|| format!("{title}: {names}"))
    };
    let set = listed("set, and not deployed", &calls[..failed]);
    let parts = [
        Some(set.unwrap_or_else(|| "nothing was set before".to_owned())),
        listed("failed", &calls[failed..=failed]),
        listed("not tried", &calls[failed + 1..]),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join("; ")
}

/// How a call failed, with the program's own message. The values in it are masked, because the program repeats an
/// argument that it does not accept.
fn told(finished: &Finished, items: &[Item]) -> String {
    let ending = match finished.ending {
        Ending::Exited(code) => format!("failed with exit status {code}"),
        Ending::Signaled(signal) => format!("was terminated by {}", signal.name()),
    };
    // A value that was cut off could not be masked.
    if finished.stderr.len() >= MAX_OUTPUT {
        return format!("{ending} and a message that is too long to be shown");
    }
    let message = masked(&String::from_utf8_lossy(&finished.stderr), items);
    let shown: String = message.trim().chars().take(MAX_MESSAGE).collect();
    match shown.as_str() {
        "" => ending,
        shown => format!("{ending} and this message: \"{}\"", shown.escape_debug()),
    }
}

/// The text with each value, and each long part of one, replaced. The parts of a secret are those that no escape in JSON
/// or in a URL changes.
fn masked(text: &str, items: &[Item]) -> String {
    // As in JSON, with quotes around them.
    let quoted = items.iter().map(|item| format!("{:?}", item.value));
    let quoted: Vec<String> = quoted.collect();
    let mut hidden: Vec<&str> = Vec::new();
    for (item, quoted) in items.iter().zip(&quoted) {
        let (value, is_secret) = (item.value.as_str(), item.is_secret);
        let is_escaped = |other: char| !other.is_ascii_alphanumeric() && !"-_.~".contains(other);
        let is_end = |other: char| other == '\n' || is_secret && is_escaped(other);
        let parts = value.split(is_end).chain([value]).map(str::trim);
        hidden.extend(parts.filter(|part| part.len() >= MIN_MASKED));
        if is_secret {
            hidden.extend([value, &quoted[1..quoted.len() - 1]]);
        }
    }
    hidden.retain(|part| !is_blank(part));
    let (mut rest, mut masked) = (text, String::new());
    while let Some(first) = rest.chars().next() {
        let found = hidden.iter().filter(|part| rest.starts_with(**part));
        // One value can begin with another one.
        let length = found.map(|part| part.len()).max();
        match length {
            Some(_) => masked += "***",
            None => masked.push(first),
        }
        rest = &rest[length.unwrap_or(first.len_utf8())..];
    }
    masked
}
