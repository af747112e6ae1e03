//! Why something that is waited for is not ready, and when to give up.

use std::time::{Duration, Instant};

use crate::net::{Failure, FailureKind};

/// How long a refusal is tolerated: on a first start the role, the database or the certificate may still be made.
const GRACE: Duration = Duration::from_secs(5);

/// The state after the last attempt.
#[derive(Debug)]
pub enum Obstacle {
    /// No attempt has ended yet.
    Unknown,
    NotYet(String),
    /// Every attempt since this moment was refused.
    Refused(Instant, String),
}

impl Obstacle {
    /// The obstacle after this failure.
    pub fn after(&self, failure: Failure, now: Instant) -> Self {
        match (failure.kind, self) {
            (FailureKind::NotYet, _) => Obstacle::NotYet(failure.reason),
            (FailureKind::Refused, Obstacle::Refused(since, _)) => {
                Obstacle::Refused(*since, failure.reason)
            }
            (FailureKind::Refused, _) => Obstacle::Refused(now, failure.reason),
        }
    }

    /// When to give up, of what may last until `deadline`.
    pub fn end(&self, deadline: Instant) -> Instant {
        match self {
            Obstacle::Refused(since, _) => deadline.min(*since + GRACE),
            Obstacle::Unknown | Obstacle::NotYet(_) => deadline,
        }
    }

    pub fn is_refusal(&self) -> bool {
        matches!(self, Obstacle::Refused(..))
    }

    pub fn reason(&self) -> &str {
        match self {
            Obstacle::Unknown => "no answer yet",
            Obstacle::NotYet(reason) | Obstacle::Refused(_, reason) => reason,
        }
    }
}

/// The moment after this time. A time beyond the clock's range is taken as a day.
pub fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time)
        .unwrap_or(now + Duration::from_hours(24))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{GRACE, Obstacle};
    use crate::net::{Failure, FailureKind};

    #[test]
    fn only_a_refusal_that_lasts_ends_a_wait_early() {
        let start = Instant::now();
        let deadline = start + Duration::from_mins(1);
        let failure = |kind| Failure {
            kind,
            reason: String::new(),
        };
        let (refused, not_yet) = (FailureKind::Refused, FailureKind::NotYet);
        let mut obstacle = Obstacle::Unknown;
        assert_eq!(obstacle.end(deadline), deadline);
        for (second, kind, end) in [
            (1, refused, start + Duration::from_secs(1) + GRACE),
            (4, refused, start + Duration::from_secs(1) + GRACE),
            (5, not_yet, deadline),
            (6, refused, start + Duration::from_secs(6) + GRACE),
            (59, not_yet, deadline),
            (59, refused, deadline),
        ] {
            obstacle = obstacle.after(failure(kind), start + Duration::from_secs(second));
            assert_eq!(obstacle.end(deadline), end, "at second {second}");
        }
    }
}
