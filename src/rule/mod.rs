//! What one value must look like. A rule is data. Its findings contain names, limits and admitted values, but never
//! the value that was checked.

mod passwords;
mod types;

pub use passwords::{certain_passwords, passwords};

use crate::report::{Code, ValueFinding, wrong_type};

/// The number of repetitions from which on a repeated character is a placeholder.
const REPETITIONS: usize = 8;

/// What stands around the whole of a placeholder, and what does not stand in it: `<a@b>` is a mailbox.
const GAPS: [(&str, &str, &[char]); 3] = [
    ("{{", "}}", &['{', '}']),
    ("${", "}", &['{', '}']),
    ("<", ">", &['@', '<', '>']),
];

/// The type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// How a value that is a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum List {
    /// Items separated by commas.
    Csv,
    /// A JSON array of strings.
    Json,
}

/// What a value must look like. With a `list`, everything else applies to each item.
#[derive(Debug, Default)]
pub struct Rule {
    pub value_type: Type,
    pub list: Option<List>,
    /// Admitted schemes of a URL or origin, in lower case; empty admits all.
    pub schemes: Vec<String>,
    /// Admitted values; empty admits all.
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
    /// Everything that is wrong with a value. Quotes and white space around it are findings of their own, and all
    /// others are about what they enclose.
    pub fn findings(&self, value: &str) -> Vec<ValueFinding> {
        let mut findings: Vec<ValueFinding> = white_space(value).into_iter().collect();
        // A JSON text can be a string in quotes.
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
        // Counted only where there is a limit, as a value can be long.
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
            let problem = "differs in upper and lower case from what is admitted: ";
            (problem, "write it exactly so".to_owned())
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
        let fix = "check that it is the right value, whole";
        Some(ValueFinding::new(Code::NoMatch, problem, fix))
    }
}

/// The value without the white space and one pair of quotes that a reader of `.env` files left around it.
pub fn strip_wrapping(value: &str) -> &str {
    let trimmed = value.trim();
    unquoted(trimmed).unwrap_or(trimmed).trim()
}

fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\''))
}

/// White space where no reader of the variable expects it.
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

/// The items of a list.
fn items(value: &str, list: List) -> Result<Vec<String>, ValueFinding> {
    if list == List::Json {
        return serde_json::from_str(value).map_err(|_| {
            let fix = "write it as [\"a\", \"b\"]";
            wrong_type("is not a JSON list of strings", fix)
        });
    }
    if value.starts_with('[') {
        let fix = "write the items with commas between them: a,b";
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

/// Whether a value was meant to be replaced: it contains a platform's unresolved reference (`${{…}}`), or is a
/// template's gap, one repeated character, or a text such as `change-me`. It counts as missing.
pub fn is_placeholder(value: &str) -> bool {
    let whole = strip_wrapping(value);
    let reference = value.split_once("${{");
    let is_reference = reference.is_some_and(|(_, rest)| rest.contains("}}"));
    let is_gap = GAPS.iter().any(|(open, close, outside)| {
        let rest = whole.strip_prefix(open);
        let inside = rest.and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.contains(*outside))
    });
    let first = whole.chars().next();
    let is_repeated =
        whole.chars().all(|other| Some(other) == first) && whole.chars().count() >= REPETITIONS;
    is_reference || is_gap || is_repeated || is_phrase(whole)
}

/// Whether a value contains `changeme`, or is `your…here`, in any case and with any separators.
fn is_phrase(value: &str) -> bool {
    let mut text = value.to_lowercase();
    text.retain(|other| !"-_ ".contains(other));
    text.contains("changeme") || text.starts_with("your") && text.contains("here")
}

#[cfg(test)]
mod tests;
