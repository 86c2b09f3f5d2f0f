//! Signed releases that expire on the way, over random fleets, failures, timings and commands.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use proptest::prelude::*;
use slipway_domain::{AttemptId, RolloutState, StepState, Strategy};
use slipway_sim::stories::{LIMITS, bound, happenings, worlds};
use slipway_sim::{ClosureFate, Happening, SimControlPlane as _, SimHost, World};

/// From then on no host takes what is rolled out.
fn expire_after(world: &mut World, seconds: i64) {
    let end = world.now + TimeDelta::seconds(seconds);
    for host in &mut world.hosts {
        host.expires = Some(end);
    }
}

fn underway(world: &World) -> BTreeSet<AttemptId> {
    world.hosts.iter().filter_map(SimHost::unsettled).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_begins_after_the_expiry_and_whatever_began_comes_to_its_end(
        (strategy, members, stuck) in worlds(8),
        seconds in 0..600_i64,
        story in proptest::collection::vec(happenings(), 0..400),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        expire_after(&mut world, seconds);
        let mut begun: BTreeSet<AttemptId> = underway(&world);
        for what in story {
            let late = world.hosts.iter().any(|host| host.expires.is_some_and(|end| world.now >= end));
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
            // What was committed before may be under way again, on its way back.
            let new: Vec<AttemptId> = underway(&world).difference(&begun).copied().collect();
            prop_assert!(new.is_empty() || !late, "after {:?}: {:?} began late", what, new);
            begun.extend(new);
        }
        let bound = bound(&strategy, members.len());
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
        world.check_end().map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_release_that_expires_after_its_canary_goes_no_further_and_goes_back() {
    let strategy = Strategy {
        limits: LIMITS,
        ..Strategy::default()
    };
    let mut world = World::new(&strategy, &[ClosureFate::Good; 3], 0);
    expire_after(&mut world, 3600);
    for _ in 0..100 {
        if world.control.snapshot().steps[0].state == StepState::Committed {
            break;
        }
        world.happen(Happening::Drive);
        world.happen(Happening::Turns);
        world.happen(Happening::Pass(1));
    }
    assert_eq!(world.control.snapshot().steps[0].state, StepState::Committed);
    expire_after(&mut world, 0);
    world.settle(2000).unwrap();
    assert_eq!(world.hosts[2].activations, 0, "the last one's turn had not come");
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Reverted);
    // Also the canary, whose way back asks for no signature.
    for host in &world.hosts {
        assert_eq!(
            (&host.live, &host.boot),
            (&host.before, &host.before),
            "{}",
            host.name
        );
    }
    world.check_end().unwrap();
}
