//! Examples of single rounds; the properties are in `crates/lib/sim`.

use chrono::TimeDelta;

use super::*;
use crate::agent::{AttemptReport, Verdict};
use crate::lives::Doubt;
use crate::snapshot::{CommandKind, HostObservation, OperatorCommand, Preflight, RolloutSnapshot};
use crate::strategy::{Offline, OnFailure, Share, Strategy};
use crate::{AttemptPhase, CommandId, HostId, PrincipalId, RolloutId, Timing};

mod back;
mod hold;
mod hooks;
mod order;
mod plans;
mod preflight;
mod reboots;

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

fn path(name: &str) -> StorePath {
    format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
        .parse()
        .unwrap()
}

fn snapshot(state: RolloutState, steps: &[StepState]) -> Snapshot {
    let step = |(i, state): (usize, &StepState)| StepSnapshot {
        id: StepId::generate(),
        host: HostId::generate(),
        name: format!("web-{i}").parse().unwrap(),
        wave: u32::try_from(i).unwrap(),
        group: 0,
        canary: i == 0,
        cluster: None,
        state: *state,
        since: now() - TimeDelta::seconds(10),
        activated: None,
        attempt: Some(AttemptId::random()),
        failures: u32::from(matches!(state, StepState::Reverted | StepState::Stuck)),
        closure: path("new"),
        prior: state.is_out().then(|| path("old")),
        reason: None,
        plan: None,
        observed: HostObservation {
            connected_at: Some(now()),
            observed_at: Some(now()),
            live: Some(path(if *state == StepState::Stuck { "new" } else { "old" })),
            boot_default: Some(path("old")),
            ..HostObservation::default()
        },
        out_before: false,
    };
    Snapshot {
        rollout: RolloutSnapshot {
            id: RolloutId::generate(),
            state,
            since: now() - TimeDelta::seconds(10),
            strategy: Strategy {
                max_unavailable: Share::Number(1),
                ..Strategy::default()
            },
            author: PrincipalId::from_uuid(uuid::Uuid::from_u128(1)),
            approver: None,
            approved_plan: None,
            scope: (state == RolloutState::Reverting).then_some(RevertScope::All),
            reason: None,
            awaits_verdict: false,
            hold: None,
        },
        fleet_size: steps.len(),
        steps: steps.iter().enumerate().map(step).collect(),
        out_elsewhere: Vec::new(),
        commands: Vec::new(),
        swapped: None,
        timing: Timing::default(),
        preflight: Preflight::default(),
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
        .filter_map(|change| match change.effect {
            Effect::Rollout { to, .. } => Some(format!("rollout:{to}")),
            Effect::Step { step, to, .. } => Some(format!("{}:{to}", name(step))),
            Effect::Scope(scope) => Some(format!("scope:{}", scope.as_str())),
            Effect::Hold(hold) => Some(hold.map_or("goes on".to_owned(), |hold| hold.words())),
            Effect::Prior { step, .. } => Some(format!("{}:prior", name(step))),
            Effect::Plan { step, .. } => Some(format!("{}:plan", name(step))),
            Effect::Command { refused, .. } => refused.map(|why| format!("refused:{why}")),
        })
        .collect()
}

/// The cause of a round's only change.
fn cause(snapshot: &Snapshot) -> String {
    let mut changes = decide(snapshot, now(), &mut AttemptId::random);
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.remove(0).cause
}

fn report(step: &mut StepSnapshot, phase: AttemptPhase, verdict: Option<Verdict>) {
    let attempt = step.attempt.unwrap();
    step.observed.report = Some(AttemptReport {
        plan: None,
        reboot: None,
        attempt,
        phase,
        prior: None,
        verdict,
        message: None,
        hooks: None,
    });
}

fn command(snapshot: &mut Snapshot, kind: CommandKind, by: u128) {
    snapshot.commands.push(OperatorCommand {
        id: CommandId::generate(),
        kind,
        by: PrincipalId::from_uuid(uuid::Uuid::from_u128(by)),
        actor: Actor::Rules,
        reason: None,
        plan: None,
        forged: false,
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
fn a_host_that_runs_the_release_already_is_checked_like_every_other() {
    let mut s = snapshot(RolloutState::Staging, &[StepState::Waiting, StepState::Waiting]);
    s.steps[0].observed.live = Some(path("new"));
    s.steps[0].observed.boot_default = Some(path("new"));
    assert_eq!(round(&s), ["web-0:staging", "web-1:staging"]);
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
    s.out_elsewhere = vec![order::left_out("db-1", "")];
    assert_eq!(round(&s), ["rollout:paused"]);
    assert!(cause(&s).contains("db-1"), "{}", cause(&s));
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
    report(&mut s.steps[0], AttemptPhase::Verifying, Some(Verdict::Unknown));
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
        s.steps[0].observed.connected_at = Some(now() - TimeDelta::seconds(46));
        assert_eq!(round(&s), said, "{offline:?}");
    }
}

#[test]
fn an_offline_host_is_waited_for_from_its_last_word_on() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Staged]);
    s.rollout.strategy.offline = Offline::Wait;
    s.steps[0].since = now() - TimeDelta::hours(10);
    s.steps[0].observed.connected_at = Some(now() - TimeDelta::seconds(60));
    assert!(round(&s).is_empty(), "its turn came just as it left");
    s.steps[0].observed.connected_at = Some(now() - TimeDelta::seconds(3600));
    assert_eq!(round(&s)[0], "web-0:reverted");
}

#[test]
fn nothing_goes_to_a_batch_before_a_canary_was_verified() {
    use StepState as S;
    let mut s = snapshot(
        RolloutState::Rolling,
        &[S::Skipped, S::Staged, S::Staged, S::Staged],
    );
    s.rollout.strategy.max_unavailable = Share::Number(4);
    for step in &mut s.steps[1..] {
        step.wave = 1;
    }
    assert_eq!(round(&s), ["web-1:activating"], "one stands in for the canary");
    s.steps[1].state = S::Verified;
    assert!(round(&s).is_empty(), "it is not through yet");
    s.steps[1].state = S::Committed;
    assert_eq!(round(&s), ["web-2:activating", "web-3:activating"]);

    s.steps[1].state = S::Reverted;
    s.steps[1].failures = 1;
    s.steps[1].prior = Some(path("old"));
    s.rollout.strategy.on_failure = OnFailure::RevertHost;
    assert_eq!(
        round(&s),
        ["web-2:skipped", "web-3:skipped", "rollout:failed"],
        "what stands in for a canary fails like one"
    );
}

#[test]
fn no_other_host_stands_in_for_a_canary_that_was_named() {
    use StepState as S;
    let mut s = snapshot(RolloutState::Rolling, &[S::Skipped, S::Staged]);
    s.rollout.strategy.canary = crate::strategy::Canary::Hosts(vec!["web-0".parse().unwrap()]);
    assert_eq!(round(&s), ["web-1:skipped", "rollout:failed"]);
}

#[test]
fn a_rollout_that_updated_no_host_has_not_succeeded() {
    use StepState as S;
    let s = snapshot(RolloutState::Rolling, &[S::Skipped, S::Skipped]);
    assert_eq!(round(&s), ["rollout:failed"]);
    let s = snapshot(RolloutState::Rolling, &[S::Committed, S::Skipped]);
    assert_eq!(round(&s), ["rollout:succeeded"]);
}

#[test]
fn a_pause_for_want_of_a_verdict_ends_with_the_hosts_own_way_back() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verifying]);
    report(&mut s.steps[0], AttemptPhase::Verifying, Some(Verdict::Unknown));
    let changes = decide(&s, now(), &mut AttemptId::random);
    assert!(
        matches!(
            changes[..],
            [Change {
                effect: Effect::Rollout {
                    awaits_verdict: true,
                    ..
                },
                ..
            }]
        ),
        "{changes:?}"
    );
    s.rollout.state = RolloutState::Paused;
    s.rollout.awaits_verdict = true;
    assert!(round(&s).is_empty());
    report(&mut s.steps[0], AttemptPhase::Reverting, Some(Verdict::Unknown));
    assert_eq!(round(&s), ["web-0:reverting"]);
    s.steps[0].state = StepState::Reverting;
    assert_eq!(round(&s), ["rollout:staging"]);
    s.rollout.awaits_verdict = false;
    assert!(round(&s).is_empty(), "what a person paused waits for a person");
}

#[test]
fn the_word_of_a_host_with_two_lives_counts_for_nothing_and_everybody_is_told() {
    for phase in [
        AttemptPhase::Verified,
        AttemptPhase::Committed,
        AttemptPhase::Reverted,
        AttemptPhase::Stuck,
    ] {
        let mut s = snapshot(RolloutState::Rolling, &[StepState::Verified]);
        report(&mut s.steps[0], phase, Some(Verdict::Pass));
        s.steps[0].observed.doubt = Some(Doubt::NewBoot);
        assert!(round(&s).is_empty(), "{phase:?}");
        s.steps[0].observed.doubt = Some(Doubt::TwoLives);
        assert_eq!(round(&s), ["rollout:paused"], "{phase:?}");
        let said = cause(&s);
        assert!(said.starts_with("web-0: two machines"), "{said}");
    }
    let mut s = snapshot(RolloutState::Reverting, &[StepState::Reverting]);
    s.steps[0].attempt = None;
    s.steps[0].prior = Some(path("old"));
    s.steps[0].observed.doubt = Some(Doubt::TwoLives);
    assert!(round(&s).is_empty(), "being seen on its prior is a word too");
    let bound = i64::from(s.rollout.strategy.limits.revert_seconds) + 60;
    s.steps[0].since = now() - TimeDelta::seconds(bound);
    assert_eq!(round(&s), ["web-0:stuck"], "every wait has a bound");
}

#[test]
fn a_connection_is_no_word() {
    let mut s = snapshot(RolloutState::Reverting, &[StepState::Reverting]);
    s.steps[0].prior = Some(path("old"));
    s.steps[0].observed.observed_at = Some(now() - TimeDelta::seconds(20));
    assert!(
        round(&s).is_empty(),
        "it is connected, and was last heard before the step went back"
    );
    s.steps[0].observed.observed_at = Some(now());
    assert_eq!(round(&s)[0], "web-0:reverted");
    let mut observed = HostObservation {
        connected_at: Some(now()),
        ..HostObservation::default()
    };
    let stuck = Some((StepState::Stuck, now() - TimeDelta::seconds(60)));
    assert!(observed.is_left_out(stuck));
    observed.observed_at = Some(now());
    assert!(!observed.is_left_out(stuck));
    observed.doubt = Some(Doubt::NewBoot);
    assert!(observed.is_left_out(stuck));
}

#[test]
fn a_host_that_was_out_before_keeps_its_place_however_its_step_ends() {
    use StepState as S;
    for state in [S::Skipped, S::Reverted] {
        let mut s = snapshot(RolloutState::Rolling, &[state, S::Staged]);
        s.rollout.strategy.on_failure = OnFailure::RevertHost;
        s.rollout.strategy.canary = crate::strategy::Canary::Number(0);
        (s.steps[0].wave, s.steps[0].canary) = (1, false);
        s.steps[0].out_before = true;
        assert_eq!(round(&s), ["rollout:paused"], "{state}");
        assert!(cause(&s).contains("web-0"), "{}", cause(&s));
        s.steps[0].prior = Some(path("old"));
        assert_eq!(
            round(&s),
            ["web-1:activating"],
            "{state}: it was touched here and is back"
        );
    }
}

#[test]
fn silence_is_no_failure_before_the_dead_mans_deadline() {
    let mut s = snapshot(RolloutState::Rolling, &[StepState::Verified]);
    s.steps[0].observed.connected_at = Some(now() - TimeDelta::seconds(1000));
    s.steps[0].since = now() - TimeDelta::seconds(1000);
    assert!(round(&s).is_empty());
    s.steps[0].since = now() - TimeDelta::seconds(1800 + 60);
    assert_eq!(round(&s), ["web-0:reverting"]);
    s.steps[0].since = now() - TimeDelta::seconds(10);
    s.steps[0].activated = Some(now() - TimeDelta::seconds(1800 + 60));
    assert_eq!(
        round(&s),
        ["web-0:reverting"],
        "the bound holds over all states of an activation"
    );
}

#[test]
fn a_stuck_host_that_mends_after_the_rollout_is_over_is_noted() {
    let mut s = snapshot(RolloutState::Failed, &[StepState::Stuck]);
    assert!(round(&s).is_empty());
    report(&mut s.steps[0], AttemptPhase::Reverted, None);
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
        step.observed.connected_at = Some(now() - TimeDelta::seconds(100));
    }
    assert!(round(&s).is_empty(), "offline hosts are waited for");
    s.rollout.since = now() - TimeDelta::seconds(3600);
    for step in &mut s.steps {
        step.since = s.rollout.since;
    }
    assert_eq!(round(&s), ["rollout:failed"]);
}
