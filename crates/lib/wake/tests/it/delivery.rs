//! Messages that arrive, and those that are none.

use redis::AsyncCommands;
use slipway_domain::agent::Assignment;
use slipway_domain::{AttemptId, HostId, RolloutId, StepState, Strategy};
use slipway_testkit::closure;
use slipway_wake::{Topic, WakeUp};

use crate::server::{Redis, next, silent, up};

fn hosts(count: usize) -> Vec<(HostId, Assignment)> {
    let assignment = |n: usize| Assignment {
        state: StepState::Staging,
        attempt: Some(AttemptId::random()),
        closure: closure(&format!("web-{n}"), 1),
        prior: None,
        strategy: Strategy::default(),
    };
    (0..count).map(|n| (HostId::generate(), assignment(n))).collect()
}

#[tokio::test]
async fn a_wake_up_reaches_every_subscriber_of_its_topic_and_stack() {
    let redis = Redis::start(&[]);
    let (one, two, other) = (redis.wake("a"), redis.wake("a"), redis.wake("b"));
    let mut rollouts = [one.subscribe(Topic::Rollouts), two.subscribe(Topic::Rollouts)];
    let mut parked = one.subscribe(Topic::Hosts);
    let mut elsewhere = other.subscribe(Topic::Rollouts);
    for subscription in rollouts.iter_mut().chain([&mut parked, &mut elsewhere]) {
        assert_eq!(
            next(subscription).await,
            WakeUp::Reconnected,
            "look once after subscribing"
        );
    }
    up(&two).await;
    let rollout = RolloutId::generate();
    two.publish_rollout(rollout).await;
    for subscription in &mut rollouts {
        assert_eq!(next(subscription).await, WakeUp::Rollout(rollout));
        silent(subscription).await;
    }
    let some = hosts(3);
    two.publish_hosts(&some).await;
    assert_eq!(next(&mut parked).await, WakeUp::Hosts(some));
    silent(&mut parked).await;
    silent(&mut elsewhere).await;
}

#[tokio::test]
async fn a_whole_fleet_arrives() {
    let redis = Redis::start(&[]);
    let wake = redis.wake("a");
    let mut parked = wake.subscribe(Topic::Hosts);
    assert_eq!(next(&mut parked).await, WakeUp::Reconnected);
    up(&wake).await;
    let fleet = hosts(5000);
    wake.publish_hosts(&fleet).await;
    let mut came = Vec::new();
    while came.len() < fleet.len() {
        let WakeUp::Hosts(hosts) = next(&mut parked).await else {
            panic!("something was missed")
        };
        came.extend(hosts);
    }
    assert_eq!(came, fleet);
}

#[tokio::test]
async fn what_is_no_wake_up_is_dropped() {
    let redis = Redis::start(&[]);
    let wake = redis.wake("a");
    let mut parked = wake.subscribe(Topic::Hosts);
    assert_eq!(next(&mut parked).await, WakeUp::Reconnected);
    let mut plain = redis.plain().await;
    for noise in ["", "hello", "{}", r#"{"hosts":[["web-1",{}]]}"#, "\u{0}\u{1}"] {
        let heard: usize = plain.publish("slipway:a:0:hosts", noise).await.unwrap();
        assert_eq!(heard, 1);
    }
    up(&wake).await;
    let some = hosts(1);
    wake.publish_hosts(&some).await;
    assert_eq!(next(&mut parked).await, WakeUp::Hosts(some), "the noise went by");
}

/// A reader that is slow misses wake-ups, and is told so.
#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let redis = Redis::start(&[]);
    let wake = redis.wake("a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    for _ in 0..3000 {
        wake.publish_rollout(RolloutId::generate()).await;
    }
    let last = RolloutId::generate();
    let (mut read, mut missed) = (0, false);
    // It hears that it missed some, and then catches up.
    loop {
        wake.publish_rollout(last).await;
        match next(&mut rollouts).await {
            WakeUp::Reconnected => missed = true,
            WakeUp::Rollout(id) if id == last => break,
            WakeUp::Rollout(_) => read += 1,
            WakeUp::Hosts(_) => panic!("another topic's"),
        }
    }
    assert!(missed && read < 3000, "{read}");
}
