//! Windows, freezes and a rollout's own time.

use chrono::TimeDelta;

use super::*;
use crate::calendar::{Freeze, Hold};
use crate::{FreezeId, StepState as S};

fn frozen(seconds: i64) -> Timing {
    let mut timing = Timing::default();
    timing.calendar.freezes.push(Freeze {
        id: FreezeId::generate(),
        from: now() - TimeDelta::seconds(60),
        until: now() + TimeDelta::seconds(seconds),
        reason: "audit".to_owned(),
        by: "grace".parse().unwrap(),
    });
    timing
}

const WAITS: &str = "waits until 2027-01-15 08:01:00Z: frozen by grace: audit";

/// The rollout after all that the rounds say now.
fn settled(mut snapshot: Snapshot) -> Snapshot {
    for _ in 0..20 {
        let changes = decide(&snapshot, now(), &mut AttemptId::random);
        if changes.is_empty() {
            return snapshot;
        }
        for change in &changes {
            snapshot.apply(change, now()).unwrap();
        }
    }
    panic!("it does not come to rest");
}

#[test]
fn a_rollout_outside_waits_and_says_until_when_once() {
    let mut waiting = snapshot(RolloutState::Rolling, &[S::Staged, S::Staged]);
    waiting.timing = frozen(60);
    assert_eq!(round(&waiting), [WAITS]);
    let mut waiting = settled(waiting);
    assert_eq!(round(&waiting), [""; 0]);
    assert_eq!(waiting.rollout.hold.as_ref().unwrap().words(), WAITS);
    waiting.timing = frozen(0);
    assert_eq!(round(&waiting), ["goes on"]);
    let on = settled(waiting);
    assert_eq!(
        (on.rollout.hold.as_ref(), on.steps[0].state),
        (None, S::Activating)
    );
}

#[test]
fn hosts_fetch_while_the_rollout_waits_and_nobody_is_skipped() {
    let mut early = snapshot(RolloutState::Staging, &[S::Waiting, S::Waiting]);
    early.timing.not_before = Some(now() + TimeDelta::seconds(60));
    early.steps[1].observed.connected_at = Some(now() - TimeDelta::seconds(100));
    assert_eq!(round(&early), ["web-0:staging"]);
    let mut waiting = settled(early);
    assert_eq!(waiting.steps[1].state, S::Waiting, "it may be back by then");
    assert!(waiting.rollout.hold.is_some());
    report(&mut waiting.steps[0], AttemptPhase::Staged, None);
    let mut waiting = settled(waiting);
    assert_eq!(waiting.rollout.state, RolloutState::Staging);
    waiting.timing.not_before = Some(now());
    let on = settled(waiting);
    assert_eq!(
        (on.steps[0].state, on.steps[1].state),
        (S::Activating, S::Skipped),
        "the strategy decides once it goes on"
    );
}

#[test]
fn a_rollout_that_waits_in_every_state_is_told_of_once() {
    let mut waiting = snapshot(RolloutState::Staging, &[S::Staging]);
    waiting.timing = frozen(60);
    let mut waiting = settled(waiting);
    let noted = waiting.rollout.hold.clone();
    assert!(noted.is_some());
    report(&mut waiting.steps[0], AttemptPhase::Staged, None);
    let said = round(&waiting);
    assert_eq!(said, ["web-0:staged"]);
    let rolling = settled(waiting);
    assert_eq!(
        (rolling.rollout.state, rolling.rollout.hold),
        (RolloutState::Rolling, noted)
    );
}

#[test]
fn hosts_under_way_finish_after_the_window_and_no_other_begins() {
    let mut closing = snapshot(RolloutState::Rolling, &[S::Verified, S::Staged, S::Staged]);
    closing.timing = frozen(60);
    assert_eq!(
        round(&closing),
        [""; 0],
        "there is nothing that it keeps from beginning yet"
    );
    report(&mut closing.steps[0], AttemptPhase::Committed, None);
    let mut closed = settled(closing);
    assert_eq!(closed.steps[0].state, S::Committed);
    assert_eq!(closed.steps[1].state, S::Staged);
    assert!(closed.rollout.hold.is_some());
    // What is done when nothing is left to begin is done.
    for step in &mut closed.steps {
        step.state = S::Committed;
    }
    assert_eq!(round(&closed), ["rollout:succeeded"]);
}

#[test]
fn going_back_never_waits() {
    for scope in [RevertScope::All, RevertScope::InFlight] {
        let mut back = snapshot(RolloutState::Reverting, &[S::Committed, S::Verifying]);
        back.steps[0].prior = Some(path("old"));
        back.rollout.scope = Some(scope);
        back.timing = frozen(3600);
        assert!(round(&back).contains(&"web-1:reverting".to_owned()), "{scope:?}");
    }
    let mut failing = snapshot(RolloutState::Rolling, &[S::Verifying, S::Staged]);
    failing.timing = frozen(3600);
    failing.rollout.hold = failing.timing.hold(now());
    report(&mut failing.steps[0], AttemptPhase::Reverting, None);
    assert_eq!(round(&failing), ["web-0:reverting"]);
    command(&mut failing, CommandKind::Revert, 2);
    let back = settled(failing);
    assert_eq!(
        (back.rollout.state, back.rollout.hold),
        (RolloutState::Reverting, None)
    );
}

#[test]
fn an_override_goes_on_in_a_freeze_but_not_before_the_rollouts_own_time() {
    let mut waiting = snapshot(RolloutState::Rolling, &[S::Staged]);
    waiting.timing = frozen(3600);
    waiting.rollout.hold = waiting.timing.hold(now());
    command(&mut waiting, CommandKind::OverrideFreeze, 2);
    let on = settled(waiting.clone());
    assert_eq!(on.steps[0].state, S::Activating);
    waiting.timing.not_before = Some(now() + TimeDelta::seconds(60));
    assert_eq!(settled(waiting.clone()).steps[0].state, S::Staged);
    waiting.timing.not_before = None;
    waiting.commands[0].forged = true;
    assert_eq!(settled(waiting).steps[0].state, S::Staged, "nobody asked for it");
}

#[test]
fn a_decision_that_comes_after_the_window_is_refused() {
    let mut open = snapshot(RolloutState::Rolling, &[S::Staged]);
    open.timing = frozen(3600);
    open.timing.calendar.freezes[0].from = now() + TimeDelta::seconds(1);
    let changes = decide(&open, now(), &mut AttemptId::random);
    assert_eq!(changes.len(), 1);
    let late = open.clone().apply(&changes[0], now() + TimeDelta::seconds(1));
    assert!(
        matches!(late, Err(crate::apply::ApplyError::Stale(_))),
        "{late:?}"
    );
    open.apply(&changes[0], now()).unwrap();
}

#[test]
fn a_window_that_never_opens_again_is_told_of() {
    let mut never = snapshot(RolloutState::Rolling, &[S::Staged]);
    never.timing.calendar.windows = vec!["30 feb 09:00-10:00 UTC".parse().unwrap()];
    let why = "outside the maintenance windows".to_owned();
    assert_eq!(settled(never).rollout.hold, Some(Hold { until: None, why }));
}
