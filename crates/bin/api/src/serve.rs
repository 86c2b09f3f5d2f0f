//! One run of the server, from settings to exit.

use std::time::Duration;

use anyhow::{Context, bail};
use listenfd::ListenFd;
use slipway_domain::event::Actor;
use slipway_settings::{ApiSettings, SettingsSource};
use slipway_store::{EventAuthor, SchemaState, Store, StoreError};
use slipway_telemetry::{Lifecycle, Shutdown, bind_metrics, error_chain, install_metrics, serve_metrics};
use slipway_wake::Wake;
use tokio::time::timeout;

use crate::listen::Sockets;
use crate::router::router;
use crate::state::{App, Shared};
use crate::{server, watch};

const SERVICE: &str = "slipway-api";
/// The wait between two tries to reach the database at the start.
const CHECK_PAUSE: Duration = Duration::from_secs(1);
/// How long the first look at the database may take before the sockets are opened all the same.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How long tasks that were cut off may take to unwind.
const UNWIND: Duration = Duration::from_secs(1);

/// Serves until a signal. Fails when the settings, a port or the schema cannot be used.
pub fn serve(source: &SettingsSource, mut handed: ListenFd) -> anyhow::Result<()> {
    let settings = ApiSettings::from_source(source)?;
    let sockets = Sockets::open(&mut handed, settings.api.addr())?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = settings.api.threads {
        builder.worker_threads(threads.get());
    }
    let runtime = builder
        .enable_all()
        .thread_name(SERVICE)
        .build()
        .context("the runtime cannot start")?;
    let guard = slipway_telemetry::init(SERVICE, &settings.log, &settings.otel, &settings.sentry)?;
    for warning in source.warnings() {
        tracing::warn!("{warning}");
    }
    let result = runtime.block_on(run(&settings, sockets));
    runtime.shutdown_timeout(UNWIND);
    guard.shutdown();
    result
}

async fn run(settings: &ApiSettings, sockets: Sockets) -> anyhow::Result<()> {
    let grace = settings.api.shutdown_grace;
    let lifecycle = Lifecycle::start(grace).context("signals cannot be caught")?;
    let metrics = install_metrics(SERVICE)?;
    slipway_store::describe_metrics();
    slipway_wake::describe_metrics();
    let store = Store::connect(&settings.database, SERVICE);
    let pool = store.clone();
    metrics.before_scrape(move || pool.record_pool());
    if let Some(address) = settings.metrics.addr(Some(settings.api.host)) {
        let listener = bind_metrics(address).await?;
        lifecycle.spawn(serve_metrics(listener, metrics, lifecycle.soft()));
    }
    let wake = Wake::connect(settings.redis.as_ref(), &settings.database.name)?;
    let app = Shared::new(settings, store, wake, lifecycle.soft()).map_err(|error| anyhow::anyhow!(error))?;
    lifecycle.spawn(watch::run(app.clone(), lifecycle.soft()));
    // While no socket is open, a proxy sends requests, also POSTs, to another replica. It would pass a 503 on to the
    // client.
    if let Ok(Ok(state)) = timeout(FIRST_LOOK, prepare(&app)).await
        && state.is_usable()
    {
        app.phase.set_checked();
    }
    let listeners = sockets.listen().context("the sockets cannot be used")?;
    server::spawn(
        listeners,
        &router(&app),
        settings.api.keepalive,
        grace,
        &lifecycle,
    );
    // Live from here on; ready once the database is known to have the right schema.
    let checked = begin(&app, &lifecycle).await;
    if checked.is_err() {
        lifecycle.stop();
    }
    let shutdown = lifecycle.finished().await;
    app.store.close().await;
    match shutdown {
        Shutdown::Drained => tracing::info!("stopped"),
        Shutdown::Cut => tracing::warn!("stopped with requests under way"),
    }
    checked
}

/// Waits for the database, checks its schema, and makes what must be there. Returns early when the process is to stop.
async fn begin(app: &App, lifecycle: &Lifecycle) -> anyhow::Result<()> {
    let stop = lifecycle.soft();
    lifecycle.status("waiting for the database");
    loop {
        let error = match prepare(app).await {
            Ok(SchemaState::Current) => break,
            Ok(state) if state.is_usable() => {
                tracing::warn!("{state}");
                break;
            }
            Ok(other) => bail!("refusing to serve: {other}"),
            Err(error) if error.is_unavailable() => error,
            Err(error) => return Err(error).context("the database cannot be used"),
        };
        tracing::warn!(
            error = error_chain(&error),
            "the database cannot be reached; trying again every second. Check that it runs, and the DATABASE_ settings"
        );
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(CHECK_PAUSE) => {}
        }
    }
    warn_of_one_role(app).await;
    app.phase.set_checked();
    lifecycle.ready();
    lifecycle.status("serving");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    Ok(())
}

/// An installation with one role works, but its audit log proves less.
async fn warn_of_one_role(app: &App) {
    if let Ok(true) = app.store.can_change_events().await {
        tracing::warn!(
            "the database's role could change the audit log; give migrations a role of their own: docs/database.md"
        );
    }
}

async fn prepare(app: &App) -> Result<SchemaState, StoreError> {
    let state = app.store.schema_state().await?;
    if state.is_usable() {
        app.store
            .ensure_admin(&EventAuthor::new(Actor::Console, &app.audit_key))
            .await?;
    }
    Ok(state)
}
