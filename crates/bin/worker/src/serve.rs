//! The process around the driver.

use std::time::Duration;

use anyhow::{Context, bail};
use slipway_messages::{Limits, Messenger, Outbox};
use slipway_settings::{SettingsSource, WorkerSettings};
use slipway_store::Store;
use slipway_store::audit::AuditKey;
use slipway_store::messages::Lasting;
use slipway_store::schema::SchemaState;
use slipway_telemetry::{Lifecycle, Shutdown, error_chain};
use slipway_wake::Wake;
use slipway_worker::{Driver, Watched};
use tracing::{info, warn};

/// After SIGTERM: the time for the write under way and for giving leases back.
const GRACE: Duration = Duration::from_secs(20);
/// Between two looks for a database that is away at start.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Runs until a signal.
pub(crate) fn run(source: &SettingsSource, settings: WorkerSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run_async(source, settings))
}

async fn run_async(source: &SettingsSource, settings: WorkerSettings) -> anyhow::Result<()> {
    let _guard = slipway_telemetry::init("slipway-worker", &settings.log, &settings.otel, &settings.sentry)?;
    for warning in source.warnings() {
        warn!("{warning}");
    }
    let lifecycle = Lifecycle::start(GRACE)?;
    let metrics = slipway_telemetry::install_metrics("slipway-worker")?;
    slipway_worker::describe_metrics();
    slipway_store::describe_metrics();
    slipway_wake::describe_metrics();
    slipway_messages::describe_metrics();
    let store = Store::connect(&settings.database, "slipway-worker");
    let mail = (&settings.mail, &settings.mail_password);
    let messenger = Messenger::new(
        &settings.messages,
        settings.app.public_url.as_ref(),
        mail,
        Limits::default(),
    )
    .context("cannot send messages")?;
    let (watched, pool) = (Watched::default(), store.clone());
    metrics.before_scrape(move || pool.record_pool());
    let shown = watched.clone();
    metrics.collect(move || shown.families());
    if let Some(addr) = settings.metrics.addr(None) {
        let listener = slipway_telemetry::bind_metrics(addr).await?;
        lifecycle.spawn(slipway_telemetry::serve_metrics(
            listener,
            metrics,
            lifecycle.soft(),
        ));
    }
    let Some(database_was_away) = await_schema(&store, &lifecycle).await? else {
        return Ok(());
    };
    let wake = Wake::connect(settings.redis.as_ref(), &settings.database.name)?;
    let id = format!("{}-{}", std::process::id(), uuid::Uuid::now_v7());
    let key = AuditKey::new(&settings.app.secret_key, &settings.app.earlier_keys);
    lifecycle.spawn(watched.run(store.clone(), key.clone(), lifecycle.soft()));
    let outbox = Outbox::new(store.clone(), key.clone(), messenger, lasting(&settings));
    lifecycle.spawn(outbox.run(lifecycle.soft()));
    let mut driver = Driver::new(store.clone(), wake, key, id.clone());
    if database_was_away {
        driver = driver.after_an_absence();
    }
    lifecycle.spawn(driver.run(lifecycle.soft()));
    lifecycle.ready();
    info!(worker = id, "driving rollouts");
    if lifecycle.finished().await == Shutdown::Cut {
        warn!("stopped before everything was finished; leases run out by themselves");
    }
    store.close().await;
    Ok(())
}

/// What people are told of although it is no event.
fn lasting(settings: &WorkerSettings) -> Lasting {
    let minutes = |minutes: u32| minutes.saturating_mul(60);
    Lasting {
        silent_seconds: Some(minutes(settings.messages.silent_minutes)).filter(|seconds| *seconds > 0),
        remind_seconds: minutes(settings.messages.approval_minutes),
    }
}

/// Waits for the database, and refuses a schema that is not this program's. Says whether the database was away, and nothing
/// when told to stop meanwhile.
async fn await_schema(store: &Store, lifecycle: &Lifecycle) -> anyhow::Result<Option<bool>> {
    let stop = lifecycle.soft();
    let mut was_away = false;
    loop {
        match store.schema_state().await {
            Ok(SchemaState::Current) => return Ok(Some(was_away)),
            Ok(state) if state.is_usable() => {
                warn!("{state}");
                return Ok(Some(was_away));
            }
            Ok(state) => bail!("{state}"),
            Err(error) if error.is_unavailable() => {
                warn!(error = error_chain(&error), "the database is away; trying again");
                lifecycle.status("waiting for the database");
                was_away = true;
            }
            Err(error) => return Err(error).context("cannot read the schema"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(DATABASE_PAUSE) => {}
        }
    }
}
