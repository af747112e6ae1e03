//! The log: `tracing` events as text lines for people, or as JSON lines for platforms.
//!
//! In the text format, events with the target `announce`, `report` or `step` (a line of a step's output) are written
//! unchanged. All others get the prefix `startup-guard: `.
//!
//! In the JSON format no line is longer than `MAX_LINE`. A longer message continues on further lines.

use std::fmt::{self, Display};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text { colour: bool },
    Json,
}

/// The phases that log lines name, in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Usage,
    Manifest,
    EnvFile,
    Check,
    User,
    Wait,
    Lock,
    Step,
    Serve,
    Healthcheck,
}

impl Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// The fields that an event can have besides its message. `phase` is a [`Phase`], `duration_ms` is in milliseconds.
const FIELDS: &str = "phase step variable finding exit_code retry cause duration_ms fields summary";

/// The fields that every line of an event has if its message is split.
const LABELS: [&str; 2] = ["phase", "step"];

/// The fields whose values are JSON already. A value may have at most `MAX_OBJECT` bytes.
const OBJECTS: [&str; 2] = ["fields", "summary"];

/// The length of the longest JSON line with its line break, in bytes. Docker splits longer ones.
const MAX_LINE: usize = 16 * 1024;

/// The length of the longest JSON object in a field, in bytes. The rest of a line is for the message and other fields.
pub const MAX_OBJECT: usize = 12 * 1024;

/// The length of the longest text in a field, in bytes. The end of a longer one is replaced with `…`.
const MAX_NAME: usize = 128;

/// The fields `service` and `process` as they are written to every JSON line.
static IDENTITY: Mutex<String> = Mutex::new(String::new());

/// Sets the service and the process that all further JSON lines name. A later call replaces an earlier one.
pub fn identify(service: Option<&str>, process: Option<&str>) {
    let named = [("service", service), ("process", process)].into_iter();
    let fields = named.filter_map(|(field, name)| {
        let name = named_in_json(name?);
        Some(format!(r#","{field}":{name}"#))
    });
    *IDENTITY.lock().unwrap_or_else(PoisonError::into_inner) = fields.collect();
}

/// The value of the field `duration_ms`.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Starts the log. `write` is called once per event, with one or more lines and their line breaks.
///
/// # Panics
/// If it is called twice.
pub fn start(format: Format, write: fn(&[u8])) {
    let log = Spanless.with(Lines { format, write });
    tracing::subscriber::set_global_default(log).expect("start is called only once");
}

/// Writes each event as a line, or as several lines if it is too long for one.
struct Lines {
    format: Format,
    write: fn(&[u8]),
}

impl Layer<Spanless> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, Spanless>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let lines = match self.format {
            Format::Text { colour } => text(event.metadata(), &fields.message, colour),
            Format::Json => json(*event.metadata().level(), &fields),
        };
        (self.write)(lines.as_bytes());
    }
}

/// A subscriber without spans, because the guard uses none. The registry of `tracing-subscriber` would allocate 32 KB
/// at each start.
struct Spanless;

impl Subscriber for Spanless {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // A step's lines keep their own level.
        *metadata.level() <= Level::INFO || metadata.target() == "step"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    /// The `LABELS` as a part of a JSON object, each with a comma before it.
    labels: String,
    /// The other fields likewise, in the order of the event.
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, json: &str) {
        let name = field.name();
        let is_known = FIELDS.split(' ').any(|known| known == name);
        debug_assert!(is_known, "unknown log field {name}");
        let is_label = LABELS.contains(&name);
        let fields = if is_label {
            &mut self.labels
        } else {
            &mut self.others
        };
        *fields += &format!(r#","{name}":{json}"#);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name if OBJECTS.contains(&name) => self.add(field, value),
            _ => self.add(field, &named_in_json(value)),
        }
    }
}

fn text(metadata: &Metadata<'_>, message: &str, colour: bool) -> String {
    let is_bare = matches!(metadata.target(), "announce" | "report" | "step");
    let name = if is_bare { "" } else { "startup-guard: " };
    let (before, after) = match (colour, *metadata.level()) {
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        _ => ("", ""),
    };
    format!("{before}{name}{message}{after}\n")
}

/// The lines of an event. If its message is too long for one line, each line has the field `part`, counted from 1, and
/// the last one has the event's other fields.
fn json(level: Level, fields: &Fields) -> String {
    let level = level.as_str().to_ascii_lowercase();
    let timestamp = humantime::format_rfc3339_millis(SystemTime::now());
    let identity = IDENTITY.lock().unwrap_or_else(PoisonError::into_inner);
    let (labels, others) = (&fields.labels, &fields.others);
    let line = |message: &str, others: &str| {
        let message = quoted(message);
        format!(
            r#"{{"level":"{level}","message":{message},"timestamp":"{timestamp}"{identity}{labels}{others}}}"#
        ) + "\n"
    };
    let whole = line(&fields.message, others);
    if whole.len() <= MAX_LINE {
        return whole;
    }
    let part = |number| format!(r#","part":{number}"#);
    let around = line("", others).len() + part(usize::MAX).len();
    let pieces = pieces(&fields.message, MAX_LINE.saturating_sub(around));
    let last = pieces.len();
    let lines = pieces.into_iter().zip(1..).map(|(piece, number)| {
        let others = if number == last { others } else { "" };
        line(piece, &(part(number) + others))
    });
    lines.collect()
}

/// Cuts a text into pieces that have at most `room` bytes in JSON, without the quotes.
fn pieces(text: &str, room: usize) -> Vec<&str> {
    let (mut pieces, mut start, mut size) = (Vec::new(), 0, 0);
    for (at, each) in text.char_indices() {
        let length = match each {
            '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
            ..' ' => 6,
            _ => each.len_utf8(),
        };
        // A piece has at least one character.
        if size + length > room && at > start {
            pieces.push(&text[start..at]);
            (start, size) = (at, 0);
        }
        size += length;
    }
    pieces.push(&text[start..]);
    pieces
}

fn named_in_json(name: &str) -> String {
    match name.floor_char_boundary(MAX_NAME) {
        end if end < name.len() => quoted(&format!("{}…", &name[..end])),
        _ => quoted(name),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("strings can always be serialized")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt;

    use super::{
        Fields, Format, Lines, MAX_LINE, MAX_OBJECT, Phase, Spanless, json, named_in_json,
    };

    fn logged(log: impl FnOnce()) {
        let format = Format::Json;
        let write = |line: &[u8]| {
            let fields: serde_json::Value = serde_json::from_slice(line).expect("a line is JSON");
            assert_eq!(fields["phase"], "env_file");
            assert_eq!(fields["exit_code"], 78);
            assert_eq!(fields["summary"]["errors"], 1);
            assert_eq!(fields["message"], "a \"quote\"");
        };
        tracing::subscriber::with_default(Spanless.with(Lines { format, write }), log);
    }

    #[test]
    fn each_field_is_written_with_its_json_type() {
        logged(|| {
            let summary = r#"{"errors":1}"#;
            tracing::error!(phase = %Phase::EnvFile, exit_code = 78_u64, summary, "a \"quote\"");
        });
    }

    #[test]
    #[should_panic(expected = "unknown log field pahse")]
    fn an_unknown_field_is_a_bug() {
        logged(|| tracing::info!(pahse = %Phase::Step, "a line"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_nothing_of_a_message_is_lost(
            start in any::<String>(),
            repeated in "[a-z\"\u{1}é🚀\n]{1,9}",
            count in 0_usize..9_000,
            name in any::<String>(),
            size in 0..MAX_OBJECT - 2,
        ) {
            let message = start + &repeated.repeat(count);
            let named = named_in_json(&name.repeat(99));
            let summary = format!("\"{}\"", "x".repeat(size));
            let fields = Fields {
                message: message.clone(),
                labels: format!(r#","phase":"step","step":{named}"#),
                others: format!(r#","variable":{named},"exit_code":70,"summary":{summary}"#),
            };
            let lines = json(Level::DEBUG, &fields);
            prop_assert!(lines.ends_with('\n'));
            let mut read = String::new();
            let count = lines.lines().count();
            for (line, number) in lines.lines().zip(1..) {
                prop_assert!(line.len() < MAX_LINE, "{} bytes", line.len() + 1);
                let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
                read += line["message"].as_str().expect("each line has a message");
                prop_assert_eq!(&line["level"], "debug");
                prop_assert!(line["step"].is_string());
                prop_assert_eq!(line["exit_code"] == 70, number == count);
                prop_assert_eq!(line.get("summary").is_some(), number == count);
                let part = if count > 1 { number.into() } else { serde_json::Value::Null };
                prop_assert_eq!(&line["part"], &part);
            }
            prop_assert_eq!(read, message);
        }
    }
}
