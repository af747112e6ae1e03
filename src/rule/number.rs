//! Numbers, durations and booleans in the forms in which programs read them.

use crate::report::wrong_type;
use crate::url::port;

use super::{Checked, Rule, Type, ensure};

/// The words for true and for false that most programs read, in any case.
const BOOLEANS: [(f64, &str); 2] = [(1.0, "true 1 yes on t y"), (0.0, "false 0 no off f n")];

/// Words that only a few programs read as a boolean.
const RARE_BOOLEANS: &str = "enabled disabled enable disable ok";

/// The units of a duration, in seconds.
const UNITS: [(f64, &str); 10] = [
    (1e-9, "ns nsec nanos"),
    (1e-6, "us µs μs usec micros"),
    (1e-3, "ms msec millis"),
    (1.0, "s sec secs second seconds"),
    (60.0, "m min mins minute minutes"),
    (3600.0, "h hr hrs hour hours"),
    (86_400.0, "d day days"),
    (604_800.0, "w week weeks"),
    (2_630_016.0, "M month months"),
    (31_557_600.0, "y year years"),
];

impl Rule {
    /// Whether two values mean the same to a program that reads them as this type: `1` and `true` are the same boolean.
    pub fn are_same(&self, one: &str, other: &str) -> bool {
        let meaning = |value: &str| match self.value_type {
            Type::Boolean => boolean(value.trim()),
            Type::Integer | Type::Number | Type::Port => number(value.trim()),
            Type::Duration => seconds(value.trim()),
            _ => None,
        };
        let one_means = meaning(one);
        one == other || one_means.is_some() && one_means == meaning(other)
    }

    /// Checks a number, a port or a duration. A form that only some languages read is a warning.
    pub(super) fn check_number(&self, value: &str) -> Checked {
        let is_finite = value.parse().is_ok_and(f64::is_finite);
        let (number, is_usual, problem, fix) = match self.value_type {
            Type::Integer => (
                number(value).filter(|number| number.fract() == 0.0),
                value.parse::<i64>().is_ok(),
                "a whole number",
                "write it in digits only, such as 42",
            ),
            Type::Port => (
                number(value).filter(|number| (0.0..65536.0).contains(number)),
                port(value).is_some(),
                "a port",
                "write a number from 1 to 65535",
            ),
            Type::Duration => (
                seconds(value),
                !is_finite || value == "0",
                "a duration",
                "write a number and its unit, such as 30s or 5m",
            ),
            _ => (
                number(value),
                is_finite,
                "a number",
                "write it in digits, such as 0.5",
            ),
        };
        let Some(number) = number else {
            return Err(wrong_type(format!("is not {problem}"), fix));
        };
        self.check_range(number)?;
        let problem = format!("is {problem} only for some programs");
        ensure(is_usual, &problem, fix).map_err(crate::report::ValueFinding::into_warning)
    }

    fn check_range(&self, number: f64) -> Checked {
        let unit = match self.value_type {
            Type::Duration => " seconds",
            _ => "",
        };
        let limits = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("from {min} to {max}{unit}"),
            (Some(min), None) => format!("at least {min}{unit}"),
            (None, Some(max)) => format!("at most {max}{unit}"),
            (None, None) => return Ok(()),
        };
        let is_right =
            self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max);
        let fix = format!("choose a value {limits}");
        ensure(is_right, "is out of its range", &fix)
    }
}

/// Checks a boolean.
pub fn check_boolean(value: &str) -> Checked {
    let fix = "write true or false";
    ensure(
        boolean(value).is_some() || has_word(RARE_BOOLEANS, &value.to_lowercase()),
        "is not a boolean",
        fix,
    )?;
    let problem = "is a boolean only for some programs";
    ensure(boolean(value).is_some(), problem, fix)
        .map_err(crate::report::ValueFinding::into_warning)
}

fn has_word(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// The number for a word in a table.
fn find(table: &[(f64, &str)], word: &str) -> Option<f64> {
    let found = table.iter().find(|(_, words)| has_word(words, word));
    found.map(|(number, _)| *number)
}

fn boolean(value: &str) -> Option<f64> {
    find(&BOOLEANS, &value.to_lowercase())
}

/// A number as any language reads it: also with underscores, in hexadecimal, or infinite.
fn number(value: &str) -> Option<f64> {
    let plain = value.replace('_', "").to_lowercase();
    let mut prefixes = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    let based = prefixes.find_map(|(prefix, base)| {
        let digits = plain.strip_prefix(prefix)?;
        u32::from_str_radix(digits, base).ok().map(f64::from)
    });
    based.or_else(|| plain.parse().ok())
}

/// The seconds of a duration: a number with a unit (`90s`, `1h30m`, `1.5 hours`), ISO 8601 (`PT1H30M`), a clock
/// (`01:30:00`, `1 day, 0:00:05`), or a number alone.
fn seconds(value: &str) -> Option<f64> {
    if let Ok(number) = value.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    let unsigned = value.trim_start_matches(['-', '+']);
    let sign = if value.starts_with('-') { -1.0 } else { 1.0 };
    let iso = unsigned.strip_prefix('P').map(|iso| {
        let (date, time) = iso.split_once('T').unwrap_or((iso, ""));
        format!("{} {}", date.replace('M', "month"), time.to_lowercase())
    });
    let mut rest = iso.as_deref().unwrap_or(unsigned).trim();
    let mut total = 0.0;
    loop {
        if rest.contains(':') && !rest.contains(char::is_alphabetic) {
            let mut parts = rest.split(':').map(|part| part.parse::<f64>().ok());
            return Some(
                sign * (total + parts.try_fold(0.0, |sum, part| Some(sum * 60.0 + part?))?),
            );
        }
        let is_digit = |other: char| other.is_ascii_digit() || other == '.';
        let (number, after) = rest.split_at(rest.find(|other| !is_digit(other))?);
        let after = after.trim_start();
        let end = after.find(|other: char| !other.is_alphabetic());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = find(&UNITS, unit).or_else(|| find(&UNITS, &unit.to_lowercase()))?;
        total += number.parse::<f64>().ok()? * unit;
        rest = after.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Some(sign * total);
        }
    }
}
