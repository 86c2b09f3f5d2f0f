//! `METRICS_*`, `LOG_*`, `OTEL_*` and `SENTRY_*`: what is told of a process, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::value_kind::ValueKind;
use crate::values::{AppEnv, LogFormat, OtlpHeaders};
use crate::variable::{ALL, section};

section! {
    /// Where Prometheus may ask.
    pub struct MetricsSettings("Metrics", Some("METRICS_"), ALL) {
        /// The address of the metrics listener. Unset: `API_HOST` in the api, 127.0.0.1 elsewhere.
        host: Option<IpAddr> = METRICS_HOST: ValueKind::Address, { example: Some("127.0.0.1") };
        /// The port of the metrics listener. Unset: no listener. Processes on one host need different ones.
        port: Option<u16> = METRICS_PORT: ValueKind::Port, { example: Some("9100") };
    }
}

section! {
    /// What is logged, and in what form.
    pub struct LogSettings("Logging", Some("LOG_"), ALL) {
        /// A level (off, error, warn, info, debug, trace), or levels by target, separated by commas.
        level: String = LOG_LEVEL: ValueKind::LogLevels, { default: Some("info"), example: Some("info,sqlx=warn") };
        /// `json` is one object a line, for machines; `pretty` is for people.
        format: LogFormat = LOG_FORMAT: ValueKind::OneOf(LogFormat::WORDS), {
            default: Some("json"),
            example: Some("pretty"),
            in_example: true
        };
    }
}

section! {
    /// Where traces go.
    #[derive(Default)]
    pub struct OtelSettings("Traces", None, ALL) {
        /// The base address of a collector that takes OTLP over HTTP (protobuf); traces are posted to
        /// `/v1/traces` below it. Unset: no traces are sent.
        endpoint: Option<Url> = OTEL_EXPORTER_OTLP_ENDPOINT: ValueKind::Url, { example: Some("http://127.0.0.1:4318") };
        /// Headers that go along with the traces, such as an account's key. A percent escape stands for one character.
        #[serde(default)]
        headers: OtlpHeaders = OTEL_EXPORTER_OTLP_HEADERS: ValueKind::Headers, {
            secret: true,
            example: Some("api-key=0123456789abcdef")
        };
        /// A PEM file with a root certificate to trust for the collector besides the system's.
        ca_file: Option<PathBuf> = OTEL_EXPORTER_OTLP_CERTIFICATE: ValueKind::Path, {
            example: Some("/etc/slipway/collector-ca.pem")
        };
    }
    and {
        /// Sent along as `deployment.environment.name`.
        env: AppEnv;
    }
}

section! {
    /// Where errors go.
    #[derive(Default)]
    pub struct SentrySettings("Error reports", None, ALL) {
        /// The Sentry project that errors and panics are sent to. Unset: none are sent.
        dsn: Option<SecretString> = SENTRY_DSN: ValueKind::SentryDsn, {
            secret: true,
            example: Some("https://0123456789abcdef@sentry.example.org/1")
        };
        /// The release that reports name. Unset: the program with its version, such as `slipway-api@0.1.0`.
        release: Option<String> = SENTRY_RELEASE: ValueKind::Text, { example: Some("slipway-api@0.1.0+4f2a9c1") };
    }
    and {
        /// Sent along with every event.
        env: AppEnv;
    }
}

impl MetricsSettings {
    /// The address to bind, or `None` when no listener is wanted.
    ///
    /// Without `METRICS_HOST` the api listens where it serves (pass `Some(api.host)`), any other process on
    /// 127.0.0.1 (pass `None`).
    #[must_use]
    pub fn addr(&self, serving: Option<IpAddr>) -> Option<SocketAddr> {
        let host = self.host.or(serving).unwrap_or(Ipv4Addr::LOCALHOST.into());
        self.port.map(|port| SocketAddr::new(host, port))
    }
}

impl Default for LogSettings {
    /// What an empty environment means: `info`, as JSON.
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Json,
        }
    }
}
