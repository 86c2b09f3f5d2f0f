//! Tracing, metrics, OTLP, signals and `sd_notify`. Every process that serves uses this crate. It must never
//! write a secret into a log, a trace or a report, and never stop a process because a log cannot be written.
//!
//! A process first calls [`init`] (keep the [`TelemetryGuard`] until the end of `main`), [`install_metrics`] and
//! [`Lifecycle::start`]. For a metrics listener it then calls [`bind_metrics`] and [`serve_metrics`]. It calls
//! [`Lifecycle::ready`] once it can serve. It ends by waiting for [`Lifecycle::finished`] and dropping the guard.
//!
//! ```no_run
//! use std::time::Duration;
//! use slipway_settings::{SettingsSource, WorkerSettings};
//! use slipway_telemetry::{Lifecycle, bind_metrics, init, install_metrics, serve_metrics};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = WorkerSettings::from_source(&SettingsSource::load(".".as_ref())?)?;
//! let _guard = init("slipway-worker", &settings.log, &settings.otel, &settings.sentry)?;
//! let metrics = install_metrics("slipway-worker")?;
//! let lifecycle = Lifecycle::start(Duration::from_secs(30))?;
//! if let Some(addr) = settings.metrics.addr(None) {
//!     let listener = bind_metrics(addr).await?;
//!     lifecycle.spawn(serve_metrics(listener, metrics, lifecycle.soft()));
//! }
//! lifecycle.ready();
//! lifecycle.finished().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Ids in every line
//!
//! Fields of the spans around an event stand in its line as if they were its own, the inner one winning. So a handler
//! enters `info_span!("http.request", request_id = %id)` once, and every line below it carries `request_id`; the worker
//! does the same with `rollout_id`. An attempt is `attempt_id`, a trace `trace_id`, in every program. Spans up to `info` are kept for this even when `LOG_LEVEL` hides events.

mod collect;
mod error;
mod failure;
mod fields;
mod healthcheck;
mod host_name;
mod init;
mod json;
mod lifecycle;
mod metrics;
mod notify;
mod otlp;
mod pretty;
mod process;
pub mod propagation;
mod sentry;
mod serve;

pub use collect::{Family, Label};
pub use error::TelemetryError;
pub use failure::failure_text;
pub use healthcheck::{HealthTarget, check_health};
pub use init::{LINES_ONLY, TelemetryGuard, init, init_traces};
pub use lifecycle::{Lifecycle, Shutdown};
pub use metrics::{HttpRequest, MetricsHandle, install_metrics};
pub use serve::{bind_metrics, serve_metrics};
pub use slipway_text::error_chain;
