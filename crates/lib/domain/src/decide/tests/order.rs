//! Single rounds of rollouts with groups and clusters.

use super::*;
use crate::snapshot::LeftOut;
use crate::strategy::Canary;

/// A host without a step that another rollout left out, with its labels.
pub(super) fn left_out(name: &str, labels: &str) -> LeftOut {
    let pairs = labels
        .split_whitespace()
        .filter_map(|label| label.split_once('='));
    LeftOut {
        name: name.parse().unwrap(),
        labels: pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// Steps with their group and their cluster. Each has a wave of its own; `db` is the first group, `app` the second.
fn ordered(state: RolloutState, steps: &[(StepState, u32, &str)]) -> Snapshot {
    let states: Vec<StepState> = steps.iter().map(|(state, ..)| *state).collect();
    let mut s = snapshot(state, &states);
    s.rollout.strategy = Strategy {
        order: vec![
            serde_json::from_str("\"role=db\"").unwrap(),
            serde_json::from_str("\"role=app\"").unwrap(),
        ],
        canary: Canary::Number(0),
        max_unavailable: Share::Number(9),
        ..Strategy::default()
    };
    for (step, (_, group, cluster)) in s.steps.iter_mut().zip(steps) {
        step.canary = false;
        step.wave = *group;
        step.group = *group;
        step.cluster = (!cluster.is_empty()).then(|| (*cluster).to_owned());
    }
    s
}

fn touch(s: &mut Snapshot) {
    for step in s
        .steps
        .iter_mut()
        .filter(|step| step.state == StepState::Committed)
    {
        step.prior = Some(path("old"));
    }
}

#[test]
fn a_group_begins_only_when_the_one_before_is_through() {
    use StepState as S;
    for (before, said) in [
        (S::Staged, vec!["web-1:activating"]),
        (S::Activating, vec![]),
        (S::Verified, vec![]),
        (S::Committed, vec!["web-2:activating"]),
        (S::Skipped, vec!["web-2:activating"]),
    ] {
        let s = ordered(
            RolloutState::Rolling,
            &[(S::Committed, 0, ""), (before, 0, ""), (S::Staged, 1, "")],
        );
        assert_eq!(round(&s), said, "{before}");
    }
}

#[test]
fn no_group_begins_after_one_without_a_host_on_the_release() {
    use StepState as S;
    let mut s = ordered(
        RolloutState::Rolling,
        &[(S::Committed, 0, ""), (S::Skipped, 1, ""), (S::Staged, 2, "")],
    );
    touch(&mut s);
    s.steps[1].reason = Some("offline when its turn came".to_owned());
    assert_eq!(round(&s), ["rollout:reverting"]);
    assert!(
        cause(&s).contains("no host of the group role=app") && cause(&s).contains("web-1: offline"),
        "{}",
        cause(&s)
    );
    for policy in [OnFailure::RevertHost, OnFailure::Pause] {
        s.rollout.strategy.on_failure = policy;
        assert_eq!(round(&s), ["web-2:skipped", "rollout:failed"], "{policy:?}");
    }
    s.steps[1].state = S::Reverted;
    s.steps[1].failures = 1;
    s.rollout.strategy.on_failure = OnFailure::RevertHost;
    assert_eq!(
        round(&s),
        ["web-2:skipped", "rollout:failed"],
        "it failed instead"
    );
    s.steps[1].state = S::Committed;
    assert_eq!(round(&s), ["web-2:activating"]);
}

#[test]
fn each_group_has_its_own_canary() {
    use StepState as S;
    let mut s = ordered(
        RolloutState::Rolling,
        &[
            (S::Committed, 0, ""),
            (S::Staged, 1, ""),
            (S::Staged, 1, ""),
            (S::Staged, 1, ""),
        ],
    );
    s.rollout.strategy.canary = Canary::Number(1);
    s.steps[0].canary = true;
    s.steps[1].canary = true;
    s.steps[2].wave = 2;
    s.steps[3].wave = 2;
    assert_eq!(round(&s), ["web-1:activating"]);
    s.steps[1].state = S::Skipped;
    assert_eq!(
        round(&s),
        ["web-2:activating"],
        "one of its group stands in for it"
    );
    s.steps[1].state = S::Committed;
    assert_eq!(round(&s), ["web-2:activating", "web-3:activating"]);
    s.steps[1].state = S::Reverted;
    s.steps[1].failures = 1;
    s.rollout.strategy.on_failure = OnFailure::RevertHost;
    assert_eq!(
        round(&s),
        ["web-2:skipped", "web-3:skipped", "rollout:failed"],
        "a canary of a later group stops the rollout too"
    );
}

#[test]
fn a_group_has_a_bound_of_its_own_and_the_environments_on_top() {
    use StepState as S;
    let mut s = ordered(
        RolloutState::Rolling,
        &[(S::Staged, 0, ""), (S::Staged, 0, ""), (S::Staged, 0, "")],
    );
    s.rollout.strategy.order[0].max_unavailable = Some(Share::Number(2));
    assert_eq!(round(&s), ["web-0:activating", "web-1:activating"]);
    s.out_elsewhere = vec![left_out("app-1", "role=app"), left_out("db-9", "role=db")];
    assert_eq!(round(&s), ["web-0:activating"], "one of the group is out already");
    s.rollout.strategy.max_unavailable = Share::Number(2);
    assert_eq!(round(&s), ["rollout:paused"], "the environment has no place");
    s.rollout.strategy.max_unavailable = Share::Number(9);
    s.out_elsewhere.push(left_out("db-8", "role=db"));
    assert_eq!(round(&s), ["rollout:paused"]);
    let why = cause(&s);
    assert!(
        why.contains("of the group role=db") && why.contains("db-9, db-8") && !why.contains("app-1"),
        "{why}"
    );
}

#[test]
fn two_members_of_a_cluster_are_never_out_together() {
    use StepState as S;
    let mut s = ordered(
        RolloutState::Rolling,
        &[
            (S::Staged, 0, "main"),
            (S::Staged, 0, "main"),
            (S::Staged, 0, "other"),
        ],
    );
    assert_eq!(round(&s), ["web-0:activating", "web-2:activating"]);
    s.out_elsewhere = vec![left_out("db-9", "slipway.cluster=main")];
    assert_eq!(round(&s), ["web-2:activating"]);
    s.steps[2].state = S::Committed;
    assert_eq!(round(&s), ["rollout:paused"]);
    let why = cause(&s);
    assert!(
        why.contains("web-0 may not be at the same time, as a member of the cluster `main`: db-9"),
        "{why}"
    );
    s.steps[1].out_before = true;
    assert_eq!(
        round(&s),
        ["web-1:activating"],
        "a host that is out already takes nobody's place"
    );
}

#[test]
fn groups_go_back_in_the_reverse_order() {
    use StepState as S;
    let mut s = ordered(
        RolloutState::Reverting,
        &[
            (S::Committed, 0, ""),
            (S::Committed, 1, ""),
            (S::Committed, 2, ""),
            (S::Verifying, 2, ""),
            (S::Staged, 2, ""),
        ],
    );
    touch(&mut s);
    assert_eq!(
        round(&s),
        ["web-4:skipped", "web-3:reverting", "web-2:reverting"],
        "the last group first"
    );
    s.steps[4].state = S::Skipped;
    s.steps[3].state = S::Reverted;
    s.steps[2].state = S::Reverting;
    s.steps[2].observed.live = Some(path("new"));
    assert!(round(&s).is_empty(), "it is not back yet");
    s.steps[2].state = S::Reverted;
    assert_eq!(round(&s), ["web-1:reverting"]);
}

#[test]
fn a_host_that_cannot_go_back_now_does_not_keep_the_groups_before_it() {
    use StepState as S;
    let steps = [
        (S::Committed, 0, ""),
        (S::Committed, 1, "main"),
        (S::Stuck, 1, "main"),
    ];
    let mut s = ordered(RolloutState::Reverting, &steps);
    touch(&mut s);
    assert_eq!(round(&s), ["web-0:reverting"], "its cluster has one out already");
    s.steps[0].state = S::Reverted;
    assert_eq!(round(&s), ["rollout:failed"]);
    assert!(
        cause(&s).contains("still on the release: web-1 (web-2 are out"),
        "{}",
        cause(&s)
    );

    let mut s = ordered(RolloutState::Reverting, &steps);
    touch(&mut s);
    s.steps[2].state = S::Reverted;
    s.steps[1].observed.connected_at = Some(now() - TimeDelta::seconds(100));
    assert_eq!(round(&s), ["web-0:reverting"], "it is offline");
    s.steps[0].state = S::Reverted;
    assert!(round(&s).is_empty(), "it is waited for, within the bound");
    s.steps[1].observed.connected_at = Some(now());
    assert_eq!(round(&s), ["web-1:reverting"]);
}
