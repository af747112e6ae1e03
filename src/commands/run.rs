//! `startup-guard run`: checks the environment, waits, runs the steps, and becomes the server.

use super::{check, settings};
use crate::cli;
use crate::environment::Environment;
use crate::error::Error;
use crate::input::{env_files, load_manifest, manifest_file};
use crate::log;
use crate::os::signals::{Signals, requested_stop};
use crate::startup::init::{self, Init};
use crate::startup::{serve::Server, step, wait};

/// Runs all phases. Returns only if this process does not become the server: 0 after `--no-server`, or the server's
/// exit code if this process was its init.
///
/// # Errors
/// The error of the first phase that fails. After a stop signal, any error except a step's is reported as the stop.
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
        Ok(Some((server, Some(init)))) => init::attend(server, &init, signals).map_err(Error::from),
    };
    result.map_err(|error| match requested_stop() {
        Some(signal) if error.step().is_none() => {
            let phase = error.phase();
            Error::Stopped { signal, phase }
        }
        _ => error,
    })
}

/// Runs all phases before the hand-over. They are in a function of their own so that an init, which runs as long as the
/// server, does not keep their data.
fn up_to_the_server(
    arguments: &cli::Run,
    environment: Environment,
    log: log::Format,
    signals: &Signals,
) -> Result<Option<(Server, Option<Init>)>, Error> {
    let file = manifest_file(&arguments.manifest, &environment);
    let manifest = load_manifest(file.as_deref(), false)?;
    let scope = settings::scope(arguments, &manifest, &environment)?;
    log::identify(manifest.service.as_deref(), scope.process());
    let selection = settings::selection(arguments, &manifest, scope, &environment)?;
    let init = settings::init(arguments, &manifest, scope, &environment)?;
    let paths = settings::env_files(arguments, &environment)?;
    let mut files = env_files::read_beneath(&paths, arguments.dialect, environment)?;
    let user = settings::user(&manifest, &mut files.environment);
    let plan = check::plan(&manifest, &files, &selection, log)?;
    let user = user?;
    #[cfg(debug_assertions)]
    settings::provoke_panic(&plan.environment);
    // Before the waits, which are useless if the server's command is empty.
    let server = Server::of(&plan, user.as_ref())?;
    let is_found = step::look_up_programs(&plan)?;
    wait::for_all(&plan, user.as_ref(), signals)?;
    step::run_all(&plan, user.as_ref(), log, signals)?;
    if let Some(server) = &server {
        server.announce(is_found)?;
    }
    Ok(server.map(|server| (server, init)))
}
