//! Values that a reader takes from a file, but that are probably not meant: comments, values that lost a reference, and
//! the first lines of longer texts.

use super::Dialect;
use super::raw::is_assignment;
use crate::report::{Code, ValueFinding};

pub const IN_QUOTES: &str =
    "begins a value that goes on in the next lines; put the value in quotes";
pub const ONE_LINE: &str = "begins a value that goes on in the next lines, but docker reads one line for each value; write the line breaks as `\\n` if the application decodes them, or put the value into a file";

/// The longest value whose end is searched for, in lines.
const MAX_LINES: usize = 1000;

/// The reason why a value is probably not meant, given the line where it begins.
pub fn reason(raw: &str, value: &str, is_lossy: bool, dialect: Dialect) -> Option<ValueFinding> {
    let new = |problem, fix| ValueFinding::new(Code::Misread, problem, fix);
    let (_, raw) = raw.split_once(['=', ':']).unwrap_or_default();
    let value = value.trim();
    let comment = raw.trim_start().strip_prefix('#');
    let first = raw.trim_start().chars().next();
    let quote = first.filter(|first| "\"'".contains(*first));
    let is_open = |quote| value.len() == 1 || !value.ends_with(quote);
    let is_kept = |sign: &&str| raw.contains(*sign) && value.contains(*sign);
    let finding = if let Some(comment) = comment.filter(|_| value.starts_with('#')) {
        let finding = new(
            "has what looks like a comment for its value, because nothing stands before the `#`",
            "write the value, and put the comment on a line of its own",
        );
        let is_apart = raw.starts_with(char::is_whitespace);
        let is_text = comment.starts_with(char::is_whitespace);
        let has_words = comment.trim().contains(char::is_whitespace);
        // A single word can be a value, such as `#general` or a colour.
        if dialect != Dialect::Kv && (is_text || is_apart && has_words) {
            return Some(finding);
        }
        (is_apart || is_text).then_some(finding)
    } else if is_lossy {
        let problem = "has a `$…` that is replaced with nothing, because no such variable is set";
        let fix =
            "set it; for a literal `$` in compose, write `$$`, or put the value in single quotes";
        Some(new(problem, fix))
    } else if quote.is_none() && [" # ", "\t# "].iter().any(is_kept) {
        let problem = "has what looks like a comment at the end of its value";
        Some(new(problem, "put the comment on a line of its own"))
    } else {
        let problem = "begins with a quote and does not end with it";
        let fix = "remove the quotes, which docker makes a part of the value";
        Some(new(problem, fix)).filter(|_| dialect == Dialect::Docker && quote.is_some_and(is_open))
    };
    finding.map(ValueFinding::into_warning)
}

/// The fault of a value that goes on in the next lines.
pub fn goes_on(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Docker => ONE_LINE,
        _ => IN_QUOTES,
    }
}

/// The number of lines in which a value goes on: to the end of a PEM text, the closing quote, or the closing bracket at the
/// beginning of a line. `None` if the value is whole.
pub fn further_lines(value: &str, after: &[&str]) -> Option<usize> {
    let first = value.chars().next()?;
    let end = match first {
        _ if value.contains("-----BEGIN ") => "-----END ",
        '"' => "\"",
        '\'' => "'",
        '{' => "}",
        '[' => "]",
        _ => return None,
    };
    let is_next = |line: &str| is_assignment(line) && line.contains(first);
    let is_end = |line: &str| line.starts_with(end) || !"}]".contains(end) && line.contains(end);
    let mut after = after
        .iter()
        .take(MAX_LINES)
        .take_while(|line| !is_next(line));
    let is_whole = value[first.len_utf8()..].contains(end);
    let last = after.position(|line| !is_whole && is_end(line))?;
    Some(last + 1)
}
