//! A collector of traces, which takes OTLP over HTTPS and keeps every span.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply, TestCertificate};

/// The header that it asks for, as vendors do.
const HEADER: (&str, &str) = ("api-key", "0123456789-traces");

/// One span as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// The process's name, such as `slipway-api`.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// Its trace, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// The id of the span that it hangs below; empty for a root.
    pub parent: String,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A collector on a free port, with a certificate of its own CA.
pub struct Collector {
    server: ScriptedApi,
    spans: Arc<Mutex<Vec<ReceivedSpan>>>,
}

impl Collector {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&spans);
        let server = ScriptedApi::start_tls(TestCertificate::Good, move |request| take(request, &kept));
        Self { server, spans }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What `OTEL_EXPORTER_OTLP_HEADERS` is to be: whoever sends less is refused.
    #[must_use]
    pub fn headers(&self) -> String {
        format!("{}={}", HEADER.0, HEADER.1)
    }

    /// What the file of `OTEL_EXPORTER_OTLP_CERTIFICATE` is to hold.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.server.ca_pem()
    }

    /// Every span so far.
    ///
    /// # Panics
    /// When what came before was no OTLP.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.spans.lock().unwrap().clone()
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.server.requests()
    }
}

fn take(request: &ReceivedRequest, spans: &Mutex<Vec<ReceivedSpan>>) -> ScriptedReply {
    if request.header(HEADER.0) != Some(HEADER.1) {
        return ScriptedReply::empty(401);
    }
    if request.line() != "POST /v1/traces" {
        return ScriptedReply::empty(404);
    }
    let body = ExportTraceServiceRequest::decode(&request.bytes[..]).unwrap();
    let mut spans = spans.lock().unwrap();
    for group in body.resource_spans {
        let resource = attributes(&group.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let found = group.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.extend(found.map(|span| read(&service, span)));
    }
    // Nothing was rejected: an empty message.
    ScriptedReply::text(200, "application/x-protobuf", "")
}

fn read(service: &str, span: &Span) -> ReceivedSpan {
    let failed = |code| code == StatusCode::Error as i32;
    ReceivedSpan {
        service: service.to_owned(),
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        failed: span.status.as_ref().is_some_and(|status| failed(status.code)),
        attributes: attributes(&span.attributes),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    };
    pairs
        .iter()
        .map(|pair| (pair.key.clone(), text(&pair.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
