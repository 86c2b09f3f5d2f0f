//! Examples of single rounds; the properties are in `tests/invariants.rs`.

use chrono::TimeDelta;

use super::*;
use crate::agent::{AttemptReport, Verdict};
use crate::snapshot::{Command, CommandKind, Rollout, Seen};
use crate::strategy::{Offline, OnFailure, Share, Strategy};
use crate::{CommandId, HostId, Phase, PrincipalId, RolloutId};

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

fn path(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

fn snapshot(state: RolloutState, steps: &[StepState]) -> Snapshot {
    let step = |(i, state): (usize, &StepState)| Step {
        id: StepId::generate(),
        host: HostId::generate(),
        name: format!("web-{i}").parse().unwrap(),
        wave: u32::try_from(i).unwrap(),
        state: *state,
        since: now() - TimeDelta::seconds(10),
        attempt: Some(AttemptId::random()),
        failures: u32::from(matches!(state, StepState::Reverted | StepState::Stuck)),
        closure: path("new"),
        prior: state.is_out().then(|| path("old")),
        reason: None,
        seen: Seen {
            at: Some(now()),
            live: Some(path(if *state == StepState::Stuck { "new" } else { "old" })),
            boot_default: Some(path("old")),
            ..Seen::default()
        },
        out_before: false,
    };
    Snapshot {
        rollout: Rollout {
            id: RolloutId::generate(),
            state,
            since: now() - TimeDelta::seconds(10),
            strategy: Strategy {
                max_unavailable: Share::Number(1),
                ..Strategy::default()
            },
            author: PrincipalId::from_uuid(uuid::Uuid::from_u128(1)),
            scope: (state == RolloutState::Reverting).then_some(RevertScope::All),
            reason: None,
        },
        fleet_size: steps.len(),
        steps: steps.iter().enumerate().map(step).collect(),
        out_elsewhere: 0,
        commands: Vec::new(),
    }
}

/// What one round says, as `host:state` and `rollout:state`.
fn round(snapshot: &Snapshot) -> Vec<String> {
    let name = |id| {
        snapshot
            .steps
            .iter()
            .find(|step| step.id == id)
            .unwrap()
            .name
            .to_string()
    };
    decide(snapshot, now(), &mut AttemptId::random)
        .into_iter()
        .filter_map(|change| match change.what {
            What::Rollout { to, .. } => Some(format!("rollout:{to}")),
            What::Step { step, to, .. } => Some(format!("{}:{to}", name(step))),
            What::Scope(scope) => Some(format!("scope:{}", scope.as_str())),
            What::Prior { step, .. } => Some(format!("{}:prior", name(step))),
            What::Command { refused, .. } => refused.map(|why| format!("refused:{why}")),
        })
        .collect()
}

fn report(step: &mut Step, phase: Phase, verdict: Option<Verdict>) {
    let attempt = step.attempt.unwrap();
    step.seen.report = Some(AttemptReport {
        attempt,
        phase,
        prior: None,
        verdict,
        message: None,
    });
}

fn command(snapshot: &mut Snapshot, kind: CommandKind, by: u128) {
    snapshot.commands.push(Command {
        id: CommandId::generate(),
        kind,
        by: PrincipalId::from_uuid(uuid::Uuid::from_u128(by)),
        actor: Actor::Rules,
        reason: None,
    });
}

#[test]
fn an_abort_puts_every_host_under_way_back_at_once_and_leaves_committed_ones() {
    use StepState as S;
    let mut s = snapshot(
        RolloutState::Rolling,
        &[
            S::Committed,
            S::Activating,
            S::Verifying,
            S::Verified,
            S::Staged,
            S::Waiting,
        ],
    );
    command(&mut s, CommandKind::Abort, 2);
    assert_eq!(round(&s), ["rollout:reverting"]);
    s.commands.clear();
    s.rollout.state = RolloutState::Reverting;
    s.rollout.scope = Some(RevertScope::InFlight);
    assert_eq!(
        round(&s),
        [
            "web-4:skipped",
            "web-5:skipped",
            "web-1:reverting",
            "web-2:reverting",
            "web-3:reverting"
        ]
    );
}

#[test]
fn aborting_a_rollout_that_goes_back_stops_it_there() {
    let mut s = snapshot(
        RolloutState::Reverting,
        &[StepState::Committed, StepState::Committed],
    );
    command(&mut s, CommandKind::Abort, 2);
    assert_eq!(round(&s), ["scope:in_flight"]);
}

#[test]
fn an_author_cannot_approve() {
    let mut s = snapshot(RolloutState::PendingApproval, &[StepState::Waiting]);
    command(&mut s, CommandKind::Approve, 1);
    assert_eq!(
        round(&s),
        ["refused:whoever started a rollout cannot approve it; ask somebody else"]
    );
    s.commands.clear();
    command(&mut s, CommandKind::Approve, 2);
    assert_eq!(round(&s), ["rollout:staging"]);
}

#[test]
fn a_host_that_would_boot_the_release_but_does_not_run_it_takes_part() {
    let mut s = snapshot(
        RolloutState::Staging,
        &[StepState::Waiting, StepState::Waiting, StepState::Waiting],
    );
    s.steps[0].seen.live = Some(path("new"));
    s.steps[1].seen.boot_default = Some(path("new"));
    s.steps[2].seen.live = Some(path("new"));
    s.steps[2].seen.boot_default = Some(path("new"));
    assert_eq!(round(&s), ["web-0:staging", "web-1:staging", "web-2:committed"]);
}

#[test]
fn a_host_that_was_out_before_takes_nobodys_place() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Staged, StepState::Staged]);
    s.steps[1].wave = 0;
    s.steps[1].out_before = true;
    assert_eq!(
        round(&s),
        ["web-1:activating"],
        "the only place is taken by the host that is out already"
    );
    s.steps[1].out_before = false;
    assert_eq!(round(&s), ["web-0:activating"]);
}

#[test]
fn earlier_stuck_hosts_that_hold_every_place_pause_the_rollout() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Staged]);
    s.out_elsewhere = 1;
    assert_eq!(round(&s), ["rollout:paused"]);
}

#[test]
fn a_failed_host_ends_as_the_strategy_says() {
    use StepState as S;
    for (policy, steps, said) in [
        (
            OnFailure::RevertRollout,
            [S::Committed, S::Reverted, S::Staged],
            "rollout:failed",
        ),
        (
            OnFailure::RevertHost,
            [S::Committed, S::Reverted, S::Staged],
            "web-2:activating",
        ),
        (
            OnFailure::RevertHost,
            [S::Reverted, S::Staged, S::Staged],
            "rollout:failed",
        ),
        (
            OnFailure::RevertHost,
            [S::Committed, S::Stuck, S::Staged],
            "rollout:paused",
        ),
        (
            OnFailure::Pause,
            [S::Committed, S::Reverted, S::Staged],
            "rollout:paused",
        ),
    ] {
        let mut s = snapshot(RolloutState::Rolling, &steps);
        s.rollout.strategy.on_failure = policy;
        assert_eq!(round(&s).last().unwrap(), said, "{policy:?} {steps:?}");
    }
    let mut touched = snapshot(RolloutState::Rolling, &[S::Committed, S::Reverted, S::Staged]);
    touched.steps[1].prior = Some(path("old"));
    assert_eq!(round(&touched), ["rollout:reverting"]);
}

#[test]
fn a_failed_host_is_tried_again_as_often_as_the_strategy_says() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Reverted]);
    s.rollout.strategy.retries = 1;
    assert_eq!(round(&s), ["web-0:waiting"]);
    s.steps[0].failures = 2;
    assert_eq!(round(&s).last().unwrap(), "rollout:failed");
}

#[test]
fn checks_that_come_to_no_verdict_pause_and_revert_nothing() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verifying]);
    report(&mut s.steps[0], Phase::Verifying, Some(Verdict::Unknown));
    assert_eq!(round(&s), ["rollout:paused"]);
}

#[test]
fn an_offline_host_is_skipped_waited_for_or_failed() {
    for (offline, said) in [
        (Offline::Skip, vec!["web-0:skipped"]),
        (Offline::Fail, vec!["web-0:reverted"]),
        (Offline::Wait, vec![]),
    ] {
        let mut s = snapshot(RolloutState::Staging, &[StepState::Waiting]);
        s.rollout.strategy.offline = offline;
        s.steps[0].seen.at = Some(now() - TimeDelta::seconds(46));
        assert_eq!(round(&s), said, "{offline:?}");
    }
}

#[test]
fn silence_is_no_failure_before_the_dead_mans_deadline() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verified]);
    s.steps[0].seen.at = Some(now() - TimeDelta::seconds(1000));
    s.steps[0].since = now() - TimeDelta::seconds(1000);
    assert!(round(&s).is_empty());
    s.steps[0].since = now() - TimeDelta::seconds(1800 + 60);
    assert_eq!(round(&s), ["web-0:reverting"]);
}

#[test]
fn a_stuck_host_that_mends_after_the_rollout_is_over_is_noted() {
    let mut s = snapshot(RolloutState::Failed, &[StepState::Stuck]);
    assert!(round(&s).is_empty());
    report(&mut s.steps[0], Phase::Reverted, None);
    assert_eq!(round(&s), ["web-0:reverted"]);
}

#[test]
fn hosts_go_back_no_more_at_once_than_may_be_out() {
    let mut s = snapshot(RolloutState::Reverting, &[StepState::Committed; 4]);
    s.rollout.strategy.max_unavailable = Share::Number(2);
    for step in &mut s.steps {
        step.prior = Some(path("old"));
    }
    assert_eq!(round(&s), ["web-0:reverting", "web-1:reverting"]);
    for step in &mut s.steps {
        step.seen.at = Some(now() - TimeDelta::seconds(100));
    }
    assert!(round(&s).is_empty(), "offline hosts are waited for");
    s.rollout.since = now() - TimeDelta::seconds(3600);
    for step in &mut s.steps {
        step.since = s.rollout.since;
    }
    assert_eq!(round(&s), ["rollout:failed"]);
}
