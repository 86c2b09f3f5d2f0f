//! Point 5, its end: a release that a person approves as what it changes.

use anyhow::Result;
use slipway_domain::host_plan::PlanSection;
use slipway_domain::{HostName, RolloutState};
use slipway_wire::plan::RolloutHostPlans;
use slipway_wire::rollout::Rollout;
use std::path::PathBuf;

use super::conductor::Followed;
use super::{ROLLOUT, Scene};
use crate::stack::approval;
use crate::stack::hosts::{DevHost, strategy};

/// Rolls a release out to all hosts at once, which wait until somebody has approved their plans.
pub(super) async fn roll_out(
    scene: &mut Scene<'_>,
    name: &str,
    closures: &[(HostName, PathBuf)],
) -> Result<Followed> {
    let (stack, conductor) = (scene.stack, &scene.conductor);
    approval::require(stack, true).await?;
    let ada = approval::approver(stack, "ada").await?;
    let release = conductor.register(&format!("{name} again"), closures).await?;
    let before = links(&stack.hosts);
    let mut seen = None;
    let approve = async |rollout: &Rollout| {
        if seen.is_some() || rollout.summary.state != RolloutState::PendingApproval {
            return Ok(());
        }
        let id = rollout.summary.id;
        let plans = approval::planned(conductor.api, id).await?;
        let untouched = before == links(&stack.hosts);
        conductor.timeline.say(&told(&plans));
        approval::approve(&ada, id, plans.digest).await?;
        seen = Some((plans.digest, untouched));
        Ok(())
    };
    let all = u32::try_from(stack.hosts.len()).unwrap_or(u32::MAX);
    let done = conductor
        .roll_out(name, release, strategy(0, all), ROLLOUT, approve)
        .await?;
    let after = conductor.api.rollout_host_plans(done.rollout.summary.id).await?;
    let (ok, told) = match seen {
        None => (false, "nobody was asked".to_owned()),
        Some((_, false)) => (false, "a host was touched before the approval".to_owned()),
        Some((digest, true)) => {
            let same = after.approved == Some(digest) && after.digest == digest;
            (same, format!("approved and done as {digest}"))
        }
    };
    scene
        .outcomes
        .check(5, "hosts wait until a person approves what they plan", ok, told);
    approval::require(stack, false).await?;
    Ok(done)
}

fn links(hosts: &[DevHost]) -> Vec<Option<PathBuf>> {
    hosts
        .iter()
        .map(|host| std::fs::read_link(host.live_link()).ok())
        .collect()
}

/// The plans in a line: how many hosts have which changes.
fn told(plans: &RolloutHostPlans) -> String {
    let each = plans.plans.iter().map(|shared| {
        let sections = shared.plan.iter().flat_map(|plan| plan.sections.values());
        let changes: u64 = sections.map(PlanSection::count).sum();
        format!("{} hosts plan {changes} changes", shared.hosts.len())
    });
    let each: Vec<String> = each.collect();
    format!("{}; ada approves {}", each.join(", "), plans.digest)
}
