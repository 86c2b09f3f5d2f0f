//! Traces to a collector, by OTLP over HTTP with protobuf.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use slipway_settings::OtelSettings;

use crate::TelemetryError;

/// The longest one export may take. Spans wait in a bounded queue meanwhile; what does not fit is dropped.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// A provider that exports in the background, or `None` when no endpoint is set.
pub(crate) fn provider(
    service: &'static str,
    settings: &OtelSettings,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &settings.endpoint else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        // The setting is the base address, as the specification has it for all signals.
        .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Otlp)?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("deployment.environment.name", settings.env.as_str()),
        ])
        .build();
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build(),
    ))
}
