//! What is wrapped around a value, and the form of lists.

use super::List;
use crate::report::{Code, ValueFinding};

const QUOTES: [char; 2] = ['"', '\''];

/// The value without the white space and one pair of quotes that somebody's `.env` reader left around it.
pub fn strip_wrapping(value: &str) -> &str {
    let trimmed = value.trim();
    unquoted(trimmed).unwrap_or(trimmed).trim()
}

fn unquoted(value: &str) -> Option<&str> {
    QUOTES
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
}

/// Quotes and white space where no reader of the variable expects them.
pub fn violations(value: &str, quotes_are_admitted: bool) -> Vec<ValueFinding> {
    let mut violations = Vec::new();
    if let Some(violation) = white_space(value) {
        violations.push(violation);
    }
    if !quotes_are_admitted && unquoted(value.trim()).is_some() {
        violations.push(ValueFinding::new(
            Code::Quoted,
            "is wrapped in quotes, which are part of the value here",
            "remove the quotes at both ends",
        ));
    }
    violations
}

fn white_space(value: &str) -> Option<ValueFinding> {
    let tell = |problem, fix| Some(ValueFinding::new(Code::WhiteSpace, problem, fix));
    // One look at each end and one search settle it for nearly every value.
    if value.ends_with('\n') || value.ends_with('\r') {
        return tell("ends with a line break", "remove the line break at its end");
    }
    if value.ends_with(char::is_whitespace) {
        return tell("ends with white space", "remove the white space at its end");
    }
    if value.starts_with(char::is_whitespace) {
        return tell(
            "begins with white space",
            "remove the white space at its beginning",
        );
    }
    if value.contains('\r') {
        return tell(
            "contains carriage returns (\\r)",
            "save its source with Unix line breaks, and set it again",
        );
    }
    if value.contains("-----BEGIN ") && value.contains("\\n") {
        return tell(
            "is a PEM text whose line breaks are the two characters \\n",
            "set it with real line breaks, or as a file",
        );
    }
    None
}

/// The items of a list.
pub fn items(value: &str, list: List) -> Result<Vec<String>, ValueFinding> {
    match list {
        List::Csv => csv_items(value),
        List::Json => serde_json::from_str(value).map_err(|_| {
            let (problem, fix) = (
                "is not a JSON list of strings",
                "write it as [\"a\", \"b\"]",
            );
            ValueFinding::new(Code::WrongType, problem, fix)
        }),
    }
}

fn csv_items(value: &str) -> Result<Vec<String>, ValueFinding> {
    if value.starts_with('[') {
        let (problem, fix) = (
            "is written as a JSON list",
            "write the items with commas between them: a,b",
        );
        return Err(ValueFinding::new(Code::WrongType, problem, fix));
    }
    let items: Vec<String> = value
        .split(',')
        .map(|item| item.trim().to_owned())
        .collect();
    if items.iter().any(String::is_empty) {
        let (problem, fix) = ("has an empty item in its list", "remove the comma too many");
        return Err(ValueFinding::new(Code::WrongType, problem, fix));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::{strip_wrapping, white_space};

    #[test]
    fn wrapping_is_stripped_once() {
        assert_eq!(strip_wrapping(" \"v\"\n"), "v");
        assert_eq!(strip_wrapping("'a\"b'"), "a\"b");
        assert_eq!(strip_wrapping("\""), "\"");
        assert_eq!(strip_wrapping("\"open"), "\"open");
    }

    #[test]
    fn each_kind_of_white_space_says_what_to_remove() {
        let told = |value| white_space(value).map(|violation| violation.problem);
        assert_eq!(told("plain text"), None);
        assert_eq!(told("-----BEGIN KEY-----\nabc\n-----END KEY-----"), None);
        assert_eq!(told("v\r\n").as_deref(), Some("ends with a line break"));
        assert_eq!(told("v ").as_deref(), Some("ends with white space"));
        assert_eq!(told("\tv").as_deref(), Some("begins with white space"));
        assert_eq!(
            told("a\r\nb").as_deref(),
            Some("contains carriage returns (\\r)")
        );
        assert!(told("-----BEGIN KEY-----\\nabc").is_some());
    }
}
