//! What must always hold, over random fleets, failures, timings and operators' commands. Numbers are those of the
//! design's list.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use slipway_domain::decide::{Change, Effect};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Share, Strategy};
use slipway_domain::{RolloutState, StepState};
use slipway_sim::stories::{LIMITS, bound, fates, happenings, machines, strategies, worlds};
use slipway_sim::{ClosureFate, Happening, SimControlPlane as _, World};

/// Whether a host was stuck when the rollout came to its end.
fn was_stuck_at_the_end(written: &[Change]) -> bool {
    let mut stuck = BTreeSet::new();
    for change in written {
        match &change.effect {
            Effect::Step { step, to, .. } if *to == StepState::Stuck => {
                stuck.insert(*step);
            }
            Effect::Step { step, .. } => {
                stuck.remove(step);
            }
            Effect::Rollout { to, .. } if to.is_terminal() => break,
            _ => {}
        }
    }
    !stuck.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_1_2_3_6_8_hold_whatever_happens(
        (strategy, members, stuck) in worlds(10),
        story in proptest::collection::vec(happenings(), 0..400),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        let bound = bound(&strategy, members.len());
        match world.settle(bound) {
            Ok(_) => world.check_end().map_err(TestCaseError::fail)?,
            Err(state) => return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s"))),
        }
    }

    #[test]
    fn invariants_1_3_6_hold_when_machines_are_copied_or_replaced(
        (strategy, members, stuck) in worlds(10),
        story in proptest::collection::vec(machines(), 0..400),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        let bound = bound(&strategy, members.len());
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
    }

    #[test]
    fn invariant_6_abort_works_in_every_state(
        (strategy, members, stuck) in worlds(10),
        story in proptest::collection::vec(happenings(), 0..200),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        for what in story {
            world.happen(what);
        }
        let before = world.control.snapshot().rollout.state;
        world.happen(Happening::Command(CommandKind::Abort));
        // No person is waited for any more: what remains is the bounds of attempts under way.
        let limit = LIMITS.deadman_seconds + 2 * LIMITS.revert_seconds + LIMITS.offline_seconds + 4 * 60;
        prop_assert!(world.settle(limit).is_ok());
        let end = world.control.snapshot().rollout.state;
        let expected = match before {
            over if over.is_terminal() => over,
            _ if was_stuck_at_the_end(&world.written) => RolloutState::Failed,
            _ => RolloutState::Aborted,
        };
        prop_assert_eq!(end, expected);
        world.check_end().map_err(TestCaseError::fail)?;
    }

    #[test]
    fn invariant_1_counts_hosts_that_earlier_rollouts_left_out(
        (strategy, members, _) in worlds(10),
        stuck in 1..3_usize,
        (next, next_fates) in (1..10_usize).prop_flat_map(strategies).prop_flat_map(|next| {
            (Just(next), proptest::collection::vec(fates(), 10))
        }),
        places in 1..3_u32,
        away in proptest::collection::vec(any::<bool>(), 3),
        story in proptest::collection::vec(happenings(), 0..60),
        next_story in proptest::collection::vec(happenings(), 0..150),
    ) {
        let mut world = World::new(&strategy, &members, stuck.min(members.len()));
        for what in story {
            world.happen(what);
        }
        // Hosts that are stuck stay so: nobody mends them between the two.
        if let Err(state) = world.finish(bound(&strategy, members.len())) {
            return Err(TestCaseError::fail(format!("invariant 6: the first is still {state}")));
        }
        for (host, fate) in world.hosts.iter_mut().zip(&next_fates) {
            host.set_fate(*fate);
        }
        for (i, away) in away.into_iter().enumerate() {
            world.happen(Happening::Reach(i, !away));
        }
        world.happen(Happening::Pass(60));
        world.happen(Happening::Turns);
        let next = Strategy { max_unavailable: Share::Number(places), ..next };
        world.begin_rollout(&next, 2);
        for what in next_story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        if let Err(state) = world.finish(bound(&next, members.len())) {
            return Err(TestCaseError::fail(format!("invariant 6: the second is still {state}")));
        }
    }
}

#[test]
fn invariant_7_releasing_a_b_a_activates_a_twice() {
    let strategy = Strategy {
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut world = World::new(&strategy, &[ClosureFate::Good; 4], 0);
    for version in [1, 2, 1] {
        if version != 1 || world.control.snapshot().rollout.state.is_terminal() {
            world.begin_rollout(&strategy, version);
        }
        world.settle(2000).unwrap();
        assert_eq!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
        world.check_end().unwrap();
    }
    for host in &world.hosts {
        assert_eq!(host.activations, 3, "{}", host.name);
    }
}

#[test]
fn invariant_8_a_worker_back_from_the_dead_writes_nothing() {
    let mut world = World::new(
        &Strategy {
            limits: LIMITS,
            ..Strategy::default()
        },
        &[ClosureFate::Good; 3],
        0,
    );
    world.happen(Happening::Claim(0));
    world.happen(Happening::Decide(0));
    world.happen(Happening::Claim(1));
    world.happen(Happening::Write(0));
    assert_eq!(world.refused, 1);
    assert!(
        world
            .control
            .snapshot()
            .steps
            .iter()
            .all(|step| step.state == StepState::Waiting)
    );
}

#[test]
fn a_failed_canary_touches_no_other_host() {
    let strategy = Strategy {
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut fates = vec![ClosureFate::Good; 6];
    fates[0] = ClosureFate::FailsChecks;
    let mut world = World::new(&strategy, &fates, 0);
    world.settle(2000).unwrap();
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Reverted);
    assert_eq!(
        world
            .hosts
            .iter()
            .map(|host| host.activations)
            .collect::<Vec<_>>(),
        [1, 0, 0, 0, 0, 0]
    );
}

#[test]
fn a_thousand_hosts_in_batches_of_fifty() {
    let strategy = Strategy {
        batch: Share::Number(50),
        max_unavailable: Share::Number(50),
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut world = World::new(&strategy, &vec![ClosureFate::Good; 1000], 0);
    world.settle(20_000).unwrap();
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
}

#[test]
fn invariant_1_a_stuck_host_that_is_skipped_keeps_its_place() {
    let strategy = Strategy {
        canary: Canary::Number(0),
        batch: Share::Number(4),
        max_unavailable: Share::Number(1),
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut world = World::new(&strategy, &[ClosureFate::Good; 4], 1);
    world.happen(Happening::Reach(0, false));
    world.happen(Happening::Pass(60));
    for _ in 0..10 {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
        world.check().unwrap();
    }
    let rollout = world.control.snapshot().rollout;
    assert_eq!(rollout.state, RolloutState::Paused);
    assert!(rollout.reason.unwrap().contains("host-0000"));
    assert!(world.hosts.iter().all(|host| host.activations == 0));
}

#[test]
fn an_offline_canary_is_replaced_and_nobody_else_goes_before_it_is_through() {
    let strategy = Strategy {
        batch: Share::Number(5),
        max_unavailable: Share::Number(5),
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut fates = vec![ClosureFate::Good; 5];
    fates[1] = ClosureFate::FailsChecks;
    let mut world = World::new(&strategy, &fates, 0);
    world.happen(Happening::Reach(0, false));
    world.happen(Happening::Pass(60));
    for _ in 0..20 {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
        world.check().unwrap();
    }
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Reverted);
    let activations: Vec<u32> = world.hosts.iter().map(|host| host.activations).collect();
    assert_eq!(activations, [0, 1, 0, 0, 0]);
}
