//! The level that a line of text begins with.

use tracing::Level;

/// The maximum number of words of a line that are read.
const MAX_WORDS: usize = 12;

/// The level at the beginning of a line. Before it there may only be what prose does not begin with: a time, words in
/// brackets, pairs `key=value`, or the name of a program with a colon. A line without a level has the level `INFO`.
pub fn level_of(line: &str) -> Level {
    // The lines of pytest about an error.
    if line.starts_with("E  ") {
        return Level::ERROR;
    }
    let tokens = line.split_whitespace().take(MAX_WORDS).enumerate();
    let mut tokens = tokens.peekable();
    let (mut before, mut has_time, mut is_open) = ("", false, false);
    while let Some((index, token)) = tokens.next() {
        let next = tokens.peek().map_or("", |(_, next)| next);
        let bare = token.trim_start_matches('[');
        let length = bare.find(|other: char| !other.is_ascii_alphabetic());
        let (word, after) = bare.split_at(length.unwrap_or(bare.len()));
        let is_upper = word.len() > 2 && word.bytes().all(|letter| letter.is_ascii_uppercase());
        let is_after_program = index == 1 && before.ends_with(':');
        let is_level = match after.chars().next() {
            Some(':') => is_upper || has_time || index == 0 || is_after_program,
            Some(']') => is_upper || has_time || bare.len() < token.len(),
            None if before == "npm" => index == 1,
            None if next == "]" => bare.len() < token.len(),
            None | Some('/' | '|' | ',' | '!' | '[') => is_upper && !is_after_program,
            _ => false,
        };
        let pair = token.split_once('=').unwrap_or_default();
        let level = match pair.0 {
            "level" | "lvl" | "severity" => level_named(pair.1.trim_matches('"')),
            _ if is_level && word == "FAILED" => Some(Level::ERROR),
            _ if is_level => level_named(word),
            _ => None,
        };
        if let Some(level) = level {
            return level;
        }
        let is_number = bare.starts_with(|first: char| first.is_ascii_digit());
        has_time |= is_number && (bare.len() >= 8 || bare.len() < token.len());
        let closes = token.ends_with(']');
        let may_be_before = match index {
            0 if token == "npm" || token.ends_with(':') => true,
            // Ruby begins a line with the first letter of the level.
            0 if token.len() == 2 && token.ends_with(',') => true,
            _ if has_time => {
                let is_name = before == "-" && next == "-";
                let is_dotted = bare.trim_end_matches('.').contains('.');
                is_open || word.is_empty() || is_upper || is_dotted || is_name || closes
            }
            _ => !pair.0.is_empty() || token.starts_with('[') && closes,
        };
        if !may_be_before {
            break;
        }
        is_open = !closes && (is_open || token.starts_with('['));
        before = token;
    }
    Level::INFO
}

/// The level with this name, in upper or lower case.
pub fn level_named(word: &str) -> Option<Level> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Some(Level::TRACE),
        "debug" | "dbg" => Some(Level::DEBUG),
        "info" | "inf" | "information" | "notice" => Some(Level::INFO),
        "warn" | "warning" | "wrn" => Some(Level::WARN),
        "error" | "err" | "fail" | "fatal" | "ftl" | "critical" | "crit" | "severe" | "alert"
        | "emerg" | "emergency" | "panic" => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing::Level;

    use super::level_of;

    #[test]
    fn the_level_at_the_beginning_of_a_line_is_recognised() {
        for line in [
            "ERROR:root:it failed",
            "ERROR [x] wrong",
            "ERROR    [alembic.util.messaging] wrong",
            "ERROR:    [Errno 98] address already in use",
            "CRITICAL:django:wrong",
            "FAILED: Multiple head revisions",
            "[ERROR] wrong",
            "[error] wrong",
            "[critical] wrong",
            "Error: Cannot find module 'x'",
            "error: unrecognized arguments",
            "fatal: not a git repository",
            "panic: runtime error",
            "fail: Microsoft.EntityFrameworkCore[20102]",
            "alembic: error: unrecognized arguments: x",
            "psql: error: connection to server failed",
            "psql:schema.sql:3: ERROR:  relation \"a\" does not exist",
            "2026-01-01 12:00:00,000 ERROR wrong",
            "2026-01-01 12:00:00,000 - alembic - ERROR - wrong",
            "2026-01-01 12:00:00,000 alembic.runtime.migration ERROR wrong",
            "2026-01-01 12:00:00,000 [alembic] ERROR wrong",
            "2026-01-01T12:00:00.000000Z ERROR crate: wrong",
            "2026-01-01T12:00:00.000Z  ERROR 1 --- [main] c.e.App : wrong",
            "2026-01-01 12:00:00.000 | ERROR    | app:main:1 - wrong",
            "2026-01-01 12:00:00.000 UTC [12] ERROR:  relation \"a\" does not exist",
            "2026/01/01 12:00:00 [error] 7#7: *1 wrong",
            "2026-01-01 12:00:00 [error    ] wrong",
            "[2026-01-01 12:00:00 +0000] [7] [ERROR] wrong",
            "[2026-01-01 12:00:00,000: ERROR/MainProcess] wrong",
            "[2026-01-01T12:00:00Z ERROR app] wrong",
            "[12:00:00 ERR] wrong",
            "12:00:00.123 [main] ERROR c.e.App - wrong",
            "E, [2026-01-01T12:00:00.000000 #1] ERROR -- : wrong",
            "level=error msg=wrong",
            "time=\"2026-01-01 12:00:00\" level=error msg=wrong",
            "ts=2026-01-01T12:00:00Z caller=main.go:1 level=ERROR msg=wrong",
            "npm ERR! code ELIFECYCLE",
            "npm error code ENOENT",
            "E   AssertionError",
        ] {
            assert_eq!(level_of(line), Level::ERROR, "{line}");
        }
        for line in [
            "WARNING [x] careful",
            "WARNING:  there is no transaction in progress",
            "Warning: careful",
            "[warn] careful",
            "WARN[0000] careful",
            "npm warn deprecated x",
            "[2026-01-01 12:00:00 +0000] [7] [WARNING] careful",
            "level=warning msg=\"careful\"",
        ] {
            assert_eq!(level_of(line), Level::WARN, "{line}");
        }
        for line in [
            "INFO  [alembic.runtime.migration] Running upgrade",
            "INFO:     Started server process [1]",
            "[INFO] ERROR is the name of a table",
            "Traceback (most recent call last):",
            "ValueError: wrong",
            "Errors: 0",
            "Failed: 0, passed: 3",
            "3 ERROR lines were found",
            "Summary: ERROR lines: 3",
            "(see ERROR above)",
            "2026-01-01 12:00:00 no ERROR was found",
            "msg=\"no more level=error lines\"",
            "npm run build error",
            "ERROR_LOG is /dev/stderr",
            "",
            "  ",
        ] {
            assert_eq!(level_of(line), Level::INFO, "{line}");
        }
        assert_eq!(level_of("DEBUG:root:x"), Level::DEBUG);
    }

    proptest! {
        #[test]
        fn a_word_in_the_middle_of_prose_is_no_level(
            first in "[A-Z]?[a-z]{2,9}[,.]?",
            words in proptest::collection::vec("[a-z]{1,9}[,.:]?|ERROR:?|\\[WARNING\\]|Error:|level=error|[0-9]{1,12}", 0..12),
        ) {
            let line = format!("{first} {}", words.join(" "));
            prop_assert_eq!(level_of(&line), Level::INFO, "{}", line);
        }
    }
}
