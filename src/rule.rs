//! The rules for a single value. Findings contain limits and admitted values, but never the value that was checked.

mod placeholder;
mod url;

use email_address::{EmailAddress, Options};

use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::port;

pub use placeholder::is_placeholder;

type Checked = Result<(), ValueFinding>;

const BOOLEANS: [&str; 8] = ["true", "false", "1", "0", "yes", "no", "on", "off"];

/// The type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    #[default]
    String,
    Integer,
    Number,
    Boolean,
    Port,
    Url,
    Origin,
    Email,
    Json,
    Path,
    Duration,
}

impl Type {
    /// Every type, with its name in the manifest.
    pub const NAMES: [(&str, Type); 11] = [
        ("string", Type::String),
        ("integer", Type::Integer),
        ("number", Type::Number),
        ("boolean", Type::Boolean),
        ("port", Type::Port),
        ("url", Type::Url),
        ("origin", Type::Origin),
        ("email", Type::Email),
        ("json", Type::Json),
        ("path", Type::Path),
        ("duration", Type::Duration),
    ];
}

/// The format of a value that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Items separated by commas.
    Csv,
    /// A JSON array of strings.
    Json,
}

/// The rule for a value. If `list` is set, everything else applies to each item.
#[derive(Debug, Default)]
pub struct Rule {
    pub value_type: Type,
    pub list: Option<List>,
    /// The admitted schemes of a URL or origin, in lower case. If empty, all are admitted.
    pub schemes: Vec<String>,
    /// The admitted values. If empty, all are admitted.
    pub one_of: Vec<String>,
    pub pattern: Option<regex_lite::Regex>,
    /// In characters.
    pub min_length: Option<u32>,
    /// In characters.
    pub max_length: Option<u32>,
    /// A number, or seconds for a duration.
    pub min: Option<f64>,
    /// A number, or seconds for a duration.
    pub max: Option<f64>,
}

impl Rule {
    /// Returns everything that is wrong with a value. White space and quotes around it are separate findings, and the
    /// other findings are about the text inside them.
    pub fn findings(&self, value: &str) -> Vec<ValueFinding> {
        let mut findings: Vec<ValueFinding> = white_space(value).into_iter().collect();
        // A JSON value can be a string in quotes.
        let may_be_quoted = self.value_type == Type::Json && self.list.is_none();
        let mut inner = value.trim();
        if !may_be_quoted && let Some(unquoted) = unquoted(inner) {
            inner = unquoted.trim();
            let problem = "is wrapped in quotes, which are part of the value here";
            let fix = "remove the quotes at both ends";
            findings.push(ValueFinding::new(Code::Quoted, problem, fix));
        }
        match self.list.map(|list| items(inner, list)) {
            None => findings.extend(self.item_findings(inner)),
            Some(Err(finding)) => findings.push(finding),
            Some(Ok(items)) => {
                for (item, number) in items.iter().zip(1..) {
                    findings.extend(self.item_findings(item).map(|finding| ValueFinding {
                        problem: format!("(item {number} of {}) {}", items.len(), finding.problem),
                        ..finding
                    }));
                }
            }
        }
        findings
    }

    fn item_findings(&self, value: &str) -> impl Iterator<Item = ValueFinding> {
        let all = [
            self.check_type(value).err(),
            self.length_finding(value),
            self.choice_finding(value),
            self.pattern_finding(value),
        ];
        all.into_iter().flatten()
    }

    fn length_finding(&self, value: &str) -> Option<ValueFinding> {
        let (min, max) = (self.min_length, self.max_length);
        // Counted only if there is a limit, because a value can be long.
        min.or(max)?;
        let length = value.chars().count();
        let (code, is, limit, bound) = match (min, max) {
            (Some(min), _) if length < min as usize => (Code::TooShort, "shorter", min, "least"),
            (_, Some(max)) if length > max as usize => (Code::TooLong, "longer", max, "most"),
            _ => return None,
        };
        let problem = format!("is {is} than {limit} characters");
        let fix = format!("use at {bound} {limit} characters");
        Some(ValueFinding::new(code, problem, fix))
    }

    fn choice_finding(&self, value: &str) -> Option<ValueFinding> {
        if self.one_of.is_empty() || self.one_of.iter().any(|admitted| admitted == value) {
            return None;
        }
        let admitted = self.one_of.join(", ");
        let mut words = self.one_of.iter();
        let (problem, fix) = if words.any(|word| word.eq_ignore_ascii_case(value)) {
            let problem = "differs only in upper and lower case from: ";
            (problem, "write it exactly like that".to_owned())
        } else if self.one_of.len() == 1 {
            ("must be ", format!("set it to {admitted}"))
        } else {
            ("is not one of ", "choose one of these".to_owned())
        };
        let problem = format!("{problem}{admitted}");
        Some(ValueFinding::new(Code::NotOneOf, problem, fix))
    }

    fn pattern_finding(&self, value: &str) -> Option<ValueFinding> {
        let pattern = self.pattern.as_ref()?;
        if pattern.is_match(value) {
            return None;
        }
        let problem = format!("does not match the pattern {}", pattern.as_str());
        let fix = "check that it is the right value, and complete";
        Some(ValueFinding::new(Code::NoMatch, problem, fix))
    }

    /// Checks one value, without quotes and white space around it, against its type.
    ///
    /// # Errors
    /// The first finding.
    fn check_type(&self, value: &str) -> Checked {
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
                ensure(is_right, "is not an email address", fix)
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
                // `parse` accepts a plus sign, which other programs may not.
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
}

fn ensure(is_right: bool, problem: &str, fix: &str) -> Checked {
    is_right
        .then_some(())
        .ok_or_else(|| wrong_type(problem, fix))
}

fn json(value: &str) -> Checked {
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(value) else {
        return Ok(());
    };
    // The message of serde_json can contain parts of the value, so only line and column are used.
    let (line, column) = (error.line(), error.column());
    let problem = format!("is not JSON (line {line}, column {column})");
    Err(wrong_type(problem, "check its quotes, commas and brackets"))
}

/// Checks a path in a file system, which need not exist.
fn path(value: &str) -> Checked {
    let problem = "begins with ~, which only a shell expands";
    ensure(!value.starts_with('~'), problem, "write the whole path")?;
    let problem = "is a URL, not a path";
    ensure(!value.contains("://"), problem, "write the path alone")?;
    let problem = "contains a line break";
    ensure(!value.contains('\n'), problem, "write one path")
}

/// The value without surrounding white space and one pair of surrounding quotes, as some readers of `.env` files leave
/// them in place.
pub fn strip_wrapping(value: &str) -> &str {
    let trimmed = value.trim();
    unquoted(trimmed).unwrap_or(trimmed).trim()
}

fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\''))
}

/// Checks for white space that programs do not expect in a value.
fn white_space(value: &str) -> Option<ValueFinding> {
    let (problem, fix) = if value.ends_with(['\n', '\r']) {
        ("ends with a line break", "remove the line break at its end")
    } else if value.ends_with(char::is_whitespace) {
        ("ends with white space", "remove the white space at its end")
    } else if value.starts_with(char::is_whitespace) {
        let fix = "remove the white space at its beginning";
        ("begins with white space", fix)
    } else if value.contains('\r') {
        let fix = "save its source with Unix line breaks, and set it again";
        ("contains carriage returns (\\r)", fix)
    } else if value.contains("-----BEGIN ") && value.contains("\\n") {
        let problem = "is a PEM text whose line breaks are the two characters \\n";
        (problem, "set it with real line breaks, or as a file")
    } else {
        return None;
    };
    Some(ValueFinding::new(Code::WhiteSpace, problem, fix))
}

/// Splits a list into its items.
fn items(value: &str, list: List) -> Result<Vec<String>, ValueFinding> {
    if list == List::Json {
        return serde_json::from_str(value).map_err(|_| {
            let fix = "write it as [\"a\", \"b\"]";
            wrong_type("is not a JSON list of strings", fix)
        });
    }
    if value.starts_with('[') {
        let fix = "separate the items with commas: a,b";
        return Err(wrong_type("is written as a JSON list", fix));
    }
    let items = value.split(',').map(|item| item.trim().to_owned());
    let items: Vec<String> = items.collect();
    if items.iter().any(String::is_empty) {
        let fix = "remove the superfluous comma";
        return Err(wrong_type("has an empty item in its list", fix));
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
