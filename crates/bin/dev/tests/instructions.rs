//! What the hot functions of a rollout cost, in instructions. The api counts those of a sync.
//!
//! That the costs grow with the fleet and not with its square holds for every compiler.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;

use chrono::TimeDelta;
use slipway_domain::agent::{Assignment, instruct};
use slipway_domain::decide::decide;
use slipway_domain::event::{Actor, EventHash, NewEvent, chain_hash};
use slipway_domain::snapshot::{HostObservation, Preflight, RolloutSnapshot, Snapshot, StepSnapshot};
use slipway_domain::strategy::Share;
use slipway_domain::{
    AttemptId, HostId, Instruction, PrincipalId, RolloutId, RolloutState, StepId, StepState, StorePath,
    Strategy, Timestamp, Timing,
};
use slipway_testkit::{assert_costs_as_before, closure, measured, thousands_of_instructions};

/// What each takes, in thousands of instructions.
const BEFORE: [(&str, u64); 4] = [
    ("decide_of_100_hosts", 267),
    ("decide_of_1000_hosts", 1_341),
    ("instruct_100_times", 70),
    ("chain_100_events", 8_325),
];
/// Ten times the hosts may take so many times as long: sorting takes a little more than ten.
const GROWTH: u64 = 13;

#[test]
fn hot_functions_cost_what_they_cost_before() {
    for (name, before) in BEFORE {
        assert_costs_as_before(name, before);
    }
}

#[test]
fn the_cost_of_a_decision_grows_with_the_fleet_and_not_faster() {
    let [few, many] = ["decide_of_100_hosts", "decide_of_1000_hosts"].map(thousands_of_instructions);
    assert!(
        many < few * GROWTH,
        "100 hosts take {few} thousand instructions, and 1,000 take {many}"
    );
}

#[test]
fn decide_of_100_hosts() {
    decide_of(100);
}

#[test]
fn decide_of_1000_hosts() {
    decide_of(1000);
}

fn decide_of(hosts: u32) {
    let snapshot = snapshot(hosts);
    let changes = measured(|| decide(&snapshot, now(), &mut AttemptId::random));
    assert_eq!(changes.len(), 50, "the next wave begins: {changes:?}");
}

#[test]
fn instruct_100_times() {
    let assignment = Assignment {
        state: StepState::Activating,
        attempt: Some(AttemptId::random()),
        closure: closure("web-1", 2),
        prior: Some(closure("web-1", 1)),
        strategy: Strategy::default(),
        origin: None,
        manifest: None,
        approved_plan: None,
    };
    let told: Vec<Instruction> = measured(|| (0..100).map(|_| instruct(Some(&assignment), None)).collect());
    let activates = |told: &Instruction| matches!(told, Instruction::Activate { closure, .. } if *closure == assignment.closure);
    assert!(told.iter().all(activates), "{told:?}");
}

#[test]
fn chain_100_events() {
    let event = NewEvent::new(Actor::Rules, "step.state", "wave 3: its turn has come");
    let hashes: BTreeSet<EventHash> = measured(|| {
        let numbers = 0..100;
        let mut hash = EventHash::default();
        numbers
            .map(|number| {
                hash = chain_hash(&hash, number, now(), &event);
                hash
            })
            .collect()
    });
    assert_eq!(hashes.len(), 100);
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A rollout in waves of 50 with half of its hosts committed.
fn snapshot(hosts: u32) -> Snapshot {
    Snapshot {
        rollout: RolloutSnapshot {
            id: RolloutId::generate(),
            state: RolloutState::Rolling,
            since: now() - TimeDelta::seconds(10),
            strategy: Strategy {
                max_unavailable: Share::Number(50),
                ..Strategy::default()
            },
            author: PrincipalId::generate(),
            approver: None,
            approved_plan: None,
            scope: None,
            reason: None,
            awaits_verdict: false,
            hold: None,
        },
        fleet_size: usize::try_from(hosts).unwrap(),
        steps: (0..hosts)
            .map(|number| step(number, number < hosts / 2))
            .collect(),
        out_elsewhere: Vec::new(),
        commands: Vec::new(),
        swapped: None,
        timing: Timing::default(),
        preflight: Preflight::default(),
    }
}

fn step(number: u32, is_committed: bool) -> StepSnapshot {
    let name = format!("web-{number:04}");
    let (old, new): (StorePath, StorePath) = (closure(&name, 1), closure(&name, 2));
    let runs = if is_committed { &new } else { &old };
    StepSnapshot {
        id: StepId::generate(),
        host: HostId::generate(),
        name: name.parse().unwrap(),
        wave: number / 50,
        group: 0,
        canary: false,
        cluster: None,
        state: if is_committed {
            StepState::Committed
        } else {
            StepState::Staged
        },
        since: now() - TimeDelta::seconds(10),
        activated: is_committed.then(now),
        attempt: Some(AttemptId::random()),
        failures: 0,
        prior: is_committed.then(|| old.clone()),
        reason: None,
        plan: None,
        observed: HostObservation {
            connected_at: Some(now()),
            observed_at: Some(now()),
            live: Some(runs.clone()),
            boot_default: Some(runs.clone()),
            ..HostObservation::default()
        },
        closure: new,
        out_before: false,
    }
}
