//! Fills in the missing variables that have a `value`, which is composed of other variables, and tells of the parts that
//! are not usable.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::findings::{Findings, severity};
use super::resolve::{MAX_SECRET, Resolved, Value};
use crate::environment::Environment;
use crate::manifest::{NotComposed, Piece, Template, Variable, in_order};
use crate::report::{Code, Severity, Subject, ValueFinding, wrong_type};
use crate::text::{did_you_mean, either, names};

/// The largest number of names that are compared with unset ones, and of unset ones that are compared.
const MAX_NAMES: usize = 500;

/// Composes the values of missing variables. Returns the positions of all variables with a `value`, each behind those to
/// which its value refers. `listed` are the placeholders that the manifest names.
pub fn compose(
    resolved: &mut [Resolved<'_>],
    environment: &Environment,
    listed: &[String],
) -> Vec<usize> {
    let variables: Vec<&Variable> = resolved.iter().map(|each| each.variable).collect();
    let (order, _) = in_order(&variables);
    if order.is_empty() {
        return order;
    }
    let names = variables.iter().enumerate();
    let positions: HashMap<&str, usize> = names
        .map(|(position, variable)| (&*variable.name, position))
        .collect();
    for &position in &order {
        let Some(template) = resolved[position].template() else {
            continue;
        };
        let lookup = |name: &str| {
            let part = positions.get(name).map(|&part| &resolved[part]);
            let replacement = part.and_then(|part| part.replacement.as_deref());
            let value = replacement.or_else(|| environment.get(name));
            value.filter(|value| !value.as_bytes().trim_ascii().is_empty())
        };
        match template.compose(lookup, MAX_SECRET) {
            Ok(pieces) => {
                // The text of a default in the manifest is no secret.
                let written = |(name, piece): &Piece<'_>| {
                    let name = name.filter(|name| lookup(name).is_some())?;
                    let is_secret = variables[*positions.get(name)?].secret;
                    is_secret.then(|| piece.clone())
                };
                let encoded = pieces.iter().filter_map(written).collect();
                // What is composed of a placeholder is one, too.
                let placeholder =
                    |(name, _): &Piece<'_>| match resolved[*positions.get((*name)?)?].value {
                        Value::Placeholder(kind) => Some(kind),
                        _ => None,
                    };
                let placeholder = pieces.iter().find_map(placeholder);
                let text = pieces.into_iter().flat_map(|(_, piece)| piece);
                let text = OsString::from_vec(text.collect());
                let each = &mut resolved[position];
                let value = || Value::of(&text, each.variable, listed);
                each.value = placeholder.map_or_else(value, Value::Placeholder);
                each.replacement = Some(text);
                each.encoded = encoded;
                each.is_composed = true;
            }
            // The part is told, or the variable may be missing.
            Err(NotComposed::Unset(_)) => {}
            Err(NotComposed::TooLong) => {
                let problem = "would be longer than 128 KiB, as its `value` composes it";
                let fix = "use shorter values, or refer to each once";
                let found = ValueFinding::new(Code::TooLong, problem, fix);
                resolved[position].value = Value::Unusable(found);
            }
            Err(NotComposed::FolderAsHost(name)) => {
                let problem = format!("would have the path in {name} as its host");
                let fix = format!(
                    "set {name} to a host; in the manifest, write the folder of a socket as a parameter such as `?host=${{{name}}}`"
                );
                resolved[position].value = Value::Unusable(wrong_type(problem, fix));
            }
        }
    }
    order
}

impl<'a> Findings<'a, '_> {
    /// Adds the findings of all variables, in the manifest's order. `composed` are the positions of the variables with a
    /// `value`, which are checked after the parts of these.
    pub fn check_variables(&mut self, resolved: &'a [Resolved<'a>], composed: Vec<usize>) {
        let mut found: Vec<Vec<_>> = Vec::new();
        found.resize_with(resolved.len(), Vec::new);
        let others = 0..resolved.len();
        let others = others.filter(|&each| resolved[each].variable.value.is_none());
        let all = others.chain(composed);
        for position in all.filter(|&each| resolved[each].is_counted) {
            let each = &resolved[position];
            if each.template().is_none() || !self.tell_parts(each) {
                self.check_variable(each);
            }
            found[position] = std::mem::take(&mut self.list);
        }
        self.list = found.into_iter().flatten().collect();
    }

    /// Whether findings on the parts of a composed variable explain all that can be wrong with it. Adds a finding on each
    /// part that is unset, or a placeholder, unless it has one that is severe enough.
    fn tell_parts(&mut self, each: &'a Resolved<'a>) -> bool {
        let variable = each.variable;
        let (level, fail_on) = (self.level_of(variable), self.manifest.fail_on);
        let (mut told_as, mut open) = (None, vec![each]);
        while let Some(template) = open.pop().map(Resolved::template) {
            for (name, has_default) in template.into_iter().flat_map(Template::references) {
                let part = self.by_name.get(name).copied();
                let (code, problem) = match part.map(|part| &part.value) {
                    Some(Value::Placeholder(_)) => (Code::Placeholder, "is a placeholder"),
                    Some(Value::Unusable(_) | Value::Text(..)) => (Code::WrongType, ""),
                    Some(Value::Missing) | None if !has_default && !self.is_usable(name) => {
                        (Code::Missing, "is not set")
                    }
                    _ => continue,
                };
                let needed = severity(code, level, fail_on, false);
                let is_error = needed == Some(Severity::Error);
                let told = self.told.get(name).copied();
                if told.is_some_and(|told| told || !is_error) {
                    told_as = told_as.max(told);
                    continue;
                }
                if needed.is_none() || problem.is_empty() {
                    continue;
                }
                told_as = told_as.max(Some(is_error));
                self.told.insert(name, is_error);
                let incomplete = part.filter(|part| matches!(part.value, Value::Missing));
                if let Some(part) = incomplete.filter(|part| part.template().is_some()) {
                    open.push(part);
                    continue;
                }
                let near = part.map_or_else(|| self.near(name), |_| String::new());
                let of = &variable.name;
                let instead = self.instead_of(variable);
                let (nor, itself) = match instead.as_slice() {
                    [] => (String::new(), format!("{of} itself")),
                    [other] => (
                        format!("; {other} is not set either"),
                        format!("{of} itself, or {other}"),
                    ),
                    several => (
                        format!("; {} are not set either", names(several)),
                        format!("{of} itself, or one of {}", either(several)),
                    ),
                };
                let problem = format!("{problem}, and {of} is composed of it{near}{nor}");
                let fix = format!("set {name}, or {itself}");
                let mut found = ValueFinding::new(code, problem, fix);
                found.is_certain = is_error;
                self.add(Subject::variable(name), found);
            }
        }
        self.told
            .extend(told_as.map(|is_error| (&*variable.name, is_error)));
        told_as.is_some()
    }

    /// Whether a value can be composed of the variable: the environment has it, even if it is for other processes.
    fn is_usable(&self, name: &str) -> bool {
        let value = self.environment.get(name).map(OsStr::as_bytes);
        value.is_some_and(|value| !value.trim_ascii().is_empty())
    }

    /// `; did you mean X?` with a declared variable that has a similar name, or an empty text.
    fn near(&self, name: &str) -> String {
        let is_open = self.told.len() < MAX_NAMES;
        let variables = self.manifest.variables.iter().filter(|_| is_open);
        did_you_mean(name, variables.map(|each| &*each.name).take(MAX_NAMES))
    }

    /// The variable, and the parts that its `value` needs.
    pub fn what_to_set(&self, name: &str) -> String {
        let parts = self.parts_of(name);
        let parts = parts.map(|parts| format!("{parts}, of which it is composed, or "));
        parts.unwrap_or_default() + name
    }

    /// The variables of which a composed variable consists; if it is incomplete, those that are not set.
    pub fn parts_of(&self, name: &str) -> Option<String> {
        let each = self.by_name.get(name)?;
        let references = each.template()?.references();
        let parts = references.filter(|(name, has_default)| {
            each.is_composed || !has_default && !self.is_usable(name)
        });
        let mut parts: Vec<&str> = parts.map(|(name, _)| name).collect();
        let mut seen = HashSet::new();
        parts.retain(|name| seen.insert(*name));
        (!parts.is_empty()).then(|| names(&parts))
    }
}
