//! Approvals of plans, over random fleets, failures, timings and commands: no host does what nobody approved.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{HostName, RolloutState, StepState, Strategy};
use slipway_sim::stories::{LIMITS, bound, happenings, worlds};
use slipway_sim::{ClosureFate, Happening, Memory, SimControlPlane as _, World};

/// Whatever may happen, with people who look and approve, and hosts that are changed by hand.
fn approvals() -> impl proptest::strategy::Strategy<Value = Happening> {
    prop_oneof![
        12 => happenings(),
        2 => Just(Happening::Look),
        2 => Just(Happening::Command(CommandKind::Approve)),
        1 => (0..12_usize).prop_map(Happening::Drift),
    ]
}

/// The plans that were approved, host by host, once they were.
fn approved(world: &World) -> Option<BTreeMap<HostName, Option<Digest>>> {
    let snapshot = world.control.snapshot();
    snapshot.rollout.approved_plan?;
    let plans = snapshot.steps.iter();
    let plans = plans.map(|step| (step.name.clone(), step.plan.as_ref().map(|plan| plan.digest)));
    Some(plans.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_host_is_changed_but_by_the_plan_that_was_approved(
        (strategy, members, _) in worlds(8),
        story in proptest::collection::vec(approvals(), 0..400),
    ) {
        let mut world = World::with(Memory::that_asks(), &strategy, &members, 0);
        let mut known = None;
        // Without a look there is no plan to name, and every approval is one of an earlier command line.
        world.happen(Happening::Look);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
            known = known.or_else(|| approved(&world));
            for host in &world.hosts {
                let Some(done) = host.activated_plan else { continue };
                let Some(known) = &known else {
                    return Err(TestCaseError::fail(format!("{} was changed before an approval", host.name)));
                };
                prop_assert_eq!(known[&host.name], Some(done), "after {:?}: {}", what, host.name);
            }
        }
        let bound = bound(&strategy, members.len()) + LIMITS.person_seconds;
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
        world.check_end().map_err(TestCaseError::fail)?;
    }
}

fn approving() -> World {
    let strategy = Strategy {
        limits: LIMITS,
        ..Strategy::default()
    };
    let members = [ClosureFate::Good; 3].map(Into::into);
    let mut world = World::with(Memory::that_asks(), &strategy, &members, 0);
    for _ in 0..4 {
        world.happen(Happening::Drive);
        world.happen(Happening::Turns);
    }
    world.happen(Happening::Drive);
    world
}

#[test]
fn hosts_have_fetched_and_said_what_would_change_before_anybody_approves() {
    let mut world = approving();
    let snapshot = world.control.snapshot();
    assert_eq!(snapshot.rollout.state, RolloutState::PendingApproval);
    for step in &snapshot.steps {
        assert_eq!(step.state, StepState::Staged, "{}", step.name);
        assert!(step.plan.is_some(), "{}", step.name);
    }
    assert!(world.hosts.iter().all(|host| host.activations == 0));
    world.happen(Happening::Look);
    world.happen(Happening::Command(CommandKind::Approve));
    world.settle(2000).unwrap();
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
}

#[test]
fn a_host_that_was_changed_after_the_approval_is_not_touched() {
    let mut world = approving();
    world.happen(Happening::Look);
    world.happen(Happening::Command(CommandKind::Approve));
    world.happen(Happening::Drive);
    world.happen(Happening::Drift(0));
    world.settle(2000).unwrap();
    let snapshot = world.control.snapshot();
    assert_eq!(snapshot.rollout.state, RolloutState::Failed);
    assert!(world.hosts.iter().all(|host| host.activations == 0));
    world.check_end().unwrap();
}

#[test]
fn an_approval_of_a_plan_that_has_moved_on_changes_nothing() {
    let mut world = approving();
    world.happen(Happening::Look);
    // The agent starts again, and fetches once more with the host as it is by now.
    world.happen(Happening::Drift(1));
    world.happen(Happening::Restart(1));
    for _ in 0..4 {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
    }
    world.happen(Happening::Command(CommandKind::Approve));
    world.happen(Happening::Drive);
    for _ in 0..4 {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
    }
    assert_ne!(world.control.snapshot().rollout.state, RolloutState::Succeeded);
    assert_eq!(world.hosts[1].activations, 0);
}
