//! A running step: its output passed on, signals forwarded, its time kept, its whole tree ended.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::relay::Relay;
use crate::os::child::{has_group, signal_group};
use crate::os::family::{self, Ending};
use crate::os::output::{Output, STDERR, STDOUT};
use crate::os::signals::{Signal, Signals, Watch, requested_stop, stop_count};

/// How long killed processes may take to vanish before we go on without them.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How often the tree is looked at again while it is being killed: it may still grow.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// How a step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself.
    Ended(Ending),
    /// By us, when its time was up.
    TimedOut,
    /// By us, when we were asked to stop.
    Stopped(Signal),
}

/// The processes that a step consists of.
pub struct Family<'a> {
    /// The step's own process, which leads its group.
    pub leader: i32,
    /// Children of ours that are none of the step's.
    pub spared: &'a [i32],
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
    family: Family<'a>,
    limits: Limits,
    stage: Stage,
    /// How the step will be told to have ended, once that is settled.
    outcome: Option<Outcome>,
    leader_has_ended: bool,
    /// No child is left at all, by the last look.
    is_childless: bool,
    stops_heeded: u32,
}

impl<'a> Supervisor<'a> {
    pub fn new(family: Family<'a>, limits: Limits) -> Self {
        Self {
            family,
            limits,
            stage: Stage::Running,
            outcome: None,
            leader_has_ended: false,
            is_childless: false,
            stops_heeded: 0,
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
            if self.is_over() {
                return Ok(self
                    .outcome
                    .expect("the outcome is settled before the step is over"));
            }
            self.advance(Instant::now());
            is_woken = match wait(signals, relays, self.next_deadline()) {
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
        for signal in noted.forward {
            signal_group(self.family.leader, signal);
        }
        if stop_count() > self.stops_heeded {
            let is_repeated = self.stops_heeded > 0 || stop_count() > 1;
            self.stops_heeded = stop_count();
            self.heed_stop(is_repeated);
        }
        self.reap();
    }

    fn heed_stop(&mut self, is_repeated: bool) {
        if let (None, Some(stop)) = (self.outcome, requested_stop()) {
            self.outcome = Some(Outcome::Stopped(stop));
        }
        match self.stage {
            Stage::Running => self.ask_to_stop(),
            // Whoever asks twice does not want to wait.
            Stage::Stopping { .. } if is_repeated => self.kill(),
            Stage::Stopping { .. } | Stage::Killing { .. } | Stage::GivenUp => {}
        }
    }

    fn reap(&mut self) {
        let reaped = family::reap();
        self.is_childless = reaped.is_childless;
        let Some(&(_, ending)) = reaped
            .endings
            .iter()
            .find(|(pid, _)| *pid == self.family.leader)
        else {
            return;
        };
        self.leader_has_ended = true;
        let outcome = *self.outcome.get_or_insert(Outcome::Ended(ending));
        if !self.is_alone() {
            if outcome == Outcome::Ended(ending) {
                tracing::warn!(
                    phase = "step",
                    "the step left processes running; they are stopped"
                );
            }
            // Those outside its group have not been asked yet.
            family::signal_descendants(self.limits.stop_signal, self.family.spared);
            if let Stage::Running = self.stage {
                self.ask_to_stop();
            }
        }
    }

    /// The step and everything that it started have ended, or will not.
    fn is_over(&self) -> bool {
        self.leader_has_ended && (self.is_alone() || matches!(self.stage, Stage::GivenUp))
    }

    fn is_alone(&self) -> bool {
        self.is_childless
            || !has_group(self.family.leader) && !family::has_descendants(self.family.spared)
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
                tracing::error!(
                    phase = "step",
                    "processes of the step survive SIGKILL; going on without them"
                );
                self.outcome
                    .get_or_insert(Outcome::Ended(Ending::Signaled(Signal::KILL)));
                self.leader_has_ended = true;
                self.stage = Stage::GivenUp;
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
        signal_group(self.family.leader, self.limits.stop_signal);
        // A process that was stopped (SIGSTOP) acts on a signal only when it goes on.
        signal_group(self.family.leader, Signal::CONT);
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

    fn kill_everyone(&self) {
        signal_group(self.family.leader, Signal::KILL);
        family::signal_descendants(Signal::KILL, self.family.spared);
    }
}

/// Waits for signals, for the step's output and for room in ours, and passes on what came.
fn wait(
    signals: &Signals,
    relays: &mut [Relay<'_>],
    deadline: Option<Instant>,
) -> io::Result<bool> {
    // Whoever reads us slowly slows the step down, as without us.
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
    let is_woken = signals.wait(&mut watches, deadline)?;
    let ready: Vec<bool> = watches.iter().map(|watch| watch.is_ready).collect();
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
    Ok(is_woken)
}
