//! Fields of spans and events as JSON, kept with each span so that lines and reports inside it can carry them.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::error_chain;

/// What a span was given, at its start and later.
#[derive(Default)]
struct SpanFields(Map<String, Value>);

/// Keeps the fields of every span; other layers only read them.
pub(crate) struct FieldsLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for FieldsLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = SpanFields::default();
        attributes.record(&mut Visitor(&mut fields.0));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Visitor(&mut fields.0));
        }
    }
}

/// The fields of the spans around an event, the inner one winning.
pub(crate) fn of_spans<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Map<String, Value> {
    let mut all = Map::new();
    for span in context
        .event_scope(event)
        .into_iter()
        .flat_map(tracing_subscriber::registry::Scope::from_root)
    {
        if let Some(fields) = span.extensions().get::<SpanFields>() {
            all.extend(fields.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    all
}

/// The event's own fields, `message` among them.
pub(crate) fn of_event(event: &Event<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    event.record(&mut Visitor(&mut fields));
    fields
}

struct Visitor<'a>(&'a mut Map<String, Value>);

impl Visitor<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        // Fields that only shape the span of a trace.
        if !name.starts_with("otel.") {
            self.0.insert(name.to_owned(), value);
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        let number = serde_json::Number::from_f64(value).map(Value::Number);
        self.put(field, number.unwrap_or_else(|| Value::String(value.to_string())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, error_chain(value).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
