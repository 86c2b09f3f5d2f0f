//! Windows, freezes and beginnings, over random fleets, failures, timings and commands: no host begins outside, hosts under
//! way finish, and going back never waits.

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use slipway_domain::decide::Effect;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, OnFailure, Share};
use slipway_domain::{RolloutState, StepState, Strategy};
use slipway_sim::stories::{LIMITS, bound, happenings, worlds};
use slipway_sim::{ClosureFate, Happening, SimControlPlane as _, TimeChange, World};

/// A day, by which every window comes again and every freeze here is over.
const DAY: u32 = 24 * 3600;

/// Whatever may happen, with people who freeze, thaw and override.
fn times() -> impl proptest::strategy::Strategy<Value = Happening> {
    prop_oneof![
        20 => happenings(),
        2 => (1..400_u32).prop_map(|n| Happening::Time(TimeChange::Freeze(n))),
        1 => (0..10_u8).prop_map(|n| Happening::Time(TimeChange::Window(n))),
        1 => Just(Happening::Time(TimeChange::Thaw)),
        1 => (1..400_u32).prop_map(|n| Happening::Time(TimeChange::BeginIn(n))),
        1 => Just(Happening::Command(CommandKind::OverrideFreeze)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_host_begins_outside_and_every_rollout_comes_to_its_end(
        (strategy, members, stuck) in worlds(8),
        story in proptest::collection::vec(times(), 0..400),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        // A window of a minute a day may let no more than one wave begin.
        world.happen(Happening::Time(TimeChange::Thaw));
        let bound = bound(&strategy, members.len()) + 400;
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
        world.check_end().map_err(TestCaseError::fail)?;
    }

    #[test]
    fn going_back_ends_as_soon_in_a_freeze_as_without_one(
        (strategy, members, _) in worlds(8),
        story in proptest::collection::vec(happenings(), 0..200),
        abort in any::<bool>(),
    ) {
        let mut world = World::new(&strategy, &members, 0);
        for what in story {
            world.happen(what);
        }
        world.happen(Happening::Time(TimeChange::Freeze(300 * DAY)));
        world.happen(Happening::Command(if abort { CommandKind::Abort } else { CommandKind::Revert }));
        world.happen(Happening::Command(CommandKind::Abort));
        let bound = bound(&strategy, members.len());
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
        world.check_end().map_err(TestCaseError::fail)?;
    }
}

fn world(fate: ClosureFate) -> World {
    let strategy = Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(1),
        max_unavailable: Share::Number(1),
        on_failure: OnFailure::RevertRollout,
        limits: LIMITS,
        ..Strategy::default()
    };
    World::new(&strategy, &[ClosureFate::Good, ClosureFate::Good, fate], 0)
}

/// Turns and drives until this many hosts were activated.
fn until_activated(world: &mut World, count: u32) {
    for _ in 0..30 {
        if world.hosts.iter().map(|host| host.activations).sum::<u32>() == count {
            return;
        }
        world.happen(Happening::Drive);
        world.happen(Happening::Turns);
    }
    panic!("never {count}");
}

fn go_on(world: &mut World) {
    for _ in 0..10 {
        world.happen(Happening::Drive);
        world.happen(Happening::Turns);
    }
    if let Err(broken) = world.check() {
        panic!("{broken}");
    }
}

#[test]
fn a_rollout_that_begins_late_in_its_window_goes_on_in_the_next() {
    let mut world = world(ClosureFate::Good);
    world.happen(Happening::Time(TimeChange::Window(0)));
    until_activated(&mut world, 1);
    world.happen(Happening::Pass(60));
    go_on(&mut world);
    let snapshot = world.control.snapshot();
    let states: Vec<StepState> = snapshot.steps.iter().map(|step| step.state).collect();
    assert_eq!(
        states,
        [StepState::Committed, StepState::Staged, StepState::Staged]
    );
    let hold = snapshot.rollout.hold.expect("it says until when");
    let until = hold.until.expect("the next day");
    assert_eq!((until - world.now).num_seconds(), i64::from(DAY - 60));
    world.happen(Happening::Pass(DAY - 60));
    world.settle(600).unwrap();
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
    let noted = world.written.iter();
    let noted: Vec<bool> = noted
        .filter_map(|change| match &change.effect {
            Effect::Hold(hold) => Some(hold.is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(
        noted,
        [true, false],
        "one event when it waits, one when it goes on"
    );
}

#[test]
fn a_failure_in_a_closed_window_sends_the_rollout_back_at_once() {
    let mut world = world(ClosureFate::FailsChecks);
    until_activated(&mut world, 3);
    world.happen(Happening::Time(TimeChange::Freeze(300 * DAY)));
    go_on(&mut world);
    let snapshot = world.control.snapshot();
    assert_eq!(snapshot.rollout.state, RolloutState::Reverted);
    world.check_end().unwrap();
}

#[test]
fn a_worker_that_writes_after_the_window_writes_nothing() {
    let mut world = world(ClosureFate::Good);
    for _ in 0..4 {
        world.happen(Happening::Turns);
        world.happen(Happening::Decide(0));
        if world.control.snapshot().rollout.state != RolloutState::Rolling {
            world.happen(Happening::Write(0));
        }
    }
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Rolling);
    world.happen(Happening::Decide(0));
    world.happen(Happening::Time(TimeChange::Freeze(100)));
    world.happen(Happening::Write(0));
    world.check().unwrap();
    assert_eq!(world.refused, 1);
    assert!(world.hosts.iter().all(|host| host.activations == 0));
    world.settle(600).unwrap();
}
