//! `${NAME}` and `${NAME:-text}` in commands, announcements, addresses and values.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use crate::os::program::SHELLS;

/// A text with references to variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: OsString,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(OsString),
    Reference {
        name: String,
        default: Option<String>,
    },
}

/// A reference to a variable that is unset and has no default.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("${{{0}}} refers to a variable that is not set")]
pub struct UnsetReference(pub String);

impl Template {
    /// Parses a text of the manifest. `$${` is a literal `${`. A `$` that does not begin a reference is literal, too.
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        // How far before the end the last reference ends. None is looked for behind it, which would take quadratic
        // time.
        let end = text.rfind('}').map_or(usize::MAX, |last| text.len() - last);
        while let Some(dollar) = rest.find("${") {
            let (before, reference) = rest.split_at(dollar);
            let escaped = before.strip_suffix('$');
            literal.push_str(escaped.unwrap_or(before));
            let may_be_one = escaped.is_none() && reference.len() >= end;
            let read = may_be_one.then(|| braced_reference(reference));
            if let Some((reference, after)) = read.flatten() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                parts.push(reference);
                rest = after;
            } else {
                literal.push_str("${");
                rest = &reference[2..];
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal.into()));
        Self {
            source: text.into(),
            parts,
        }
    }

    /// Parses an argument of the command line, which some platforms pass without expanding it. Only an argument that
    /// consists of a single `$NAME`, `${NAME}` or `${NAME:-text}` is a reference.
    pub fn parse_argument(argument: &OsStr) -> Self {
        let text = argument.to_str().unwrap_or_default();
        let name = text.strip_prefix('$').filter(|name| is_name(name));
        let braced = name.map_or_else(|| text.into(), |name| Cow::from(format!("${{{name}}}")));
        let mut template = Self::literal(argument);
        if let Some((reference, "")) = braced_reference(&braced) {
            template.parts = vec![reference];
        }
        template
    }

    /// Creates a template without references.
    pub fn literal(argument: &OsStr) -> Self {
        Self {
            source: argument.to_owned(),
            parts: vec![Part::Literal(argument.to_owned())],
        }
    }

    /// The unexpanded text, for logs.
    pub fn source(&self) -> &OsStr {
        &self.source
    }

    /// The names of the referenced variables, in order, each with whether the reference has a default.
    pub fn references(&self) -> impl Iterator<Item = (&str, bool)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Reference { name, default } => Some((name.as_str(), default.is_some())),
        })
    }

    /// The names of the variables without which the text cannot be expanded.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let references = self.references();
        references.filter_map(|(name, has_default)| (!has_default).then_some(name))
    }

    /// The name, if the text consists of a single reference without a default.
    pub fn whole(&self) -> Option<&str> {
        let text = self.source.to_str()?;
        let name = text.strip_prefix("${")?.strip_suffix('}')?;
        is_name(name).then_some(name)
    }

    /// The length of the expanded text, in bytes. An unset variable without a default counts as empty.
    pub fn length<'a>(&self, lookup: impl Fn(&str) -> Option<&'a OsStr>) -> usize {
        let values = self.parts.iter().map(|part| part.value(&lookup));
        values.map(|value| value.map_or(0, OsStr::len)).sum()
    }

    /// Replaces the references by their values. A default replaces both an unset and an empty value.
    ///
    /// # Errors
    /// The first reference to an unset variable without a default.
    pub fn expand<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<&'a OsStr>,
    ) -> Result<OsString, UnsetReference> {
        let values = self.parts.iter().map(|part| part.value(&lookup));
        values.collect()
    }
}

impl Part {
    pub(super) fn value<'t, 'a: 't>(
        &'t self,
        lookup: impl Fn(&str) -> Option<&'a OsStr>,
    ) -> Result<&'t OsStr, UnsetReference> {
        match self {
            Part::Literal(text) => Ok(text),
            Part::Reference { name, default } => {
                let default = default.as_ref().map(OsStr::new);
                let value = lookup(name).filter(|value| default.is_none() || !value.is_empty());
                let value = value.or(default);
                value.ok_or_else(|| UnsetReference(name.clone()))
            }
        }
    }
}

/// Parses a `${NAME}` or `${NAME:-text}` at the beginning of `text`. Returns it with the text after it.
fn braced_reference(text: &str) -> Option<(Part, &str)> {
    let inside = text.strip_prefix("${")?;
    let (name, rest) = inside.split_at(inside.find([':', '}', '$'])?);
    let (default, after) = match rest.strip_prefix(":-") {
        Some(rest) => rest.split_once('}')?,
        None => ("", rest.strip_prefix('}')?),
    };
    let default = rest.starts_with(':').then(|| default.to_owned());
    let name = Some(name).filter(|name| is_name(name))?.to_owned();
    Some((Part::Reference { name, default }, after))
}

/// Programs that expand a `$NAME` in their arguments, or for which it has another meaning.
const EXPANDING: [&str; 7] = ["envsubst", "gomplate", "jq", "yq", "awk", "gawk", "mawk"];

/// The words of a command that contain a `$NAME` without braces, each with its index and NAME. Contains only words that
/// are certainly meant to be expanded: they are plain otherwise, the name is known, and no program expands them.
pub fn unbraced<'w>(words: &'w [&str], is_known: impl Fn(&str) -> bool) -> Vec<(usize, &'w str)> {
    let mut found = Vec::new();
    let mut has_shell = false;
    let mut is_text = false;
    for (index, word) in words.iter().enumerate() {
        let program = word.rsplit('/').next().unwrap_or_default();
        has_shell |= SHELLS.contains(&program);
        if is_text && has_shell || EXPANDING.contains(&program) {
            // What follows are arguments of the shell's text, which may evaluate them.
            break;
        }
        if !is_text {
            found.extend(unbraced_name(word, &is_known).map(|name| (index, name)));
        }
        is_text = takes_text(word);
    }
    found
}

/// Whether an option takes a program's text as its argument: `-c`, `-lc` and `-e`, among others.
pub fn takes_text(option: &str) -> bool {
    let letters = option.strip_prefix('-').unwrap_or_default();
    letters.ends_with(['c', 'e']) && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The first NAME in a word that consists of `$NAME`s of known variables and plain characters.
fn unbraced_name(word: &str, is_known: impl Fn(&str) -> bool) -> Option<&str> {
    let (before, after) = word.split_once('$')?;
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "_./:=@-".contains(each);
    let is_meant = |part: &str| {
        let name = name_at(part);
        is_name(name) && is_known(name) && part.chars().all(is_plain)
    };
    let are_meant = before.chars().all(is_plain) && after.split('$').all(is_meant);
    are_meant.then(|| name_at(after))
}

/// The letters, digits and `_` at the beginning of a text.
pub(super) fn name_at(text: &str) -> &str {
    let is_outside = |other: char| !other.is_ascii_alphanumeric() && other != '_';
    text.split(is_outside).next().unwrap_or_default()
}

/// Whether a text can be the name of a variable.
pub fn is_name(text: &str) -> bool {
    let is_digit = |first: char| first.is_ascii_digit();
    !text.is_empty() && !text.starts_with(is_digit) && name_at(text) == text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::time::{Duration, Instant};

    use super::{Template, unbraced};

    fn lookup(name: &str) -> Option<&'static OsStr> {
        match name {
            "PORT" => Some(OsStr::new("9000")),
            "EMPTY" => Some(OsStr::new("")),
            _ => None,
        }
    }

    fn expanded(template: &Template) -> Result<String, String> {
        let text = template.expand(lookup).map_err(|unset| unset.0)?;
        Ok(text.into_string().expect("these values are UTF-8"))
    }

    #[test]
    fn references_in_texts_of_the_manifest_are_expanded() {
        for (text, result) in [
            ("${PORT}", Ok("9000")),
            (
                "--port=${PORT:-8000}, again ${PORT}",
                Ok("--port=9000, again 9000"),
            ),
            ("${NONE:-8000}", Ok("8000")),
            ("${NONE:-}", Ok("")),
            ("${EMPTY:-8000}", Ok("8000")),
            ("${EMPTY}", Ok("")),
            ("${NONE}", Err("NONE")),
            ("${NONE:-${PORT}}", Ok("${PORT}")),
            (
                "$${PORT} $PORT $$ ${1X} ${ ${A-B} $",
                Ok("${PORT} $PORT $$ ${1X} ${ ${A-B} $"),
            ),
            ("", Ok("")),
        ] {
            let result = result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(expanded(&Template::parse(text)), result, "{text}");
        }
    }

    #[test]
    fn a_name_without_braces_is_found_where_it_is_certainly_meant_to_be_expanded() {
        let is_known = |name: &str| ["PORT", "HOST"].contains(&name);
        for (line, expected) in [
            ("uvicorn main:app --port $PORT", Some((3, "PORT"))),
            ("gunicorn -c conf.py --bind=$HOST:$PORT", Some((3, "HOST"))),
            ("serve http://0.0.0.0:$PORT/x", Some((1, "PORT"))),
            ("env sh $HOST", Some((2, "HOST"))),
            ("serve -p $$PORT", None),
            ("serve -p \\$PORT", None),
            ("serve -p $PORTS", None),
            ("serve -p $OTHER:$PORT", None),
            ("serve -p ${PORT}", None),
            ("serve $PORT,$HOST", None),
            ("serve $", None),
            ("serve $1", None),
            ("sh -c $PORT", None),
            ("tini -- bash -lc eval x $PORT", None),
            ("node -e $PORT", None),
            ("envsubst $PORT", None),
            ("/usr/bin/jq -n $PORT", None),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(
                unbraced(&words, is_known).first().copied(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn a_text_of_unfinished_references_is_read_in_linear_time() {
        for part in ["${", "$${", "${A:-", "${A"] {
            let text = part.repeat(200_000);
            for end in ["", "}"] {
                let started = Instant::now();
                Template::parse(&format!("{text}{end}"));
                assert!(started.elapsed() < Duration::from_secs(5), "{part}…{end}");
            }
        }
    }

    #[test]
    fn arguments_of_the_command_line_expand_only_as_a_whole() {
        for (text, result) in [
            ("$PORT", Ok("9000")),
            ("${PORT}", Ok("9000")),
            ("${NONE:-8000}", Ok("8000")),
            ("$NONE", Err("NONE")),
            ("0.0.0.0:$PORT", Ok("0.0.0.0:$PORT")),
            ("${PORT}x", Ok("${PORT}x")),
            ("$$", Ok("$$")),
            ("$", Ok("$")),
            ("$1", Ok("$1")),
        ] {
            let result = result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(
                expanded(&Template::parse_argument(OsStr::new(text))),
                result,
                "{text}"
            );
        }
    }
}
