//! Sets up logging, traces and error reports for the whole process.

use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use slipway_settings::{LogFormat, LogSettings, OtelSettings, SentrySettings};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::fields::FieldsLayer;
use crate::json::JsonLayer;
use crate::pretty::EscapingWriter;
use crate::sentry::SentryLayer;
use crate::{TelemetryError, otlp, sentry};

/// How long the end of the process waits for spans under way.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The target of spans whose fields belong into lines and reports, and that are no part of a trace.
pub const LINES_ONLY: &str = "lines";
/// Targets whose spans would be about the export of spans.
const EXPORT_TARGETS: [&str; 7] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "rustls",
    "sentry",
];

/// Sends what is still under way when it is dropped; to be kept until the end of `main`.
#[must_use = "spans and reports under way are sent when the guard is dropped"]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
    sentry: Option<Arc<::sentry::Client>>,
}

impl TelemetryGuard {
    /// Sends what is still under way: at most 2 s for spans and 2 s for error reports. Works in and out of a runtime,
    /// but blocks the thread. The same as dropping it.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            // Its own log has said why, and there is nobody else to tell.
            let _ = traces.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
        if let Some(sentry) = self.sentry.take() {
            sentry.close(None);
        }
    }
}

/// Sets up logging to stderr, traces and error reports for the whole process, and logs panics like any other error.
///
/// `service` names the process in lines, traces and reports, such as `slipway-api`. To be called once.
pub fn init(
    service: &'static str,
    log: &LogSettings,
    otel: &OtelSettings,
    sentry: &SentrySettings,
) -> Result<TelemetryGuard, TelemetryError> {
    let (subscriber, guard) = build(service, log, otel, sentry, io::stderr)?;
    subscriber
        .try_init()
        .map_err(|_| TelemetryError::AlreadyInitialised)?;
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(target: "panic", location, "panicked: {message}");
    }));
    Ok(guard)
}

/// Sends traces and nothing else, for a command whose output is for people; `None` when no endpoint is set.
pub fn init_traces(
    service: &'static str,
    otel: &OtelSettings,
) -> Result<Option<TelemetryGuard>, TelemetryError> {
    install_crypto();
    let Some(traces) = otlp::provider(service, otel)? else {
        return Ok(None);
    };
    Registry::default()
        .with(trace_layer(service, &traces))
        .try_init()
        .map_err(|_| TelemetryError::AlreadyInitialised)?;
    Ok(Some(TelemetryGuard {
        traces: Some(traces),
        sentry: None,
    }))
}

/// What [`init`] makes global, with another writer for tests.
pub(crate) fn build<W>(
    service: &'static str,
    log: &LogSettings,
    otel: &OtelSettings,
    sentry: &SentrySettings,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, TelemetryGuard), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    install_crypto();
    let events = EnvFilter::builder()
        .parse(&log.level)
        .map_err(TelemetryError::LogLevel)?;
    let lines = match log.format {
        LogFormat::Json => JsonLayer::new(service, writer).boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .with_writer(EscapingWriter(writer))
            .with_ansi(colours())
            // It would report on stderr that stderr cannot be written, and panic over that.
            .log_internal_errors(false)
            .boxed(),
    };
    let traces = otlp::provider(service, otel)?;
    let reports = sentry::client(service, sentry)?;
    let trace_layer = traces.as_ref().map(|provider| trace_layer(service, provider));
    let report_layer = reports.clone().map(|client| {
        // Spans must pass, or an event would seem to stand in none.
        SentryLayer(client).with_filter(LevelFilter::ERROR.or(filter_fn(is_context)))
    });
    let subscriber = Registry::default()
        .with(FieldsLayer.with_filter(filter_fn(is_context)))
        .with(lines.with_filter(events.or(filter_fn(is_context))))
        .with(trace_layer)
        .with(report_layer);
    Ok((
        subscriber,
        TelemetryGuard {
            traces,
            sentry: reports,
        },
    ))
}

/// The exporters' TLS has no provider of its own. Somebody else may have installed the same one: fine.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn trace_layer<S>(service: &'static str, provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_filter(filter_fn(is_ours))
}

/// Spans whose fields belong into every line, whatever level the lines are limited to.
fn is_context(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO
        && metadata.target() != LINES_ONLY
        && !EXPORT_TARGETS.iter().any(|target| krate.starts_with(target))
}

/// <https://no-color.org>: set and not empty means no.
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests;
