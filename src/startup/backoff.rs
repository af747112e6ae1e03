//! Pauses between attempts, each longer than the last, and never the same for two of us.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Where something is waited for: it may take a minute.
pub const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Where a lock is waited for: somebody is at work, and the server waits for us.
#[cfg(feature = "postgres")]
pub const LOCK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// A row of pauses.
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            next: first,
            longest,
        }
    }

    /// The next pause, half as long or half as long again as its place in the row: replicas that were started
    /// together drift apart.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause / 2 + pause.mul_f64(random_share())
    }
}

/// From 0 to 1, by the random keys that the standard library hashes with.
fn random_share() -> f64 {
    let random = RandomState::new().hash_one(0u8) >> 32;
    f64::from(u32::try_from(random).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, WAIT};

    #[test]
    fn pauses_double_up_to_the_longest_with_half_of_jitter() {
        let mut backoff = Backoff::new(WAIT);
        for base in [100, 200, 400, 800, 1600, 2000, 2000] {
            let pause = backoff.next();
            let base = Duration::from_millis(base);
            assert!(
                pause >= base / 2 && pause <= base * 3 / 2,
                "{pause:?}, {base:?}"
            );
        }
    }

    #[test]
    fn two_of_us_do_not_pause_alike() {
        let pauses = |mut backoff: Backoff| [backoff.next(), backoff.next(), backoff.next()];
        assert_ne!(pauses(Backoff::new(WAIT)), pauses(Backoff::new(WAIT)));
    }
}
