//! What the pool says of itself in metrics. One test, because a process has one recorder.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use slipway_store::Store;
use sqlx::PgPool;

use crate::support::settings;

const BOUND: Duration = Duration::from_secs(10);

fn value(recorder: &PrometheusHandle, series: &str) -> f64 {
    let text = recorder.render();
    let line = text.lines().find(|line| line.starts_with(&format!("{series} ")));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_pool_that_is_used_up_says_so_and_a_server_that_is_away_is_another_trouble(pool: PgPool) {
    let recorder = PrometheusBuilder::new().install_recorder().unwrap();
    slipway_store::describe_metrics();
    let mut settings = settings(&pool.connect_options(), None);
    (settings.pool_size, settings.max_overflow) = (1, 0);
    settings.acquire_timeout = Duration::from_secs(2);
    let store = Store::connect(&settings, "pool-test");
    store.ping().await.unwrap();
    // A connection goes back a moment after its call.
    let is_back = async || {
        store.record_pool();
        (value(&recorder, "database_pool_connections{state=\"idle\"}") > 0.5).then_some(())
    };
    slipway_testkit::wait_until("the connection is back", BOUND, is_back).await;
    for (series, expected) in [
        ("database_pool_size", 1.0),
        ("database_pool_connections{state=\"used\"}", 0.0),
        ("database_pool_connections{state=\"idle\"}", 1.0),
        ("database_pool_waiting", 0.0),
        ("database_pool_timeouts_total", 0.0),
    ] {
        assert!(
            (value(&recorder, series) - expected).abs() < f64::EPSILON,
            "{series}"
        );
    }

    // One call holds the connection and waits for a lock; the next one waits for the connection.
    let mut locker = pool.acquire().await.unwrap();
    let lock = "BEGIN; LOCK TABLE event_head IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *locker).await.unwrap();
    let (first, second) = (store.clone(), store.clone());
    let first = tokio::spawn(async move { first.event_head().await });
    let second = tokio::spawn(async move { second.ping().await });
    let waits = async || {
        store.record_pool();
        (value(&recorder, "database_pool_waiting") > 0.5).then_some(())
    };
    slipway_testkit::wait_until("a call waits", BOUND, waits).await;
    assert!(value(&recorder, "database_pool_connections{state=\"used\"}") > 0.5);
    assert!(second.await.unwrap().unwrap_err().is_unavailable());
    assert!(value(&recorder, "database_pool_timeouts_total") > 0.5);
    sqlx::raw_sql("ROLLBACK").execute(&mut *locker).await.unwrap();
    first.await.unwrap().unwrap();

    // Nobody listens there: a call gets no connection, and the pool is not to blame.
    settings.port = 1;
    let away = Store::connect(&settings, "pool-test");
    assert!(away.ping().await.unwrap_err().is_unavailable());
    assert!(value(&recorder, "database_pool_timeouts_total") < 1.5);
}
