//! Counting failures, with a Redis that helps and one that does not.

use std::time::Duration;

use redis::AsyncCommands;
use slipway_domain::RolloutId;
use slipway_testkit::wait_until;
use slipway_wake::{Topic, Wake, WakeUp};

use crate::server::{Redis, SOON, down, next, up};

#[tokio::test]
async fn replicas_count_together_and_stacks_apart() {
    let redis = Redis::start(&[]);
    let (one, two, other) = (redis.wake("a"), redis.wake("a"), redis.wake("b"));
    for wake in [&one, &two, &other] {
        up(wake).await;
    }
    assert_eq!(one.count_failure("10.0.0.1", 60).await.count, 1);
    assert_eq!(two.count_failure("10.0.0.1", 60).await.count, 2);
    let seen = one.failures("10.0.0.1").await;
    assert!(
        seen.count == 2 && (50..=60).contains(&seen.seconds_left),
        "{seen:?}"
    );
    assert_eq!(one.failures("10.0.0.2").await.count, 0);
    assert_eq!(other.failures("10.0.0.1").await.count, 0);
}

#[tokio::test]
async fn a_window_ends_by_itself() {
    let redis = Redis::start(&[]);
    let wake = redis.wake("a");
    up(&wake).await;
    for n in 1..=3 {
        assert_eq!(wake.count_failure("key", 2).await.count, n);
    }
    let ttl: i64 = redis.plain().await.ttl("slipway:a:0:failures:key").await.unwrap();
    assert!((1..=2).contains(&ttl), "no key stays for ever: {ttl}");
    wait_until("the window to end", SOON, async || {
        (wake.failures("key").await.count == 0).then_some(())
    })
    .await;
    assert_eq!(wake.count_failure("key", 2).await.count, 1);
}

#[tokio::test]
async fn a_process_counts_by_itself_when_redis_is_gone() {
    let mut redis = Redis::start(&[]);
    let wake = redis.wake("a");
    up(&wake).await;
    wake.count_failure("key", 60).await;
    redis.kill();
    down(&wake).await;
    assert_eq!(
        wake.count_failure("key", 60).await.count,
        2,
        "nobody gets off by taking Redis down"
    );
    assert_eq!(wake.failures("key").await.count, 2);
    let none = Wake::none();
    assert_eq!(none.count_failure("key", 60).await.count, 1);
    assert_eq!(none.failures("key").await.count, 1);
}

#[tokio::test]
async fn a_full_server_still_carries_wake_ups_and_failures_are_still_counted() {
    let redis = Redis::start(&["--maxmemory", "2mb", "--maxmemory-policy", "noeviction"]);
    let wake = redis.wake("a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    let mut plain = redis.plain().await;
    let mut n = 0;
    let full = loop {
        n += 1;
        let filled: Result<(), _> = plain.set(format!("filler-{n}"), vec![b'x'; 20_000]).await;
        if let Err(error) = filled {
            break error.to_string();
        }
        assert!(n < 1000, "it never fills up");
    };
    assert!(full.contains("OOM") || full.contains("memory"), "{full}");
    assert_eq!(wake.count_failure("key", 60).await.count, 1);
    assert_eq!(wake.count_failure("key", 60).await.count, 2);
    let rollout = RolloutId::generate();
    up(&wake).await;
    wake.publish_rollout(rollout).await;
    assert_eq!(next(&mut rollouts).await, WakeUp::Rollout(rollout));
}

#[tokio::test]
async fn a_server_that_evicts_makes_nobody_forget_its_own_count() {
    let redis = Redis::start(&["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"]);
    let wake = redis.wake("a");
    up(&wake).await;
    for _ in 0..5 {
        wake.count_failure("key", 60).await;
    }
    let mut plain = redis.plain().await;
    for n in 0..400 {
        let _: () = plain
            .set(format!("filler-{n}"), vec![b'x'; 20_000])
            .await
            .unwrap();
    }
    let _: () = plain.del("slipway:a:0:failures:key").await.unwrap();
    assert_eq!(wake.count_failure("key", 60).await.count, 6);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(wake.is_up());
}
