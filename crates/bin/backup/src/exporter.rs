//! `/metrics` for Prometheus and `/status` as JSON. Every request computes both again, so that a dead timer
//! shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Json, Router, routing::get};
use metrics::{describe_gauge, gauge};
use slipway_settings::{LogSettings, OtelSettings, SentrySettings};
use slipway_telemetry::{Lifecycle, MetricsHandle, bind_metrics, init, install_metrics};
use slipway_wire::backup::{BackupPage, BackupStatus};
use tokio::sync::Semaphore;

use crate::clock;
use crate::config::Config;
use crate::status;

const GRACE: Duration = Duration::from_secs(5);
/// Requests at one time; each may ask the server about its archive.
const MOST: usize = 8;

const GAUGES: [(&str, &str); 9] = [
    (
        "slipway_backup_last_success_timestamp_seconds",
        "When the last good run ended, since 1970.",
    ),
    (
        "slipway_backup_age_seconds",
        "Seconds since the last good run ended.",
    ),
    (
        "slipway_backup_late",
        "1 when the last good run is older than it may be.",
    ),
    (
        "slipway_backup_failed",
        "1 when the last run failed or was killed.",
    ),
    (
        "slipway_backup_last_duration_seconds",
        "How long the last good run took.",
    ),
    ("slipway_backup_last_size_bytes", "What the last good run wrote."),
    (
        "slipway_backup_archive_ok",
        "1 when finished segments of WAL reach the archive in time.",
    ),
    (
        "slipway_backup_archive_lag_seconds",
        "How long the oldest finished segment has been waiting for the archive.",
    ),
    (
        "slipway_backup_archive_waiting_segments",
        "Finished segments of WAL that are not in the archive.",
    ),
];

struct Served {
    configs: Vec<Config>,
    metrics: MetricsHandle,
    free: Semaphore,
}

/// Serves until a signal.
pub(crate) async fn run(configs: Vec<Config>, listen: SocketAddr) -> anyhow::Result<()> {
    let _guard = init(
        "slipway-backup",
        &LogSettings::default(),
        &OtelSettings::default(),
        &SentrySettings::default(),
    )?;
    let metrics = install_metrics("slipway-backup")?;
    for (name, description) in GAUGES {
        describe_gauge!(name, description);
    }
    let lifecycle = Lifecycle::start(GRACE)?;
    let listener = bind_metrics(listen).await?;
    let served = Arc::new(Served {
        configs,
        metrics,
        free: Semaphore::new(MOST),
    });
    let router = Router::new()
        .route("/metrics", get(answer_metrics))
        .route("/status", get(answer_status))
        .with_state(served);
    let stop = lifecycle.soft();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    lifecycle.spawn(async move { serving.await });
    lifecycle.ready();
    tracing::info!(%listen, "serving /metrics and /status");
    lifecycle.finished().await;
    Ok(())
}

async fn look(served: &Served) -> Option<Vec<BackupStatus>> {
    let _permit = served.free.try_acquire().ok()?;
    let mut all = Vec::with_capacity(served.configs.len());
    for config in &served.configs {
        all.push(status::collect(config, clock::now()).await);
    }
    Some(all)
}

async fn answer_status(State(served): State<Arc<Served>>) -> impl IntoResponse {
    match look(&served).await {
        Some(stacks) => {
            let ok = stacks.iter().all(|stack| stack.ok);
            Json(BackupPage { ok, stacks }).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn answer_metrics(State(served): State<Arc<Served>>) -> impl IntoResponse {
    let Some(stacks) = look(&served).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    for stack in &stacks {
        record(stack);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, served.metrics.render()).into_response()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; sizes below 8 PiB are exact"
)]
fn record(status: &BackupStatus) {
    let truth = |value: bool| f64::from(u8::from(value));
    for kind in &status.kinds {
        let labels = [("stack", status.stack.clone()), ("kind", kind.kind.clone())];
        // One trouble is one alert: in a cluster it is the leader's, and everybody's while nobody leads.
        let own = kind.watched_by.is_none();
        gauge!("slipway_backup_late", &labels).set(truth(kind.late && own));
        gauge!("slipway_backup_failed", &labels).set(truth(kind.failed && own));
        if let (Some(at), Some(age)) = (kind.last_success, kind.age_seconds) {
            gauge!("slipway_backup_last_success_timestamp_seconds", &labels)
                .set(at.timestamp_millis() as f64 / 1e3);
            gauge!("slipway_backup_age_seconds", &labels).set(age);
        }
        if let Some(seconds) = kind.duration_seconds {
            gauge!("slipway_backup_last_duration_seconds", &labels).set(seconds);
        }
        if let Some(bytes) = kind.size_bytes {
            gauge!("slipway_backup_last_size_bytes", &labels).set(bytes as f64);
        }
    }
    if let Some(archive) = &status.archive {
        let labels = [("stack", status.stack.clone())];
        gauge!("slipway_backup_archive_ok", &labels).set(truth(archive.ok));
        if let Some(progress) = &archive.progress {
            gauge!("slipway_backup_archive_lag_seconds", &labels).set(progress.lag_seconds);
            gauge!("slipway_backup_archive_waiting_segments", &labels).set(progress.waiting_segments as f64);
        }
    }
}

/// The address that all configurations name, or the first one's.
pub(crate) fn address(configs: &[Config]) -> anyhow::Result<SocketAddr> {
    let first = configs
        .first()
        .context("there is no stack with a backup")?
        .exporter
        .listen;
    anyhow::ensure!(
        configs.iter().all(|config| config.exporter.listen == first),
        "the stacks of one host share one exporter: services.slipway.backup.exporter.port gives all of them one address"
    );
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_gauge() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/metrics.md");
        let text = std::fs::read_to_string(page).unwrap();
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let listed: Vec<&str> = names.filter(|name| name.starts_with("slipway_backup_")).collect();
        assert_eq!(listed, GAUGES.map(|(name, _)| name));
    }
}
