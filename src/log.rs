//! What the guard says: `tracing` events as text lines for people, or as JSON lines for platforms.
//!
//! Targets decide the form: an event of the target `announce` or `report` is shown as it is, any other with
//! the program's name before it; one of the target `step` is a line of a step's output.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text { colour: bool },
    Json,
}

/// Starts the log. Once, before the first event. `write` takes a whole line each time.
pub fn start(format: Format, write: fn(&[u8])) {
    let subscriber = Spanless.with(Lines { format, write });
    tracing::subscriber::set_global_default(subscriber).expect("the log is started once");
}

/// What the layer below stands on. There are no spans here: the registry that would keep them reserves 32 KB,
/// page by page, at every start.
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

/// Writes each event as a line.
struct Lines {
    format: Format,
    write: fn(&[u8]),
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = match self.format {
            Format::Text { colour } => text(event, &fields, colour),
            Format::Json => json(event, &fields),
        };
        (self.write)(line.as_bytes());
    }
}

/// The fields that our events can have. The order here is their order in a JSON line.
#[derive(Default, Serialize)]
struct Fields {
    #[serde(skip)]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// JSON already.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Box<serde_json::value::RawValue>>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "exit_code" {
            self.exit_code = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "phase" => self.phase = Some(value.to_owned()),
            "variable" => self.variable = Some(value.to_owned()),
            "finding" => self.finding = Some(value.to_owned()),
            "step" => self.step = Some(value.to_owned()),
            "retry" => self.retry = Some(value.to_owned()),
            "cause" => self.cause = Some(value.to_owned()),
            "summary" => {
                self.summary = serde_json::value::RawValue::from_string(value.to_owned()).ok();
            }
            _ => {}
        }
    }
}

fn text(event: &Event<'_>, fields: &Fields, colour: bool) -> String {
    let metadata = event.metadata();
    let is_bare = matches!(metadata.target(), "announce" | "report" | "step");
    let (before, after) = match (colour, *metadata.level()) {
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        _ => ("", ""),
    };
    let name = if is_bare { "" } else { "startup-guard: " };
    format!("{before}{name}{}{after}\n", fields.message)
}

#[derive(Serialize)]
struct JsonLine<'a> {
    level: &'static str,
    message: &'a str,
    timestamp: String,
    #[serde(flatten)]
    fields: &'a Fields,
}

fn json(event: &Event<'_>, fields: &Fields) -> String {
    let level = match *event.metadata().level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    };
    let timestamp = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let line = JsonLine {
        level,
        message: &fields.message,
        timestamp,
        fields,
    };
    serde_json::to_string(&line).expect("texts and numbers are always JSON") + "\n"
}
