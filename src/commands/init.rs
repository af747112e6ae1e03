//! Whether to stay as the server's init, and how: a flag comes before the variable, the variable before the
//! manifest.

use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::os::signals::Signal;
use crate::startup::init::{Forward, Init, Rewrite};

const INIT: &str = "STARTUP_GUARD_INIT";

/// What is asked for; none when the server is to take our place.
///
/// # Errors
/// When what is asked for is unknown, or is about an init that is not asked for.
pub fn asked_for(
    arguments: &cli::Run,
    by_manifest: bool,
    environment: &Environment,
) -> Result<Option<Init>, Error> {
    let is_wanted = arguments.init || by_variable(environment)?.unwrap_or(by_manifest);
    if !is_wanted {
        let is_idle = arguments.forward.is_none() && arguments.rewrites.is_empty();
        return if is_idle {
            Ok(None)
        } else {
            Err(Error::NoInit)
        };
    }
    let forward = match arguments.forward {
        None | Some(cli::Forward::Child) => Forward::Child,
        Some(cli::Forward::Group) => Forward::Group,
    };
    let rewrites = arguments
        .rewrites
        .iter()
        .map(rewrite)
        .collect::<Result<_, _>>()?;
    Ok(Some(Init { forward, rewrites }))
}

/// The variable's word, in the words of a boolean.
fn by_variable(environment: &Environment) -> Result<Option<bool>, Error> {
    let Some(value) = environment.get(INIT).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let word = value.to_string_lossy().to_ascii_lowercase();
    match word.as_str() {
        "true" | "1" | "yes" | "on" => Ok(Some(true)),
        "false" | "0" | "no" | "off" => Ok(Some(false)),
        _ => Err(Error::UnknownInit),
    }
}

fn rewrite(written: &cli::Rewrite) -> Result<Rewrite, Error> {
    let wrong = |problem| Error::Rewrite {
        rewrite: format!("{}:{}", written.from, written.to),
        problem,
    };
    let from = Signal::parse(&written.from)
        .ok_or_else(|| wrong("the first is neither a signal's name nor its number"))?;
    if !from.can_be_passed_on() {
        return Err(wrong("the first is a signal that no init can pass on"));
    }
    let to = match written.to.as_str() {
        "0" => None,
        other => Some(Signal::parse(other).ok_or_else(|| {
            wrong("the second is neither a signal's name nor its number, nor 0 for none")
        })?),
    };
    Ok(Rewrite { from, to })
}
