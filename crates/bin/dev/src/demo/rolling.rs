//! Points 3 and 4: the first release, one that nobody signed, and a rollout whose processes are killed.

use anyhow::Result;
use slipway_domain::{RolloutState, StepState};
use slipway_wire::rollout::Rollout;

use super::conductor::Followed;
use super::{ROLLOUT, Scene};
use crate::stack::hosts::strategy;

pub(super) async fn play(scene: &mut Scene<'_>) -> Result<()> {
    refuse_unsigned(scene).await?;
    scene.conductor.timeline.point(
        4,
        "Release v1 to all; release v2 with a canary, while processes are killed",
    );
    let all = u32::try_from(scene.stack.hosts.len()).unwrap_or(u32::MAX);
    let v1 = scene.conductor.register("v1", &scene.closures.v1).await?;
    let first = scene
        .conductor
        .roll_out("v1", v1, strategy(0, all), ROLLOUT, async |_| Ok(()))
        .await?;
    note(scene, 4, "release v1 succeeds on every host", &first, "v1").await;
    let fetched = scene.closures.v1.iter().filter(|(_, path)| path.exists()).count();
    scene.outcomes.check(
        3,
        "each host fetches its closure from the cache",
        fetched == scene.closures.v1.len(),
        format!("{fetched} of {} fetched over HTTP", scene.closures.v1.len()),
    );

    scene
        .conductor
        .timeline
        .say("release v2: one canary, then two at a time");
    let v2 = scene.conductor.register("v2", &scene.closures.v2).await?;
    let mut killed = None;
    let second = scene
        .conductor
        .roll_out("v2", v2, strategy(1, 2), ROLLOUT, async |rollout| {
            if killed.is_none() && second_wave_is_out(rollout) {
                killed = Some(kill_two(scene, rollout).await?);
            }
            Ok(())
        })
        .await?;
    let victims = killed.unwrap_or_default();
    let seen = format!(
        "{} killed; {} after {:.1} s",
        victims.join(" and "),
        second.rollout.summary.state,
        second.took.as_secs_f64()
    );
    let survived = victims.len() == 2 && second.rollout.summary.state == RolloutState::Succeeded;
    scene.outcomes.check(
        4,
        "the rollout of v2 finishes without a worker and a replica",
        survived,
        seen,
    );
    note(scene, 4, "release v2 succeeds on every host", &second, "v2").await;
    let canary = second
        .rollout
        .steps
        .iter()
        .find(|step| step.wave == 0)
        .map(|step| step.host.clone());
    let seen = second
        .story
        .order
        .iter()
        .map(slipway_domain::HostName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    scene.outcomes.check(
        4,
        "the canary goes first, alone",
        canary.is_some() && second.story.order.first() == canary.as_ref() && second.story.canary_alone,
        seen,
    );
    let seen = format!("{} at most", second.story.most_out);
    scene.outcomes.check(
        4,
        "never more than two hosts are out",
        second.story.most_out <= 2,
        seen,
    );
    for name in victims {
        scene.run.supervisor.start_again(&name)?;
        scene.stack.control_plane.wait_ready(scene.run, &name).await?;
        scene.conductor.timeline.say(&format!("{name} runs again"));
    }
    Ok(())
}

/// Notes a rollout's end, whether every host's service answers `version`, and what was verified on the way.
pub(super) async fn note(
    scene: &mut Scene<'_>,
    point: u8,
    expected: &str,
    followed: &Followed,
    version: &str,
) {
    let mut answers = 0;
    for host in &scene.stack.hosts {
        answers += usize::from(super::version(host, version).await == version);
    }
    let state = followed.rollout.summary.state;
    let ok = state == RolloutState::Succeeded && answers == scene.stack.hosts.len();
    let reason = followed
        .rollout
        .summary
        .reason
        .as_deref()
        .unwrap_or("no reason given");
    let seen = format!(
        "{state} in {:.1} s, {answers} services answer {version}: {reason}",
        followed.took.as_secs_f64()
    );
    scene.conductor.timeline.say(&seen);
    scene.outcomes.check(point, expected, ok, seen);
    scene.verified.extend(followed.story.verified.iter().cloned());
}

async fn refuse_unsigned(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .conductor
        .timeline
        .say("a closure that nobody signed, to the first host");
    let release = scene
        .conductor
        .register("unsigned", &scene.closures.unsigned)
        .await?;
    let ended = scene
        .conductor
        .roll_out("unsigned", release, strategy(0, 1), ROLLOUT, async |_| Ok(()))
        .await?;
    let state = ended.rollout.summary.state;
    let reasons: Vec<&str> = ended
        .rollout
        .steps
        .iter()
        .filter_map(|step| step.reason.as_deref())
        .collect();
    let reason = reasons.join("; ");
    let running = match scene.stack.hosts.first() {
        Some(host) => super::version(host, "v0").await,
        None => String::new(),
    };
    let refused = state.is_terminal()
        && state != RolloutState::Succeeded
        && reason.contains("sign")
        && running == "v0"
        && scene.closures.unsigned.iter().all(|(_, path)| !path.exists());
    let seen = format!("{state}: {reason}");
    scene
        .outcomes
        .check(3, "a closure that nobody signed is refused", refused, seen);
    Ok(())
}

fn second_wave_is_out(rollout: &Rollout) -> bool {
    rollout
        .steps
        .iter()
        .any(|step| step.wave > 0 && step.state.is_in_flight())
        && rollout
            .steps
            .iter()
            .any(|step| step.wave == 0 && step.state == StepState::Committed)
}

/// Kills the worker that drives the rollout, and a replica, as a power cut would.
async fn kill_two(scene: &Scene<'_>, rollout: &Rollout) -> Result<Vec<String>> {
    let worker = driving_worker(scene, rollout).await?;
    let replica = scene.stack.control_plane.replicas[0].clone();
    for name in [&worker, &replica] {
        scene.run.supervisor.kill(name).await?;
        scene.conductor.timeline.say(&format!("SIGKILL to {name}"));
    }
    Ok(vec![worker, replica])
}

async fn driving_worker(scene: &Scene<'_>, rollout: &Rollout) -> Result<String> {
    let sql = format!(
        "SELECT lease_owner FROM rollouts WHERE id = '{}'",
        rollout.summary.id
    );
    let owner = scene.stack.postgres.query("slipway", "slipway", &sql).await?;
    let workers = &scene.stack.control_plane.workers;
    let drives = |name: &&String| {
        let pid = scene.run.supervisor.pid(name).unwrap_or_default().to_string();
        owner
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|part| part == pid)
    };
    Ok(workers.iter().find(drives).unwrap_or(&workers[0]).clone())
}
