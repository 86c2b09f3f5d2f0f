//! Redis that goes, comes, hangs and was never there.

use std::time::{Duration, Instant};

use slipway_domain::RolloutId;
use slipway_wake::{Topic, Wake, WakeError, WakeUp};

use crate::server::{TestRedis, connect, down, next, up};

/// Half a second and what a busy machine adds.
const BOUND: Duration = Duration::from_millis(1500);

/// Every operation ends in time, whatever state Redis is in.
async fn bounded(wake: &Wake) {
    let began = Instant::now();
    wake.publish_rollout(RolloutId::generate()).await;
    assert!(began.elapsed() < BOUND, "publishing took {:?}", began.elapsed());
    let began = Instant::now();
    wake.count_failure("key", 60).await;
    assert!(began.elapsed() < BOUND, "counting took {:?}", began.elapsed());
    let began = Instant::now();
    wake.ping().await.unwrap_err();
    assert!(began.elapsed() < BOUND, "pinging took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    wake.ping().await.unwrap();
    for _ in 0..2 {
        redis.kill();
        wake.publish_rollout(RolloutId::generate()).await;
        down(&wake).await;
        bounded(&wake).await;
        assert!(matches!(wake.ping().await, Err(WakeError::Down)));

        redis.run();
        assert_eq!(
            next(&mut rollouts).await,
            WakeUp::Reconnected,
            "wake-ups may have been missed"
        );
        up(&wake).await;
        let rollout = RolloutId::generate();
        wake.publish_rollout(rollout).await;
        assert_eq!(next(&mut rollouts).await, WakeUp::Rollouts([rollout].into()));
    }
}

#[tokio::test]
async fn a_server_that_is_gone_from_the_start_keeps_nobody_waiting() {
    let mut redis = TestRedis::stopped(&[]);
    let began = Instant::now();
    let wake = connect(&redis, "a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    assert!(wake.is_configured() && !wake.is_up());
    bounded(&wake).await;
    assert_eq!(
        wake.ping().await.unwrap_err().to_string(),
        "Redis cannot be reached"
    );
    redis.run();
    up(&wake).await;
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
}

#[tokio::test]
async fn a_server_that_hangs_keeps_nobody_waiting() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    redis.signal("STOP");
    bounded(&wake).await;
    down(&wake).await;
    redis.signal("CONT");
    up(&wake).await;
    wake.ping().await.unwrap();
}

#[tokio::test]
async fn without_redis_nothing_happens() {
    let wake = Wake::connect(None, "a").unwrap();
    assert!(!wake.is_configured() && !wake.is_up());
    bounded(&wake).await;
    assert_eq!(wake.ping().await.unwrap_err().to_string(), "no Redis is set up");
}
