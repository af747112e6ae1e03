//! The pauses between the attempts of a wait. They become longer while the server has no room, so that hundreds of
//! waiting replicas leave connections to the one that migrates.
//!
//! The benchmark simulates thousands of replicas with this file, so it uses only the standard library.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The shortest and the longest pause after an attempt that the server has refused.
const WITHOUT_ROOM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// An attempt is slow if it takes longer than the fastest one by more than this part of the pause before it.
const SLOW: u32 = 32;

/// How often attempts are made.
#[derive(Clone, Copy)]
pub struct Pauses {
    /// The first and the longest pause, while the server has room.
    pub range: (Duration, Duration),
    /// The time after which the longest pause becomes another one.
    pub later: Option<(Duration, Duration)>,
    /// Whether slow attempts lengthen the pauses, because they may show that the server is crowded.
    pub yields: bool,
}

/// Computes the pauses between attempts.
pub struct Backoff {
    shortest: Duration,
    /// The longest pause while the server has room.
    longest: Duration,
    /// The last pause, before it was jittered.
    last: Option<Duration>,
    /// The time of the fastest attempt. A distant server is not a crowded one.
    fastest: Duration,
}

impl Backoff {
    /// The first pause is about `shortest`. The pauses double up to `longest`.
    pub fn new((shortest, longest): (Duration, Duration)) -> Self {
        Self {
            shortest,
            longest,
            last: None,
            fastest: Duration::MAX,
        }
    }

    /// Makes another pause the longest one.
    pub fn extend_to(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// The pause after an attempt that took the time `took`. `is_refused` says that the server had no free connection.
    /// After such an attempt, and after a slow one, the pause is twice as long as the last one, up to 10 seconds. The
    /// pauses become shorter again by an eighth at a time, so that the replicas do not crowd the server again.
    pub fn pause_after(&mut self, took: Duration, is_refused: bool) -> Duration {
        let (least, most) = WITHOUT_ROOM;
        if !is_refused {
            self.fastest = self.fastest.min(took);
        }
        let excess = took.saturating_sub(self.fastest);
        let pause = match self.last {
            _ if is_refused => (self.last.unwrap_or_default() * 2).clamp(least, most),
            None => self.shortest,
            Some(last) if excess > last / SLOW => (last * 2).min(most),
            Some(last) if last > self.longest => (last * 7 / 8).max(self.longest),
            Some(last) => (last * 2).min(self.longest),
        };
        self.last = Some(pause);
        jittered(pause)
    }
}

/// Shortens a pause randomly by up to a half, so that replicas that were started together drift apart.
fn jittered(pause: Duration) -> Duration {
    // The standard library seeds its hashers randomly.
    let random = RandomState::new().hash_one(0u8) >> 32;
    let share = f64::from(u32::try_from(random).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, jittered};

    const MS: Duration = Duration::from_millis(1);

    fn backoff() -> Backoff {
        Backoff::new((100 * MS, 500 * MS))
    }

    /// Asserts that a pause is the expected one, shortened by at most a half.
    #[track_caller]
    fn assert_about(pause: Duration, expected: Duration) {
        assert!(
            pause >= expected / 2 && pause <= expected,
            "{pause:?}, {expected:?}"
        );
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = backoff();
        for expected in [100, 200, 400, 500, 500] {
            assert_about(backoff.pause_after(MS, false), expected * MS);
        }
    }

    #[test]
    fn pauses_grow_to_ten_seconds_while_the_server_has_no_room_and_shrink_again() {
        let refused = [1000, 2000, 4000, 8000, 10_000, 10_000];
        let slow = [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000];
        for (took, is_refused, pauses) in [(MS, true, &refused[..]), (10_000 * MS, false, &slow)] {
            let mut backoff = backoff();
            backoff.fastest = 50 * MS;
            for &expected in pauses {
                assert_about(backoff.pause_after(took, is_refused), expected * MS);
            }
            for expected in [8750, 7656, 6699] {
                assert_about(backoff.pause_after(MS, false), expected * MS);
            }
            let shrunk = (0..20).map(|_| backoff.pause_after(MS, false)).last();
            assert_about(shrunk.expect("there are twenty"), 500 * MS);
        }
    }

    #[test]
    fn a_distant_server_is_not_taken_for_a_crowded_one() {
        let mut backoff = backoff();
        for expected in [100, 200, 400, 500, 500, 500] {
            assert_about(backoff.pause_after(300 * MS, false), expected * MS);
        }
    }

    #[test]
    fn pauses_of_two_replicas_differ() {
        let pauses = || [(); 3].map(|()| jittered(Duration::from_secs(1)));
        assert_ne!(pauses(), pauses());
    }
}
