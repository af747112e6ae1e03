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
    let (_, raw) = raw.split_once(['=', ':']).unwrap_or_default();
    let (text, value) = (raw.trim_start(), value.trim());
    let comment = text.strip_prefix('#').filter(|_| value.starts_with('#'));
    let quote = text.chars().next().filter(|first| "\"'".contains(*first));
    let is_open = |quote| value.len() == 1 || !value.ends_with(quote);
    // A JSON text can contain it.
    let is_whole = value.starts_with(['{', '[']) && value.ends_with(['}', ']']);
    let is_kept = |sign: &&str| !is_whole && raw.contains(*sign) && value.contains(*sign);
    let mut is_certain = false;
    let (problem, fix) = if let Some(comment) = comment {
        let is_apart = text.len() < raw.len();
        let is_text = comment.starts_with(char::is_whitespace);
        // A single word can be a value, such as `#general` or a colour.
        let has_words = comment.trim().contains(char::is_whitespace);
        is_certain = dialect != Dialect::Kv && (is_text || has_words);
        (is_apart || is_text).then_some((
            "has what looks like a comment for its value, because nothing stands before the `#`",
            "write the value, and put the comment on a line of its own",
        ))?
    } else if is_lossy {
        (
            "has a `$…` that is replaced with nothing, because no such variable is set",
            "set it; for a literal `$` in compose, write `$$`, or put the value in single quotes",
        )
    } else if quote.is_none() && [" # ", "\t# "].iter().any(is_kept) {
        (
            "has what looks like a comment at the end of its value",
            "put the comment on a line of its own",
        )
    } else {
        let is_open = dialect == Dialect::Docker && quote.is_some_and(is_open);
        is_open.then_some((
            "begins with a quote and does not end with it",
            "remove the quotes, which docker makes a part of the value",
        ))?
    };
    Some(ValueFinding {
        is_certain,
        ..ValueFinding::new(Code::Misread, problem, fix)
    })
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
    let is_whole = value[first.len_utf8()..].contains(end);
    let after = after.iter().take(MAX_LINES);
    let mut after = after.take_while(|line| !is_whole && !is_next(line));
    Some(after.position(|line| is_end(line))? + 1)
}
