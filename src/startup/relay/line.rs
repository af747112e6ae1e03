//! What a line of a step's output says: its level, its message, and the other fields of a JSON object.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tracing::Level;

use super::super::mask::Mask;
use super::level::{level_named, level_of};
use crate::log::MAX_OBJECT;

/// The keys of a JSON line that may hold its level, in the order in which they are preferred.
const LEVELS: [&str; 5] = ["level", "severity", "levelname", "lvl", "log.level"];

/// The keys that may hold its message, in the order in which they are preferred.
const MESSAGES: [&str; 3] = ["message", "msg", "event"];

/// The maximum number of objects and lists inside each other. Programs that read logs have limits of their own.
const MAX_DEPTH: usize = 64;

/// A line of a step's output.
pub struct Line<'a> {
    pub level: Level,
    pub message: Cow<'a, str>,
    /// The other fields of a line that is a JSON object, as a JSON object.
    pub fields: Option<String>,
}

/// Reads a line. It is masked already, but `mask` is also applied to what its JSON strings mean.
pub fn read<'a>(line: &'a str, mask: &Mask) -> Line<'a> {
    let (line, depth) = masked_inside(line, mask);
    let object = (depth <= MAX_DEPTH).then(|| read_object(&line)).flatten();
    object.unwrap_or_else(|| Line {
        level: level_of(&line),
        message: line,
        fields: None,
    })
}

/// Reads a line that is a JSON object with a message. Any other line is `None`, as is an object that is too large.
fn read_object(line: &str) -> Option<Line<'static>> {
    let text = line.trim();
    if !(text.starts_with('{') && text.ends_with('}')) {
        return None;
    }
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let message = MESSAGES.iter().find_map(|key| {
        let message: String = serde_json::from_str(fields.get(*key)?.get()).ok()?;
        let message = Some(message).filter(|message| !message.is_empty())?;
        fields.remove(*key).map(|_| message)
    })?;
    let level = LEVELS.iter().find_map(|key| {
        let level = level_in_json(fields.get(*key)?.get())?;
        fields.remove(*key).map(|_| level)
    });
    let level = level.unwrap_or_else(|| level_of(&message));
    let fields = (!fields.is_empty()).then(|| serde_json::to_string(&fields));
    let fields = fields.transpose().ok()?;
    if fields.as_ref().is_some_and(|json| json.len() > MAX_OBJECT) {
        return None;
    }
    Some(Line {
        level,
        message: message.into(),
        fields,
    })
}

/// Masks what the JSON strings in a line mean, because JSON can write a secret in many ways. The line need not be JSON as
/// a whole. Strings without a secret stay as they are. Returns also how many objects and lists are inside each other.
fn masked_inside<'a>(line: &'a str, mask: &Mask) -> (Cow<'a, str>, usize) {
    let mut out = String::new();
    // The end of what `out` has of the line.
    let mut done = 0;
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while let Some(passed) = line[at..].find(['"', '{', '[', '}', ']']) {
        at += passed;
        let rest = &line[at..];
        let mut length = 1;
        match rest.as_bytes()[0] {
            b'{' | b'[' => depth += 1,
            b'"' => match string_length(rest) {
                Some(found) => length = found,
                None => break,
            },
            _ => depth = depth.saturating_sub(1),
        }
        deepest = deepest.max(depth);
        if let Some(masked) = masked_string(&rest[..length], mask) {
            out += &line[done..at];
            out += &masked;
            done = at + length;
        }
        at += length;
    }
    if done == 0 {
        return (line.into(), deepest);
    }
    ((out + &line[done..]).into(), deepest)
}

/// A JSON string with escapes, if it means a text with a secret: with the secret masked.
fn masked_string(token: &str, mask: &Mask) -> Option<String> {
    let has_escape = token.contains('\\');
    let meant: String = has_escape.then(|| serde_json::from_str(token).ok())??;
    let masked = mask.applied(meant.as_bytes());
    (masked != meant.as_bytes())
        .then(|| serde_json::to_string(&String::from_utf8_lossy(&masked)).ok())?
}

/// The length of the JSON string at the beginning of a text, with its quotes, in bytes.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    Some(end + 2)
}

/// The level that a JSON value names: a word, or a number of pino or bunyan.
fn level_in_json(json: &str) -> Option<Level> {
    if let Ok(word) = serde_json::from_str::<String>(json) {
        return level_named(&word);
    }
    match json.parse().ok()? {
        10..20_u8 => Some(Level::TRACE),
        20..30 => Some(Level::DEBUG),
        30..40 => Some(Level::INFO),
        40..50 => Some(Level::WARN),
        50..=60 => Some(Level::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use tracing::Level;

    use super::super::super::mask::Mask;
    use super::{MAX_DEPTH, read};

    fn read_with(line: &str, secrets: &[&str]) -> (Level, String, Value) {
        let secrets: Vec<_> = secrets
            .iter()
            .map(|each| each.as_bytes().to_vec())
            .collect();
        let read = read(line, &Mask::new(&secrets));
        let fields = read
            .fields
            .map(|json| serde_json::from_str(&json).expect("it is JSON"));
        (
            read.level,
            read.message.into_owned(),
            fields.unwrap_or_default(),
        )
    }

    #[test]
    fn the_lines_of_common_loggers_keep_their_level_message_and_fields() {
        for (line, level, message, fields) in [
            // pino
            (
                r#"{"level":50,"time":1531171074631,"pid":657,"msg":"wrong"}"#,
                Level::ERROR,
                "wrong",
                json!({"time": 1_531_171_074_631_u64, "pid": 657}),
            ),
            // structlog
            (
                r#"{"event": "careful", "level": "warning", "n": 1.50}"#,
                Level::WARN,
                "careful",
                json!({"n": 1.5}),
            ),
            // python-json-logger
            (
                r#"{"levelname": "CRITICAL", "message": "wrong", "event": "x"}"#,
                Level::ERROR,
                "wrong",
                json!({"event": "x"}),
            ),
            // Google Cloud
            (
                r#"{"severity":"NOTICE","message":"x"}"#,
                Level::INFO,
                "x",
                Value::Null,
            ),
            (
                r#"{"level":"debug","msg":"x","args":{"a":[1,null]}}"#,
                Level::DEBUG,
                "x",
                json!({"args": {"a": [1, null]}}),
            ),
            // A level that is not known stays a field, and the message may tell another one.
            (
                r#"{"level":"audit","message":"ERROR: wrong"}"#,
                Level::ERROR,
                "ERROR: wrong",
                json!({"level": "audit"}),
            ),
        ] {
            let expected = (level, message.to_owned(), fields);
            assert_eq!(read_with(line, &[]), expected, "{line}");
        }
        // Numbers stay as they are written.
        let line = r#"{"msg":"x","n":12345678901234567890123,"e":1e400}"#;
        let fields = read(line, &Mask::new(&[])).fields;
        let exact = r#"{"e":1e400,"n":12345678901234567890123}"#;
        assert_eq!(fields.as_deref(), Some(exact));
    }

    #[test]
    fn anything_else_is_a_line_of_text() {
        let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        for line in [
            "{not json}",
            r#"{"msg":"x"} and more"#,
            r#"["msg","x"]"#,
            r#"{"rows":5}"#,
            r#"{"msg":5}"#,
            r#"{"msg":"\ud83d"}"#,
            &format!(r#"{{"msg":"x","deep":{deep}}}"#),
            &format!(r#"{{"msg":"x","large":"{}"}}"#, "y".repeat(13_000)),
        ] {
            let expected = (Level::INFO, line.to_owned(), Value::Null);
            assert_eq!(read_with(line, &[]), expected, "{line}");
        }
    }

    #[test]
    fn a_secret_is_masked_however_json_writes_it() {
        let line = r#"{"msg":"a canar\u0079 b","canar\u0079":"\u0063anary \"q\" \/"}"#;
        let (_, message, fields) = read_with(line, &["canary", "\"q\" /"]);
        assert_eq!(message, "a *** b");
        assert_eq!(fields, json!({"***": "*** ***"}));
        // Neither does it matter whether the line is an object with a message.
        for (line, message) in [
            (r#"{"rows":"\u0063anary"}"#, r#"{"rows":"***"}"#),
            (r#"["\u0063anary","\t"]"#, r#"["***","\t"]"#),
            (
                r#"{"msg":"\ud83d","k":"\u0063anary"}"#,
                r#"{"msg":"\ud83d","k":"***"}"#,
            ),
            (
                r#"{"msg":"x","k":"\u0063anary",}"#,
                r#"{"msg":"x","k":"***",}"#,
            ),
            (
                r#"sent {"k":"\u0063anary"} to x"#,
                r#"sent {"k":"***"} to x"#,
            ),
        ] {
            assert_eq!(read_with(line, &["canary"]).1, message, "{line}");
        }
        let large = format!(
            r#"{{"msg":"x","y":"{}","k":"\u0063anary"}}"#,
            "y".repeat(13_000)
        );
        let masked = large.replace(r"\u0063anary", "***");
        assert_eq!(read_with(&large, &["canary"]).1, masked);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_keeps_its_message_and_its_fields(
            message in any::<String>().prop_filter("a message", |text| !text.is_empty()),
            fields in proptest::collection::btree_map("[a-z\"é]{1,4}_", any_value(), 1..5),
        ) {
            let mut object: Map<String, Value> = fields.into_iter().collect();
            let fields = Value::Object(object.clone());
            object.insert("message".into(), message.clone().into());
            object.insert("level".into(), "warn".into());
            let line = Value::Object(object).to_string();
            prop_assert_eq!(read_with(&line, &[]), (Level::WARN, message, fields));
        }
    }
}
