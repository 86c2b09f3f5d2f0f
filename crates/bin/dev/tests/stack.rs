//! The whole system on real processes, with closures and servers that fail.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::time::Duration;

use common::intruder::Intruder;
use common::rig::{Rig, reasons};
use serde_json::json;
use slipway_dev::fleet::Variant;
use slipway_dev::stack::ENVIRONMENT;
use slipway_dev::stack::hosts::strategy;
use slipway_dev::{postgres, redis};
use slipway_domain::{AttemptId, RolloutState, Strategy};
use slipway_wire::monitoring::Status;
use slipway_wire::problem::kind;
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::CreateRollout;

fn impatient() -> Strategy {
    let mut strategy = strategy(1, 1);
    strategy.limits.activate_seconds = 3;
    strategy.limits.stage_seconds = 20;
    strategy
}

#[tokio::test]
async fn a_closure_that_cannot_run_is_taken_back_with_its_reason_and_no_process_goes_down() {
    let rig = Rig::new(2).await;
    let variants = [
        ("v1", Variant::Works),
        ("hangs", Variant::Hangs),
        ("fails", Variant::Fails),
        ("no-script", Variant::NoScript),
        ("no-checks", Variant::NoChecks),
        ("bad-checks", Variant::BadChecks),
        ("corrupt", Variant::Works),
        ("away", Variant::Works),
    ];
    let closures = rig.publish(&variants).await;
    let first = rig.roll_out(&closures[0], impatient()).await;
    assert_eq!(
        first.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&first)
    );
    for closure in &closures[6] {
        rig.stack.nix.corrupt_in_cache(closure).unwrap();
    }
    let expectations = [
        "within",
        "made to fail",
        "switch-to-configuration",
        "checks.json",
        "checks.json",
        "corrupted",
    ];
    for (index, word) in (1..).zip(expectations) {
        let ended = rig.roll_out(&closures[index], impatient()).await;
        let (name, reasons) = (variants[index].0, reasons(&ended));
        assert!(
            ended.summary.state.is_terminal() && ended.summary.state != RolloutState::Succeeded,
            "{name}"
        );
        assert!(reasons.contains(word), "{name}: `{word}` is not in: {reasons}");
        assert_eq!(rig.versions().await, ["v1", "v1"], "{name}");
    }

    std::fs::rename(&rig.stack.nix.cache, rig.run.dir.path().join("cache-away")).unwrap();
    let away = rig.roll_out(&closures[7], impatient()).await;
    assert_ne!(away.summary.state, RolloutState::Succeeded);
    assert!(!reasons(&away).is_empty());
    assert_eq!(rig.versions().await, ["v1", "v1"]);

    for host in &rig.stack.hosts {
        assert_eq!(
            rig.run.supervisor.ended(&host.agent()).unwrap(),
            None,
            "its agent lives"
        );
    }
    let report = rig.stack.api.verify_audit().await.unwrap();
    assert!(report.whole && report.events > 0, "{report:?}");
    rig.run.close().await.unwrap();
}

/// What is told comes from the database: with Redis' password one can wake agents, and nothing else.
#[tokio::test]
async fn messages_through_redis_change_nothing_on_a_host() {
    let rig = Rig::new(1).await;
    let closures = rig
        .publish(&[
            ("v1", Variant::Works),
            ("v2", Variant::Works),
            ("never", Variant::Works),
        ])
        .await;
    let mut intruder = Intruder::enter(&rig.stack.redis);
    let first = rig.roll_out(&closures[0], strategy(0, 1)).await;
    assert_eq!(
        first.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&first)
    );
    let heard = intruder.messages();
    let named = |(channel, message): &(String, String)| {
        let message: serde_json::Value = serde_json::from_str(message).ok()?;
        let host = message["hosts"][0].as_str()?.to_owned();
        Some((channel.clone(), host))
    };
    let (channel, host) = heard.iter().find_map(named).expect("hosts are named");
    for (_, message) in &heard {
        assert!(
            !message.contains("/store/"),
            "a message names nobody's closure: {message}"
        );
    }

    // Forged: as an earlier program would have obeyed it, about a new attempt and about the one that is over.
    let (elsewhere, _) = channel.rsplit_once(':').unwrap();
    let events = rig.stack.api.verify_audit().await.unwrap().events;
    let attempts = [AttemptId::random(), first.steps[0].attempt.unwrap()];
    for (state, closure) in [
        ("staging", &closures[2][0]),
        ("activating", &closures[2][0]),
        ("verified", &closures[0][0]),
        ("reverting", &closures[0][0]),
        ("stuck", &closures[0][0]),
    ] {
        for attempt in attempts {
            let assignment = json!({ "state": state, "attempt": attempt, "closure": closure,
                "prior": closures[2][0], "strategy": strategy(0, 1) });
            let forged = json!({ "hosts": [[host, assignment]] }).to_string();
            intruder.publish(&channel, &forged);
            intruder.publish(&format!("{elsewhere}:hosts"), &forged);
            let stretched = json!({ "hosts": [host], "assignment": assignment }).to_string();
            intruder.publish(&channel, &stretched);
        }
    }
    // Garbled.
    for garbage in [
        "",
        "{",
        "null",
        "[]",
        r#"{"hosts":{}}"#,
        r#"{"hosts":["web-1"]}"#,
        "\u{0}",
    ] {
        intruder.publish(&channel, garbage);
    }
    intruder.publish(&channel, &format!(r#"{{"hosts":[{}]}}"#, " ".repeat(2 << 20)));
    // Replayed, all of it and more than once: what was said during the first rollout.
    for _ in 0..3 {
        for (channel, message) in &heard {
            intruder.publish(channel, message);
        }
    }
    assert_eq!(rig.stack.api.verify_audit().await.unwrap().events, events);

    // The agent goes on as if nothing had been said, and so do wake-ups, also with late ones among them.
    let second = rig.start(&closures[1], strategy(0, 1)).await;
    for (channel, message) in &heard {
        intruder.publish(channel, message);
    }
    let second = rig.finish(second).await;
    assert_eq!(
        second.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&second)
    );
    assert_eq!(rig.versions().await, ["v2"]);
    assert!(
        !closures[2][0].exists(),
        "nothing was fetched that nobody rolled out"
    );
    let journal = rig.stack.hosts[0].folder.join("agent");
    let forged = format!("{}", attempts[0]);
    for entry in std::fs::read_dir(journal).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        assert!(!text.contains(&forged), "{text}");
    }
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_rollout_goes_on_without_redis_and_after_a_restart_of_postgres() {
    let rig = Rig::new(2).await;
    let closures = rig
        .publish(&[("v1", Variant::Works), ("v2", Variant::Works)])
        .await;
    rig.run.supervisor.kill(redis::NAME).await.unwrap();
    let first = rig.roll_out(&closures[0], strategy(0, 2)).await;
    assert_eq!(
        first.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&first)
    );
    assert_eq!(rig.stack.api.health().await.unwrap().status, Status::Degraded);

    let second = rig.start(&closures[1], strategy(1, 1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    rig.run
        .supervisor
        .stop(&[postgres::NAME.to_owned()], Duration::from_secs(10))
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.run.supervisor.start_again(postgres::NAME).unwrap();
    let second = rig.finish(second).await;
    assert_eq!(
        second.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&second)
    );
    assert_eq!(rig.versions().await, ["v2", "v2"]);
    for name in rig
        .stack
        .control_plane
        .replicas
        .iter()
        .chain(&rig.stack.control_plane.workers)
    {
        assert_eq!(
            rig.run.supervisor.ended(name).unwrap(),
            None,
            "{name} must live through it"
        );
    }
    rig.run.close().await.unwrap();
}

#[tokio::test]
async fn the_api_behind_the_proxy_refuses_what_cannot_be() {
    let rig = Rig::new(1).await;
    let closures = rig.publish(&[("v1", Variant::Works)]).await;
    let release = |host: &str, closure: &str| CreateRelease {
        closures: [(host.to_owned(), closure.to_owned())].into(),
        source: Source::default(),
        message: None,
        name: None,
    };
    let good = closures[0][0].display().to_string();
    let api = &rig.stack.api;
    let elsewhere = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-system";
    for (host, closure, word) in [
        ("web-1", elsewhere, "store"),
        ("web-1", "/etc/passwd", "store path"),
        ("web-9", good.as_str(), "web-9"),
    ] {
        let refused = api.create_release(&release(host, closure)).await.unwrap_err();
        assert!(refused.is(kind::INVALID), "{refused}");
        assert!(refused.to_string().contains(word), "{refused}");
    }

    let open = rig.start(&closures[0], strategy(0, 1)).await;
    let request = CreateRollout {
        environment: ENVIRONMENT.parse().unwrap(),
        release: open.summary.release.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    let second = api.create_rollout(&request).await.unwrap_err();
    assert!(second.is(kind::ENVIRONMENT_BUSY), "{second}");
    let done = rig.finish(open).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));

    let large = common::client(&rig.stack.nginx.ca)
        .post(format!("{}/api/v1/releases", rig.stack.nginx.api_url()))
        .header("content-type", "application/json")
        .body(vec![b' '; 2 << 20])
        .send()
        .await
        .unwrap();
    assert!(
        [401, 413].contains(&large.status().as_u16()),
        "{}",
        large.status()
    );
    rig.run.close().await.unwrap();
}
