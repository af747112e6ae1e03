//! The types whose values are one word: numbers, booleans, ports, paths, durations; and JSON.

use crate::report::{Code, ValueFinding};

type Checked = Result<(), ValueFinding>;

fn wrong(problem: impl Into<String>, fix: impl Into<String>) -> Checked {
    Err(ValueFinding::new(Code::WrongType, problem, fix))
}

/// A whole number in decimal digits.
pub fn integer(value: &str, min: Option<f64>, max: Option<f64>) -> Checked {
    match value.parse::<i64>() {
        // A plus sign is not what other readers expect; `parse` would take it.
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits are small numbers; beyond 2^53 they are rounded"
        )]
        Ok(number) if !value.starts_with('+') => within(number as f64, min, max, ""),
        _ => wrong(
            "is not a whole number",
            "write it in digits only, such as 42",
        ),
    }
}

/// A decimal number; no infinity, no NaN.
pub fn number(value: &str, min: Option<f64>, max: Option<f64>) -> Checked {
    let is_plain = value
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'e' | b'E' | b'+'));
    match value.parse::<f64>() {
        Ok(number) if is_plain && number.is_finite() => within(number, min, max, ""),
        _ => wrong("is not a number", "write it in digits, such as 0.5"),
    }
}

/// A length of time with its unit, such as `90s` or `1h 30m`.
pub fn duration(value: &str, min: Option<f64>, max: Option<f64>) -> Checked {
    match humantime::parse_duration(value) {
        Ok(duration) => within(duration.as_secs_f64(), min, max, " seconds"),
        Err(_) => wrong(
            "is not a duration",
            "write a number and its unit, such as 30s or 5m",
        ),
    }
}

fn within(number: f64, min: Option<f64>, max: Option<f64>, unit: &str) -> Checked {
    let limits = match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}{unit}"),
        (Some(min), None) => format!("at least {min}{unit}"),
        (None, Some(max)) => format!("at most {max}{unit}"),
        (None, None) => return Ok(()),
    };
    if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
        return wrong("is out of its range", format!("choose a value {limits}"));
    }
    Ok(())
}

/// true false 1 0 yes no on off, in any case.
pub fn boolean(value: &str) -> Checked {
    const WORDS: [&str; 8] = ["true", "false", "1", "0", "yes", "no", "on", "off"];
    if WORDS.iter().any(|word| word.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    wrong("is not a boolean", "write true or false")
}

/// A TCP port from 1 to 65535.
pub fn port(value: &str) -> Checked {
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u16>() {
        Ok(1..) if is_digits => Ok(()),
        _ => wrong("is not a port", "write a number from 1 to 65535"),
    }
}

/// Any JSON text.
pub fn json(value: &str) -> Checked {
    match serde_json::from_str::<serde::de::IgnoredAny>(value) {
        Ok(_) => Ok(()),
        // serde_json's own message can quote the value; line and column cannot.
        Err(error) => wrong(
            format!(
                "is not JSON (line {}, column {})",
                error.line(),
                error.column()
            ),
            "check its quotes, commas and brackets",
        ),
    }
}

/// A path in a file system, existing or not.
pub fn path(value: &str) -> Checked {
    if value.starts_with('~') {
        return wrong(
            "begins with ~, which only a shell expands",
            "write the whole path",
        );
    }
    if value.contains("://") {
        return wrong("is a URL, not a path", "write the path alone");
    }
    if value.contains('\n') {
        return wrong("has a line break in it", "write one path");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Checked, boolean, duration, integer, json, number, path, port};

    fn table(check: impl Fn(&str) -> Checked, right: &[&str], wrong: &[&str]) {
        for value in right {
            assert_eq!(check(value), Ok(()), "{value} is right");
        }
        for value in wrong {
            assert!(check(value).is_err(), "{value} is wrong");
        }
    }

    #[test]
    fn whole_numbers_are_digits_within_their_limits() {
        table(
            |value| integer(value, Some(-1.0), Some(10.0)),
            &["0", "-1", "10", "007"],
            &[
                "",
                "11",
                "-2",
                "+1",
                "1.0",
                "1_000",
                "0x10",
                "1e3",
                "٣",
                "99999999999999999999",
            ],
        );
    }

    #[test]
    fn numbers_are_finite() {
        table(
            |value| number(value, None, None),
            &["1", "-0.5", "1e3", ".5"],
            &["inf", "NaN", "1,5", "1_0", "1e999"],
        );
    }

    #[test]
    fn durations_have_a_unit() {
        table(
            |value| duration(value, Some(1.0), Some(60.0)),
            &["1s", "1m", "1500ms"],
            &["30", "2h", "s", "1 parsec", "-1s"],
        );
    }

    #[test]
    fn booleans_are_eight_words_in_any_case() {
        table(
            boolean,
            &["true", "FALSE", "1", "0", "Yes", "no", "ON", "off"],
            &["t", "y", "2", "enabled", ""],
        );
    }

    #[test]
    fn ports_are_from_1_to_65535() {
        table(
            port,
            &["1", "8000", "65535"],
            &["0", "65536", "-1", "+80", "http", "80.0", ""],
        );
    }

    #[test]
    fn json_is_the_whole_text() {
        table(
            json,
            &["1", "[]", "{\"a\": null}", "\"x\""],
            &["", "{", "[1,]", "{} {}", "None"],
        );
    }

    #[test]
    fn paths_are_not_urls_and_not_for_a_shell() {
        table(
            path,
            &["/var/lib", "relative/file", "file"],
            &["~/x", "file:///x", "/a\n/b"],
        );
    }

    #[test]
    fn a_json_error_says_where_but_never_what() {
        let violation = json("{\"password\": canary}").expect_err("this is no JSON");
        assert!(!violation.problem.contains("canary") && !violation.problem.contains("password"));
    }
}
