//! Point 6: an agent is killed between activate and commit.

use std::time::Duration;

use anyhow::{Context as _, Result};
use slipway_domain::StepState;

use super::{ROLLOUT, Scene, eventually};
use crate::stack::hosts::strategy;

/// How long the agent stays dead.
const DEAD: Duration = Duration::from_secs(1);

pub(super) async fn play(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .conductor
        .timeline
        .point(6, "An agent is killed between activate and commit");
    let (run, timeline) = (scene.run, scene.conductor.timeline);
    let host = scene.stack.hosts.last().context("the fleet has hosts")?;
    let agent = host.agent();
    let prior = std::fs::read_link(host.live_link()).ok();
    let release = scene.conductor.register("v4", &scene.closures.v4).await?;
    let mut killed = false;
    let mut slow = strategy(1, 1);
    // Long enough for a slow machine to see the host verifying, and to kill its agent then.
    slow.bake_seconds = 8;
    let ended = scene
        .conductor
        .roll_out("v4", release, slow, ROLLOUT, async |rollout| {
            let verifying = rollout
                .steps
                .iter()
                .any(|step| step.state == StepState::Verifying);
            if !killed && verifying && host.ask("version").await.as_deref() == Some("v4") {
                run.supervisor.kill(&agent).await?;
                killed = true;
                timeline.say(&format!("SIGKILL to {agent}: v4 runs, and is not committed"));
                tokio::time::sleep(DEAD).await;
                run.supervisor.start_again(&agent)?;
                timeline.say(&format!("{agent} runs again"));
            }
            Ok(())
        })
        .await?;
    scene.verified.extend(ended.story.verified);

    let release = scene.closures.v4.first().map(|(_, path)| path.clone());
    let look = async || {
        let live = std::fs::read_link(host.live_link()).ok();
        let version = host.ask("version").await.unwrap_or_default();
        let settled = live == host.profile_target() && live.is_some();
        let on_release = live == release && version == "v4";
        let on_prior = live == prior && version == "v2";
        (version, settled && (on_release || on_prior))
    };
    let (version, at_home) = eventually(look, |(_, at_home)| *at_home).await;
    let when = if killed {
        "killed while v4 was verified"
    } else {
        "never killed"
    };
    let seen = format!(
        "{when}; {}, the host answers {version}",
        ended.rollout.summary.state
    );
    timeline.say(&seen);
    let ok = killed && at_home;
    scene
        .outcomes
        .check(6, "its host ends on the release or on its prior", ok, seen);
    Ok(())
}
