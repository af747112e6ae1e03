//! Runs the steps: commands that must succeed, one after the other, before the server starts.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::launch::{AHEAD, Launcher, Ran, failed};
#[cfg(feature = "postgres")]
use super::lock::{AdvisoryLock, HeldLock, Waited};
use super::mask::Mask;
use super::progress::{shown, wait_for};
#[cfg(feature = "postgres")]
use super::question;
use super::serve::program;
use super::supervise::{Lease, Stop};
use super::{RunError, deadline};
#[cfg(feature = "postgres")]
use crate::alembic::Status;
use crate::alembic::behind_env;
use crate::check::{Awaited, Plan, Question, Step, Words};
#[cfg(feature = "postgres")]
use crate::check::{Lock, OnAhead};
use crate::exit::Exit;
use crate::log::{Format, Phase, milliseconds};
use crate::os::family::Ending;
use crate::os::program::Moment;
use crate::os::signals::{Signals, unless_stopped};
use crate::os::user::User;

/// The longest pause between two tries of a step, unless its `retry_delay` is longer.
const LONGEST_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Looks up the programs of all commands before anything is waited for or run. A program that an earlier step may
/// install, or that may not be needed, is only a warning. Returns whether all were found.
///
/// # Errors
/// The first program that certainly cannot be started, with its step. All others are logged.
pub fn look_up_programs(plan: &Plan<'_>) -> Result<bool, RunError> {
    let is_last = plan.waits.is_empty() && plan.steps.is_empty();
    let moment = if is_last { Moment::Last } else { Moment::Early };
    let mut first = None;
    let mut are_found = true;
    // Called in the order in which the commands run. `is_needed` says whether a command is certainly needed as it is
    // now: until a step has run that may install programs.
    let mut look_up = |words, is_needed: bool, named: &dyn Fn(RunError) -> RunError| {
        let found = program(words, plan).map_err(|error| (error, true));
        let Err((error, is_certain)) = found.and_then(|program| program.look_up(moment)) else {
            return;
        };
        are_found = false;
        let error = named(error.into());
        let (phase, step) = (error.phase, error.step.as_deref());
        if !is_certain || !is_needed {
            let yet = if is_certain { "not ready yet: " } else { "" };
            tracing::warn!(%phase, step, "{yet}{error}");
        } else if first.is_none() {
            first = Some(error);
        } else {
            tracing::error!(%phase, step, "{error}");
        }
    };
    for wait in &plan.waits {
        match &wait.awaited {
            Awaited::Step(step, question) => {
                if let (Some(words), is_asked) = question.command() {
                    look_up(words, is_asked, &|error| error.of_step(&step.name));
                }
            }
            Awaited::Command(words, _) => look_up(words, true, &|error| error.of_wait(&wait.what)),
            Awaited::Server(_) => {}
        }
    }
    let mut is_unchanged = true;
    for step in &plan.steps {
        let of_step = |error: RunError| error.of_step(&step.declared.name);
        let question = step.question.as_ref();
        if let Some((Some(words), is_asked)) = question.map(Question::command) {
            look_up(words, is_asked && is_unchanged, &of_step);
        }
        look_up(&step.command, is_unchanged && question.is_none(), &of_step);
        // Alembic migrates, and installs nothing.
        let program = behind_env(&step.command.written).first().map(Path::new);
        is_unchanged &= program.and_then(Path::file_name) == Some(OsStr::new("alembic"));
    }
    if let Some(server) = &plan.server {
        look_up(&server.command, is_unchanged, &|error| error);
    }
    first.map_or(Ok(are_found), Err)
}

/// Runs the steps of the plan in order, as `user` or, if that is `None`, as the current user. Stops at the first step
/// that does not succeed, unless the step has `allow_failure`.
///
/// # Errors
/// If a step does not succeed. After a stop has arrived, the error is the stop.
pub fn run_all(
    plan: &Plan<'_>,
    user: Option<&User>,
    format: Format,
    signals: &Signals,
) -> Result<(), RunError> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    let mask = Mask::new(plan.secrets());
    for step in &plan.steps {
        let launcher = Launcher {
            name: &step.declared.name,
            stop: Stop::of_step(step.declared),
            plan,
            user,
            mask: &mask,
            signals,
        };
        let runner = Runner {
            step,
            format,
            launcher,
        };
        let stopped = || unless_stopped().map_err(RunError::stopped);
        let result = stopped().and_then(|()| runner.run());
        // A stop also replaces the error that it may have caused.
        let result = stopped().and(result);
        let name = &step.declared.name;
        let may_fail = step.declared.allow_failure;
        let of_step = [Exit::STEP_FAILED, Exit::TIMED_OUT];
        match result.map_err(|error| error.of_step(name)) {
            Err(error) if may_fail && of_step.contains(&error.exit) => {
                let text = format!("{error}; ignored because of allow_failure");
                let duration_ms = error.took.map(milliseconds);
                tracing::warn!(phase = %Phase::Step, step = name, duration_ms, "{text}");
            }
            result => result?,
        }
    }
    Ok(())
}

/// Runs one step.
struct Runner<'a> {
    step: &'a Step<'a>,
    format: Format,
    launcher: Launcher<'a>,
}

impl Runner<'_> {
    fn run(&self) -> Result<(), RunError> {
        #[cfg(feature = "postgres")]
        if let Some(lock) = &self.step.lock {
            return self.run_locked(lock);
        }
        if self.is_up_to_date()? {
            return Ok(());
        }
        self.execute(None)
    }

    /// Runs the step while no other replica runs it, unless another replica has already brought it up to date.
    #[cfg(feature = "postgres")]
    fn run_locked(&self, lock: &Lock) -> Result<(), RunError> {
        let (step, signals) = (self.step, self.launcher.signals);
        let service = self.launcher.plan.service.as_deref().unwrap_or_default();
        let mut lock =
            AdvisoryLock::new(lock, service, &step.declared.name, step.question.as_ref());
        let (held, status) = loop {
            match lock.wait_for(signals)? {
                Waited::Taken(held, status) => break (held, status),
                Waited::Settled(status) => return self.conclude(status).map(drop),
                Waited::Free if self.is_up_to_date()? => return Ok(()),
                Waited::Free => {}
            }
        };
        let ran = self.run_holding(&held, status);
        let released = held.release(signals);
        // A lost lock matters only if the step has run while it was held.
        if ran? {
            released?;
        }
        Ok(())
    }

    /// Runs the step unless it is up to date, which `status` says for a question to the database. Returns whether it
    /// ran.
    #[cfg(feature = "postgres")]
    fn run_holding(&self, held: &HeldLock, status: Option<Status>) -> Result<bool, RunError> {
        // Another replica may have run the step before this one got the lock.
        let is_up_to_date = match status {
            Some(status) => self.conclude(status)?,
            None => self.is_up_to_date()?,
        };
        if is_up_to_date {
            return Ok(false);
        }
        held.verify()?;
        self.execute(Some(held))?;
        Ok(true)
    }

    /// Asks whether the step has nothing to do, and logs if that is so. Returns false for a step without a question.
    fn is_up_to_date(&self) -> Result<bool, RunError> {
        match &self.step.question {
            None => Ok(false),
            Some(Question::Command(command)) => self.is_up_to_date_by(command),
            #[cfg(feature = "postgres")]
            Some(Question::Alembic(question, _)) => {
                let status = question::status(question, self.launcher.signals);
                self.conclude(status.map_err(|error| RunError {
                    text: format!("up_to_date: {error}"),
                    ..error
                })?)
            }
        }
    }

    fn is_up_to_date_by(&self, command: &Words) -> Result<bool, RunError> {
        let limit = self.step.declared.up_to_date_limit;
        let is_up_to_date = self.launcher.is_up_to_date(command, limit)?;
        if is_up_to_date {
            self.log_up_to_date();
        }
        Ok(is_up_to_date)
    }

    fn log_up_to_date(&self) {
        self.log("up to date, nothing to do");
        self.announce(self.step.announce_done.as_deref());
    }

    /// Logs the answer of alembic's version table. Returns whether the step has nothing to do.
    #[cfg(feature = "postgres")]
    fn conclude(&self, status: Status) -> Result<bool, RunError> {
        let Some(Question::Alembic(question, fallback)) = &self.step.question else {
            return Ok(false);
        };
        match (status, question.on_ahead) {
            (Status::UpToDate, _) => {
                self.log_up_to_date();
                Ok(true)
            }
            (Status::Pending(count), _) => {
                self.log(&question::pending(count));
                Ok(false)
            }
            (Status::Ahead(rows), OnAhead::Fail) => {
                let text = question::ahead(&rows);
                Err(RunError::new(Exit::STEP_FAILED, Phase::Step, text))
            }
            (Status::Ahead(rows), on_ahead) => {
                let is_skipped = on_ahead == OnAhead::Skip;
                let end = ["it is run anyway", "it is skipped"][usize::from(is_skipped)];
                let step = &self.step.declared.name;
                let text = format!("step {step}: {}; {end}", question::ahead(&rows));
                tracing::warn!(phase = %Phase::Step, step, "{text}");
                Ok(is_skipped)
            }
            (Status::Uncertain(reason), _) => {
                let log = |instead| {
                    let cannot = "whether it is up to date is not certain";
                    self.log(&format!("{cannot}: {reason}; {instead}"));
                };
                let Some(command) = fallback else {
                    log("it is run");
                    return Ok(false);
                };
                log("its `command` is asked instead");
                self.is_up_to_date_by(command)
            }
        }
    }

    /// Runs the step's command, and runs it again after its own failure, as often as the manifest says. `lease` is kept
    /// all the time.
    fn execute(&self, lease: Option<&dyn Lease>) -> Result<(), RunError> {
        let step = self.step;
        if step.announce_start.is_none() {
            self.log(&step.command.shown());
        }
        self.announce(step.announce_start.as_deref());
        let (timeout, format) = (step.declared.timeout, Some(self.format));
        let (retries, delay) = (step.declared.retries, step.declared.retry_delay);
        let mut backoff = Backoff::new((delay, delay.max(LONGEST_RETRY_DELAY)));
        let launcher = &self.launcher;
        let mut retry = 0;
        let took = loop {
            let ran = launcher.launch("", &step.command, timeout, format, lease)?;
            let advice = match ran.ending {
                Ending::Exited(0) => break ran.took,
                // Another try has the same revision files.
                _ if ran.is_ahead => AHEAD.to_owned(),
                // A shell and `env` exit with these codes if a command cannot be executed or is not found.
                Ending::Exited(126 | 127) => String::new(),
                _ if retries == 0 => String::new(),
                _ if retry == retries => format!("; this was the last of {} tries", retries + 1),
                _ => {
                    retry += 1;
                    let pause = backoff.pause_after(Duration::ZERO, false);
                    self.log_retry(&ran, retry + 1, pause);
                    self.pause(pause, lease)?;
                    continue;
                }
            };
            return Err(failed("", ran.ending, ran.took, &advice));
        };
        let (step, time) = (&step.declared.name, shown(took));
        let duration_ms = milliseconds(took);
        tracing::info!(phase = %Phase::Step, step, duration_ms, "step {step}: done in {time}");
        self.announce(self.step.announce_done.as_deref());
        Ok(())
    }

    /// Waits before the next try of the step.
    ///
    /// # Errors
    /// If a stop arrives, or the lease is lost.
    fn pause(&self, pause: Duration, lease: Option<&dyn Lease>) -> Result<(), RunError> {
        let end = deadline(Instant::now(), pause);
        let verify = || lease.map_or(Ok(()), Lease::verify).map(|()| None::<()>);
        wait_for(self.launcher.signals, Some(end), verify).map(drop)
    }

    /// Logs that the step has failed and that the try with this number follows after a pause.
    fn log_retry(&self, ran: &Ran, number: u32, pause: Duration) {
        let step = self.step.declared;
        let (tries, seconds) = (step.retries + 1, pause.as_secs_f64());
        let next = format!("; try {number} of {tries} in {seconds:.1}s");
        let error = failed("", ran.ending, ran.took, &next).of_step(&step.name);
        let duration_ms = milliseconds(ran.took);
        tracing::warn!(phase = %Phase::Step, step = step.name, duration_ms, "{error}");
    }

    fn log(&self, text: &str) {
        let step = &self.step.declared.name;
        tracing::info!(phase = %Phase::Step, step, "step {step}: {text}");
    }

    fn announce(&self, text: Option<&OsStr>) {
        if let Some(text) = text {
            let step = &self.step.declared.name;
            tracing::info!(target: "announce", phase = %Phase::Step, step, "{}", text.display());
        }
    }
}
