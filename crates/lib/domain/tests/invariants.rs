//! What must always hold, over random fleets, failures, timings and operators' commands. Numbers are those of the
//! design's list.

use std::collections::BTreeSet;

use proptest::prelude::*;
use slipway_domain::decide::{Change, What};
use slipway_domain::sim::{Fate, Happening, World};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Limits, Offline, OnFailure, Share, Strategy, Verify};
use slipway_domain::{RolloutState, StepState};

const LIMITS: Limits = Limits {
    stage_seconds: 100,
    activate_seconds: 50,
    deadman_seconds: 300,
    revert_seconds: 100,
    offline_seconds: 200,
    person_seconds: 1000,
};

fn strategies(hosts: usize) -> impl Strategy_ {
    let share = prop_oneof![
        (1..6_u32).prop_map(Share::Number),
        (1..=100_u32).prop_map(Share::Percent)
    ];
    let on_failure = prop_oneof![
        Just(OnFailure::RevertHost),
        Just(OnFailure::RevertRollout),
        Just(OnFailure::Pause)
    ];
    let offline = prop_oneof![Just(Offline::Skip), Just(Offline::Wait), Just(Offline::Fail)];
    (
        0..=hosts.min(3),
        share.clone(),
        share,
        on_failure,
        offline,
        0..3_u32,
    )
        .prop_map(
            |(canary, batch, max_unavailable, on_failure, offline, retries)| Strategy {
                canary: Canary::Number(u32::try_from(canary).expect("few")),
                batch,
                max_unavailable,
                bake_seconds: 10,
                verify: Verify {
                    passes: 2,
                    interval_seconds: 1,
                    timeout_seconds: 60,
                },
                on_failure,
                offline,
                retries,
                limits: LIMITS,
            },
        )
}

use proptest::strategy::Strategy as PropStrategy;
trait Strategy_: PropStrategy<Value = Strategy> {}
impl<T: PropStrategy<Value = Strategy>> Strategy_ for T {}

fn fates() -> impl PropStrategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Good),
        1 => Just(Fate::FailsStage),
        1 => Just(Fate::FailsSwitch),
        1 => Just(Fate::FailsChecks),
        1 => Just(Fate::Inconclusive),
        1 => Just(Fate::FailsRevert),
        1 => Just(Fate::There),
    ]
}

fn happenings() -> impl PropStrategy<Value = Happening> {
    let host = 0..12_usize;
    let worker = 0..2_usize;
    let command = prop_oneof![
        1 => Just(CommandKind::Pause),
        3 => Just(CommandKind::Resume),
        1 => Just(CommandKind::Revert),
        1 => Just(CommandKind::Abort),
        1 => Just(CommandKind::Approve),
    ];
    prop_oneof![
        6 => (0..40_u32).prop_map(Happening::Pass),
        1 => (200..400_u32).prop_map(Happening::Pass),
        20 => host.clone().prop_map(Happening::Turn),
        6 => Just(Happening::Turns),
        20 => Just(Happening::Drive),
        6 => host.clone().prop_map(Happening::Sync),
        6 => host.clone().prop_map(Happening::Deliver),
        2 => host.clone().prop_map(Happening::Lose),
        6 => host.clone().prop_map(Happening::Work),
        2 => host.clone().prop_map(Happening::Restart),
        2 => host.clone().prop_map(Happening::Reboot),
        2 => (host, any::<bool>()).prop_map(|(h, on)| Happening::Reach(h, on)),
        1 => worker.clone().prop_map(Happening::Claim),
        5 => worker.clone().prop_map(Happening::Decide),
        5 => worker.prop_map(Happening::Write),
        1 => command.prop_map(Happening::Command),
    ]
}

/// As [`happenings`], and machines that are copied or get a new disk.
fn machines() -> impl PropStrategy<Value = Happening> {
    let host = 0..12_usize;
    prop_oneof![
        40 => happenings(),
        1 => (host.clone(), any::<bool>()).prop_map(|(h, doubted)| Happening::Doubt(h, doubted)),
        1 => host.prop_map(Happening::Forget),
    ]
}

fn worlds() -> impl PropStrategy<Value = (Strategy, Vec<Fate>, usize)> {
    proptest::collection::vec(fates(), 1..10)
        .prop_flat_map(|fates| {
            (
                strategies(fates.len()),
                Just(fates),
                prop_oneof![6 => Just(0), 1 => 0..3_usize],
            )
        })
        .prop_map(|(strategy, fates, stuck)| {
            let stuck = stuck.min(fates.len());
            (strategy, fates, stuck)
        })
}

/// Every wait of every attempt one after the other, for each host, and people's waits on top.
fn bound(strategy: &Strategy, hosts: usize) -> u32 {
    let limits = &strategy.limits;
    let attempt = limits.stage_seconds
        + limits.deadman_seconds
        + limits.revert_seconds
        + limits.offline_seconds
        + 4 * 60;
    let hosts = u32::try_from(hosts).expect("few");
    attempt * (strategy.retries + 2) * hosts * 2 + 2 * limits.person_seconds
}

/// Whether a host was stuck when the rollout came to its end.
fn was_stuck_at_the_end(written: &[Change]) -> bool {
    let mut stuck = BTreeSet::new();
    for change in written {
        match &change.what {
            What::Step { step, to, .. } if *to == StepState::Stuck => {
                stuck.insert(*step);
            }
            What::Step { step, .. } => {
                stuck.remove(step);
            }
            What::Rollout { to, .. } if to.is_terminal() => break,
            _ => {}
        }
    }
    !stuck.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_1_2_3_6_8_hold_whatever_happens(
        (strategy, fates, stuck) in worlds(),
        story in proptest::collection::vec(happenings(), 0..400),
    ) {
        let mut world = World::new(&strategy, &fates, stuck);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        let bound = bound(&strategy, fates.len());
        match world.settle(bound) {
            Ok(_) => world.check_end().map_err(TestCaseError::fail)?,
            Err(state) => return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s"))),
        }
    }

    #[test]
    fn invariants_1_3_6_hold_when_machines_are_copied_or_replaced(
        (strategy, fates, stuck) in worlds(),
        story in proptest::collection::vec(machines(), 0..400),
    ) {
        let mut world = World::new(&strategy, &fates, stuck);
        for what in story {
            world.happen(what);
            if let Err(broken) = world.check() {
                return Err(TestCaseError::fail(format!("after {what:?}: {broken}")));
            }
        }
        let bound = bound(&strategy, fates.len());
        if let Err(state) = world.settle(bound) {
            return Err(TestCaseError::fail(format!("invariant 6: still {state} after {bound} s")));
        }
    }

    #[test]
    fn invariant_6_abort_works_in_every_state(
        (strategy, fates, stuck) in worlds(),
        story in proptest::collection::vec(happenings(), 0..200),
    ) {
        let mut world = World::new(&strategy, &fates, stuck);
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
            _ if was_stuck_at_the_end(&world.control.written) => RolloutState::Failed,
            _ => RolloutState::Aborted,
        };
        prop_assert_eq!(end, expected);
        world.check_end().map_err(TestCaseError::fail)?;
    }

    #[test]
    fn invariant_1_counts_hosts_that_earlier_rollouts_left_out(
        (strategy, fates, _) in worlds(),
        stuck in 1..3_usize,
        (next, next_fates) in (1..10_usize).prop_flat_map(strategies).prop_flat_map(|next| {
            (Just(next), proptest::collection::vec(fates(), 10))
        }),
        places in 1..3_u32,
        away in proptest::collection::vec(any::<bool>(), 3),
        story in proptest::collection::vec(happenings(), 0..60),
        next_story in proptest::collection::vec(happenings(), 0..150),
    ) {
        let mut world = World::new(&strategy, &fates, stuck.min(fates.len()));
        for what in story {
            world.happen(what);
        }
        // Hosts that are stuck stay so: nobody mends them between the two.
        if let Err(state) = world.finish(bound(&strategy, fates.len())) {
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
        if let Err(state) = world.finish(bound(&next, fates.len())) {
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
    let mut world = World::new(&strategy, &[Fate::Good; 4], 0);
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
        &[Fate::Good; 3],
        0,
    );
    world.happen(Happening::Claim(0));
    world.happen(Happening::Decide(0));
    world.happen(Happening::Claim(1));
    world.happen(Happening::Write(0));
    assert_eq!(world.control.refused, 1);
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
    let mut fates = vec![Fate::Good; 6];
    fates[0] = Fate::FailsChecks;
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
    let mut world = World::new(&strategy, &vec![Fate::Good; 1000], 0);
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
    let mut world = World::new(&strategy, &[Fate::Good; 4], 1);
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
    let mut fates = vec![Fate::Good; 5];
    fates[1] = Fate::FailsChecks;
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
