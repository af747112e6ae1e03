//! Combines flags, variables of the guard, and the manifest. A flag takes precedence over a variable, and a variable
//! over the manifest. An empty variable counts as unset.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;

use crate::check::Selection;
use crate::cli::{self, ManifestChoice, UsageError, wrong};
use crate::environment::Environment;
use crate::input;
use crate::log;
use crate::manifest::{self, Manifest, Scope, Template};
use crate::os::signals::Forward;
use crate::os::user::User;
use crate::platform;
use crate::startup::init::Init;
use crate::startup::user::{self, UserError};
use crate::text::{did_you_mean, either};

const ENV_FILE: &str = "STARTUP_GUARD_ENV_FILE";
const INIT: &str = "STARTUP_GUARD_INIT";
const SKIP: &str = "STARTUP_GUARD_SKIP";
const LOG: &str = "STARTUP_GUARD_LOG";

/// The part of the manifest that counts for a run: what is for the chosen process or, if none of several is chosen, what
/// is for all of them.
///
/// # Errors
/// If the chosen process does not exist, or if only a process could tell which command to run.
pub fn scope<'a>(
    arguments: &cli::Run,
    manifest: &'a Manifest,
    environment: &Environment,
) -> Result<Scope<'a>, UsageError> {
    let has_none = matches!(arguments.manifest, ManifestChoice::None);
    if has_none && arguments.process.is_none() {
        // Nothing but the hand-over is asked for.
        return Ok(Scope::Unlimited);
    }
    let chosen = input::process(arguments.process.as_deref(), environment, manifest)?;
    let needs_choice = !arguments.no_server && arguments.command.is_none();
    let names = manifest.processes.iter().map(|(name, _)| name.as_str());
    match (chosen, names.collect::<Vec<_>>().as_slice()) {
        (None, names @ [_, ..]) if needs_choice => wrong(format!(
            "the manifest has several processes: choose {} with --process or STARTUP_GUARD_PROCESS",
            either(names)
        )),
        (chosen, _) => Ok(chosen.map_or(Scope::Unlimited, Scope::Process)),
    }
}

/// The words of a variable of the guard, which separates them by commas.
fn listed<'e>(name: &str, environment: &'e Environment) -> Result<Vec<&'e str>, UsageError> {
    let words = environment.get(name).unwrap_or_default().to_str();
    let words = words.map_or_else(|| wrong(format!("{name} must be valid UTF-8")), Ok)?;
    let words = words.split(',').map(str::trim);
    Ok(words.filter(|word| !word.is_empty()).collect())
}

/// The env files of a run.
///
/// # Errors
/// If one of them is standard input, which belongs to the server, or if there is a dialect but no file.
pub fn env_files(
    arguments: &cli::Run,
    environment: &Environment,
) -> Result<Vec<OsString>, UsageError> {
    let (place, files) = if arguments.env_files.is_empty() {
        let files = listed(ENV_FILE, environment)?;
        (ENV_FILE, files.into_iter().map(OsString::from).collect())
    } else {
        ("--env-file", arguments.env_files.clone())
    };
    match files.as_slice() {
        [] if arguments.dialect.is_some() => wrong("`--dialect` needs an `--env-file`"),
        files if files.iter().any(|file| file == "-") => wrong(format!(
            "{place}: `run` cannot read the file from standard input (`-`), which belongs to the server; name a file"
        )),
        _ => Ok(files),
    }
}

/// The steps and the server command of a run.
///
/// # Errors
/// If a step to skip does not exist, if `STARTUP_GUARD_SKIP` is not UTF-8, or if there is no command to run.
pub fn selection<'a>(
    arguments: &cli::Run,
    manifest: &'a Manifest,
    scope: Scope<'a>,
    environment: &Environment,
) -> Result<Selection<'a>, UsageError> {
    let (place, skipped): (_, Vec<&str>) = if arguments.skip.is_empty() {
        (SKIP, listed(SKIP, environment)?)
    } else {
        let names = arguments.skip.iter().map(String::as_str);
        ("--skip", names.collect())
    };
    let names = || manifest.steps.iter().map(|step| step.name.as_str());
    let is_unknown = |name: &&&str| names().all(|known| known != **name);
    if let Some(name) = skipped.iter().find(is_unknown) {
        let hint = did_you_mean(name, names());
        return wrong(format!(
            "{place} names the step `{name}`, which is not in the manifest{hint}"
        ));
    }
    let steps = manifest.steps.iter();
    let is_selected = |step: &&manifest::Step| {
        scope.includes(&step.processes) && !skipped.contains(&step.name.as_str())
    };
    let server = (!arguments.no_server).then(|| server_command(arguments, manifest, scope));
    Ok(Selection {
        scope,
        steps: steps.filter(is_selected).collect(),
        server: server.transpose()?,
        is_rehearsal: false,
        admits_shell: arguments.forward == Some(Forward::Group)
            || matches!(arguments.manifest, ManifestChoice::None),
    })
}

fn server_command(
    arguments: &cli::Run,
    manifest: &Manifest,
    scope: Scope<'_>,
) -> Result<Vec<Template>, UsageError> {
    // Without a manifest nothing is expanded.
    let read = match arguments.manifest {
        ManifestChoice::None => Template::literal,
        _ => Template::parse_argument,
    };
    let command: Vec<Template> = match (&arguments.command, manifest.server_of(scope)) {
        (Some(words), _) => words.iter().map(|word| read(word)).collect(),
        (None, Some(server)) => server.command.clone(),
        (None, None) => Vec::new(),
    };
    if command.first().is_none_or(|word| word.source().is_empty()) {
        let key = server_key(scope);
        return wrong(format!(
            "there is no command to run: set {key}.command in the manifest, or add it after `--`"
        ));
    }
    Ok(command)
}

/// The key of the server in the manifest.
fn server_key(scope: Scope<'_>) -> String {
    let process = scope.process();
    process.map_or_else(|| "server".to_owned(), |name| format!("processes.{name}"))
}

/// The settings of the server's init; `None` if the server replaces this process, or if no server is started.
///
/// # Errors
/// If a setting is invalid, or if an option of an init is given without an init.
pub fn init(
    arguments: &cli::Run,
    manifest: &Manifest,
    scope: Scope<'_>,
    environment: &Environment,
) -> Result<Option<Init>, UsageError> {
    if arguments.no_server {
        return Ok(None);
    }
    let by_manifest = manifest.server_of(scope).is_some_and(|server| server.init);
    let word = environment.get(INIT).unwrap_or_default().to_string_lossy();
    let is_wanted = match word.to_ascii_lowercase().as_str() {
        _ if arguments.init => true,
        "" => by_manifest,
        "true" | "1" | "yes" | "on" => true,
        "false" | "0" | "no" | "off" => false,
        _ => return wrong(format!("{INIT} must be true or false")),
    };
    if !is_wanted && arguments.needs_init() {
        return wrong(format!(
            "--forward, --rewrite, --remap-exit and --stop-grace need an init: add --init, or set {}.init: true in the manifest",
            server_key(scope)
        ));
    }
    Ok(is_wanted.then(|| Init {
        forward: arguments.forward.unwrap_or_default(),
        rewrites: arguments.rewrites.clone(),
        remaps: arguments.remaps.clone(),
        stop_grace: arguments.stop_grace,
    }))
}

/// Looks up the manifest's user, and sets `HOME` and `USER` if that changes the user.
///
/// # Errors
/// If the lookup fails. The caller logs the report on the environment before that error.
pub fn user(manifest: &Manifest, environment: &mut Environment) -> Result<Option<User>, UserError> {
    let account = manifest.user.as_deref().map_or(Ok(None), user::look_up)?;
    Ok(account.map(|account| {
        let set = [("HOME", account.home.into()), ("USER", account.name.into())];
        *environment = std::mem::take(environment).with(&set, &[]);
        account.user
    }))
}

/// The format of the log, from `STARTUP_GUARD_LOG`. The default is JSON on Railway and text elsewhere.
///
/// # Errors
/// If the variable has an invalid value.
pub fn log_format(environment: &Environment) -> Result<log::Format, UsageError> {
    let place = platform::detect(environment);
    let is_railway = place.is_some_and(|place| place.is_on(&platform::RAILWAY));
    match environment.get(LOG).map_or(Some(""), OsStr::to_str) {
        Some("json") => Ok(log::Format::Json),
        Some("" | "auto") if is_railway => Ok(log::Format::Json),
        Some("" | "auto" | "text") => Ok(log::Format::Text {
            colour: std::io::stderr().is_terminal() && admits_colour(environment),
        }),
        _ => wrong(format!("{LOG} must be auto, text or json")),
    }
}

/// Whether output to a terminal may have colours: `NO_COLOR` is unset or empty (<https://no-color.org>).
pub fn admits_colour(environment: &Environment) -> bool {
    environment.get("NO_COLOR").is_none_or(OsStr::is_empty)
}

/// Panics with the value of the variable NAME in the message if `STARTUP_GUARD_TEST_PANIC` is `main:NAME` (on the main
/// thread) or `helper:NAME` (on another thread). Tests of the panic hook use this; release builds do not contain it.
#[cfg(debug_assertions)]
pub fn provoke_panic(environment: &Environment) {
    let request = environment.text("STARTUP_GUARD_TEST_PANIC");
    if let Some((thread, name)) = request.and_then(|request| request.split_once(':')) {
        let value = environment.text(name).unwrap_or_default().to_owned();
        let work = move || panic!("the value is {value}");
        // The panic hook aborts the process before any of them returns.
        match thread {
            "main" => work(),
            _ => _ = std::thread::spawn(work).join(),
        }
    }
}
