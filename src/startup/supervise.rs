//! A running step: relays its output, forwards signals, keeps its time, and ends all its processes. Ending processes
//! has stages, which an init uses as well: they are asked to stop, killed when their time is up, and given up when
//! they survive that.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::relay::Relay;
use crate::check::Step;
use crate::log::Phase;
use crate::os::family::{self, Ending, Process};
use crate::os::output::{STDERR, STDOUT};
use crate::os::signals::{Signal, Signals, requested_stop};
use crate::os::tree::Tree;

/// How long killed processes may take to vanish before the guard goes on without them.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often processes are killed again meanwhile: they may have forked.
const INTERVAL: Duration = Duration::from_millis(20);

/// What is being done to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Running,
    /// They were asked to stop.
    Stopping {
        until: Instant,
    },
    /// They are killed, and at `again` once more.
    Killing {
        again: Instant,
        until: Instant,
    },
    /// They survive that.
    GivenUp,
}

impl Stage {
    /// The stage after processes were asked to stop.
    pub fn stopping(grace: Duration) -> Self {
        let now = Instant::now();
        // A grace beyond the clock's range is as good as a day.
        let until = now.checked_add(grace);
        let until = until.unwrap_or(now + Duration::from_hours(24));
        Self::Stopping { until }
    }

    /// The stage in which killing is due at once.
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
            Self::Stopping { until } => Some(until),
            Self::Killing { again, until } => Some(again.min(until)),
            Self::GivenUp => Some(Instant::now()),
        }
    }

    /// Enters the next stage when the time of this one is up. Returns whether the processes are to be killed now.
    pub fn advance(&mut self, now: Instant) -> bool {
        match *self {
            Self::Stopping { until } if now >= until => *self = Self::killing(now),
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

/// Stops within this time after the first count as the same stop: `timeout`, for example, signals its child and then
/// the whole group, which contains the child.
const SAME_STOP: Duration = Duration::from_millis(100);

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself.
    Ended(Ending),
    /// It has not: processes are left that the guard cannot kill.
    Left,
    /// It was ended when its time was up.
    TimedOut,
    /// It was ended because the guard was asked to stop.
    Stopped(Signal),
    /// It was killed because its lease was lost.
    Lost,
}

/// Something that the step must not run without: its lock.
pub trait Lease {
    /// Why it was lost, if it was. A loss wakes the main thread.
    fn loss(&self) -> Option<String>;

    /// A descriptor that every process of the step inherits, so that the lease lives as long as they do.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Processes of the step are left that the guard cannot end. The lease must live as long as they do.
    fn leave_to_the_rest(&self);
}

/// Watches over one step.
struct Supervisor<'a> {
    tree: Tree,
    step: &'a Step<'a>,
    deadline: Option<Instant>,
    lease: Option<&'a dyn Lease>,
    stage: Stage,
    /// How the step ended, or why it is being ended.
    outcome: Option<Outcome>,
    leader_has_ended: bool,
    /// Whether the reaper has ended by itself: then no process of the step is left.
    tree_has_ended: bool,
    /// When the first stop was acted on.
    first_stop: Option<Instant>,
}

/// Watches over a command of a step. Returns when it and everything that it started have ended.
///
/// # Errors
/// When the system cannot wait. The command is killed then.
pub fn supervise(
    tree: Tree,
    step: &Step<'_>,
    deadline: Option<Instant>,
    lease: Option<&dyn Lease>,
    signals: &Signals,
    relays: &mut [Relay<'_>],
) -> io::Result<Outcome> {
    let mut supervisor = Supervisor {
        tree,
        step,
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
        // Not for each piece of output, but while the step is being killed, each look counts.
        if is_woken || matches!(supervisor.stage, Stage::Killing { .. }) {
            supervisor.heed(signals);
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
    /// Acts on signals, on the ends of processes, and on the loss of the lease.
    fn heed(&mut self, signals: &Signals) {
        // A stop counts even if it came before this command was started.
        let is_first_stop = self.first_stop.is_none() && requested_stop().is_some();
        let came = signals.take();
        // First of all: a leader that has ended must not be signalled any more.
        self.reap();
        for signal in came.iter().filter(|signal| !signal.is_stop()) {
            self.signal_group(*signal);
        }
        if is_first_stop || came.iter().any(|signal| signal.is_stop()) {
            self.heed_stop(Instant::now());
        }
        if let Some(reason) = self.lease.and_then(Lease::loss) {
            // Somebody else may hold the lock by now, so the step gets no time to stop.
            self.lease = None;
            tracing::error!(phase = %Phase::Lock, "the lock is lost ({reason}); the step is killed");
            self.outcome.get_or_insert(Outcome::Lost);
            self.stage = Stage::killing(Instant::now());
        }
    }

    fn heed_stop(&mut self, now: Instant) {
        if let Some(stop) = requested_stop() {
            self.outcome = Some(Outcome::Stopped(stop));
        }
        let first = *self.first_stop.get_or_insert(now);
        match self.stage {
            Stage::Running => self.ask_to_stop(),
            // A second stop means not to wait any longer.
            Stage::Stopping { .. } if now.duration_since(first) >= SAME_STOP => {
                self.stage = Stage::killing(now);
            }
            Stage::Stopping { .. } | Stage::Killing { .. } | Stage::GivenUp => {}
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
            // Somebody killed the reaper. The step's other processes cannot be found any more.
            Some(_) => self.stage = Stage::GivenUp,
        }
    }

    /// Stops what the step's own process has left running.
    fn stop_the_rest(&mut self) {
        if let Some(Outcome::Ended(_)) = self.outcome {
            tracing::warn!(phase = %Phase::Step, "the step left processes running; they are stopped");
        }
        // Processes outside its group were not asked yet.
        for outsider in self.rest().unwrap_or_default() {
            if outsider.group != self.tree.leader {
                family::signal(outsider.pid, self.step.declared.stop_signal);
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
            // What is left of the step runs on, and the lease with it.
            self.lease.inspect(|lease| lease.leave_to_the_rest());
            // `allow_failure` covers other outcomes, but no step may run beside the server.
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

    /// Does what is due by now.
    fn advance(&mut self, now: Instant) {
        let is_over = self.deadline.is_some_and(|deadline| now >= deadline);
        if is_over && self.stage == Stage::Running {
            self.outcome = Some(Outcome::TimedOut);
            self.ask_to_stop();
        }
        if self.stage.advance(now) {
            self.kill_everyone();
        } else if self.stage == Stage::GivenUp {
            tracing::error!(phase = %Phase::Step, "processes of the step survive SIGKILL");
        }
    }

    fn ask_to_stop(&mut self) {
        self.signal_group(self.step.declared.stop_signal);
        // A process that was stopped (SIGSTOP) acts on a signal only when it is continued.
        self.signal_group(Signal::CONT);
        self.stage = Stage::stopping(self.step.declared.stop_grace);
    }

    fn kill_everyone(&self) {
        // First the whole group in one call, which no fork escapes; then the processes outside the group.
        self.signal_group(Signal::KILL);
        // A reaper that was stopped (SIGSTOP) collects no process.
        family::signal(self.tree.reaper, Signal::CONT);
        for each in self.rest().unwrap_or_default() {
            family::signal(each.pid, Signal::KILL);
        }
    }

    /// Signals the step's group, unless it is gone: its number could be somebody else's by now.
    fn signal_group(&self, signal: Signal) {
        let leader = self.tree.leader;
        let has_group = |rest: Vec<Process>| rest.iter().any(|each| each.group == leader);
        if !self.leader_has_ended || self.rest().is_none_or(has_group) {
            family::signal(-leader, signal);
        }
    }
}

/// Waits for signals, for a report about the step, for the step's output and for room in the guard's own, and
/// relays the output that came. Returns whether a signal, a helper's news or a report came.
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
    // Neither blocks, whether or not the descriptor is ready.
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
