//! Ending processes: they are asked to stop, killed when their time is up, and given up when they survive that.

use std::time::{Duration, Instant};

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
    Killing {
        /// When to kill once more.
        again: Instant,
        until: Instant,
    },
    /// They survive that.
    GivenUp,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Kill,
    GiveUp,
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
    pub fn killing() -> Self {
        let now = Instant::now();
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

    /// Enters the next stage when the time of this one is up, and returns what is to be done.
    pub fn advance(&mut self, now: Instant) -> Option<Due> {
        match *self {
            Self::Stopping { until } if now < until => return None,
            Self::Stopping { .. } => *self = Self::killing(),
            Self::Killing { until, .. } if now >= until => {
                *self = Self::GivenUp;
                return Some(Due::GiveUp);
            }
            Self::Killing { again, .. } if now >= again => {}
            Self::Running | Self::Killing { .. } | Self::GivenUp => return None,
        }
        if let Self::Killing { again, .. } = self {
            *again = now + INTERVAL;
        }
        Some(Due::Kill)
    }
}
