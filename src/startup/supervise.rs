//! A running step: its output passed on, signals forwarded, its time kept, its whole tree ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::relay::Relay;
use crate::log::Phase;
use crate::os::child::Tree;
use crate::os::family::{self, Descendant, Ending, Left};
use crate::os::output::{Output, STDERR, STDOUT};
use crate::os::signals::{Signal, Signals, Watch, requested_stop, stop_count};

/// How long killed processes may take to vanish before we go on without them.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How often the tree is looked at again while it is being killed: it may still grow.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// Stops that follow on the first within this time are the same one: `timeout`, for example, signals its
/// child and then the whole group, which the child is in.
const SAME_STOP: Duration = Duration::from_millis(100);

/// How a step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself.
    Ended(Ending),
    /// Something of it runs on that we cannot, or may not, kill.
    Left,
    /// By us, when its time was up.
    TimedOut,
    /// By us, when we were asked to stop.
    Stopped(Signal),
    /// By us, when its keeper had lost what it keeps.
    Lost,
}

/// Keeps something that the step must not run without: its lock.
pub trait Keeper {
    /// How it was lost, if it was. A loss wakes whoever waits.
    fn loss(&self) -> Option<String>;

    /// What every process of the step inherits, so that what is kept lives as long as they do.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Processes of the step are left, which the guard cannot end: only they may give up what is kept.
    fn leave_to_the_rest(&self);
}

/// How long a step may take, and how it is asked to stop.
pub struct Limits {
    pub deadline: Option<Instant>,
    pub stop_signal: Signal,
    pub stop_grace: Duration,
}

/// What is being done to the step.
#[derive(Clone, Copy)]
enum Stage {
    Running,
    /// It was asked to stop, and has time until then.
    Stopping {
        until: Instant,
    },
    /// It is being killed: once more at `again`, and given up at `until`.
    Killing {
        again: Instant,
        until: Instant,
    },
    /// Something of it survives even that.
    GivenUp,
}

/// Watches over one step.
pub struct Supervisor<'a> {
    tree: Tree,
    limits: Limits,
    keeper: Option<&'a dyn Keeper>,
    stage: Stage,
    /// How the step came to its end, as far as that is settled.
    outcome: Option<Outcome>,
    leader_has_ended: bool,
    /// Whether the reaper has ended by itself: then no process of the step is left.
    tree_has_ended: bool,
    /// How many stops were acted on, and when the first was.
    stops_heeded: u32,
    first_stop: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    pub fn new(tree: Tree, limits: Limits, keeper: Option<&'a dyn Keeper>) -> Self {
        Self {
            tree,
            limits,
            keeper,
            stage: Stage::Running,
            outcome: None,
            leader_has_ended: false,
            tree_has_ended: false,
            stops_heeded: 0,
            first_stop: None,
        }
    }

    /// Goes along until the step and everything that it started have ended.
    ///
    /// # Errors
    /// When the system cannot wait. The step is killed then.
    pub fn supervise(mut self, signals: &Signals, relays: &mut [Relay<'_>]) -> io::Result<Outcome> {
        let mut is_woken = true;
        loop {
            if is_woken {
                self.heed(signals);
            }
            if let Some(outcome) = self.final_outcome() {
                return Ok(outcome);
            }
            self.advance(Instant::now());
            let reports = self.tree.reports().map(AsFd::as_fd);
            is_woken = match wait(signals, relays, reports, self.next_deadline()) {
                // While it is being killed, each look counts.
                Ok(is_woken) => is_woken || matches!(self.stage, Stage::Killing { .. }),
                Err(error) => {
                    self.kill();
                    return Err(error);
                }
            };
        }
    }

    /// Acts on what the signals say.
    fn heed(&mut self, signals: &Signals) {
        let noted = signals.take();
        // First of all: a leader that has ended must not be signalled any more.
        self.reap();
        for signal in noted.forward {
            self.signal_group(signal);
        }
        if stop_count() > self.stops_heeded {
            self.stops_heeded = stop_count();
            self.heed_stop(Instant::now());
        }
        if let Some(reason) = self.keeper.and_then(Keeper::loss) {
            self.heed_loss(&reason);
        }
    }

    /// Somebody else may hold it by now, so nothing of the step may go on, not even to end in peace.
    fn heed_loss(&mut self, reason: &str) {
        self.keeper = None;
        tracing::error!(
            phase = %Phase::Lock,
            "the lock is lost ({reason}); the step is killed"
        );
        self.outcome.get_or_insert(Outcome::Lost);
        self.kill();
    }

    fn heed_stop(&mut self, now: Instant) {
        if let Some(stop) = requested_stop() {
            self.outcome = Some(Outcome::Stopped(stop));
        }
        let first = *self.first_stop.get_or_insert(now);
        match self.stage {
            Stage::Running => self.ask_to_stop(),
            // Whoever asks twice does not want to wait.
            Stage::Stopping { .. } if now.duration_since(first) >= SAME_STOP => self.kill(),
            Stage::Stopping { .. } | Stage::Killing { .. } | Stage::GivenUp => {}
        }
    }

    fn reap(&mut self) {
        let reaper = self.tree.reaper;
        let mut reaper_end = None;
        family::reap(|pid, ending| {
            if pid == reaper {
                reaper_end = Some(ending);
            }
        });
        if let Some(end) = self.tree.leader_end() {
            self.leader_has_ended = true;
            self.outcome.get_or_insert(Outcome::Ended(end.ending));
            if end.left == Left::Somebody {
                self.stop_the_rest();
            }
        }
        match reaper_end {
            None => {}
            Some(Tree::COMPLETE) if self.leader_has_ended => self.tree_has_ended = true,
            // Somebody killed the reaper. What is left of the step cannot be found any more.
            Some(_) => self.give_up(),
        }
    }

    /// The step's own process has ended, and others that it started have not.
    fn stop_the_rest(&mut self) {
        if let Some(Outcome::Ended(_)) = self.outcome {
            tracing::warn!(
                phase = %Phase::Step,
                "the step left processes running; they are stopped"
            );
        }
        // Those outside its group have not been asked yet.
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

    /// How it came to its end, once the step and everything that it started have ended, or will not.
    fn final_outcome(&self) -> Option<Outcome> {
        if let Stage::GivenUp = self.stage {
            // A step that may fail, or run out of time, may still not run beside the server.
            return Some(match self.outcome {
                Some(stopped @ Outcome::Stopped(_)) => stopped,
                _ => Outcome::Left,
            });
        }
        self.outcome.filter(|_| self.tree_has_ended)
    }

    /// Every process of the step that is there. None where /proc is not mounted.
    fn rest(&self) -> Option<Vec<Descendant>> {
        family::descendants_of(self.tree.reaper)
    }

    /// Goes on to the next stage when the time of this one is up.
    fn advance(&mut self, now: Instant) {
        match self.stage {
            Stage::Running if self.limits.deadline.is_some_and(|deadline| now >= deadline) => {
                self.outcome = Some(Outcome::TimedOut);
                self.ask_to_stop();
            }
            Stage::Stopping { until } if now >= until => self.kill(),
            Stage::Killing { until, .. } if now >= until => {
                tracing::error!(phase = %Phase::Step, "processes of the step survive SIGKILL");
                self.give_up();
            }
            Stage::Killing { again, until } if now >= again => {
                self.kill_everyone();
                self.stage = Stage::Killing {
                    again: now + KILL_INTERVAL,
                    until,
                };
            }
            Stage::Running | Stage::Stopping { .. } | Stage::Killing { .. } | Stage::GivenUp => {}
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Running => self.limits.deadline,
            Stage::Stopping { until } => Some(until),
            Stage::Killing { again, until } => Some(again.min(until)),
            Stage::GivenUp => Some(Instant::now()),
        }
    }

    fn ask_to_stop(&mut self) {
        self.signal_group(self.limits.stop_signal);
        // A process that was stopped (SIGSTOP) acts on a signal only when it goes on.
        self.signal_group(Signal::CONT);
        let now = Instant::now();
        // A grace beyond the clock's range is as good as a day.
        let until = now
            .checked_add(self.limits.stop_grace)
            .unwrap_or(now + Duration::from_hours(24));
        self.stage = Stage::Stopping { until };
    }

    fn kill(&mut self) {
        self.kill_everyone();
        let now = Instant::now();
        self.stage = Stage::Killing {
            again: now + KILL_INTERVAL,
            until: now + KILL_PATIENCE,
        };
    }

    /// What is left of the step goes on without the guard, and with what its keeper keeps.
    fn give_up(&mut self) {
        self.stage = Stage::GivenUp;
        if let Some(keeper) = self.keeper {
            keeper.leave_to_the_rest();
        }
    }

    fn kill_everyone(&self) {
        // The whole group in one call, which no fork escapes; then whoever left it.
        self.signal_group(Signal::KILL);
        // A reaper that was stopped collects nobody.
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
/// passes on the output that came. Gives whether there was a signal or a report.
pub fn wait(
    signals: &Signals,
    relays: &mut [Relay<'_>],
    reports: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> io::Result<bool> {
    // A slow reader of the guard's output slows the step down, as it would without the guard.
    let is_open: Vec<bool> = relays
        .iter()
        .map(|relay| relay.pipe().is_some() && !relay.output().is_full())
        .collect();
    let pending: Vec<&'static Output> = [&STDOUT, &STDERR]
        .into_iter()
        .filter(|output| output.is_pending())
        .collect();
    let pipes = relays.iter().zip(&is_open).filter(|(_, is_open)| **is_open);
    let mut watches: Vec<Watch<'_>> = pipes
        .filter_map(|(relay, _)| relay.pipe())
        .map(|pipe| Watch::readable(pipe.as_fd()))
        .collect();
    watches.extend(
        pending
            .iter()
            .map(|output| Watch::writable(output.descriptor())),
    );
    watches.extend(reports.map(Watch::readable));
    let is_signalled = signals.wait(&mut watches, deadline)?;
    let mut ready: Vec<bool> = watches.iter().map(|watch| watch.is_ready).collect();
    let is_reported = reports.is_some() && ready.pop() == Some(true);
    let (ready_pipes, ready_outputs) = ready.split_at(ready.len() - pending.len());
    for (output, _) in pending
        .iter()
        .zip(ready_outputs)
        .filter(|(_, is_ready)| **is_ready)
    {
        output.pump();
    }
    let open = relays
        .iter_mut()
        .zip(is_open)
        .filter(|(_, is_open)| *is_open);
    for ((relay, _), _) in open.zip(ready_pipes).filter(|(_, is_ready)| **is_ready) {
        relay.take();
    }
    Ok(is_signalled || is_reported)
}
