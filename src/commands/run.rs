//! `startup-guard run`: the main job.

use super::{check, settings};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::log;
use crate::os::signals::{Signals, requested_stop};
use crate::startup::serve::{Init, Server};
use crate::startup::{step, wait};

/// Checks, runs the steps, and becomes the server. Returns 0 if there is no server to become, or the exit code of
/// the server that this process was the init of.
///
/// # Errors
/// The first phase that failed. An error that follows on a stop is reported as the stop.
pub fn run(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: &Signals,
) -> Result<u8, Error> {
    let result = match up_to_the_server(arguments, environment, log, signals) {
        Err(error) => Err(error),
        Ok(None) => signals.release_stops().map(|()| 0).map_err(Error::from),
        Ok(Some((server, None))) => Err(server.take_over(signals).into()),
        Ok(Some((server, Some(init)))) => server.attend(&init, signals).map_err(Error::from),
    };
    result.map_err(|error| match requested_stop() {
        Some(signal) if error.step().is_none() => {
            let phase = error.phase();
            Error::Stopped { signal, phase }
        }
        _ => error,
    })
}

/// Runs all phases before the hand-over. Their data is freed here: an init lives long.
fn up_to_the_server(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: &Signals,
) -> Result<Option<(Server, Option<Init>)>, Error> {
    let manifest = settings::load_manifest(&arguments.manifest, &environment)?;
    let selection = settings::selection(arguments, &manifest, &environment)?;
    let init = settings::init(arguments, &manifest, &environment)?;
    let (environment, user) = settings::user(&manifest, environment);
    let plan = check::plan(&manifest, &environment, &selection, log)?;
    let user = user?;
    #[cfg(debug_assertions)]
    settings::provoke_panic(plan.environment());
    // Before the waits: a command without a program would make them useless.
    let server = Server::of(&plan, user.as_ref())?;
    wait::for_all(&plan.waits, signals)?;
    step::run_all(&plan, user.as_ref(), log.into(), signals)?;
    Ok(server
        .inspect(Server::announce)
        .map(|server| (server, init)))
}
