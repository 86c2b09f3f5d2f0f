//! Windows and freezes hold real agents back: nothing begins outside of them, what has begun finishes, and going on is said.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use common::rig::{Rig, reasons};
use slipway_dev::fleet::Variant;
use slipway_dev::stack::hosts::strategy;
use slipway_dev::stack::{ENVIRONMENT, approval};
use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{RolloutId, RolloutState, StepState, Strategy};
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::fleet::{CreateFreeze, UpdateEnvironment};
use slipway_wire::rollout::{CreateCommand, Rollout};

/// The longest wait for what a stack does by itself.
const BOUND: Duration = Duration::from_mins(2);
/// A window that opens sooner than this could open before the rollout has waited for it.
const LEAD: TimeDelta = TimeDelta::seconds(20);

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// The rollout, once this is so.
async fn until(rig: &Rig, id: RolloutId, what: &str, is_so: impl Fn(&Rollout) -> bool) -> Rollout {
    let start = Instant::now();
    loop {
        let seen = rig.stack.api.rollout(id).await.unwrap();
        if is_so(&seen) {
            return seen;
        }
        assert!(!seen.summary.state.is_terminal(), "{what}: {}", reasons(&seen));
        assert!(start.elapsed() < BOUND, "{what}: {seen:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn set_windows(rig: &Rig, windows: &[String]) {
    let change = UpdateEnvironment {
        windows: Some(windows.iter().map(|window| window.parse().unwrap()).collect()),
        ..UpdateEnvironment::default()
    };
    let environment = ENVIRONMENT.parse().unwrap();
    rig.stack
        .api
        .update_environment(&environment, &change)
        .await
        .unwrap();
}

async fn events(rig: &Rig, id: RolloutId) -> Vec<Event> {
    let query = EventQuery {
        limit: Some(500),
        ..EventQuery::default()
    };
    rig.stack
        .api
        .rollout_events(id, &query, None)
        .await
        .unwrap()
        .items
}

/// When each host was told to activate, the first first.
async fn begun(rig: &Rig, id: RolloutId) -> Vec<Event> {
    let mut events = events(rig, id).await;
    events.retain(|event| {
        event.event.kind == "step.state" && event.event.to.as_deref() == Some(StepState::Activating.as_str())
    });
    events
}

fn count(rollout: &Rollout, state: StepState) -> usize {
    rollout.steps.iter().filter(|step| step.state == state).count()
}

/// One host after the other.
fn one_by_one() -> Strategy {
    strategy(0, 1)
}

#[tokio::test]
async fn a_rollout_waits_for_its_window_and_a_freeze_stops_it_in_the_middle_until_somebody_overrides_it() {
    let rig = Rig::new(2).await;
    let versions = [("v1", Variant::Works), ("v2", Variant::Works)];
    let closures = rig.publish(&versions).await;
    waits_for_its_window(&rig, &closures[0]).await;
    stops_for_a_freeze(&rig, &closures[1]).await;
    assert!(rig.stack.api.verify_audit().await.unwrap().whole);
    rig.run.close().await.unwrap();
}

async fn waits_for_its_window(rig: &Rig, closures: &[std::path::PathBuf]) {
    let before = rig.versions().await;
    let minute = TimeDelta::minutes(1);
    let opens = (now() + LEAD).duration_trunc(minute).unwrap() + minute;
    let at = |time: DateTime<Utc>| time.format("%H:%M").to_string();
    set_windows(rig, &[format!("{}-{} UTC", at(opens), at(opens + minute * 30))]).await;
    let rollout = rig.start(closures, one_by_one()).await;
    let id = rollout.summary.id;

    // Its hosts fetch, and it says until when it waits.
    let waits = until(rig, id, "it says that it waits", |seen| {
        seen.summary.hold.is_some() && count(seen, StepState::Staged) == 2
    });
    let hold = waits.await.summary.hold.unwrap();
    assert_eq!(hold.until, Some(opens));
    assert_eq!(hold.why, "outside the maintenance windows");
    assert_eq!(
        rig.versions().await,
        before,
        "a host was touched outside of the window"
    );

    let done = rig.finish(rollout).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    assert_eq!(done.summary.hold, None);
    assert_eq!(rig.versions().await, ["v1", "v1"]);
    let begun = begun(rig, id).await;
    assert_eq!(begun.len(), 2);
    assert!(begun.iter().all(|event| event.at >= opens), "{opens}: {begun:#?}");
    // Nobody had to look: it goes on within moments of the opening.
    let late = begun[0].at - opens;
    assert!(
        late < TimeDelta::seconds(30),
        "it began {late} after the window opened"
    );
    set_windows(rig, &[]).await;
}

async fn stops_for_a_freeze(rig: &Rig, closures: &[std::path::PathBuf]) {
    let grace = approval::approver(&rig.stack, "grace").await.unwrap();
    let rollout = rig.start(closures, one_by_one()).await;
    let id = rollout.summary.id;
    let under_way = |seen: &Rollout| {
        let states = [StepState::Activating, StepState::Verifying];
        states.iter().any(|state| count(seen, *state) == 1)
    };
    until(rig, id, "its first host is under way", under_way).await;
    let freeze = CreateFreeze {
        from: None,
        until: now() + TimeDelta::hours(1),
        reason: "an incident".to_owned(),
    };
    let environment = ENVIRONMENT.parse().unwrap();
    let freeze = grace.create_freeze(&environment, &freeze).await.unwrap();

    // The host that had begun finishes, and the other one waits.
    let frozen = until(rig, id, "it is frozen with one host done", |seen| {
        count(seen, StepState::Committed) == 1 && seen.summary.hold.is_some()
    });
    let frozen = frozen.await;
    let hold = frozen.summary.hold.clone().unwrap();
    assert_eq!(hold.until, Some(freeze.until));
    assert!(hold.why.ends_with("by grace: an incident"), "{}", hold.why);
    assert_eq!(count(&frozen, StepState::Staged), 1, "{frozen:#?}");
    assert_eq!(begun(rig, id).await.len(), 1);
    let mut versions = rig.versions().await;
    versions.sort();
    assert_eq!(versions, ["v1", "v2"]);

    // Nobody overrides it without a reason, and then with one.
    let mut order = CreateCommand {
        command: CommandKind::OverrideFreeze,
        reason: None,
        plan: None,
    };
    let refused = grace.command_rollout(id, &order).await.unwrap_err().to_string();
    assert!(refused.contains("reason"), "{refused}");
    order.reason = Some("a hole that is used".to_owned());
    grace.command_rollout(id, &order).await.unwrap();
    let done = rig.finish(rollout).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    assert_eq!(rig.versions().await, ["v2", "v2"]);
    let events = events(rig, id).await;
    let asked = events
        .iter()
        .find(|event| event.event.kind == "command.requested")
        .unwrap();
    assert_eq!(asked.event.actor, Actor::Principal("grace".parse().unwrap()));
    assert_eq!(asked.event.cause_text(), "override_freeze: a hole that is used");
    let begun = begun(rig, id).await;
    assert_eq!(begun.len(), 2);
    assert!(begun[1].number > asked.number, "{events:#?}");
    // It holds for the next rollout.
    let environment = rig.stack.api.environment(&environment).await.unwrap();
    assert_eq!(environment.freezes, [freeze]);
}
