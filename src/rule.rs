//! The rules for a single value. Findings contain limits and admitted values, but never the value that was checked.

mod drivers;
mod host;
mod number;
mod pem;
mod placeholder;
mod url;

use email_address::{EmailAddress, Options};
use serde_json::Value;

use crate::report::{Code, ValueFinding, wrong_type};
use crate::url::host_and_port;

pub use placeholder::{Placeholder, is_runner, placeholder};

/// What separates the items of a list where something else is expected.
const SEPARATORS: [(char, &str); 5] = [
    (',', "commas"),
    (';', "semicolons"),
    (' ', "spaces"),
    ('|', "vertical bars"),
    ('\n', "line breaks"),
];

/// Characters that word processors and web pages put in place of others or between them. Headers of HTTP cannot have them.
const TYPOGRAPHIC: &str =
    "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{2013}\u{2014}\u{2018}\u{2019}\u{201c}\u{201d}";

type Checked = Result<(), ValueFinding>;

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
    Host,
    Pem,
}

impl Type {
    /// Every type, with its name in the manifest.
    pub const NAMES: [(&str, Type); 13] = [
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
        ("host", Type::Host),
        ("pem", Type::Pem),
    ];
}

/// The format of a value that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Items separated by commas.
    Csv,
    /// A JSON array.
    Json,
    /// Items separated by white space.
    Space,
}

impl List {
    /// What separates the items, and a list as an example. Empty for JSON.
    fn separator(self) -> (&'static str, &'static str) {
        match self {
            List::Csv => ("commas", "a,b"),
            List::Json => ("", ""),
            List::Space => ("spaces", "a b"),
        }
    }
}

/// The rule for a value. If `list` is set, everything else applies to each item.
#[derive(Debug, Default)]
pub struct Rule {
    pub value_type: Type,
    /// Whether the value must be the same as elsewhere, to the character.
    pub is_secret: bool,
    /// Whether the line breaks of a PEM text may be the two characters `\n`, because the program replaces them.
    pub is_escaped: bool,
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
        let trimmed = value.trim();
        let mut found = self.findings_inside(trimmed);
        let is_wrong = found.iter().any(is_certain);
        let mut findings = Vec::from_iter(self.white_space(value));
        // A JSON value can be a string in quotes.
        let may_be_quoted = self.value_type == Type::Json && !is_wrong;
        if !may_be_quoted && let Some(inside) = unquoted(trimmed) {
            let problem = "is wrapped in quotes, which are part of the value here";
            let fix = "remove the quotes at both ends";
            let mut finding = ValueFinding::new(Code::Quoted, problem, fix);
            finding.is_certain = is_wrong || self.is_secret;
            findings.push(finding);
            found = self.findings_inside(inside.trim());
        } else if is_wrong && let Some(before) = before_comment(trimmed) {
            let before = strip_wrapping(before);
            if before.is_empty() || self.findings_inside(before).is_empty() {
                for finding in &mut found {
                    let comment = "remove the `#` and what follows it, which is probably the comment of an env file";
                    comment.clone_into(&mut finding.fix);
                }
            }
        }
        findings.extend(found);
        findings
    }

    /// Whether an empty text is no value of this form.
    pub fn refuses_empty(&self) -> bool {
        let is_text = self.value_type == Type::String && self.list.is_none();
        !is_text || self.pattern.is_some() || !self.findings_inside("").is_empty()
    }

    /// Everything that is wrong with the text inside white space and quotes.
    fn findings_inside(&self, value: &str) -> Vec<ValueFinding> {
        let (items, finding) = match self.list {
            None => return self.item_findings(value).collect(),
            Some(List::Json) => json_items(value, self.value_type),
            Some(list) => split_items(value, list),
        };
        let mut findings = Vec::from_iter(finding);
        for (item, number) in items.iter().zip(1..) {
            findings.extend(self.item_findings(item).map(|finding| ValueFinding {
                problem: format!("(item {number} of {}) {}", items.len(), finding.problem),
                ..finding
            }));
        }
        let (expected, sample) = self.list.unwrap_or(List::Json).separator();
        let is_separated = |(separator, name): &(char, &str)| {
            let parts = value.split(*separator).map(str::trim);
            let mut parts = parts.filter(|part| !part.is_empty());
            *name != expected
                && value.contains(*separator)
                && parts.all(|part| self.item_findings(part).next().is_none())
        };
        let is_wrong = !expected.is_empty() && findings.iter().any(is_certain);
        let mut separators = SEPARATORS.into_iter().filter(|_| is_wrong);
        if let Some((_, separator)) = separators.find(is_separated) {
            let problem = format!("is a list that is separated by {separator}, not by {expected}");
            let fix = format!("separate the items with {expected}: {sample}");
            return vec![wrong_type(problem, fix)];
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
        let length = value.chars().count();
        let (code, is, limit, bound) = match (self.min_length, self.max_length) {
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
        let mut words = self.one_of.iter();
        let (is, fix) = match self.one_of.len() {
            _ if words.any(|word| word.eq_ignore_ascii_case(value)) => (
                "differs only in upper and lower case from:",
                "write it exactly like that",
            ),
            1 => ("must be", "set it to this value"),
            _ => ("is not one of", "choose one of these"),
        };
        let problem = format!("{is} {}", self.one_of.join(", "));
        Some(ValueFinding::new(Code::NotOneOf, problem, fix))
    }

    fn pattern_finding(&self, value: &str) -> Option<ValueFinding> {
        let pattern = self.pattern.as_ref();
        let pattern = pattern.filter(|pattern| !pattern.is_match(value))?;
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
            Type::String if value.starts_with(pem::BEGIN) => {
                pem::check_pem(value, false).map_err(ValueFinding::into_warning)
            }
            Type::String => Ok(()),
            Type::Email => email(value),
            Type::Pem => pem::check_pem(value, self.is_escaped),
            Type::Json => json(value),
            Type::Path => path(value),
            Type::Host => host::check_host(value, self.list.is_some()),
            Type::Url => self.check_url(value),
            Type::Origin => self.check_origin(value),
            _ => self.check_number(value),
        }
    }

    /// Checks for white space that programs do not expect in a value.
    fn white_space(&self, value: &str) -> Option<ValueFinding> {
        let inside = value.trim();
        let is_typographic = |other: char| TYPOGRAPHIC.contains(other);
        // White space around these texts is usual, and carriage returns in them.
        let is_text = inside.contains(pem::BEGIN)
            || inside.starts_with(['{', '[']) && json(inside).is_ok()
            || matches!(self.value_type, Type::Json | Type::Pem);
        let is_ended = value.ends_with(['\n', '\r']);
        let (problem, fix) = if is_text || is_ended && inside.contains('\n') {
            return None;
        } else if is_ended {
            ("ends with a line break", "remove the line break at its end")
        } else if value.ends_with(char::is_whitespace) {
            ("ends with white space", "remove the white space at its end")
        } else if value.starts_with(char::is_whitespace) {
            ("begins with white space", "remove it at the beginning")
        } else if value.contains('\r') {
            let fix = "save its source with Unix line breaks, and set it again";
            ("contains carriage returns (\\r)", fix)
        } else if self.is_secret && value.contains(is_typographic) {
            let fix = "copy it again, as plain text";
            let problem = "contains typographic quotes or dashes, or invisible characters";
            return Some(ValueFinding::new(Code::WhiteSpace, problem, fix).into_warning());
        } else {
            return None;
        };
        // Many languages skip white space around a number.
        let is_skipped = matches!(
            self.value_type,
            Type::Integer | Type::Number | Type::Port | Type::Duration | Type::Path
        );
        let breaks_rule = || self.findings_inside(value).iter().any(is_certain);
        let mut finding = ValueFinding::new(Code::WhiteSpace, problem, fix);
        finding.is_certain = !is_skipped && (self.is_secret || breaks_rule());
        Some(finding)
    }
}

fn is_certain(finding: &ValueFinding) -> bool {
    finding.is_certain
}

fn ensure(is_right: bool, problem: &str, fix: &str) -> Checked {
    let found = (!is_right).then(|| wrong_type(problem, fix));
    found.map_or(Ok(()), Err)
}

fn warn_unless(is_right: bool, problem: &str, fix: &str) -> Checked {
    ensure(is_right, problem, fix).map_err(ValueFinding::into_warning)
}

fn json(value: &str) -> Checked {
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(value) else {
        let text: String = serde_json::from_str(value).unwrap_or_default();
        let is_twice = text.starts_with(['{', '[']) && json(&text).is_ok();
        let problem = "is JSON inside a JSON text, which only some programs decode twice";
        let fix = "remove the quotes around it, and the backslashes inside";
        return warn_unless(!is_twice, problem, fix);
    };
    // The message of serde_json can contain parts of the value, so only line and column are used.
    let (line, column) = (error.line(), error.column());
    let lost = lost_quotes(value);
    let problem = format!("is not JSON (line {line}, column {column}){lost}");
    Err(wrong_type(problem, "check its quotes, commas and brackets"))
}

/// The likely reason why a text with brackets is not JSON.
fn lost_quotes(value: &str) -> &'static str {
    let is_bracketed = value.starts_with(['[', '{']) && value.ends_with([']', '}']);
    let is_escaped = value.contains("\\\"");
    if !is_bracketed || value.contains('"') && !is_escaped {
        ""
    } else if is_escaped {
        ": the backslashes before the quotes are part of the value here"
    } else if value.contains('\'') {
        ": it needs double quotes"
    } else if !value.contains(|other: char| other.is_alphabetic() || other == '*') {
        ""
    } else {
        ": the quotes inside are missing, which a shell removes"
    }
}

/// Checks a mailbox, with or without a name. An address that only some mail servers take is a warning.
fn email(value: &str) -> Checked {
    let options = Options::default().with_minimum_sub_domains(2);
    let is_usual = |text| EmailAddress::parse_with_options(text, options).is_ok();
    let address = match value.rsplit_once('<') {
        Some((_, address)) => address.strip_suffix('>').unwrap_or_default(),
        None => value,
    };
    if is_usual(value) || value.starts_with('<') && is_usual(address) {
        return Ok(());
    }
    let mut several = value.split([',', ';']).map(str::trim);
    let are_several = value.contains([',', ';']) && several.all(|one| email(one).is_ok());
    let is_outside = |other: char| other.is_whitespace() || "<>,;:\"".contains(other);
    let (local, domain) = address.rsplit_once('@').unwrap_or_default();
    let is_address = !local.is_empty() && !domain.is_empty() && !address.contains(is_outside);
    let fix = "write noreply@example.com or Name <noreply@example.com>";
    ensure(is_address || are_several, "is not an email address", fix)?;
    let fix = "write one usual address, or declare `list: csv` for several";
    warn_unless(false, "is an email address only for some programs", fix)
}

/// Checks a path in a file system, which need not exist. Programs can expand `~` and open URLs themselves.
fn path(value: &str) -> Checked {
    let is_home = value == "~" || value.starts_with("~/");
    let is_plain = !is_home && !value.contains("://") && !value.contains('\n');
    let fix = "write one whole path, without ~ and without a scheme";
    warn_unless(is_plain, "is a path only for some programs", fix)
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

/// The text before a `#` with white space in front of it, with which a comment begins.
fn before_comment(value: &str) -> Option<&str> {
    let mut places = value.match_indices('#').map(|(place, _)| &value[..place]);
    let is_end = |before: &&str| before.is_empty() || before.ends_with(char::is_whitespace);
    places.find(is_end).map(str::trim_end)
}

/// The items of a JSON list, and what is wrong with the list itself.
fn json_items(value: &str, item_type: Type) -> (Vec<String>, Option<ValueFinding>) {
    let Ok(items) = serde_json::from_str::<Vec<Value>>(value) else {
        let problem = format!("is not a JSON list{}", lost_quotes(value));
        let fix = "write it as [\"a\", \"b\"], in single quotes if a shell reads it";
        return (Vec::new(), Some(wrong_type(problem, fix)));
    };
    let is_right = item_type != Type::String || items.iter().all(Value::is_string);
    let fix = "write each item in quotes: [\"a\", \"b\"]";
    let finding = warn_unless(is_right, "has an item that is not a text", fix).err();
    let text = |item: Value| match item {
        Value::String(text) if item_type != Type::Json => text,
        other => other.to_string(),
    };
    (items.into_iter().map(text).collect(), finding)
}

/// The items of a list that is separated by commas or white space, and what is wrong with the list itself.
fn split_items(value: &str, list: List) -> (Vec<String>, Option<ValueFinding>) {
    let is_space = list == List::Space;
    let split = |other: char| other == ',' && !is_space || other.is_whitespace() && is_space;
    let first = value.split(split).next().unwrap_or_default();
    // An IPv6 address is in brackets, too.
    if value.starts_with('[') && host_and_port(first).is_none() {
        let (separator, sample) = list.separator();
        let fix = format!("separate the items with {separator}: {sample}");
        let finding = wrong_type("is written as a JSON list", fix);
        return (Vec::new(), Some(finding));
    }
    let items = value.split(split).map(|item| item.trim().to_owned());
    let (items, empty): (Vec<_>, Vec<_>) = items.partition(|item| !item.is_empty());
    // Many programs skip empty items. Those that split at white space do not see them.
    let problem = "has an empty item in its list";
    let is_right = is_space || empty.is_empty();
    let finding = warn_unless(is_right, problem, "remove the superfluous comma");
    (items, finding.err())
}

#[cfg(test)]
mod tests;
