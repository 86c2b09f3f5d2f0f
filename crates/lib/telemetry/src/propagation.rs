//! One trace over several processes, by W3C Trace Context.
//!
//! A span hangs below a [`TraceParent`] that came in a request's header, from the database or out of a journal. Without
//! an OTLP endpoint a process has no spans of its own, but it still passes on what it was given: the ids join.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, Status, TraceContextExt, TraceFlags, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use slipway_domain::TraceParent;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header's name.
const TRACEPARENT: &str = "traceparent";

/// Makes `span` a child of the caller's span, if the request's headers name one, and gives that.
///
/// To be called before the span is first entered, and after the caller is authenticated: whoever chooses a trace id writes
/// into that trace.
#[must_use = "the trace context is what a rollout is stored with"]
pub fn continue_trace(span: &Span, headers: &HeaderMap) -> Option<TraceParent> {
    let given = headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()?;
    hang(span, TraceContextPropagator::new().extract(&Headers(headers)));
    Some(given)
}

/// Makes `span` a child of this one. To be called before the span is first entered.
pub fn join(span: &Span, parent: &TraceParent) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_string())]);
    hang(span, TraceContextPropagator::new().extract(&carrier));
}

/// Keeps `span`, and whatever hangs below it, from being recorded: routine work that is no part of a trace.
pub fn leave_out(span: &Span) {
    let ids = RandomIdGenerator::default();
    let unrecorded = SpanContext::new(
        ids.new_trace_id(),
        ids.new_span_id(),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    hang(span, Context::new().with_remote_span_context(unrecorded));
}

/// The place of `span`, for whoever is to hang spans below it; `None` in a process without traces.
#[must_use]
pub fn place_of(span: &Span) -> Option<TraceParent> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)?.parse().ok()
}

/// Notes of which request a server's span is, under OpenTelemetry's names.
pub fn note_request(span: &Span, method: &str, route: &str) {
    span.set_attribute("http.request.method", method.to_owned());
    span.set_attribute("http.route", route.to_owned());
}

/// Notes a fact of `span`, for those who read its trace.
pub fn note(span: &Span, name: &'static str, value: String) {
    span.set_attribute(name, value);
}

/// Notes how a server answered. Only its own failure is an error of its span.
pub fn note_answer(span: &Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
}

/// Notes that the work of `span` failed, and why.
pub fn note_failure(span: &Span, why: &str) {
    span.set_status(Status::error(why.to_owned()));
}

fn hang(span: &Span, parent: Context) {
    // It fails when there is no OTLP layer, or when the span has begun: both mean that there is nothing to join.
    let _ = span.set_parent(parent);
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
