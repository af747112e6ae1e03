//! Values that are numbers to the programs that read them: numbers, ports, booleans and durations.

use crate::report::wrong_type;
use crate::url::port;

use super::{Checked, Rule, Type, ensure, warn_unless};

/// The words for true and false, in any case.
const BOOLEANS: [(f64, &str); 2] = [
    (1.0, "true 1 yes on t y enabled enable ok"),
    (0.0, "false 0 no off f n disabled disable"),
];

/// The words that only a few programs read.
const RARE_BOOLEANS: &str = "enabled enable ok disabled disable";

impl Rule {
    /// Whether two values mean the same to a program that reads them as this type: `1` and `true` are the same boolean.
    pub fn are_same(&self, one: &str, other: &str) -> bool {
        let meaning = self.meaning(one.trim());
        one == other || meaning.is_some() && meaning == self.meaning(other.trim())
    }

    /// The number for a value in any form that some program reads.
    fn meaning(&self, value: &str) -> Option<f64> {
        match self.value_type {
            Type::Boolean => {
                let known = BOOLEANS.iter().find(|(_, words)| has_word(words, value));
                known.map(|(number, _)| *number)
            }
            Type::Integer => number(value).filter(|number| number.fract() == 0.0),
            Type::Port => number(value).filter(|number| (0.0..65536.0).contains(number)),
            Type::Number => number(value),
            Type::Duration => seconds(value),
            _ => None,
        }
    }

    /// Checks a value that is a number. A form that only some programs read is a warning.
    pub(super) fn check_number(&self, value: &str) -> Checked {
        let (name, fix) = match self.value_type {
            Type::Boolean => ("boolean", "write true or false"),
            Type::Port => ("port", "write a number from 1 to 65535"),
            Type::Integer => ("whole number", "write it in digits only, such as 42"),
            Type::Number => ("number", "write it in digits, such as 0.5"),
            _ => ("duration", "write a number and its unit, such as 30s or 5m"),
        };
        let Some(number) = self.meaning(value) else {
            return Err(wrong_type(format!("is not a {name}"), fix));
        };
        let unit = if name == "duration" { " seconds" } else { "" };
        let limits = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}{unit}"),
            (Some(min), None) => format!("at least {min}{unit}"),
            (_, max) => format!("at most {}{unit}", max.unwrap_or_default()),
        };
        let is_outside = self.min.is_some_and(|min| number < min);
        let is_outside = is_outside || self.max.is_some_and(|max| number > max);
        let choice = format!("choose a value {limits}");
        ensure(!is_outside, "is out of its range", &choice)?;
        let is_usual = match self.value_type {
            Type::Boolean => !has_word(RARE_BOOLEANS, value),
            Type::Integer => value.parse::<i64>().is_ok(),
            Type::Port => port(value).is_some(),
            Type::Duration => value == "0" || value.parse::<f64>().is_err(),
            _ => value.parse().is_ok_and(f64::is_finite),
        };
        let problem = format!("is a {name} only for some programs");
        warn_unless(is_usual, &problem, fix)
    }
}

fn has_word(words: &str, word: &str) -> bool {
    let mut words = words.split(' ');
    words.any(|known| known.eq_ignore_ascii_case(word))
}

/// A number as any language reads it: also with underscores, in hexadecimal, or infinite.
fn number(value: &str) -> Option<f64> {
    let plain = value.replace('_', "").to_lowercase();
    let mut prefixes = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    let based = prefixes
        .find_map(|(prefix, base)| u32::from_str_radix(plain.strip_prefix(prefix)?, base).ok());
    based.map(f64::from).or_else(|| plain.parse().ok())
}

/// The seconds of a duration: a number with a unit (`90s`, `1h30m`, `1.5 hours`), ISO 8601 (`PT1H30M`), a clock
/// (`01:30:00`, `1 day, 0:00:05`), or a number alone.
fn seconds(value: &str) -> Option<f64> {
    if let Ok(number) = value.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    let text = value.strip_prefix('-').unwrap_or(value);
    let sign = if value.starts_with('-') { -1.0 } else { 1.0 };
    let (units, clock) = match text.rsplit_once(' ') {
        _ if !text.contains(':') => (Some(text), "0"),
        Some((units, clock)) => (Some(units), clock),
        None => (None, text),
    };
    let mut parts = clock.split(':').map(|part| part.parse::<f64>().ok());
    let clock = parts.try_fold(0.0, |sum, part| Some(sum * 60.0 + part?))?;
    let units = units.unwrap_or("0");
    let iso = units.strip_prefix('P').map(|iso| {
        let (date, time) = iso.split_once('T').unwrap_or((iso, ""));
        [&date.replace('M', "months"), time].concat().to_lowercase()
    });
    // Django writes the days alone: `1 01:30:00`.
    let days = units.parse::<u32>().ok().map(|days| format!("{days}d"));
    let units = iso.as_deref().or(days.as_deref()).unwrap_or(units);
    let units = units.trim_end_matches(',');
    let duration = humantime::parse_duration(units);
    let duration = duration.or_else(|_| humantime::parse_duration(&units.to_lowercase()));
    Some(sign * (duration.ok()?.as_secs_f64() + clock))
}
