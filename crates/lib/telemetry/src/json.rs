//! One JSON object a line: time, level, target, service, span, message, and every field at the top.

use std::io::Write;

use serde_json::{Map, Value};
use slipway_text::escape_json;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::fields;

/// Names that the line itself uses; a field of such a name is put under `field.<name>`.
const RESERVED: [&str; 5] = ["timestamp", "level", "target", "service", "span"];

/// Writes events as JSON lines.
pub(crate) struct JsonLayer<W> {
    service: &'static str,
    writer: W,
}

impl<W> JsonLayer<W> {
    pub(crate) fn new(service: &'static str, writer: W) -> Self {
        Self { service, writer }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = fields::of_event(event);
        // What comes through the `log` crate carries its target as a field.
        let target = own
            .remove("log.target")
            .and_then(|target| target.as_str().map(str::to_owned));
        own.retain(|name, _| !name.starts_with("log."));
        let message = own.remove("message").unwrap_or_default();

        let mut line = Map::new();
        line.insert("timestamp".to_owned(), now().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert(
            "target".to_owned(),
            target
                .unwrap_or_else(|| event.metadata().target().to_owned())
                .into(),
        );
        line.insert("service".to_owned(), self.service.into());
        if let Some(span) = context.event_span(event) {
            line.insert("span".to_owned(), span.name().into());
        }
        line.insert("message".to_owned(), message);
        for (name, value) in fields::of_spans(event, &context).into_iter().chain(own) {
            let name = if RESERVED.contains(&name.as_str()) {
                format!("field.{name}")
            } else {
                name
            };
            line.insert(name, value);
        }
        let mut text = escape_json(&Value::Object(line).to_string()).into_owned();
        text.push('\n');
        // Written at once, so that lines of several threads do not mix. Nobody is left to read an error, since the
        // reader of the log is gone. The process must not end for that.
        let _ = self
            .writer
            .make_writer_for(event.metadata())
            .write_all(text.as_bytes());
    }
}

/// RFC 3339 in UTC with microseconds.
fn now() -> String {
    let mut text = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut text)).is_err() {
        text.clear();
    }
    text
}
