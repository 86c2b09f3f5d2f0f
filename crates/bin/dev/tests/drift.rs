//! What somebody does behind Slipway's back is told within a minute, by real agents, until it is accepted or rolled again.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::rig::{Rig, reasons};
use slipway_dev::fleet::Variant;
use slipway_dev::stack::hosts::{DevHost, strategy};
use slipway_domain::RolloutState;
use slipway_domain::drift::DriftKind;
use slipway_wire::audit::EventQuery;
use slipway_wire::fleet::{AdoptHost, HostDrift};
use tokio::process::Command;

/// The promise.
const REPORTED: Duration = Duration::from_mins(1);

/// What drifts on a host, once that is so.
async fn until(rig: &Rig, host: &DevHost, is_so: impl Fn(Option<&HostDrift>) -> bool) -> Option<HostDrift> {
    let start = Instant::now();
    loop {
        let seen = rig.stack.api.host(&host.name).await.unwrap().drift;
        if is_so(seen.as_ref()) {
            return seen;
        }
        assert!(start.elapsed() < REPORTED, "{}: {seen:#?}", host.name);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn events(rig: &Rig, kind: &str) -> Vec<(String, String)> {
    let events = rig
        .stack
        .api
        .events(&EventQuery {
            limit: Some(500),
            ..EventQuery::default()
        })
        .await
        .unwrap()
        .items;
    let events = events.into_iter().filter(|event| event.event.kind == kind);
    events
        .map(|event| {
            (
                event.event.from.unwrap_or_default(),
                event.event.to.unwrap_or_default(),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_changes_behind_slipways_back_is_told_within_a_minute_until_it_is_settled() {
    let rig = Rig::new(2).await;
    let versions = [("v1", Variant::Works), ("v2", Variant::Works)];
    let closures = rig.publish(&versions).await;
    for closures in &closures {
        let done = rig.roll_out(closures, strategy(0, 2)).await;
        assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    }
    let [switched, edited] = [&rig.stack.hosts[0], &rig.stack.hosts[1]];
    assert_eq!(events(&rig, "host.drifted").await, [], "a rollout is no drift");

    // An operator goes back by hand on one host, and edits a unit on the other.
    let (by_hand, released) = (&closures[0][0], &closures[1][0]);
    let script = by_hand.join("bin/switch-to-configuration");
    let status = Command::new(script).arg("test").status().await.unwrap();
    assert!(status.success());
    let control = edited
        .live_link()
        .parent()
        .unwrap()
        .join("systemd/system.control/web.service.d");
    fs::create_dir_all(&control).unwrap();
    fs::write(control.join("50-MemoryMax.conf"), "[Service]\nMemoryMax=1G\n").unwrap();

    let live = until(&rig, switched, |drift| drift.is_some()).await.unwrap();
    let [item] = live.items.clone().try_into().unwrap();
    let expected = (released.display().to_string(), by_hand.display().to_string());
    assert_eq!(
        (item.kind, (item.expected, item.found)),
        (DriftKind::Live, expected.clone())
    );
    let unit = until(&rig, edited, |drift| drift.is_some()).await.unwrap();
    assert_eq!(unit.items[0].kind, DriftKind::Unit);
    assert!(
        unit.items[0].found.contains("50-MemoryMax.conf (sha256:"),
        "{unit:?}"
    );
    assert!(events(&rig, "host.drifted").await.contains(&expected));

    // It is told the same way until then, and nobody accepts what they did not see.
    let blind = AdoptHost {
        drift: live.digest,
        reason: "not this one".to_owned(),
    };
    let refused = rig
        .stack
        .api
        .adopt_host(&edited.name, &blind)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("has changed since you looked"), "{refused}");
    let accepted = AdoptHost {
        drift: unit.digest,
        reason: "more memory until Monday".to_owned(),
    };
    let host = rig.stack.api.adopt_host(&edited.name, &accepted).await.unwrap();
    assert_eq!(host.drift, None);
    let refused = rig
        .stack
        .api
        .adopt_host(&edited.name, &accepted)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("does not drift"), "{refused}");

    // The other host is put right by the release.
    let done = rig.roll_out(&closures[1], strategy(0, 2)).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    until(&rig, switched, |drift| drift.is_none()).await;
    until(&rig, edited, |drift| drift.is_none()).await;
    // The host's row says so at once, and its next event comes after a rest.
    let begun = Instant::now();
    while events(&rig, "host.drift_ended").await.len() < 2 {
        assert!(
            begun.elapsed() < REPORTED,
            "{:?}",
            events(&rig, "host.drift_ended").await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(events(&rig, "host.adopted").await.len(), 1);
    assert!(rig.stack.api.verify_audit().await.unwrap().whole);
    rig.run.close().await.unwrap();
}
