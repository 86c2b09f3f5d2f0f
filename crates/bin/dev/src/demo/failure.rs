//! Point 5: a release that fails its checks goes back by itself; then A, B, A.

use anyhow::Result;
use slipway_domain::{HostName, RolloutState, StepState};
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ROLLOUT, Scene, approval, eventually, rolling};
use crate::stack::hosts::strategy;

/// What a host runs: the live link and the service's process.
type LiveSystems = BTreeMap<HostName, (Option<PathBuf>, Option<String>)>;

pub(super) async fn play(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .conductor
        .timeline
        .point(5, "Release v3 answers its health check with 500");
    let before = live_systems(scene).await;
    let v3 = scene.conductor.register("v3", &scene.closures.v3).await?;
    // A shorter time for the checks than the others have: this one uses it up.
    let mut hasty = strategy(1, 2);
    hasty.verify.timeout_seconds = 10;
    let third = scene
        .conductor
        .roll_out("v3", v3, hasty, ROLLOUT, async |_| Ok(()))
        .await?;
    let after = live_systems(scene).await;
    let summary = &third.rollout.summary;
    let reason = summary.reason.clone().unwrap_or_default();
    let seen = format!("{} in {:.1} s: {reason}", summary.state, third.took.as_secs_f64());
    scene.conductor.timeline.say(&seen);
    scene.outcomes.check(
        5,
        "v3 ends reverted, with the reason",
        summary.state == RolloutState::Reverted && !reason.is_empty(),
        seen,
    );

    let canary = third
        .rollout
        .steps
        .iter()
        .find(|step| step.wave == 0)
        .map(|step| step.host.clone());
    let back = scene
        .stack
        .hosts
        .iter()
        .find(|host| Some(&host.name) == canary.as_ref());
    let answer = match back {
        Some(host) => super::version(host, "v2").await,
        None => String::new(),
    };
    let state = third
        .rollout
        .steps
        .iter()
        .find(|step| step.wave == 0)
        .map(|step| step.state);
    let ok = answer == "v2" && state == Some(StepState::Reverted);
    scene
        .outcomes
        .check(5, "its canary is back on v2", ok, format!("answers {answer}"));
    let touched: Vec<&str> = before
        .iter()
        .filter(|(host, was)| Some(*host) != canary.as_ref() && after.get(*host) != Some(*was))
        .map(|(host, _)| host.as_str())
        .collect();
    let alone = touched.is_empty() && third.story.order.len() == 1;
    let seen = if alone {
        "same processes, same closures".to_owned()
    } else {
        touched.join(", ")
    };
    scene.outcomes.check(5, "no other host is touched", alone, seen);
    back_and_forth(scene).await
}

/// v2 runs; v1 and then v2 again: both must really be activated.
async fn back_and_forth(scene: &mut Scene<'_>) -> Result<()> {
    scene.conductor.timeline.say("v1 again, then v2 again: A, B, A");
    let all = u32::try_from(scene.stack.hosts.len()).unwrap_or(u32::MAX);
    let mut looks = vec![live_systems(scene).await];
    let again = &scene.closures.v1;
    let release = scene.conductor.register("v1 again", again).await?;
    let first = scene
        .conductor
        .roll_out("v1", release, strategy(0, all), ROLLOUT, async |_| Ok(()))
        .await?;
    rolling::note(scene, 5, "v1 again succeeds on every host", &first, "v1").await;
    looks.push(live_systems(scene).await);
    let second = approval::roll_out(scene, "v2", &scene.closures.v2).await?;
    rolling::note(scene, 5, "v2 again succeeds on every host", &second, "v2").await;
    looks.push(live_systems(scene).await);
    let replaced = |host: &HostName| {
        looks
            .windows(2)
            .all(|pair| match (pair[0].get(host), pair[1].get(host)) {
                (Some((link, pid)), Some((next_link, next_pid))) => {
                    link != next_link && pid != next_pid && next_pid.is_some()
                }
                _ => false,
            })
    };
    let count = scene
        .stack
        .hosts
        .iter()
        .filter(|host| replaced(&host.name))
        .count();
    let seen = format!("{count} services were replaced twice");
    scene.outcomes.check(
        5,
        "releasing A, B, A activates A again",
        count == scene.stack.hosts.len(),
        seen,
    );
    Ok(())
}

async fn live_systems(scene: &Scene<'_>) -> LiveSystems {
    let mut systems = LiveSystems::new();
    for host in &scene.stack.hosts {
        let link = std::fs::read_link(host.live_link()).ok();
        let pid = eventually(async || host.ask("pid").await, Option::is_some).await;
        systems.insert(host.name.clone(), (link, pid));
    }
    systems
}
