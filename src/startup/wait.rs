//! Waits until every dependency is ready: servers, commands, and steps that another process runs.

use std::cell::LazyCell;
use std::time::{Duration, Instant};

use super::RunError;
use super::backoff::Backoff;
use super::launch::{Launcher, shown_ending};
use super::mask::Mask;
use super::progress::{Attempt, Dependency, Next, shown, until_ready};
#[cfg(feature = "postgres")]
use super::question;
use super::supervise::Stop;
use crate::check::{Awaited, DeclaredStep, Plan, Question, Wait, Words};
use crate::exit::Exit;
use crate::log::Phase;
#[cfg(feature = "postgres")]
use crate::net::postgres;
use crate::net::{Error, dial, first_of, http};
use crate::os::family::Ending;
use crate::os::signals::Signals;
use crate::os::user::User;
use crate::targets::Target;

/// The pauses between two runs of an `up_to_date` command.
const UP_TO_DATE_PAUSES: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(2));

/// How long one run of the command of a wait may take. Docker's own limit for a health check is as long.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// A command of the plan's waits, which the main thread runs repeatedly.
struct Asked<'a> {
    /// The index of its wait.
    index: usize,
    command: &'a Words,
    interval: Duration,
    launcher: Launcher<'a>,
    /// When to run it; `None` after it has ended with 0.
    due: Option<Instant>,
    /// The last line that the last run has written, masked.
    last_line: Option<String>,
}

/// Waits for all dependencies of the plan, except those whose variable is not set. Commands are run as `user` or, if that
/// is `None`, as the current user.
///
/// # Errors
/// If dependencies are not ready in time or keep refusing the log-in, a command fails, or a stop arrives.
pub fn for_all(plan: &Plan<'_>, user: Option<&User>, signals: &Signals) -> Result<(), RunError> {
    // Most plans need no mask here.
    let mask = LazyCell::new(|| Mask::new(plan.secrets()));
    let launcher = |name, stop| Launcher {
        name,
        stop,
        plan,
        user,
        mask: &mask,
        signals,
    };
    let mut dependencies = Vec::new();
    let mut asked = Vec::new();
    // Each with the index of the dependency that may make it superfluous.
    let mut commands: Vec<(_, _, _, Option<usize>)> = Vec::new();
    for wait in &plan.waits {
        let (name, index) = (wait.what.clone(), dependencies.len());
        let attempt: Option<Attempt<bool>> = match &wait.awaited {
            Awaited::Server(None) => {
                tracing::info!(phase = %Phase::Wait, "{name} is not waited for: it is not set");
                continue;
            }
            Awaited::Server(Some(target)) => {
                let target = target.clone();
                Some(Box::new(move |until| ask(&target, until).map(|()| false)))
            }
            Awaited::Command(command, interval) => {
                asked.push(Asked {
                    index,
                    command,
                    interval: *interval,
                    launcher: launcher(&wait.what, Stop::KILL),
                    due: Some(Instant::now()),
                    last_line: None,
                });
                None
            }
            #[cfg(feature = "postgres")]
            Awaited::Step(step, Question::Alembic(question, fallback)) => {
                let (question, has_fallback) = (question.clone(), fallback.is_some());
                let fallback = fallback.as_ref();
                commands.extend(fallback.map(|command| (wait, *step, command, Some(index))));
                Some(Box::new(move |until| {
                    question::ask_until_up_to_date(&question, has_fallback, until)
                }))
            }
            Awaited::Step(step, Question::Command(command)) => {
                commands.push((wait, *step, command, None));
                continue;
            }
        };
        dependencies.push(Dependency {
            name,
            timeout: wait.timeout,
            attempt,
            yields: matches!(wait.awaited, Awaited::Step(..)),
        });
    }
    let mut are_needed = Vec::new();
    if !dependencies.is_empty() {
        let names: Vec<&str> = dependencies.iter().map(|each| &*each.name).collect();
        let names = names.join(", ");
        let make = |until| run_next(&mut asked, until);
        let result = until_ready(dependencies, None, signals, make);
        if matches!(&result, Err(error) if error.exit == Exit::NOT_READY) {
            for each in &asked {
                let name = each.launcher.name;
                if let Some(line) = &each.last_line {
                    tracing::info!(phase = %Phase::Wait, "{name}: its last line: {line}");
                }
            }
        }
        let elapsed;
        (are_needed, elapsed) = result?;
        tracing::info!(phase = %Phase::Wait, "ready after {elapsed}: {names}");
    }
    // A command normally needs the servers, and only the main thread runs child processes.
    commands.retain(|(.., index)| index.is_none_or(|index| are_needed[index]));
    for (wait, step, command, _) in commands {
        let launcher = launcher(&step.name, Stop::of_step(step));
        until_up_to_date(wait, step, command, &launcher)?;
    }
    Ok(())
}

/// Runs the command that is due first, if its time has come.
fn run_next(asked: &mut [Asked<'_>], until: Instant) -> Result<Next<bool>, RunError> {
    let now = Instant::now();
    let are_due = asked
        .iter()
        .filter(|each| each.due.is_some_and(|due| due <= now));
    let count = u32::try_from(are_due.count()).unwrap_or(u32::MAX);
    let pending = asked.iter_mut().filter_map(|each| Some((each.due?, each)));
    let Some((due, first)) = pending.min_by_key(|(due, _)| *due) else {
        return Ok(Next::Never);
    };
    if due > now {
        return Ok(Next::At(due));
    }
    // Those that are due share the time, so that one that hangs does not keep the others from being asked.
    let left = until.saturating_duration_since(now);
    let answer = first.run(left, left / count.max(1))?;
    first.due = answer.is_err().then(|| Instant::now() + first.interval);
    Ok(Next::Made((first.index, answer.map(|()| false))))
}

impl Asked<'_> {
    /// Runs the command once, for at most its share of the time that is left. The inner error says why the dependency is
    /// not ready.
    ///
    /// # Errors
    /// If the command cannot be run, or a stop arrives.
    fn run(&mut self, left: Duration, share: Duration) -> Result<Result<(), Error>, RunError> {
        let limit = RUN_LIMIT.min(share);
        self.last_line = None;
        let launcher = &self.launcher;
        match launcher.launch("", self.command, Some(limit), None, None) {
            Ok(ran) => {
                self.last_line = ran.last_line;
                let text = format!("it ends with {}", shown_ending(ran.ending));
                let exit = match ran.ending {
                    Ending::Exited(0) => return Ok(Ok(())),
                    // `env` and shells end with these codes.
                    Ending::Exited(126) => Exit::CANNOT_EXECUTE,
                    Ending::Exited(127) => Exit::NOT_FOUND,
                    _ => return Ok(Err(Error::not_yet(text))),
                };
                let text = format!("{text}: it cannot start a program");
                Err(RunError::new(exit, Phase::Wait, text).of_wait(launcher.name))
            }
            Err(error) if error.exit == Exit::TIMED_OUT => {
                Ok(Err(Error::not_yet(if limit == left {
                    "it was still running".to_owned()
                } else {
                    format!("it did not end within {}, and was killed", shown(limit))
                })))
            }
            Err(error) => Err(error.of_wait(launcher.name)),
        }
    }
}

/// Makes one attempt to find out whether a server is ready.
///
/// # Errors
/// If the server is not ready.
fn ask(target: &Target, until: Instant) -> Result<(), Error> {
    match target {
        #[cfg(feature = "postgres")]
        Target::Postgres(database) => {
            let mut session = postgres::connect(database, "startup-guard", until)?;
            // A pool may accept the log-in before its database is ready.
            let answer = session.ask("SELECT 1", until);
            session.close();
            answer.map(drop)
        }
        Target::Tcp(addresses) => first_of(addresses, until, |address, until| {
            dial(&address.host, address.port, until).map(drop)
        }),
        Target::Http(page) => http::check(page, until),
    }
}

/// Runs the `up_to_date` command of a step that another process runs, until there is nothing to do.
fn until_up_to_date(
    wait: &Wait<'_>,
    declared: &DeclaredStep,
    command: &Words,
    launcher: &Launcher<'_>,
) -> Result<(), RunError> {
    let (name, step) = (&wait.what, &declared.name);
    let mut backoff = Backoff::new(UP_TO_DATE_PAUSES);
    let mut due = Instant::now();
    let ask = |end: Instant| {
        let asked = Instant::now();
        if due > asked {
            return Ok(Next::At(due));
        }
        let left = end.saturating_duration_since(asked);
        let limit = declared.up_to_date_limit.min(left);
        let answer = match launcher.is_up_to_date(command, limit) {
            Ok(true) => Ok(()),
            Err(error) if error.exit != Exit::TIMED_OUT || Instant::now() < end => {
                let text = format!("step {step}: {error}");
                return Err(RunError::new(error.exit, Phase::Wait, text));
            }
            Ok(false) | Err(_) => Err(Error::not_yet("it has something to do")),
        };
        due = Instant::now() + backoff.pause_after(asked.elapsed(), false);
        Ok(Next::Made((0, answer)))
    };
    let dependency = Dependency {
        name: name.clone(),
        timeout: wait.timeout,
        attempt: None,
        yields: false,
    };
    let (_, elapsed) = until_ready(vec![dependency], Some(step), launcher.signals, ask)?;
    tracing::info!(phase = %Phase::Wait, "ready after {elapsed}: {name}");
    Ok(())
}
