//! What must hold of groups and of clusters.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::decide::{Change, Effect};
use slipway_domain::snapshot::{Snapshot, StepSnapshot};
use slipway_domain::{StepState, Timestamp};

/// What a change breaks, given what it was decided on.
pub(crate) fn broken_by(read: &Snapshot, change: &Change, now: Timestamp) -> Option<String> {
    let Effect::Step { step, from, to, .. } = &change.effect else {
        return None;
    };
    let step = read.step(*step)?;
    match (from, to) {
        (_, StepState::Activating) => begins_too_early(read, step),
        (StepState::Committed, StepState::Reverting) => goes_back_too_early(read, step, now),
        _ => None,
    }
}

/// A group begins only when every group before it is through, with a host that runs the release.
fn begins_too_early(read: &Snapshot, begins: &StepSnapshot) -> Option<String> {
    let mut before: BTreeMap<u32, Vec<&StepSnapshot>> = BTreeMap::new();
    for step in read.steps.iter().filter(|step| step.group < begins.group) {
        before.entry(step.group).or_default().push(step);
    }
    before.into_values().find_map(|steps| {
        let open = steps.iter().find(|step| !step.state.is_settled());
        if let Some(open) = open {
            return Some(format!(
                "order: {} begins while {} of an earlier group is {}",
                begins.name, open.name, open.state
            ));
        }
        let proved = steps.iter().any(|step| step.state == StepState::Committed);
        (!proved).then(|| {
            format!(
                "order: {} begins, and no host of an earlier group, such as {}, runs the release",
                begins.name, steps[0].name
            )
        })
    })
}

/// A group goes back only when no host of a later one is under way. Later ones that are still on the release could not go.
fn goes_back_too_early(read: &Snapshot, goes: &StepSnapshot, now: Timestamp) -> Option<String> {
    let later = || read.steps.iter().filter(|step| step.group > goes.group);
    let under_way = later().find(|step| step.state.is_under_way());
    if let Some(step) = under_way {
        return Some(format!(
            "order: {} goes back while {} of a later group is {}",
            goes.name, step.name, step.state
        ));
    }
    // Where nothing is out, nothing but being offline keeps a host from going back.
    let none_out = read.out_elsewhere.is_empty() && !read.steps.iter().any(StepSnapshot::is_out);
    let could_go = |step: &&StepSnapshot| {
        step.state == StepState::Committed && step.was_touched() && step.observed.is_online(now)
    };
    let left = later().find(could_go).filter(|_| none_out)?;
    Some(format!(
        "order: {} goes back before {} of a later group",
        goes.name, left.name
    ))
}

/// What must hold in truth at every instant. Hosts that were out when the rollout began are not its doing.
pub(crate) fn check_truth(
    snapshot: &Snapshot,
    is_out: impl Fn(&StepSnapshot) -> bool,
    since_start: impl Fn(&StepSnapshot) -> bool,
) -> Result<(), String> {
    let groups: BTreeSet<u32> = snapshot.steps.iter().map(|step| step.group).collect();
    for group in groups {
        let steps: Vec<&StepSnapshot> = snapshot.steps.iter().filter(|step| step.group == group).collect();
        let out = steps.iter().filter(|step| is_out(step)).count();
        let before = steps.iter().filter(|step| since_start(step)).count();
        let allowed = snapshot.rollout.strategy.max_out_of(group, steps.len());
        if allowed.is_some_and(|allowed| out > allowed.max(before)) {
            return Err(format!(
                "order: {out} hosts of group {group} are out, {allowed:?} may be"
            ));
        }
        check_canary(&steps)?;
    }
    check_clusters(snapshot, &is_out, &since_start)
}

fn check_canary(group: &[&StepSnapshot]) -> Result<(), String> {
    let canaries = group.iter().filter(|step| step.canary).count();
    let under_way = group.iter().filter(|step| step.state.is_in_flight()).count();
    let proved = group.iter().any(|step| step.state == StepState::Committed);
    if canaries > 0 && !proved && under_way > canaries {
        return Err(format!(
            "{under_way} hosts are activated and no canary of their group has proved the release"
        ));
    }
    Ok(())
}

fn check_clusters(
    snapshot: &Snapshot,
    is_out: &impl Fn(&StepSnapshot) -> bool,
    since_start: &impl Fn(&StepSnapshot) -> bool,
) -> Result<(), String> {
    let mut clusters: BTreeMap<&str, Vec<&StepSnapshot>> = BTreeMap::new();
    for step in snapshot.steps.iter().filter(|step| is_out(step)) {
        if let Some(cluster) = &step.cluster {
            clusters.entry(cluster).or_default().push(step);
        }
    }
    for (cluster, out) in clusters {
        if out.len() > 1 && !out.iter().all(|step| since_start(step)) {
            let names: Vec<&str> = out.iter().map(|step| step.name.as_str()).collect();
            return Err(format!(
                "cluster: {} of `{cluster}` are out together while the rollout is {}",
                names.join(", "),
                snapshot.rollout.state
            ));
        }
    }
    Ok(())
}
