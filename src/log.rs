//! The log: `tracing` events as text lines for people, or as JSON lines for platforms.
//!
//! In the text format, events with the target `announce`, `report` or `step` (a line of a step's output) are written
//! unchanged. All others get the prefix `startup-guard: `.

use std::fmt::{self, Display};
use std::time::SystemTime;

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

/// The fields that an event can have besides its message. `phase` is a [`Phase`].
const FIELDS: &str = "phase variable finding step exit_code retry cause summary";

/// The only field whose value is JSON already.
const SUMMARY: &str = "summary";

/// Starts the log. `write` is called once per line, with its line break.
///
/// # Panics
/// If it is called twice.
pub fn start(format: Format, write: fn(&[u8])) {
    let log = Spanless.with(Lines { format, write });
    tracing::subscriber::set_global_default(log).expect("start is called only once");
}

/// Writes each event as a line.
struct Lines {
    format: Format,
    write: fn(&[u8]),
}

impl Layer<Spanless> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, Spanless>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = match self.format {
            Format::Text { colour } => text(event.metadata(), &fields.message, colour),
            Format::Json => json(*event.metadata().level(), &fields),
        };
        (self.write)(line.as_bytes());
    }
}

/// A subscriber without spans, because the guard uses none. The registry of `tracing-subscriber` would allocate 32 KB
/// at each start.
struct Spanless;

impl Subscriber for Spanless {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
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
    /// The other fields as the end of a JSON object, in the order of the event.
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, json: &str) {
        let name = field.name();
        let is_known = FIELDS.split(' ').any(|known| known == name);
        debug_assert!(is_known, "unknown log field {name}");
        self.others += &format!(r#","{name}":{json}"#);
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
            SUMMARY => self.add(field, value),
            _ => self.add(field, &quoted(value)),
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

fn json(level: Level, fields: &Fields) -> String {
    let level = level.as_str().to_ascii_lowercase();
    let message = quoted(&fields.message);
    let timestamp = humantime::format_rfc3339_millis(SystemTime::now());
    let others = &fields.others;
    format!(r#"{{"level":"{level}","message":{message},"timestamp":"{timestamp}"{others}}}"#) + "\n"
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("strings can always be serialized")
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::{Format, Lines, Phase, Spanless};

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
}
