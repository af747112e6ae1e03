//! What the guard says: `tracing` events as text lines for people, or as JSON lines for platforms.
//!
//! Targets decide the form: an event of the target `announce` or `report` is shown as it is, any other with
//! the program's name before it; one of the target `step` is a line of a step's output.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text { colour: bool },
    Json,
}

/// Starts the log. Once, before the first event.
pub fn start<W>(format: Format, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .event_format(Lines(format))
        .with_writer(writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the log is started once");
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        match self.0 {
            Format::Text { colour } => write_text(&mut out, event, &fields, colour),
            Format::Json => write_json(&mut out, event, &fields),
        }
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
    /// JSON already.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Box<serde_json::value::RawValue>>,
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
            "findings" => {
                self.findings = serde_json::value::RawValue::from_string(value.to_owned()).ok();
            }
            _ => {}
        }
    }
}

fn write_text(
    out: &mut Writer<'_>,
    event: &Event<'_>,
    fields: &Fields,
    colour: bool,
) -> fmt::Result {
    let metadata = event.metadata();
    let is_bare = matches!(metadata.target(), "announce" | "report" | "step");
    let (before, after) = match (colour, *metadata.level()) {
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        _ => ("", ""),
    };
    let name = if is_bare { "" } else { "startup-guard: " };
    writeln!(out, "{before}{name}{}{after}", fields.message)
}

#[derive(Serialize)]
struct JsonLine<'a> {
    level: &'static str,
    message: &'a str,
    timestamp: String,
    #[serde(flatten)]
    fields: &'a Fields,
}

fn write_json(out: &mut Writer<'_>, event: &Event<'_>, fields: &Fields) -> fmt::Result {
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
    writeln!(
        out,
        "{}",
        serde_json::to_string(&line).map_err(|_| fmt::Error)?
    )
}
