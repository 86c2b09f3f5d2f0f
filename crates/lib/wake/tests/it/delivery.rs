//! Messages that arrive, and those that are none.

use std::collections::HashSet;

use redis::AsyncCommands;
use slipway_domain::{HostId, RolloutId};
use slipway_wake::{Topic, WakeUp};

use crate::server::{TestRedis, connect, next, plain, silent, up};

fn hosts(count: usize) -> Vec<HostId> {
    (0..count).map(|_| HostId::generate()).collect()
}

#[tokio::test]
async fn a_wake_up_reaches_every_subscriber_of_its_topic_and_stack() {
    let redis = TestRedis::start(&[]);
    let (one, two, other) = (connect(&redis, "a"), connect(&redis, "a"), connect(&redis, "b"));
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
        assert_eq!(next(subscription).await, WakeUp::Rollouts([rollout].into()));
        silent(subscription).await;
    }
    let some = hosts(3);
    two.publish_hosts(&some).await;
    assert_eq!(next(&mut parked).await, WakeUp::Hosts(some.into_iter().collect()));
    silent(&mut parked).await;
    silent(&mut elsewhere).await;
}

#[tokio::test]
async fn a_whole_fleet_arrives() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    let mut parked = wake.subscribe(Topic::Hosts);
    assert_eq!(next(&mut parked).await, WakeUp::Reconnected);
    up(&wake).await;
    let fleet = hosts(5000);
    wake.publish_hosts(&fleet).await;
    let mut came = HashSet::new();
    while came.len() < fleet.len() {
        let WakeUp::Hosts(hosts) = next(&mut parked).await else {
            panic!("something was missed")
        };
        came.extend(hosts);
    }
    assert_eq!(came, fleet.into_iter().collect());
}

#[tokio::test]
async fn what_is_no_wake_up_is_dropped() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    let mut parked = wake.subscribe(Topic::Hosts);
    assert_eq!(next(&mut parked).await, WakeUp::Reconnected);
    let mut plain = plain(&redis).await;
    let instruction = format!(
        r#"{{"hosts":[["{}",{{"state":"staging"}}]]}}"#,
        HostId::generate()
    );
    for noise in [
        "",
        "hello",
        "{}",
        r#"{"hosts":["web-1"]}"#,
        "\u{0}\u{1}",
        &instruction,
    ] {
        let heard: usize = plain.publish("slipway:a:0:host-news", noise).await.unwrap();
        assert_eq!(heard, 1);
    }
    // Where earlier programs send what hosts are to do, nobody listens.
    let heard: usize = plain.publish("slipway:a:0:hosts", instruction).await.unwrap();
    assert_eq!(heard, 0);
    up(&wake).await;
    let some = hosts(1);
    wake.publish_hosts(&some).await;
    assert_eq!(
        next(&mut parked).await,
        WakeUp::Hosts(some.into_iter().collect()),
        "the noise went by"
    );
}

/// A flood of messages costs its reader a few looks, and loses nothing.
#[tokio::test]
async fn a_flood_of_wake_ups_is_read_in_a_few() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    let named: HashSet<_> = (0..3000).map(|_| RolloutId::generate()).collect();
    for rollout in &named {
        wake.publish_rollout(*rollout).await;
    }
    let (mut came, mut reads) = (HashSet::new(), 0);
    while came.len() < named.len() {
        let WakeUp::Rollouts(ids) = next(&mut rollouts).await else {
            panic!("something was missed")
        };
        came.extend(ids);
        reads += 1;
    }
    assert_eq!(came, named);
    assert!(reads < 100, "{reads}");
}
