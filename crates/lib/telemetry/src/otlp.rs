//! Traces to a collector, by OTLP over HTTP with protobuf.
//!
//! A thread of its own sends what waits in a bounded queue (2,048 spans); what does not fit is dropped. So a collector
//! that hangs, refuses or is away slows nothing down.

mod outage;

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use reqwest::blocking::Client;
use reqwest::{Certificate, redirect};
use secrecy::ExposeSecret;
use slipway_settings::OtelSettings;

use crate::TelemetryError;
use crate::host_name::host_name;
use outage::OutageLog;

/// The longest one export may take, with everything in it.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest its connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A provider that exports in the background, or `None` when no endpoint is set.
pub(crate) fn provider(
    service: &'static str,
    settings: &OtelSettings,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &settings.endpoint else {
        return Ok(None);
    };
    let headers = settings.headers.iter();
    let headers: HashMap<_, _> = headers
        .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
        .collect();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(client(settings)?)
        .with_headers(headers)
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
        .with_attributes(host_name().map(|name| KeyValue::new("host.name", name)))
        .build();
    Ok(Some(
        SdkTracerProvider::builder()
            // Whoever begins a trace decides whether it is recorded, for all processes.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_batch_exporter(OutageLog::new(exporter))
            .with_resource(resource)
            .build(),
    ))
}

/// The connection to the collector. It never follows a redirect: the headers are for the collector alone.
fn client(settings: &OtelSettings) -> Result<Client, TelemetryError> {
    let certificates = match &settings.ca_file {
        None => Vec::new(),
        Some(path) => {
            let bad = |why: String| TelemetryError::OtlpCertificate {
                path: path.clone(),
                why,
            };
            let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
            let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err(bad("it holds no PEM certificate".to_owned()));
            }
            found
        }
    };
    let builder = Client::builder()
        .timeout(EXPORT_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none());
    let is_plain = settings
        .endpoint
        .as_ref()
        .is_some_and(|url| url.scheme() == "http");
    let builder = if is_plain {
        // Plain HTTP works on a machine that has no certificates at all.
        builder.tls_certs_only([])
    } else {
        builder.tls_certs_merge(certificates)
    };
    // It has a runtime inside, which must not be made within another one.
    thread::scope(|scope| scope.spawn(|| builder.build()).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        .map_err(TelemetryError::OtlpClient)
}

#[cfg(test)]
mod tests;
