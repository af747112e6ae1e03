//! Values that are composed of other variables: the order in which they are composed, and the text itself. In a URL, the
//! references are percent-encoded where a raw character could end the part that they belong to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::Variable;
use super::keys::Keys;
use super::template::{Part, Template, is_name, name_at};
use crate::text::first;
use crate::url::{is_ipv6, is_scheme_character, percent_encoded};

/// The maximum number of circles that are reported.
const MAX_CIRCLES: usize = 20;

/// The maximum number of names of a circle that are shown.
const MAX_SHOWN: usize = 10;

/// The longest scheme that is looked for, with the `://`, in bytes.
const MAX_SCHEME: usize = 100;

/// A part of a composed text, with the name of the variable if it is the value of a reference.
pub type Piece<'t> = (Option<&'t str>, Vec<u8>);

/// Why a value cannot be composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotComposed<'t> {
    /// This variable is not set, and the reference to it has no default.
    Unset(&'t str),
    /// The text would exceed the limit.
    TooLong,
    /// The value of this variable begins with a `/`, and would be the host of a URL.
    FolderAsHost(&'t str),
}

/// The text of a template without its references, if it is a URL, and where its parts end. The values of references
/// before the `://` are in the text, because they can be the scheme or the beginning of the URL.
struct Shape {
    text: Vec<u8>,
    /// Behind `://`.
    start: usize,
    /// The `@` behind the credentials.
    sign: Option<usize>,
    /// The end of the hosts.
    end: usize,
    /// The end of the path.
    query: usize,
    /// The end of the query.
    fragment: usize,
}

/// Where a reference stands in a URL.
enum Position {
    /// Before `://`, or in a text that is no URL.
    Outside,
    /// A user or a password; or both, if there is no `:` in the text between `://` and the `@`.
    Credentials { are_whole: bool },
    /// `can_be_whole`: the text around it does not add to the host.
    Host { can_be_whole: bool },
    /// A segment of the path, or a file, if the URL has no host.
    Path { is_file: bool },
    /// The name of a parameter, or several whole parameters.
    Parameters,
    /// The value of a parameter, or the fragment.
    Value,
}

impl Template {
    /// The parts of the composed text.
    ///
    /// # Errors
    /// If a variable is unset, if the text would exceed `max` bytes, or if a folder would be the host of a URL.
    pub fn compose<'a, 't>(
        &'t self,
        lookup: impl Fn(&str) -> Option<&'a OsStr>,
        max: usize,
    ) -> Result<Vec<Piece<'t>>, NotComposed<'t>> {
        let shape = Shape::of(self, &lookup);
        let (mut at, mut length, mut pieces) = (0, 0, Vec::new());
        for part in &self.parts {
            let (name, piece) = match part {
                Part::Literal(text) => {
                    at += text.len();
                    (None, text.as_bytes().to_vec())
                }
                Part::Reference { name, .. } => {
                    let value = part.value(&lookup);
                    let value = value.map_err(|_| NotComposed::Unset(name))?.as_bytes();
                    let shape = shape.as_ref().filter(|shape| at >= shape.start);
                    let position = shape.map_or(Position::Outside, |shape| shape.position(at));
                    let is_whole_host = matches!(position, Position::Host { can_be_whole: true });
                    if is_whole_host && value.starts_with(b"/") {
                        return Err(NotComposed::FolderAsHost(name));
                    }
                    if shape.is_none() {
                        at += value.len();
                    }
                    (Some(name.as_str()), position.written(value))
                }
            };
            length += piece.len();
            if length > max {
                return Err(NotComposed::TooLong);
            }
            pieces.push((name, piece));
        }
        Ok(pieces)
    }

    /// The first known NAME that the text contains as `$NAME`, without braces.
    pub fn unbraced(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => text.to_str(),
            Part::Reference { .. } => None,
        });
        let mut names = texts.flat_map(|text| {
            // A doubled `$` is probably meant as an escape.
            let signs = text.match_indices('$');
            let signs = signs.filter(move |(at, _)| !text[..*at].ends_with('$'));
            signs.map(move |(at, _)| name_at(&text[at + 1..]))
        });
        names.find(|name| is_name(name) && is_known(name))
    }
}

impl Position {
    /// A value as it is written at this position.
    fn written(self, value: &[u8]) -> Vec<u8> {
        let is_ipv6 = || str::from_utf8(value).is_ok_and(is_ipv6);
        match self {
            Self::Host { can_be_whole: true } if is_ipv6() => [b"[", value, b"]"].concat(),
            Self::Outside | Self::Host { .. } | Self::Parameters => value.to_vec(),
            // No user contains a `:`, so the first one ends the user.
            Self::Credentials { are_whole: true } => {
                let halves = value.splitn(2, |&byte| byte == b':');
                let halves = halves.map(|half| percent_encoded(half, |_| false));
                halves.collect::<Vec<_>>().join(&b':')
            }
            Self::Path { is_file: true } => {
                let is_kept = |byte: u8| !byte.is_ascii_control() && !b"%?#".contains(&byte);
                percent_encoded(value, is_kept)
            }
            Self::Credentials { .. } | Self::Path { .. } | Self::Value => {
                percent_encoded(value, |_| false)
            }
        }
    }
}

impl Shape {
    /// The shape of a template; `None` if the text is no URL.
    fn of<'a>(template: &Template, lookup: impl Fn(&str) -> Option<&'a OsStr>) -> Option<Self> {
        let (mut text, mut start) = (Vec::new(), None);
        for part in &template.parts {
            let is_literal = matches!(part, Part::Literal(_));
            if start.is_none() || is_literal {
                let value = part.value(&lookup).unwrap_or_default();
                text.extend_from_slice(value.as_bytes());
            }
            start = start.or_else(|| start_of_hosts(&text));
            if start.is_none() && text.len() > MAX_SCHEME {
                return None;
            }
        }
        let start = start?;
        let find = |from: usize, ends: &[u8]| {
            let found = text[from..].iter().position(|byte| ends.contains(byte));
            found.map_or(text.len(), |found| from + found)
        };
        let end = find(start, b"/?#");
        let sign = text[start..end].iter().rposition(|&byte| byte == b'@');
        Some(Self {
            start,
            sign: sign.map(|length| start + length),
            end,
            query: find(end, b"?#"),
            fragment: find(end, b"#"),
            text,
        })
    }

    /// The position of a reference between the bytes before and behind `at`.
    fn position(&self, at: usize) -> Position {
        let Self { text, start, .. } = self;
        if let Some(sign) = self.sign.filter(|&sign| at <= sign) {
            let are_whole = sign == *start;
            return Position::Credentials { are_whole };
        }
        if at <= self.end {
            let begins = at == *start || b"@,".contains(&text[at - 1]);
            let can_be_whole = begins && (at == self.end || b":,".contains(&text[at]));
            return Position::Host { can_be_whole };
        }
        if at <= self.query {
            let is_file = self.end == *start;
            return Position::Path { is_file };
        }
        let before = text[self.query..at].iter();
        let is_value = before.rev().find(|byte| b"&=".contains(byte)) == Some(&b'=');
        if at <= self.fragment && !is_value {
            return Position::Parameters;
        }
        Position::Value
    }
}

/// The position behind the `://` of a URL, such as `jdbc:postgresql://`; `None` if the text is none.
fn start_of_hosts(text: &[u8]) -> Option<usize> {
    let end = text.windows(3).position(|each| each == b"://")?;
    let is_part = |&byte: &u8| is_scheme_character(char::from(byte)) || byte == b':';
    let is_scheme = text[0].is_ascii_alphabetic() && text[..end].iter().all(is_part);
    is_scheme.then_some(end + 3)
}

/// Makes each variable that is composed of a secret a secret itself, which may be in a file, and records a fault for each circle of values.
pub fn settle(variables: &mut [(Variable, Keys<'_>)]) {
    let declared: Vec<&Variable> = variables.iter().map(|(variable, _)| variable).collect();
    let (order, circles) = in_order(&declared);
    for circle in circles {
        let others = circle[1..].iter().map(|&each| &*declared[each].name);
        let way = match &*others.collect::<Vec<&str>>() {
            [] => String::new(),
            others => format!(", by way of {}", first(others, MAX_SHOWN)),
        };
        let (_, keys) = &variables[circle[0]];
        keys.fault("value", format_args!("refers to the variable itself{way}"));
    }
    let secret = declared.iter().filter(|variable| variable.secret);
    let mut secret: HashSet<&str> = secret.map(|variable| &*variable.name).collect();
    let is_composed_of_one = |&position: &usize| {
        let variable = declared[position];
        let mut references = variable.value.iter().flat_map(Template::references);
        references.any(|(name, _)| secret.contains(name)) && secret.insert(&variable.name)
    };
    let found: Vec<usize> = order.into_iter().filter(is_composed_of_one).collect();
    for position in found {
        let (variable, keys) = &mut variables[position];
        variable.secret = true;
        variable.rule.is_secret = true;
        if !keys.has("file") && variable.has_shell_name() {
            variable.file = Some(variable.usual_file());
        }
    }
}

/// The positions of the variables with a `value`, each behind those to which its value refers, and the circles, each as
/// a path that leads from its last variable to its first.
pub fn in_order(variables: &[&Variable]) -> (Vec<usize>, Vec<Vec<usize>>) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Unseen,
        Open,
        Done,
    }
    let composed = variables.iter().enumerate();
    let composed = composed.filter(|(_, variable)| variable.value.is_some());
    let positions = composed.clone().map(|(at, variable)| (&*variable.name, at));
    let positions: HashMap<&str, usize> = positions.collect();
    let edges = |position: usize| {
        let value = variables[position].value.iter();
        let references = value.flat_map(Template::references);
        references.filter_map(|(name, _)| positions.get(name).copied())
    };
    let mut states = vec![State::Unseen; variables.len()];
    let (mut order, mut circles) = (Vec::new(), Vec::new());
    for (start, _) in composed {
        if states[start] != State::Unseen {
            continue;
        }
        states[start] = State::Open;
        // A long chain of values would overflow the stack of a recursive function.
        let mut path = vec![(start, edges(start))];
        while let Some((position, rest)) = path.last_mut() {
            match rest.next() {
                None => {
                    states[*position] = State::Done;
                    order.push(*position);
                    path.pop();
                }
                Some(next) if states[next] == State::Unseen => {
                    states[next] = State::Open;
                    path.push((next, edges(next)));
                }
                Some(next) if states[next] == State::Open && circles.len() < MAX_CIRCLES => {
                    let circle = path.iter().map(|(position, _)| *position);
                    circles.push(circle.skip_while(|&position| position != next).collect());
                }
                Some(_) => {}
            }
        }
    }
    (order, circles)
}

#[cfg(test)]
mod tests;
