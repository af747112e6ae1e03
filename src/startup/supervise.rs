//! Supervises a running step, or a command of a wait: relays its output, forwards signals, enforces its time-out, and ends all its processes.
//!
//! Processes are ended in stages, which an init uses as well: they get a stop signal, then SIGKILL, and are given up if
//! they survive that.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::relay::Relay;
use super::{RunError, deadline};
use crate::check::DeclaredStep;
use crate::log::Phase;
use crate::os::family::{self, Ending, Process};
use crate::os::output::{STDERR, STDOUT};
use crate::os::signals::{Signal, Signals, requested_stop};
use crate::os::tree::Tree;

/// How long the guard waits for killed processes to end before it gives them up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The interval at which SIGKILL is repeated meanwhile, because the processes may have forked.
const INTERVAL: Duration = Duration::from_millis(20);

/// The stage in which processes are being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Running,
    /// They have got the stop signal, and are killed at this instant.
    Stopping(Instant),
    /// They have got SIGKILL. It is repeated at `again`, and they are given up at `until`.
    Killing {
        again: Instant,
        until: Instant,
    },
    /// They have survived SIGKILL.
    GivenUp,
}

impl Stage {
    /// The stage after the stop signal was sent.
    pub fn stopping(grace: Duration) -> Self {
        Self::Stopping(deadline(Instant::now(), grace))
    }

    /// The stage in which the first SIGKILL is due at once.
    pub fn killing(now: Instant) -> Self {
        Self::Killing {
            again: now,
            until: now + PATIENCE,
        }
    }

    /// When to call `advance` again.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running => None,
            Self::Stopping(until) => Some(until),
            Self::Killing { again, until } => Some(again.min(until)),
            Self::GivenUp => Some(Instant::now()),
        }
    }

    /// Enters the next stage if the time of the current one has passed. Returns whether SIGKILL must be sent now.
    pub fn advance(&mut self, now: Instant) -> bool {
        match *self {
            Self::Stopping(until) if now >= until => *self = Self::killing(now),
            Self::Killing { until, .. } if now >= until => *self = Self::GivenUp,
            _ => {}
        }
        match self {
            Self::Killing { again, .. } if now >= *again => {
                *again = now + INTERVAL;
                true
            }
            _ => false,
        }
    }
}

/// A stop that arrives within this time after the first one counts as the same stop. `timeout`, for example, signals
/// its child and then the whole process group, which contains the child.
const SAME_STOP: Duration = Duration::from_millis(100);

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has ended by itself.
    Ended(Ending),
    /// It has not ended: processes are left that the guard cannot kill.
    Left,
    /// It was ended because its time-out had passed.
    TimedOut,
    /// It was ended because a stop has arrived.
    Stopped(Signal),
    /// It was killed because its lease was lost.
    Lost,
}

/// A condition under which a step may run: its lock.
pub trait Lease {
    /// The reason why the lease was lost, or `None` if it is valid. A loss wakes the main thread.
    fn loss(&self) -> Option<String>;

    /// # Errors
    /// If the lease was lost.
    fn verify(&self) -> Result<(), RunError> {
        let lost = |reason: String| Err(RunError::lock_lost(&reason));
        self.loss().map_or(Ok(()), lost)
    }

    /// A descriptor that every process of the step inherits, so that the lease lives as long as they do.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Keeps the lease alive after the guard's end, as long as processes of the step are left that the guard cannot
    /// end.
    fn leave_to_the_rest(&self);
}

/// How the processes of a command are stopped.
#[derive(Clone, Copy)]
pub struct Stop {
    /// The first signal to the process group.
    pub signal: Signal,
    /// The time until SIGKILL.
    pub grace: Duration,
    /// Whether a command is expected to leave no processes running, so that a message says if it does.
    pub is_step: bool,
}

impl Stop {
    /// SIGKILL at once, for the command of a wait.
    pub const KILL: Self = Self {
        signal: Signal::KILL,
        grace: Duration::ZERO,
        is_step: false,
    };

    /// As the step declares it.
    pub fn of_step(step: &DeclaredStep) -> Self {
        Self {
            signal: step.stop_signal,
            grace: step.stop_grace,
            is_step: true,
        }
    }
}

/// Supervises one command of a step or of a wait.
struct Supervisor<'a> {
    tree: Tree,
    stop: Stop,
    deadline: Option<Instant>,
    lease: Option<&'a dyn Lease>,
    stage: Stage,
    /// How the command has ended, or why it is being ended.
    outcome: Option<Outcome>,
    leader_has_ended: bool,
    /// Whether the reaper has ended by itself, so that no process of the step is left.
    tree_has_ended: bool,
    /// When the first stop was handled.
    first_stop: Option<Instant>,
}

/// Supervises a command of a step or of a wait. Returns when the command and all its descendants have ended.
///
/// # Errors
/// If the wait for events fails. The command is killed then.
pub fn supervise(
    tree: Tree,
    stop: Stop,
    deadline: Option<Instant>,
    lease: Option<&dyn Lease>,
    signals: &Signals,
    relays: &mut [Relay<'_>],
) -> io::Result<Outcome> {
    let mut supervisor = Supervisor {
        tree,
        stop,
        deadline,
        lease,
        stage: Stage::Running,
        outcome: None,
        leader_has_ended: false,
        tree_has_ended: false,
        first_stop: None,
    };
    let mut is_woken = true;
    loop {
        // Skipped after mere output, except while the step is being killed, when every check for ended processes
        // counts.
        if is_woken || matches!(supervisor.stage, Stage::Killing { .. }) {
            supervisor.handle_events(signals);
        }
        if let Some(outcome) = supervisor.final_outcome() {
            return Ok(outcome);
        }
        supervisor.advance(Instant::now());
        let deadline = supervisor.stage.deadline().or(deadline);
        is_woken = wait(signals, relays, supervisor.tree.reports(), deadline)
            .inspect_err(|_| supervisor.kill_everyone())?;
    }
}

impl Supervisor<'_> {
    /// Handles signals, ended processes, and the loss of the lease.
    fn handle_events(&mut self, signals: &Signals) {
        // A stop counts even if it arrived before this command was started.
        let is_first_stop = self.first_stop.is_none() && requested_stop().is_some();
        let came = signals.take();
        // Before anything is signalled, because a leader that has ended must not be signalled any more.
        self.reap();
        for signal in came.iter().filter(|signal| !signal.is_stop()) {
            self.signal_group(*signal);
        }
        if is_first_stop || came.iter().any(|signal| signal.is_stop()) {
            self.handle_stop(Instant::now());
        }
        if let Some(reason) = self.lease.and_then(Lease::loss) {
            // Another process may hold the lock by now, so the step gets no time to stop.
            self.lease = None;
            tracing::error!(phase = %Phase::Lock, "the lock is lost ({reason}); the step is killed");
            self.outcome.get_or_insert(Outcome::Lost);
            self.stage = Stage::killing(Instant::now());
        }
    }

    fn handle_stop(&mut self, now: Instant) {
        if let Some(stop) = requested_stop() {
            self.outcome = Some(Outcome::Stopped(stop));
        }
        let first = *self.first_stop.get_or_insert(now);
        match self.stage {
            Stage::Running => self.ask_to_stop(),
            // A second stop ends the grace period.
            Stage::Stopping(_) if now.duration_since(first) >= SAME_STOP => {
                self.stage = Stage::killing(now);
            }
            Stage::Stopping(_) | Stage::Killing { .. } | Stage::GivenUp => {}
        }
    }

    fn reap(&mut self) {
        let reaper = self.tree.reaper;
        let mut reaper_end = None;
        family::reap(|pid, ending| {
            if pid == reaper {
                reaper_end = ending;
            }
        });
        if let Some((ending, has_rest)) = self.tree.leader_end() {
            self.leader_has_ended = true;
            self.outcome.get_or_insert(Outcome::Ended(ending));
            if has_rest {
                self.stop_the_rest();
            }
        }
        match reaper_end {
            None => {}
            Some(Tree::COMPLETE) if self.leader_has_ended => self.tree_has_ended = true,
            // The reaper was killed, so the step's other processes cannot be found any more.
            Some(_) => self.stage = Stage::GivenUp,
        }
    }

    /// Stops the processes that the step's leader has left running.
    fn stop_the_rest(&mut self) {
        if let (Some(Outcome::Ended(_)), true) = (self.outcome, self.stop.is_step) {
            tracing::warn!(phase = %Phase::Step, "the step left processes running; they are stopped");
        }
        // Processes outside the leader's process group have not got the stop signal yet.
        for outsider in self.rest().unwrap_or_default() {
            if outsider.group != self.tree.leader {
                family::signal(outsider.pid, self.stop.signal);
                family::signal(outsider.pid, Signal::CONT);
            }
        }
        if let Stage::Running = self.stage {
            self.ask_to_stop();
        }
    }

    /// The outcome, once all processes of the step have ended or are given up.
    fn final_outcome(&self) -> Option<Outcome> {
        if self.stage == Stage::GivenUp {
            // The step's remaining processes continue to run, so the lease must stay valid.
            self.lease.inspect(|lease| lease.leave_to_the_rest());
            // Not the step's own outcome, which `allow_failure` could cover: the server must not start while the step
            // still runs.
            return Some(match self.outcome {
                Some(stopped @ Outcome::Stopped(_)) => stopped,
                _ => Outcome::Left,
            });
        }
        self.outcome.filter(|_| self.tree_has_ended)
    }

    /// Every process of the step. `None` where /proc is not mounted.
    fn rest(&self) -> Option<Vec<Process>> {
        family::descendants(self.tree.reaper, |_| false)
    }

    /// Handles the deadlines that have passed.
    fn advance(&mut self, now: Instant) {
        let is_over = self.deadline.is_some_and(|deadline| now >= deadline);
        if is_over && self.stage == Stage::Running {
            self.outcome = Some(Outcome::TimedOut);
            self.ask_to_stop();
        }
        if self.stage.advance(now) {
            self.kill_everyone();
        } else if self.stage == Stage::GivenUp {
            tracing::error!(phase = %Phase::Step, "processes of the command survive SIGKILL");
        }
    }

    fn ask_to_stop(&mut self) {
        self.signal_group(self.stop.signal);
        // A process that was stopped (SIGSTOP) acts on a signal only when it is continued.
        self.signal_group(Signal::CONT);
        self.stage = Stage::stopping(self.stop.grace);
    }

    fn kill_everyone(&self) {
        // The group first, in one call that no forking process can escape. Then the processes outside the group.
        self.signal_group(Signal::KILL);
        // A reaper that was stopped by SIGSTOP collects no processes.
        family::signal(self.tree.reaper, Signal::CONT);
        for each in self.rest().unwrap_or_default() {
            family::signal(each.pid, Signal::KILL);
        }
    }

    /// Signals the step's process group, unless the group has ended: its number could have been reused.
    fn signal_group(&self, signal: Signal) {
        let leader = self.tree.leader;
        let has_group = |rest: Vec<Process>| rest.iter().any(|each| each.group == leader);
        if !self.leader_has_ended || self.rest().is_none_or(has_group) {
            family::signal(-leader, signal);
        }
    }
}

/// Waits for signals, for a report about the step, for the step's output and for the guard's own streams to be
/// writable. Relays the output that is available. Returns whether a signal, a helper thread's message or a report has
/// arrived.
pub fn wait(
    signals: &Signals,
    relays: &mut [Relay<'_>],
    report: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let pipes: Vec<BorrowedFd<'_>> = relays.iter().filter_map(Relay::awaited).collect();
    let outputs = [&STDOUT, &STDERR];
    let pending = outputs.iter().filter(|output| output.is_pending());
    let writable: Vec<BorrowedFd<'_>> = pending.map(|output| output.descriptor()).collect();
    let is_woken = signals.wait(report, &pipes, &writable, deadline)?;
    // Writing and relaying never block, so they need not know which file descriptors are ready.
    for output in outputs {
        output.pump();
    }
    for relay in relays {
        if relay.awaited().is_some() {
            relay.take();
        }
    }
    Ok(is_woken)
}
