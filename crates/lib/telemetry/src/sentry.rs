//! Events of level error, panics among them, to Sentry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentry::protocol::Event as Report;
use sentry::types::Dsn;
use sentry::{Client, ClientOptions, Level};
use serde_json::Value;
use slipway_settings::SentrySettings;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::host_name::host_name;
use crate::{TelemetryError, fields};

/// How long the end of the process waits for reports under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Span fields to search by in Sentry; all others are sent as extra data.
const TAGS: [&str; 5] = ["environment", "host", "request_id", "rollout_id", "attempt_id"];

/// A client with a background thread of its own, or `None` when no DSN is set.
pub(crate) fn client(
    service: &'static str,
    settings: &SentrySettings,
) -> Result<Option<Arc<Client>>, TelemetryError> {
    let Some(dsn) = &settings.dsn else {
        return Ok(None);
    };
    let dsn: Dsn = dsn
        .expose_secret()
        .parse()
        .map_err(|_| TelemetryError::SentryDsn)?;
    let mut options = ClientOptions::new();
    options.dsn = Some(dsn);
    let version = || format!("{service}@{}", env!("CARGO_PKG_VERSION"));
    options.release = Some(settings.release.clone().unwrap_or_else(version).into());
    options.environment = Some(settings.env.as_str().into());
    options.server_name = host_name().map(Into::into);
    options.shutdown_timeout = SHUTDOWN_TIMEOUT;
    // The client is made directly, because `sentry::init` reads more from the environment than our settings allow.
    // SSL_VERIFY, for example, would switch off the check of certificates.
    options.transport = Some(Arc::new(sentry::transports::DefaultTransportFactory));
    Ok(Some(Arc::new(Client::with_options(options))))
}

/// Turns events into reports. To be filtered to level error.
pub(crate) struct SentryLayer(pub(crate) Arc<Client>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SentryLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut extra: BTreeMap<String, Value> = fields::of_spans(event, &context).into_iter().collect();
        extra.extend(fields::of_event(event));
        let message = extra.remove("message").map(plain);
        let tags = TAGS
            .iter()
            .filter_map(|tag| Some(((*tag).to_owned(), plain(extra.remove(*tag)?))))
            .collect();
        let report = Report {
            level: Level::Error,
            message,
            logger: Some(event.metadata().target().to_owned()),
            transaction: context.event_span(event).map(|span| span.name().to_owned()),
            tags,
            extra,
            ..Report::default()
        };
        self.0.capture_event(report, None);
    }
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
