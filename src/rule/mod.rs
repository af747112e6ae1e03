//! What one value must look like. A rule is data; checking a value against it yields every violation, told
//! without the value: only names, limits and what is allowed appear in the texts.

mod address;
mod form;
mod passwords;
mod placeholder;
mod scalar;

pub use address::is_local;
pub use form::strip_wrapping;
pub use passwords::{certain_passwords, passwords};
pub use placeholder::is_placeholder;

use crate::report::{Code, ValueFinding};

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
    /// Items between commas.
    Csv,
    /// A JSON array of strings.
    Json,
}

/// What a value must look like. With a `list`, everything but the list's form is asked of each item.
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
    /// Every way in which `value` breaks this rule. What is wrapped around the value (quotes, white space)
    /// is a violation of its own, and the rest is asked of what is inside.
    pub fn violations(&self, value: &str) -> Vec<ValueFinding> {
        let mut violations = form::violations(value, self.admits_quotes());
        let inner = if self.admits_quotes() {
            value.trim()
        } else {
            strip_wrapping(value)
        };
        match self.list {
            None => self.check_item(inner, &mut violations),
            Some(list) => self.check_list(inner, list, &mut violations),
        }
        violations
    }

    /// In JSON, quotes around the value are part of it.
    fn admits_quotes(&self) -> bool {
        self.value_type == Type::Json && self.list.is_none()
    }

    fn check_list(&self, value: &str, list: List, violations: &mut Vec<ValueFinding>) {
        let items = match form::items(value, list) {
            Ok(items) => items,
            Err(violation) => return violations.push(violation),
        };
        let count = items.len();
        for (index, item) in items.iter().enumerate() {
            let before = violations.len();
            self.check_item(item, violations);
            for violation in &mut violations[before..] {
                violation.problem =
                    format!("(item {} of {count}) {}", index + 1, violation.problem);
            }
        }
    }

    fn check_item(&self, value: &str, violations: &mut Vec<ValueFinding>) {
        let typed = match self.value_type {
            Type::String => Ok(()),
            Type::Integer => scalar::integer(value, self.min, self.max),
            Type::Number => scalar::number(value, self.min, self.max),
            Type::Duration => scalar::duration(value, self.min, self.max),
            Type::Boolean => scalar::boolean(value),
            Type::Port => scalar::port(value),
            Type::Json => scalar::json(value),
            Type::Path => scalar::path(value),
            Type::Email => address::email(value),
            Type::Url => address::url(value, &self.schemes),
            Type::Origin => address::origin(value, &self.schemes),
        };
        violations.extend(typed.err());
        violations.extend(self.length_violation(value));
        violations.extend(self.choice_violation(value));
        violations.extend(self.pattern_violation(value));
    }

    fn length_violation(&self, value: &str) -> Option<ValueFinding> {
        // Counted only where there is a limit: a value may be long.
        if self.min_length.is_none() && self.max_length.is_none() {
            return None;
        }
        let length = value.chars().count();
        if let Some(min) = self.min_length.filter(|&min| length < min as usize) {
            let problem = format!("is shorter than {min} characters");
            return Some(ValueFinding::new(
                Code::TooShort,
                problem,
                format!("use at least {min} characters"),
            ));
        }
        let max = self.max_length.filter(|&max| length > max as usize)?;
        let problem = format!("is longer than {max} characters");
        Some(ValueFinding::new(
            Code::TooLong,
            problem,
            format!("use at most {max} characters"),
        ))
    }

    fn choice_violation(&self, value: &str) -> Option<ValueFinding> {
        if self.one_of.is_empty() || self.one_of.iter().any(|admitted| admitted == value) {
            return None;
        }
        let admitted = self.one_of.join(", ");
        let case_only = self
            .one_of
            .iter()
            .any(|admitted| admitted.eq_ignore_ascii_case(value));
        let (problem, fix) = match (self.one_of.as_slice(), case_only) {
            (_, true) => (
                format!("differs in upper and lower case from what is admitted: {admitted}"),
                "write it exactly so".to_owned(),
            ),
            ([only], false) => (format!("must be {only}"), format!("set it to {only}")),
            _ => (
                format!("is not one of {admitted}"),
                "choose one of these".to_owned(),
            ),
        };
        Some(ValueFinding::new(Code::NotOneOf, problem, fix))
    }

    fn pattern_violation(&self, value: &str) -> Option<ValueFinding> {
        let pattern = self
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(value))?;
        let problem = format!("does not match the pattern {}", pattern.as_str());
        Some(ValueFinding::new(
            Code::NoMatch,
            problem,
            "check that it is the right value, whole",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Rule, Type};
    use crate::report::Code;

    fn breaches(rule: &Rule, value: &str) -> Vec<Code> {
        rule.violations(value)
            .into_iter()
            .map(|violation| violation.code)
            .collect()
    }

    fn typed(value_type: Type) -> Rule {
        Rule {
            value_type,
            ..Rule::default()
        }
    }

    #[test]
    fn quotes_and_white_space_are_told_and_the_rest_is_asked_of_what_is_inside() {
        let rule = Rule {
            value_type: Type::Integer,
            ..Rule::default()
        };
        assert_eq!(breaches(&rule, "12"), []);
        assert_eq!(breaches(&rule, "\"12\""), [Code::Quoted]);
        assert_eq!(breaches(&rule, " '12' "), [Code::WhiteSpace, Code::Quoted]);
        assert_eq!(
            breaches(&rule, "\"twelve\"\n"),
            [Code::WhiteSpace, Code::Quoted, Code::WrongType]
        );
    }

    #[test]
    fn json_may_be_a_quoted_string() {
        assert_eq!(breaches(&typed(Type::Json), "\"text\""), []);
        assert_eq!(breaches(&typed(Type::Json), "{\"a\": [1]}"), []);
        assert_eq!(breaches(&typed(Type::Json), "{'a': 1}"), [Code::WrongType]);
    }

    #[test]
    fn every_item_of_a_list_is_checked_and_numbered() {
        let rule = Rule {
            value_type: Type::Port,
            list: Some(List::Csv),
            ..Rule::default()
        };
        assert_eq!(breaches(&rule, "80, 443,8000"), []);
        let violations = rule.violations("80,http,0");
        assert_eq!(violations.len(), 2);
        assert!(
            violations[0].problem.starts_with("(item 2 of 3) "),
            "{}",
            violations[0].problem
        );
        let rule = Rule {
            value_type: Type::Port,
            list: Some(List::Json),
            ..Rule::default()
        };
        assert_eq!(breaches(&rule, "[\"80\"]"), []);
        assert_eq!(breaches(&rule, "80,443"), [Code::WrongType]);
    }

    #[test]
    fn a_csv_rule_tells_a_json_list_and_an_empty_item() {
        let rule = Rule {
            list: Some(List::Csv),
            ..Rule::default()
        };
        assert_eq!(breaches(&rule, "[\"a\",\"b\"]"), [Code::WrongType]);
        assert_eq!(breaches(&rule, "a,,b"), [Code::WrongType]);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let rule = Rule {
            min_length: Some(3),
            max_length: Some(4),
            ..Rule::default()
        };
        assert_eq!(breaches(&rule, "éé"), [Code::TooShort]);
        assert_eq!(breaches(&rule, "éééé"), []);
        assert_eq!(breaches(&rule, "ééééé"), [Code::TooLong]);
    }

    #[test]
    fn all_violations_come_at_once() {
        let rule = Rule {
            min_length: Some(10),
            pattern: Some(regex_lite::Regex::new("^re_").expect("a sound pattern")),
            one_of: vec!["re_a_long_one".to_owned()],
            ..Rule::default()
        };
        assert_eq!(
            breaches(&rule, "short"),
            [Code::TooShort, Code::NotOneOf, Code::NoMatch]
        );
    }
}
