//! Hosts whose facts stand in the way, over random fleets, failures, timings and commands.

use std::collections::BTreeSet;

use proptest::prelude::*;
use slipway_domain::strategy::{Canary, OnFailure};
use slipway_domain::{RolloutState, StepState, Strategy};
use slipway_sim::stories::{LIMITS, bound, happenings, worlds};
use slipway_sim::{ClosureFate, Member, Memory, SimControlPlane as _, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_every_rollout_ends_whoever_stands_in_its_way(
        (strategy, members, stuck) in worlds(8),
        liars in proptest::collection::btree_set(0..8_usize, 0..3),
        story in proptest::collection::vec(happenings(), 0..400),
    ) {
        let mut world = World::with(Memory::with_in_the_way(liars), &strategy, &members, stuck);
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
        world.check_end().map_err(TestCaseError::fail)?;
    }
}

/// Where single hosts may fail, those whose facts say that they cannot take the release do, untouched.
#[test]
fn a_host_that_says_it_cannot_take_the_release_keeps_no_other_from_it() {
    for retries in [0, 2] {
        let strategy = Strategy {
            canary: Canary::Number(1),
            on_failure: OnFailure::RevertHost,
            retries,
            limits: LIMITS,
            ..Strategy::default()
        };
        let members = [ClosureFate::Good; 6].map(Member::from);
        let liars = BTreeSet::from([2, 4]);
        let mut world = World::with(Memory::with_in_the_way(liars.clone()), &strategy, &members, 0);
        world.settle(bound(&strategy, members.len())).unwrap();
        world.check_end().unwrap();
        let snapshot = world.control.snapshot();
        assert_eq!(snapshot.rollout.state, RolloutState::Failed);
        for (i, host) in world.hosts.iter().enumerate() {
            let step = snapshot.steps.iter().find(|step| step.name == host.name).unwrap();
            if liars.contains(&i) {
                assert_eq!((step.state, host.activations), (StepState::Reverted, 0));
                assert_eq!(step.reason.as_deref(), Some("preflight: memory: 1 MiB"));
            } else {
                assert_eq!(step.state, StepState::Committed, "{}", host.name);
            }
        }
    }
}
