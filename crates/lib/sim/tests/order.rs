//! What must always hold of groups and clusters, over fleets that all have some.

use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use slipway_domain::decide::Effect;
use slipway_domain::labels::CLUSTER_LABEL;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, OnFailure, Share, Strategy};
use slipway_domain::{Labels, RolloutState, StepState};
use slipway_sim::stories::{LIMITS, bound, fates, happenings, strategies};
use slipway_sim::{ClosureFate, Happening, Member, SimControlPlane as _, World};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Two members of a cluster, two of another role, and an edge host.
fn members() -> impl proptest::strategy::Strategy<Value = Vec<Member>> {
    let labels = [
        labels(&[("role", "db"), (CLUSTER_LABEL, "main")]),
        labels(&[("role", "db"), (CLUSTER_LABEL, "main")]),
        labels(&[("role", "app")]),
        labels(&[("role", "app")]),
        labels(&[("role", "edge"), (CLUSTER_LABEL, "main")]),
    ];
    proptest::collection::vec(fates(), labels.len()).prop_map(move |fates| {
        let members = fates.into_iter().zip(labels.clone());
        members
            .map(|(fate, labels)| Member {
                labels,
                ..Member::from(fate)
            })
            .collect()
    })
}

/// An order of all roles, and otherwise any strategy under which all hosts could be out at once.
fn ordered() -> impl proptest::strategy::Strategy<Value = Strategy> {
    let order = r#"["role=db", {"hosts": "role=app", "max_unavailable": 1}, "role=edge"]"#;
    strategies(5).prop_map(move |strategy| Strategy {
        order: serde_json::from_str(order).expect("an order"),
        max_unavailable: Share::Percent(100),
        ..strategy
    })
}

fn tell(world: &mut World, story: Vec<Happening>) -> Result<(), TestCaseError> {
    for what in story {
        world.happen(what);
        if let Err(broken) = world.check() {
            return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_group_begins_only_when_the_one_before_is_committed(
        strategy in ordered(),
        members in members(),
        story in proptest::collection::vec(happenings(), 0..300),
    ) {
        let mut world = World::new(&strategy, &members, 0);
        tell(&mut world, story)?;
        let bound = bound(&strategy, members.len());
        match world.settle(bound) {
            Ok(_) => world.check_end().map_err(TestCaseError::fail)?,
            Err(state) => return Err(TestCaseError::fail(format!("still {state} after {bound} s"))),
        }
    }

    #[test]
    fn groups_go_back_in_the_reverse_order_and_a_stuck_host_keeps_nobody(
        strategy in ordered(),
        members in members(),
        story in proptest::collection::vec(happenings(), 0..200),
        back in proptest::collection::vec(happenings(), 0..100),
    ) {
        let mut world = World::new(&strategy, &members, 0);
        tell(&mut world, story)?;
        world.happen(Happening::Command(CommandKind::Revert));
        tell(&mut world, back)?;
        // Nobody mends a stuck host; the rollout is over all the same.
        let bound = bound(&strategy, members.len());
        if let Err(state) = world.finish(bound) {
            return Err(TestCaseError::fail(format!("still {state} after {bound} s")));
        }
    }

    #[test]
    fn two_members_of_a_cluster_are_never_out_together_over_two_rollouts(
        (strategy, next) in (ordered(), ordered()),
        (members, next_fates) in (members(), proptest::collection::vec(fates(), 5)),
        stuck in 0..2_usize,
        story in proptest::collection::vec(happenings(), 0..100),
        next_story in proptest::collection::vec(happenings(), 0..200),
    ) {
        let mut world = World::new(&strategy, &members, stuck);
        tell(&mut world, story)?;
        if let Err(state) = world.finish(bound(&strategy, members.len())) {
            return Err(TestCaseError::fail(format!("the first is still {state}")));
        }
        for (host, fate) in world.hosts.iter_mut().zip(&next_fates) {
            host.set_fate(*fate);
        }
        world.begin_rollout(&next, 2);
        tell(&mut world, next_story)?;
        if let Err(state) = world.finish(bound(&next, members.len())) {
            return Err(TestCaseError::fail(format!("the second is still {state}")));
        }
    }
}

/// Six hosts: two of each role, those of `db` in a cluster. All may be out at once.
fn world(fates: [ClosureFate; 6], on_failure: OnFailure) -> World {
    let roles = ["db", "db", "app", "app", "edge", "edge"];
    let members: Vec<Member> = roles
        .iter()
        .zip(fates)
        .map(|(role, fate)| {
            let cluster = (*role == "db").then_some((CLUSTER_LABEL, "main"));
            let all: Vec<_> = cluster.into_iter().chain([("role", *role)]).collect();
            Member {
                labels: labels(&all),
                ..Member::from(fate)
            }
        })
        .collect();
    let order = r#"["role=db", "role=app", "role=edge"]"#;
    let strategy = Strategy {
        order: serde_json::from_str(order).expect("an order"),
        canary: Canary::Number(0),
        batch: Share::Number(6),
        max_unavailable: Share::Number(6),
        on_failure,
        limits: LIMITS,
        ..Strategy::default()
    };
    World::new(&strategy, &members, 0)
}

/// The hosts that came to this state, in order; those of one round together.
fn came_to(world: &World, state: StepState) -> Vec<String> {
    let snapshot = world.control.snapshot();
    let steps = world.written.iter().filter_map(|change| match &change.effect {
        Effect::Step { step, to, .. } if *to == state => snapshot.step(*step),
        _ => None,
    });
    steps.map(|step| step.name.to_string()).collect()
}

#[test]
fn roles_go_forward_in_order_and_back_in_the_reverse() {
    let mut fates = [ClosureFate::Good; 6];
    fates[5] = ClosureFate::FailsChecks;
    let mut world = world(fates, OnFailure::RevertRollout);
    world.settle(4000).unwrap();
    world.check_end().unwrap();
    assert_eq!(world.control.snapshot().rollout.state, RolloutState::Reverted);
    let hosts = |numbers: &[u32]| -> Vec<String> { numbers.iter().map(|n| format!("host-000{n}")).collect() };
    assert_eq!(came_to(&world, StepState::Activating), hosts(&[0, 1, 2, 3, 4, 5]));
    let back = came_to(&world, StepState::Reverted);
    let group = |name: &String| name.ends_with(['4', '5']);
    assert!(back[..2].iter().all(group), "{back:?}");
    assert_eq!(back[2..4], hosts(&[2, 3]));
    assert_eq!(back[4..], hosts(&[0, 1]));
}

#[test]
fn a_role_that_is_skipped_stops_those_after_it() {
    let mut world = world([ClosureFate::Good; 6], OnFailure::RevertHost);
    for app in [2, 3] {
        world.happen(Happening::Reach(app, false));
    }
    world.happen(Happening::Pass(60));
    for _ in 0..30 {
        world.happen(Happening::Turns);
        world.happen(Happening::Drive);
        world.check().unwrap();
    }
    let rollout = world.control.snapshot().rollout;
    assert_eq!(rollout.state, RolloutState::Failed);
    assert!(
        rollout
            .reason
            .unwrap()
            .contains("no host of the group role=app runs the release"),
        "the reason names the group"
    );
    assert!(world.hosts[4..].iter().all(|host| host.activations == 0));
    assert!(world.hosts[..2].iter().all(|host| host.activations == 1));
}
