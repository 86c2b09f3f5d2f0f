//! What can go wrong while telemetry starts.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Telemetry could not start. Display names the setting and the cure, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG_LEVEL` is not understood.
    #[error("LOG_LEVEL cannot be used; give a level such as info, or info,target=debug")]
    LogLevel(#[source] tracing_subscriber::filter::ParseError),
    /// The exporter could not be built.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT cannot be used; give a collector's address such as http://127.0.0.1:4318"
    )]
    Otlp(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The collector's root certificate cannot be used.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE={} cannot be used: {why}; name a readable PEM file", path.display())]
    OtlpCertificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The connection to the collector could not be set up.
    #[error(
        "no client for OTEL_EXPORTER_OTLP_ENDPOINT; install the system's root certificates, and check OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    OtlpClient(#[source] reqwest::Error),
    /// The DSN is not understood. Its parser's message is left out, as it may quote the key.
    #[error("SENTRY_DSN cannot be used; copy it from the project's settings: https://key@host/project")]
    SentryDsn,
    /// [`crate::init`] was called twice, or somebody else has set a subscriber.
    #[error("logging is already set up in this process; call slipway_telemetry::init once")]
    AlreadyInitialised,
    /// [`crate::install_metrics`] was called twice, or somebody else has set a recorder.
    #[error("metrics are already set up in this process; call slipway_telemetry::install_metrics once")]
    Recorder(#[source] metrics_exporter_prometheus::BuildError),
    /// The thread that keeps the recorder small could not be started.
    #[error("cannot start a thread for metrics; raise the limit on tasks (TasksMax, pids) of the process")]
    Upkeep(#[source] io::Error),
    /// A process is not well, or is not there.
    #[error("{0}")]
    HealthCheck(String),
    /// The metrics listener's address is not to be had.
    #[error("cannot listen on {addr} for metrics; change METRICS_PORT or METRICS_HOST")]
    MetricsListener {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
