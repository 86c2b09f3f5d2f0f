//! Ways to a Redis server of a test's own, and waits for what comes from it.

use std::time::Duration;

pub(crate) use slipway_testkit::TestRedis;
pub(crate) use slipway_testkit::wait_until;
use slipway_wake::{Subscription, Wake, WakeUp};
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(15);

/// What this crate makes of it.
pub(crate) fn connect(redis: &TestRedis, namespace: &str) -> Wake {
    Wake::connect(Some(&redis.settings()), namespace).unwrap()
}

/// A plain connection, for what only a test does.
pub(crate) async fn plain(redis: &TestRedis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(("127.0.0.1", redis.port())).unwrap();
    wait_until("a plain connection", SOON, async || {
        client.get_multiplexed_async_connection().await.ok()
    })
    .await
}

pub(crate) async fn up(wake: &Wake) {
    wait_until("Redis to be up", SOON, async || wake.is_up().then_some(())).await;
}

pub(crate) async fn down(wake: &Wake) {
    wait_until("Redis to be down", SOON, async || (!wake.is_up()).then_some(())).await;
}

pub(crate) async fn next(subscription: &mut Subscription) -> WakeUp {
    timeout(SOON, subscription.recv()).await.expect("no wake-up came")
}

/// Nothing comes.
pub(crate) async fn silent(subscription: &mut Subscription) {
    let came = timeout(Duration::from_millis(300), subscription.recv()).await;
    assert!(came.is_err(), "{came:?}");
}
