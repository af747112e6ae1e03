//! A running step: relays its output, forwards signals, keeps its time, and ends all its processes.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::kill::{Due, Stage};
use super::relay::Relay;
use crate::log::Phase;
use crate::os::family::{self, Change, Ending, Left, Process};
use crate::os::output::{STDERR, STDOUT};
use crate::os::signals::{Signal, Signals, requested_stop, stop_count};
use crate::os::tree::Tree;

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

/// How long a step may take, and how it is asked to stop.
pub struct Limits {
    pub deadline: Option<Instant>,
    pub stop_signal: Signal,
    pub stop_grace: Duration,
}

/// Watches over one step.
pub struct Supervisor<'a> {
    tree: Tree,
    limits: Limits,
    lease: Option<&'a dyn Lease>,
    stage: Stage,
    /// How the step ended, or why it is being ended.
    outcome: Option<Outcome>,
    leader_has_ended: bool,
    /// Whether the reaper has ended by itself: then no process of the step is left.
    tree_has_ended: bool,
    /// How many stops were acted on, and when the first was.
    stops_heeded: u32,
    first_stop: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    pub fn new(tree: Tree, limits: Limits, lease: Option<&'a dyn Lease>) -> Self {
        Self {
            tree,
            limits,
            lease,
            stage: Stage::Running,
            outcome: None,
            leader_has_ended: false,
            tree_has_ended: false,
            stops_heeded: 0,
            first_stop: None,
        }
    }

    /// Returns when the step and everything that it started have ended.
    ///
    /// # Errors
    /// When the system cannot wait. The step is killed then.
    pub fn supervise(mut self, signals: &Signals, relays: &mut [Relay<'_>]) -> io::Result<Outcome> {
        let mut is_woken = true;
        loop {
            // Not for each piece of output, but while the step is being killed, each look counts.
            if is_woken || matches!(self.stage, Stage::Killing { .. }) {
                self.heed(signals);
            }
            if let Some(outcome) = self.final_outcome() {
                return Ok(outcome);
            }
            self.advance(Instant::now());
            let deadline = self.stage.deadline().or(self.limits.deadline);
            is_woken = wait(signals, relays, self.tree.reports(), deadline)
                .inspect_err(|_| self.kill_everyone())?;
        }
    }

    /// Acts on signals, on the ends of processes, and on the loss of the lease.
    fn heed(&mut self, signals: &Signals) {
        let forwarded = signals.take();
        // First of all: a leader that has ended must not be signalled any more.
        self.reap();
        for signal in forwarded {
            self.signal_group(signal);
        }
        if stop_count() > self.stops_heeded {
            self.stops_heeded = stop_count();
            self.heed_stop(Instant::now());
        }
        if let Some(reason) = self.lease.and_then(Lease::loss) {
            // Somebody else may hold the lock by now, so the step gets no time to stop.
            self.lease = None;
            tracing::error!(
                phase = %Phase::Lock,
                "the lock is lost ({reason}); the step is killed"
            );
            self.outcome.get_or_insert(Outcome::Lost);
            self.stage = Stage::killing();
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
                self.stage = Stage::killing();
            }
            Stage::Stopping { .. } | Stage::Killing { .. } | Stage::GivenUp => {}
        }
    }

    fn reap(&mut self) {
        let reaper = self.tree.reaper;
        let mut reaper_end = None;
        family::reap(|pid, change| match change {
            Change::Ended(ending) if pid == reaper => reaper_end = Some(ending),
            Change::Ended(_) | Change::Paused => {}
        });
        if let Some((ending, left)) = self.tree.leader_end() {
            self.leader_has_ended = true;
            self.outcome.get_or_insert(Outcome::Ended(ending));
            if left == Left::Somebody {
                self.stop_the_rest();
            }
        }
        match reaper_end {
            None => {}
            Some(Tree::COMPLETE) if self.leader_has_ended => self.tree_has_ended = true,
            // Somebody killed the reaper. The step's other processes cannot be found any more.
            Some(_) => self.give_up(),
        }
    }

    /// Stops what the step's own process has left running.
    fn stop_the_rest(&mut self) {
        if let Some(Outcome::Ended(_)) = self.outcome {
            tracing::warn!(
                phase = %Phase::Step,
                "the step left processes running; they are stopped"
            );
        }
        // Processes outside its group were not asked yet.
        for outsider in self.rest().unwrap_or_default() {
            if outsider.group != self.tree.leader {
                family::signal(outsider.pid, self.limits.stop_signal);
                family::signal(outsider.pid, Signal::CONT);
            }
        }
        if let Stage::Running = self.stage {
            self.ask_to_stop();
        }
    }

    /// The outcome, once all processes of the step have ended or are given up.
    fn final_outcome(&self) -> Option<Outcome> {
        if let Stage::GivenUp = self.stage {
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
        family::descendants_of(self.tree.reaper)
    }

    /// Does what is due by now.
    fn advance(&mut self, now: Instant) {
        let is_over = self.limits.deadline.is_some_and(|deadline| now >= deadline);
        if is_over && self.stage == Stage::Running {
            self.outcome = Some(Outcome::TimedOut);
            self.ask_to_stop();
        }
        match self.stage.advance(now) {
            Some(Due::Kill) => self.kill_everyone(),
            Some(Due::GiveUp) => {
                tracing::error!(phase = %Phase::Step, "processes of the step survive SIGKILL");
                self.give_up();
            }
            None => {}
        }
    }

    fn ask_to_stop(&mut self) {
        self.signal_group(self.limits.stop_signal);
        // A process that was stopped (SIGSTOP) acts on a signal only when it is continued.
        self.signal_group(Signal::CONT);
        self.stage = Stage::stopping(self.limits.stop_grace);
    }

    /// Leaves what is left of the step running, and the lease with it.
    fn give_up(&mut self) {
        self.stage = Stage::GivenUp;
        if let Some(lease) = self.lease {
            lease.leave_to_the_rest();
        }
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
        let is_there = !self.leader_has_ended
            || self
                .rest()
                .is_none_or(|rest| rest.iter().any(|each| each.group == leader));
        if is_there {
            family::signal_group(leader, signal);
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
