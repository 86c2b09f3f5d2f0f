//! Counting failures, with a Redis that helps and one that does not.

use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use redis::AsyncCommands;
use slipway_domain::RolloutId;
use slipway_testkit::wait_until;
use slipway_wake::{Topic, Wake, WakeUp};

use crate::server::{SOON, TestRedis, connect, down, next, plain, up};

#[tokio::test]
async fn replicas_count_together_and_stacks_apart() {
    let redis = TestRedis::start(&[]);
    let (one, two, other) = (connect(&redis, "a"), connect(&redis, "a"), connect(&redis, "b"));
    for wake in [&one, &two, &other] {
        up(wake).await;
    }
    assert_eq!(one.count_failure("10.0.0.1", 60).await.count, 1);
    assert_eq!(two.count_failure("10.0.0.1", 60).await.count, 2);
    let failures = one.count_failure("10.0.0.1", 60).await;
    assert!(
        failures.count == 3 && (1..=60).contains(&failures.seconds_left),
        "{failures:?}"
    );
    assert_eq!(one.count_failure("10.0.0.2", 60).await.count, 1);
    assert_eq!(other.count_failure("10.0.0.1", 60).await.count, 1);
}

#[tokio::test]
async fn what_one_replica_takes_back_no_other_counts() {
    let redis = TestRedis::start(&[]);
    let (one, two) = (connect(&redis, "a"), connect(&redis, "a"));
    for wake in [&one, &two] {
        up(wake).await;
    }
    for _ in 0..5 {
        one.count_failure("key", 60).await;
        one.take_back_failure("key", 60).await;
    }
    assert_eq!(two.count_failure("key", 60).await.count, 1);
    let ttl: i64 = plain(&redis).await.ttl("slipway:a:0:failures:key").await.unwrap();
    assert!((1..=60).contains(&ttl), "no key stays for ever: {ttl}");
}

/// Somebody with Redis' password can write anything: at worst people wait for the rest of one window.
#[tokio::test]
async fn a_counter_set_by_hand_locks_nobody_out_for_longer_than_a_window() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    let mut plain = plain(&redis).await;
    let name = "slipway:a:0:failures:key";
    let forged: [&[&str]; 6] = [
        &["SET", name, "4000000000"],
        &["SET", name, "9223372036854775807"],
        &["SET", name, "1000", "EX", "100000000"],
        &["SET", name, "many"],
        &["SET", name, "-1000"],
        &["RPUSH", name, "1000"],
    ];
    for (n, set) in (1u32..).zip(forged) {
        let mut command = redis::cmd(set[0]);
        for argument in &set[1..] {
            command.arg(argument);
        }
        let _: () = command.query_async(&mut plain).await.unwrap();
        let failures = wake.count_failure("key", 60).await;
        assert_eq!(
            failures.count, n,
            "{set:?}: only this process's own count is left"
        );
        assert!(failures.seconds_left <= 60, "{set:?}: {failures:?}");
        let left: i64 = plain.exists(name).await.unwrap();
        assert_eq!(left, 0, "{set:?} is gone and stands in nobody's way");
    }
    // Within a window it cannot be told from a real one, and is over with it.
    let _: () = plain.set_ex(name, 4_000_000_000_u64, 2).await.unwrap();
    let failures = wake.count_failure("key", 60).await;
    assert!(
        failures.count >= 4_000_000_000 && failures.seconds_left <= 2,
        "{failures:?}"
    );
    wait_until("the counter to end", SOON, async || {
        (wake.count_failure("key", 60).await.count < 1000).then_some(())
    })
    .await;
}

/// All callers share one connection: an answer that nobody waits for any more must not be taken for the next one's.
#[tokio::test]
async fn whoever_leaves_before_the_answer_gives_nobody_else_a_wrong_one() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    for n in 1..=200_u32 {
        {
            let mut leaver = pin!(wake.count_failure("leaver", 600));
            // Each time it gets further: it has not sent its request, or has sent it and not read the answer.
            for _ in 0..n % 8 {
                if poll!(leaver.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(wake.count_failure("stayer", 600).await.count, n);
        wake.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_window_ends_by_itself() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    for n in 1..=3 {
        assert_eq!(wake.count_failure("key", 2).await.count, n);
    }
    let ttl: i64 = plain(&redis).await.ttl("slipway:a:0:failures:key").await.unwrap();
    assert!((1..=2).contains(&ttl), "no key stays for ever: {ttl}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(wake.count_failure("key", 2).await.count, 1);
}

#[tokio::test]
async fn a_process_counts_by_itself_when_redis_is_gone() {
    let mut redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    wake.count_failure("key", 60).await;
    redis.kill();
    down(&wake).await;
    assert_eq!(
        wake.count_failure("key", 60).await.count,
        2,
        "nobody gets off by taking Redis down"
    );
    let none = Wake::none();
    assert_eq!(none.count_failure("key", 60).await.count, 1);
}

#[tokio::test]
async fn a_full_server_still_carries_wake_ups_and_failures_are_still_counted() {
    let redis = TestRedis::start(&["--maxmemory", "2mb", "--maxmemory-policy", "noeviction"]);
    let wake = connect(&redis, "a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    let mut plain = plain(&redis).await;
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
    assert_eq!(next(&mut rollouts).await, WakeUp::Rollouts([rollout].into()));
}

#[tokio::test]
async fn a_server_that_evicts_makes_nobody_forget_its_own_count() {
    let redis = TestRedis::start(&["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    for _ in 0..5 {
        wake.count_failure("key", 60).await;
    }
    let mut plain = plain(&redis).await;
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
