//! What a value of each type must look like.

use email_address::{EmailAddress, Options};

use super::{Rule, Type};
use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::{Url, host_and_port, is_percent_encoded, port};

type Checked = Result<(), ValueFinding>;

const BOOLEANS: [&str; 8] = ["true", "false", "1", "0", "yes", "no", "on", "off"];

fn ensure(is_right: bool, problem: &str, fix: &str) -> Checked {
    is_right
        .then_some(())
        .ok_or_else(|| wrong_type(problem, fix))
}

impl Rule {
    /// Checks the form of one value, without anything wrapped around it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn check_type(&self, value: &str) -> Checked {
        match self.value_type {
            Type::String => Ok(()),
            Type::Integer | Type::Number | Type::Duration => self.check_number(value),
            Type::Boolean => {
                let is_right = BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(value));
                ensure(is_right, "is not a boolean", "write true or false")
            }
            Type::Port => {
                let fix = "write a number from 1 to 65535";
                ensure(port(value).is_some(), "is not a port", fix)
            }
            Type::Email => {
                let options = Options::default().with_minimum_sub_domains(2);
                let is_right = EmailAddress::parse_with_options(value, options).is_ok();
                let fix = "write noreply@example.com or Name <noreply@example.com>";
                ensure(is_right, "is not a mailbox", fix)
            }
            Type::Json => json(value),
            Type::Path => path(value),
            Type::Url => self.check_url(value),
            Type::Origin => self.check_origin(value),
        }
    }

    fn check_number(&self, value: &str) -> Checked {
        let mut unit = "";
        let mut number = value.parse().ok().filter(|number: &f64| number.is_finite());
        let (problem, fix) = match self.value_type {
            Type::Integer => {
                // `parse` takes a plus sign, which other programs may not expect.
                number = number.filter(|_| value.parse::<i64>().is_ok() && !value.starts_with('+'));
                let fix = "write it in digits only, such as 42";
                ("is not a whole number", fix)
            }
            Type::Duration => {
                unit = " seconds";
                let duration = humantime::parse_duration(value);
                number = duration.ok().map(|duration| duration.as_secs_f64());
                let fix = "write a number and its unit, such as 30s or 5m";
                ("is not a duration", fix)
            }
            _ => ("is not a number", "write it in digits, such as 0.5"),
        };
        let number = number.ok_or_else(|| wrong_type(problem, fix))?;
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

    /// A URL with a host and, where the manifest names schemes, one of those.
    fn check_url(&self, value: &str) -> Checked {
        let example = self.schemes.first().map_or("https", String::as_str);
        let shape = format!("write it as {example}://host…");
        let url = Url::cut(value).ok_or_else(|| wrong_type("is not a URL", shape.as_str()))?;
        // An unescaped character shifts all later delimiters, so it is looked for first.
        if url.has_cut_credentials() || has_raw_character(&url) {
            return Err(ValueFinding::unescaped_credentials());
        }
        let is_space = |other: char| other.is_whitespace() || other.is_control();
        let fix = "remove it, or percent-encode it as %20";
        ensure(!value.contains(is_space), "contains white space", fix)?;
        ensure(!url.lacks_host(), "has no host", &shape)?;
        if !url.authority.is_empty() && url.hosts().is_none() {
            return Err(ValueFinding::invalid_host());
        }
        self.check_scheme(&url)
    }

    /// An origin: scheme, host and port, as a browser sends it.
    fn check_origin(&self, value: &str) -> Checked {
        let shape =
            "write scheme://host[:port] and nothing after it, such as https://app.example.com";
        let url = Url::cut(value).ok_or_else(|| wrong_type("is not an origin", shape))?;
        let problem = "ends with a slash, which no browser sends";
        ensure(url.rest != "/", problem, "remove the slash at its end")?;
        let problem = "has a path after its host, which no browser sends";
        ensure(url.rest.is_empty(), problem, shape)?;
        let is_host = url.user.is_none() && host_and_port(url.authority).is_some();
        ensure(is_host, "is not an origin", shape)?;
        self.check_scheme(&url)
    }

    fn check_scheme(&self, url: &Url<'_>) -> Checked {
        let scheme = url.scheme.to_ascii_lowercase();
        // In development there is no certificate for localhost.
        let is_admitted = |admitted: &String| {
            *admitted == scheme || admitted == "https" && scheme == "http" && url.is_local()
        };
        if self.schemes.is_empty() || self.schemes.iter().any(is_admitted) {
            return Ok(());
        }
        let admitted = format!("{}://", self.schemes.join(":// or "));
        let problem = format!("does not begin with {admitted}");
        let fix = format!("write it with {admitted}");
        Err(ValueFinding::new(Code::WrongScheme, problem, fix))
    }
}

fn json(value: &str) -> Checked {
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(value) else {
        return Ok(());
    };
    // serde_json's own message can quote the value; line and column cannot.
    let (line, column) = (error.line(), error.column());
    let problem = format!("is not JSON (line {line}, column {column})");
    Err(wrong_type(problem, "check its quotes, commas and brackets"))
}

/// A path in a file system, existing or not.
fn path(value: &str) -> Checked {
    let problem = "begins with ~, which only a shell expands";
    ensure(!value.starts_with('~'), problem, "write the whole path")?;
    let problem = "is a URL, not a path";
    ensure(!value.contains("://"), problem, "write the path alone")?;
    let problem = "contains a line break";
    ensure(!value.contains('\n'), problem, "write one path")
}

/// Whether the user or the password contains a character that must be percent-encoded.
fn has_raw_character(url: &Url<'_>) -> bool {
    let is_raw = |other: char| other.is_whitespace() || "@\"<>\\^`{|}".contains(other);
    let mut parts = [url.user, url.password].into_iter().flatten();
    parts.any(|text| text.contains(is_raw) || !is_percent_encoded(text))
}
