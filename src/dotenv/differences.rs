//! Lines that the readers do not understand alike: a file that works with one and breaks with the next.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::limits::{Remarks, TOO_LONG, TOO_MUCH};
use super::{Dialect, Lookup, Reading, Remark, RemarkKind, Statement};

/// Adds a remark for each such line.
pub fn tell(text: &str, lookup: Lookup<'_>, remarks: &mut Remarks) {
    let read = |dialect: Dialect| dialect.statements(text, lookup).into_iter().peekable();
    let mut compose = read(Dialect::Compose);
    let mut docker = read(Dialect::Docker);
    let mut python = read(Dialect::PythonDotenv);
    let mut raw = text.split('\n').enumerate();
    // Not docker's lines: those of a value over several lines would be told one by one.
    while let Some(line) = [compose.peek(), python.peek()]
        .into_iter()
        .flatten()
        .map(|next| next.line)
        .min()
    {
        let readings = Readings {
            raw: raw
                .find(|(index, _)| index + 1 == line)
                .map_or("", |(_, raw)| raw),
            compose: One(first_of(line, &mut compose)),
            docker: One(first_of(line, &mut docker)),
            python: One(first_of(line, &mut python)),
        };
        if !readings.agree() {
            remarks.push(Remark {
                line,
                kind: RemarkKind::Portability,
                name: readings.name(),
                text: readings.differences().join("; "),
            });
        }
        if readings.compose.is_last() || readings.python.is_last() {
            break;
        }
    }
}

/// The first statement of a line; what stands before it, and behind it on the line, is passed over.
fn first_of(line: usize, statements: &mut Peekable<IntoIter<Statement>>) -> Option<Statement> {
    let mut first = None;
    while let Some(statement) = statements.next_if(|next| next.line <= line) {
        if statement.line == line && first.is_none() {
            first = Some(statement);
        }
    }
    first
}

/// One line, as three readers understand it.
struct Readings<'a> {
    raw: &'a str,
    compose: One,
    docker: One,
    python: One,
}

/// What one reader makes of a line; none where it begins nothing there.
#[derive(PartialEq)]
struct One(Option<Statement>);

impl One {
    fn is_like(&self, other: &One) -> bool {
        self == other || self.is_fault() && other.is_fault()
    }

    fn reading(&self) -> Option<&Reading> {
        self.0.as_ref().map(|statement| &statement.reading)
    }

    fn value(&self) -> Option<&str> {
        match self.reading() {
            Some(Reading::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether the reader makes more of it than Linux passes on.
    fn is_beyond_limits(&self) -> bool {
        matches!(self.reading(), Some(Reading::Fault(TOO_LONG | TOO_MUCH)))
    }

    /// Whether nothing behind it was read.
    fn is_last(&self) -> bool {
        matches!(self.reading(), Some(Reading::Fault(TOO_MUCH)))
    }

    fn is_fault(&self) -> bool {
        matches!(self.reading(), Some(Reading::Fault(_)))
    }

    fn is_inherited(&self) -> bool {
        self.reading() == Some(&Reading::Inherited)
    }
}

impl Readings<'_> {
    fn agree(&self) -> bool {
        // For a name alone docker and compose ask their caller; python-dotenv sets nothing.
        self.compose.is_like(&self.docker)
            && self.compose.is_like(&self.python)
            && !self.compose.is_inherited()
    }

    /// What a reader takes for the name; empty where all of them refuse the line.
    fn name(&self) -> String {
        let all = [&self.compose, &self.python, &self.docker];
        let statements = all.into_iter().filter_map(|one| one.0.as_ref());
        let mut names = statements.map(|statement| &statement.name);
        names
            .find(|name| !name.is_empty())
            .cloned()
            .unwrap_or_default()
    }

    fn differences(&self) -> Vec<&'static str> {
        if self.compose.is_beyond_limits() {
            return vec!["compose expands it to more than Linux passes on"];
        }
        if self.python.is_beyond_limits() {
            return vec!["python-dotenv expands it to more than Linux passes on"];
        }
        let mut told = Vec::new();
        told.extend(self.of_docker());
        told.extend(self.of_dollar());
        if self.raw.contains('\\') && !self.compose.is_like(&self.python) {
            told.push("escapes with a backslash are not the same in compose and python-dotenv");
        }
        if self.compose.is_inherited() && self.docker.is_inherited() {
            told.push(
                "docker and compose take the value from their caller, python-dotenv sets nothing",
            );
        }
        if told.is_empty() {
            told.push(if self.compose.is_fault() {
                "compose refuses it"
            } else if self.python.is_fault() {
                "python-dotenv drops it"
            } else {
                "docker, compose and python-dotenv do not read it alike"
            });
        }
        told
    }

    fn of_docker(&self) -> Option<&'static str> {
        if self.docker.is_fault() {
            return Some("docker refuses it");
        }
        let value = self.docker.value()?;
        if self.docker.is_like(&self.compose) || self.docker.is_like(&self.python) {
            return None;
        }
        let trimmed = value.trim();
        let quote = trimmed.chars().next();
        if let Some(quote) = quote.filter(|first| matches!(first, '"' | '\'')) {
            let inside = &trimmed[1..];
            return Some(if inside.ends_with(quote) {
                "docker keeps the quotes"
            } else if inside.contains(quote) {
                "docker keeps the quotes and what follows them"
            } else {
                "docker reads its first line only, with the quote"
            });
        }
        if value.contains(" #") || trimmed.starts_with('#') {
            return Some("docker keeps the comment");
        }
        (trimmed != value).then_some("docker keeps the white space around the value")
    }

    fn of_dollar(&self) -> Option<&'static str> {
        if !self.raw.contains('$') {
            return None;
        }
        if self.compose.is_fault() {
            return Some("compose refuses its `$`");
        }
        if !self.compose.is_like(&self.python) {
            return Some(
                "compose replaces `$` and a name, python-dotenv only `${…}`, docker neither",
            );
        }
        let is_docker_alone = self.raw.contains("${") && !self.compose.is_like(&self.docker);
        is_docker_alone.then_some("docker does not replace `${…}`")
    }
}
