//! Releases that are booted once: hosts that never come back, that reboot for ever, that lose power meanwhile.

use slipway_domain::strategy::{Canary, OnFailure, Reboot, Share, Strategy};
use slipway_domain::{RolloutState, StepState};
use slipway_sim::stories::{LIMITS, bound};
use slipway_sim::{ClosureFate, Happening, SimControlPlane as _, World};

fn strategy() -> Strategy {
    Strategy {
        canary: Canary::Number(0),
        batch: Share::Number(1),
        max_unavailable: Share::Number(1),
        bake_seconds: 10,
        on_failure: OnFailure::RevertHost,
        limits: LIMITS,
        reboot: Reboot::Always,
        ..Strategy::default()
    }
}

fn state_of(world: &World, host: usize) -> StepState {
    let name = &world.hosts[host].name;
    let snapshot = world.control.snapshot();
    let mut steps = snapshot.steps.iter();
    steps.find(|step| step.name == *name).expect("a step").state
}

/// Lets agents and worker go on, and looks each time whether everything holds.
fn go_on(world: &mut World, rounds: u32) {
    for _ in 0..rounds {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
        world.happen(Happening::Pass(10));
        world.check().expect("the invariants hold");
    }
}

#[test]
fn every_host_boots_the_release_and_one_at_a_time() {
    let mut world = World::new(&strategy(), &[ClosureFate::Good; 4], 0);
    world.settle(bound(&strategy(), 4)).expect("it ends");
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
    world.check_end().expect("every host runs and boots the release");
}

#[test]
fn a_host_that_never_comes_back_is_stuck_within_its_bounds_and_mends_at_the_power_cycle() {
    let fates = [ClosureFate::NeverBoots, ClosureFate::Good];
    let mut world = World::new(&strategy(), &fates, 0);
    // No wait is without a bound: the dead-man's and the way back's, each with a minute for the report.
    go_on(
        &mut world,
        (LIMITS.deadman_seconds + LIMITS.revert_seconds + 4 * 60) / 10,
    );
    assert_eq!(state_of(&world, 0), StepState::Stuck);
    assert!(world.hosts[0].is_out(), "nobody has cycled its power");
    world.happen(Happening::Reboot(0));
    go_on(&mut world, 10);
    assert_eq!(state_of(&world, 0), StepState::Reverted);
    assert_eq!(world.hosts[0].live, world.hosts[0].before);
}

#[test]
fn a_host_that_reboots_for_ever_ends_on_its_prior() {
    let mut world = World::new(&strategy(), &[ClosureFate::BootsForEver], 0);
    world.settle(bound(&strategy(), 1)).expect("it ends");
    assert_eq!(state_of(&world, 0), StepState::Reverted);
    world.check_end().expect("it runs and boots its prior");
}

#[test]
fn a_power_cut_at_any_moment_of_a_reboot_leaves_one_of_the_two() {
    for before in 0..12 {
        let mut world = World::new(&strategy(), &[ClosureFate::Good], 0);
        // Single steps, so that the cut comes between any two of them.
        for step in 0..before {
            match step % 3 {
                0 => world.happen(Happening::Sync(0)),
                1 => world.happen(Happening::Deliver(0)),
                _ => world.happen(Happening::Work(0)),
            }
            world.happen(Happening::Drive);
        }
        world.happen(Happening::Reboot(0));
        world.check().expect("the invariants hold");
        world.settle(bound(&strategy(), 1)).expect("it ends");
        world.check_end().expect("it runs and boots one of the two");
    }
}
