//! What is said of a wait while it lasts: what changes, but never more than a line a second.

use std::time::{Duration, Instant};

/// The least time between two lines.
const SHORTEST: Duration = Duration::from_secs(1);

/// The most, so that a long wait is seen to go on.
const LONGEST: Duration = Duration::from_secs(10);

/// Decides when something is said.
pub struct Display {
    started: Instant,
    said: Option<(Instant, String)>,
}

impl Display {
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            said: None,
        }
    }

    /// The text, if it is to be said now.
    pub fn update(&mut self, text: String, now: Instant) -> Option<&str> {
        if let Some((at, said)) = &self.said {
            let least = if *said == text { LONGEST } else { SHORTEST };
            if now < *at + least {
                return None;
            }
        }
        let (_, text) = self.said.insert((now, text));
        Some(text)
    }

    /// When to look at this text again, which was not said now.
    pub fn next(&self, text: &str) -> Option<Instant> {
        let (at, said) = self.said.as_ref()?;
        Some(*at + if said == text { LONGEST } else { SHORTEST })
    }

    /// For how long by now, in words.
    pub fn elapsed(&self, now: Instant) -> String {
        in_words(now.saturating_duration_since(self.started))
    }
}

/// Tenths of a second tell enough.
fn in_words(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1}s", time.as_secs_f64())
    } else {
        humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Display;

    #[test]
    fn a_change_is_said_after_a_second_and_the_same_after_ten() {
        let start = Instant::now();
        let mut display = Display::new(start);
        let mut said = |text: &str, milliseconds| {
            let now = start + Duration::from_millis(milliseconds);
            display.update(text.to_owned(), now).is_some()
        };
        assert!(said("a", 0));
        assert!(!said("b", 999));
        assert!(said("b", 1000));
        assert!(!said("b", 10_999));
        assert!(said("b", 11_000));
        assert!(!said("a", 11_500));
        assert!(said("a", 12_000));
    }
}
