//! Whether a variable is required in this environment, and what is said about a required variable that is missing.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::ptr;

use super::findings::{Findings, how_to_set};
use super::resolve::{Resolved, Value};
use crate::manifest::{Level, Variable};
use crate::report::{Code, ValueFinding};
use crate::rule::Placeholder;
use crate::text::{either, names};

/// Why a variable is required in this environment.
enum Need<'v> {
    NotRequired,
    /// Always, or by `required_when`.
    Itself,
    /// By these variables of `required_with`, which are set.
    With(Vec<&'v str>),
    /// By `required_without`: one of the variable and those that it names must be set, and none is.
    OneOf,
}

impl Findings<'_, '_> {
    /// The level of a variable in this environment: it is optional if it has conditions and none of them holds.
    pub fn level_of(&self, variable: &Variable) -> Level {
        match (self.need_of(variable), variable.level) {
            (Need::NotRequired, _) => Level::Optional,
            (_, Level::Optional) => Level::Required,
            (_, level) => level,
        }
    }

    fn need_of<'v>(&self, variable: &'v Variable) -> Need<'v> {
        match variable.level {
            _ if variable.has_conditions() => {}
            Level::Optional => return Need::NotRequired,
            Level::Required | Level::Critical => return Need::Itself,
        }
        let rule = |name: &str| Some(&self.by_name.get(name)?.variable.rule);
        let has_value = |(name, values): &(String, Vec<String>)| {
            let value = rule(name).zip(self.text(name));
            value.is_some_and(|(rule, value)| values.iter().any(|one| rule.are_same(value, one)))
        };
        let when = &variable.required_when;
        if !when.is_empty() && when.iter().all(has_value) {
            return Need::Itself;
        }
        let with = variable.required_with.iter().map(String::as_str);
        let with: Vec<&str> = with.filter(|name| self.is_set(name)).collect();
        let mut without = variable.required_without.iter();
        match with.is_empty() {
            false => Need::With(with),
            true if without.len() > 0 && without.all(|name| !self.is_set(name)) => Need::OneOf,
            true => Need::NotRequired,
        }
    }

    /// Whether a variable has a value in the effective environment that is no placeholder.
    pub fn is_set(&self, name: &str) -> bool {
        let Some(each) = self.by_name.get(name) else {
            let value = self.environment.get(name).and_then(OsStr::to_str);
            return value.is_some_and(|value| !value.trim().is_empty());
        };
        match &each.value {
            Value::Placeholder(Placeholder::Stored) => self.selection.has_runner(),
            Value::Missing | Value::Placeholder(_) => false,
            Value::Unusable(_) | Value::Text(..) => true,
        }
    }

    /// The finding of a missing variable, and the other variables of which one can be set instead. `None` if another
    /// finding already asks for it.
    pub fn missing(&self, each: &Resolved<'_>) -> Option<(ValueFinding, Vec<String>)> {
        let variable = each.variable;
        let (problem, others) = match self.need_of(variable) {
            Need::OneOf if self.is_implied(variable) => return None,
            Need::OneOf => {
                let others = self.others(variable);
                let nor = match others.as_slice() {
                    [] => String::new(),
                    [other] => format!(", nor is {other}"),
                    several => format!(", nor are {}", names(several)),
                };
                let others = others.into_iter().map(str::to_owned);
                (format!("is not set{nor}"), others.collect())
            }
            Need::With(others) => {
                let problem = format!("is not set, but required with {}", names(&others));
                (problem, Vec::new())
            }
            Need::Itself | Need::NotRequired => {
                let others = self.fallbacks.get(variable.name.as_str()).into_iter();
                let others = others.filter(|name| self.is_set(name) && !variable.has_conditions());
                let but = others.map(|other| {
                    format!("; {other} takes its place only if `required_without: [{other}]` is declared here")
                });
                let but: String = but.collect();
                (format!("is not set{but}"), Vec::new())
            }
        };
        let group = self.group(variable);
        let mut renamed = group.iter().filter_map(|name| self.by_name.get(name));
        let fix = match renamed.find(|other| other.former.is_some()) {
            _ if others.is_empty() => how_to_set(each),
            Some(other) => how_to_set(other),
            None => format!("set one of {}", either(&group)),
        };
        Some((ValueFinding::new(Code::Missing, problem, fix), others))
    }

    /// Whether another finding asks for a part of the variables of which one must be set, or for the same ones.
    fn is_implied(&self, variable: &Variable) -> bool {
        let all: HashSet<&str> = self.group(variable).into_iter().collect();
        let is_critical = |variable: &Variable| variable.level == Level::Critical;
        self.others(variable).into_iter().any(|name| {
            let Some(other) = self.by_name.get(name) else {
                return false;
            };
            let asked = match (&other.value, self.need_of(other.variable)) {
                (_, Need::NotRequired) => return false,
                (Value::Missing, Need::OneOf) => self.group(other.variable),
                _ => vec![name],
            };
            let asked: HashSet<&str> = asked.into_iter().collect();
            // The variables stand in one list, in the manifest's order.
            let is_before = ptr::from_ref(other.variable) < ptr::from_ref(variable);
            let is_first = asked.len() < all.len() || is_before;
            let is_graver =
                (is_critical(other.variable), is_first) > (is_critical(variable), false);
            is_graver && asked.is_subset(&all)
        })
    }

    /// The variables of which one can be set instead of a variable that is required because none of them is set.
    pub fn instead_of<'v>(&self, variable: &'v Variable) -> Vec<&'v str> {
        match self.need_of(variable) {
            Need::OneOf => self.others(variable),
            Need::NotRequired | Need::Itself | Need::With(_) => Vec::new(),
        }
    }

    /// Those of its `required_without` that the process can have.
    fn others<'v>(&self, variable: &'v Variable) -> Vec<&'v str> {
        let others = variable.required_without.iter().map(String::as_str);
        let is_counted = |name: &&str| self.by_name.get(name).is_none_or(|each| each.is_counted);
        others.filter(is_counted).collect()
    }

    /// The variable and those that can be set instead of it.
    fn group<'v>(&self, variable: &'v Variable) -> Vec<&'v str> {
        let own = std::iter::once(variable.name.as_str());
        own.chain(self.others(variable)).collect()
    }
}
