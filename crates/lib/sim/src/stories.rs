//! Stories: fleets, strategies and what happens, by chance.

use proptest::prelude::*;
use proptest::strategy::{Strategy as Chance, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use slipway_domain::Labels;
use slipway_domain::labels::{CLUSTER_LABEL, Selector};
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Group, Limits, Offline, OnFailure, Reboot, Share, Strategy, Verify};

use crate::{ClosureFate, Happening, Member, SimControlPlane, World};

/// A fleet, and what happens to it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The strategy of all its rollouts.
    pub strategy: Strategy,
    /// The hosts.
    pub members: Vec<Member>,
    /// How many of them are stuck before.
    pub stuck: usize,
    /// What happens.
    pub happenings: Vec<Happening>,
}

impl Story {
    /// The story of this number: by chance, and always the same. A second rollout begins in it when the first is over.
    ///
    /// # Panics
    /// Never: every choice has an outcome.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[number; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let what = prop_oneof![9 => happenings(), 1 => Just(Happening::Release(2))];
        let all = (worlds(5), proptest::collection::vec(what, 10..40));
        let tree = all.new_tree(&mut runner).expect("nothing is filtered out");
        let ((strategy, members, stuck), happenings) = tree.current();
        Self {
            strategy,
            members,
            stuck,
            happenings,
        }
    }

    /// Tells it to this control plane, to its end.
    ///
    /// # Panics
    /// When something does not hold that must always hold.
    pub fn tell<C: SimControlPlane>(&self, control: C) -> World<C> {
        let mut world = World::with(control, &self.strategy, &self.members, self.stuck);
        for what in &self.happenings {
            world.happen(*what);
        }
        let bound = bound(&self.strategy, self.members.len());
        if let Err(state) = world.settle(bound) {
            panic!("still {state} after {bound} s");
        }
        world
    }
}

/// Values of the label `role`.
const ROLES: [&str; 3] = ["db", "app", "edge"];
/// Values of the label that says that hosts are members of one cluster.
const CLUSTERS: [&str; 2] = ["main", "other"];

/// Short ones.
pub const LIMITS: Limits = Limits {
    stage_seconds: 100,
    activate_seconds: 50,
    deadman_seconds: 300,
    revert_seconds: 100,
    offline_seconds: 200,
    person_seconds: 1000,
    reboot_seconds: 60,
};

/// Any strategy for so many hosts.
pub fn strategies(hosts: usize) -> impl Chance<Value = Strategy> {
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
        orders(),
        0..=hosts.min(3),
        share.clone(),
        share,
        on_failure,
        offline,
        0..3_u32,
        reboots(),
    )
        .prop_map(
            |(order, canary, batch, max_unavailable, on_failure, offline, retries, reboots)| Strategy {
                order,
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
                reboot: reboots.0,
                allow_pending_reboot: reboots.1,
                ..Strategy::default()
            },
        )
}

/// Whether hosts reboot, and whether one may be left pending.
fn reboots() -> impl Chance<Value = (Reboot, bool)> {
    prop_oneof![
        4 => Just((Reboot::Never, true)),
        1 => Just((Reboot::Never, false)),
        4 => Just((Reboot::WhenNeeded, false)),
        1 => Just((Reboot::Always, false)),
    ]
}

/// Some of the roles, in any order and with or without more to say.
fn orders() -> impl Chance<Value = Vec<Group>> {
    let share = || {
        prop_oneof![
            (1..4_u32).prop_map(Share::Number),
            (1..=100_u32).prop_map(Share::Percent)
        ]
    };
    let group = |role: &str| {
        let hosts: Selector = format!("role={role}").parse().expect("a label");
        (
            proptest::option::of((0..3_u32).prop_map(Canary::Number)),
            proptest::option::of(share()),
            proptest::option::of(share()),
        )
            .prop_map(move |(canary, batch, max_unavailable)| Group {
                hosts: hosts.clone(),
                canary,
                batch,
                max_unavailable,
            })
    };
    let all = vec![group(ROLES[0]), group(ROLES[1]), group(ROLES[2])];
    let some = all
        .prop_shuffle()
        .prop_flat_map(|all| proptest::sample::subsequence(all, 0..=3));
    prop_oneof![1 => Just(Vec::new()), 2 => some]
}

/// Labels of a host: a role and a cluster, or not.
pub fn labels() -> impl Chance<Value = Labels> {
    let role = proptest::option::weighted(0.8, proptest::sample::select(&ROLES[..]));
    let cluster = proptest::option::weighted(0.4, proptest::sample::select(&CLUSTERS[..]));
    (role, cluster).prop_map(|(role, cluster)| {
        let role = role.map(|role| ("role".to_owned(), role.to_owned()));
        let cluster = cluster.map(|cluster| (CLUSTER_LABEL.to_owned(), cluster.to_owned()));
        role.into_iter().chain(cluster).collect()
    })
}

/// Most hosts are good.
pub fn fates() -> impl Chance<Value = ClosureFate> {
    prop_oneof![
        8 => Just(ClosureFate::Good),
        1 => Just(ClosureFate::FailsStage),
        1 => Just(ClosureFate::FailsSwitch),
        1 => Just(ClosureFate::FailsChecks),
        1 => Just(ClosureFate::Inconclusive),
        1 => Just(ClosureFate::FailsRevert),
        1 => Just(ClosureFate::There),
        1 => Just(ClosureFate::NeverBoots),
        1 => Just(ClosureFate::BootsForEver),
    ]
}

/// Whatever may happen to a fleet.
pub fn happenings() -> impl Chance<Value = Happening> {
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
        2 => (host.clone(), any::<bool>()).prop_map(|(h, on)| Happening::Reach(h, on)),
        1 => (host, any::<u8>()).prop_map(|(h, as_host)| Happening::Relabel(h, as_host)),
        1 => worker.clone().prop_map(Happening::Claim),
        5 => worker.clone().prop_map(Happening::Decide),
        5 => worker.prop_map(Happening::Write),
        1 => command.prop_map(Happening::Command),
    ]
}

/// As [`happenings`], and machines that are copied or get a new disk.
pub fn machines() -> impl Chance<Value = Happening> {
    let host = 0..12_usize;
    prop_oneof![
        40 => happenings(),
        1 => (host.clone(), any::<bool>()).prop_map(|(h, doubted)| Happening::Doubt(h, doubted)),
        1 => host.prop_map(Happening::Forget),
    ]
}

/// A strategy, fewer hosts than `most`, and how many are stuck before.
pub fn worlds(most: usize) -> impl Chance<Value = (Strategy, Vec<Member>, usize)> {
    let member =
        (fates(), labels(), any::<bool>()).prop_map(|(fate, labels, kernel)| Member { fate, labels, kernel });
    proptest::collection::vec(member, 1..most)
        .prop_flat_map(|members| {
            (
                strategies(members.len()),
                Just(members),
                prop_oneof![6 => Just(0), 1 => 0..3_usize],
            )
        })
        .prop_map(|(strategy, members, stuck)| {
            let stuck = stuck.min(members.len());
            (strategy, members, stuck)
        })
}

/// Every wait of every attempt one after the other, for each host, and people's waits on top.
#[must_use]
pub fn bound(strategy: &Strategy, hosts: usize) -> u32 {
    let limits = &strategy.limits;
    let attempt = limits.stage_seconds
        + limits.deadman_seconds
        + limits.revert_seconds
        + limits.offline_seconds
        + 4 * 60;
    let hosts = u32::try_from(hosts).expect("few");
    attempt * (strategy.retries + 2) * hosts * 2 + 2 * limits.person_seconds
}
