//! What a rollout looks at once every host has its closure.

use std::collections::BTreeMap;

use slipway_domain::decide::decide;
use slipway_domain::preflight::Finding;
use slipway_domain::{
    AttemptId, HostFacts, HostName, Observation, ReleaseId, RolloutState, StorePath, Timestamp,
};
use slipway_release::testing::{Signer, manifest, now};
use slipway_release::{ReleaseKeys, SignedManifest};
use slipway_store::{AuditKey, Lease, NewManifest, NewRelease, Store};
use slipway_testkit::{audit_key, closure};
use slipway_wire::release::Source;
use sqlx::PgPool;

use crate::support::{Fleet, agents, claim, settle, sql, store};

struct Staged {
    fleet: Fleet,
    lease: Lease,
    key: AuditKey,
}

impl Staged {
    /// A rollout to one host, which has its closure and has said which keys it trusts.
    async fn new(pool: &PgPool, signed: Option<(&Signer, u64)>, trusted: &ReleaseKeys) -> Self {
        let fleet = Fleet::of(1).seed(&store(pool)).await;
        let release = release(&fleet, signed).await;
        let plan = fleet.plan(release);
        fleet.store.create_rollout(&plan, &fleet.key).await.unwrap();
        let lease = claim(&fleet.store, "w").await;
        let mut agent = agents(&fleet).remove(0);
        agent.sync(&fleet.store).await;
        settle(&fleet.store, &lease).await.unwrap();
        // It is told to fetch, and says that it has.
        agent.sync(&fleet.store).await;
        agent.sync(&fleet.store).await;
        let facts = HostFacts {
            attempt: agent.report.as_ref().map(|report| report.attempt),
            release_keys: Some(trusted.as_slice().iter().map(ToString::to_string).collect()),
            ..HostFacts::default()
        };
        let seen = Observation {
            facts: Some(facts),
            ..agent.observation(now())
        };
        fleet.store.keep_facts(agent.id, &seen).await.unwrap();
        let key = audit_key();
        let it = Self { fleet, lease, key };
        // What the host says of its step is taken over; the rollout itself is left where it is.
        let (snapshot, at) = it.store().load_snapshot(&it.lease, &it.key).await.unwrap();
        let changes = decide(&snapshot, at, &mut AttemptId::random);
        it.store().apply(&it.lease, &changes, &it.key).await.unwrap();
        it
    }

    const fn store(&self) -> &Store {
        &self.fleet.store
    }

    async fn obstacles(&self) -> Vec<String> {
        let (snapshot, _) = self.store().load_snapshot(&self.lease, &self.key).await.unwrap();
        assert_eq!(snapshot.rollout.state, RolloutState::Staging);
        assert_eq!(snapshot.preflight.awaited, None);
        let obstacles = snapshot.preflight.obstacles.iter();
        obstacles.map(Finding::in_words).collect()
    }
}

async fn release(fleet: &Fleet, signed: Option<(&Signer, u64)>) -> ReleaseId {
    let closures: BTreeMap<HostName, StorePath> = fleet
        .names()
        .into_iter()
        .map(|name| (name.clone(), closure(name.as_str(), 1)))
        .collect();
    let mut new = NewRelease {
        id: ReleaseId::generate(),
        source: Source::default(),
        message: None,
        author: fleet.author.id,
        closures,
        manifest: None,
        name: None,
    };
    if let Some((signer, number)) = signed {
        let hosts = new.closures.iter().map(|(name, path)| (name.as_str(), path));
        let said = manifest(number, now(), &hosts.collect::<Vec<_>>());
        new.id = said.id;
        new.manifest = Some(kept(signer.sign(&said), number, said.expires));
    }
    fleet.store.create_release(&new, &fleet.key).await.unwrap().id
}

fn kept(signed: SignedManifest, number: u64, expires: Timestamp) -> NewManifest {
    NewManifest {
        environment: "prod".parse().unwrap(),
        number: number.try_into().unwrap(),
        expires,
        digest: signed.digest(),
        text: signed.manifest,
        signatures: signed.signatures,
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_signed_with_a_key_of_the_host_has_nothing_in_its_way(pool: PgPool) {
    let signer = Signer::new();
    let it = Staged::new(&pool, Some((&signer, 7)), &signer.keys()).await;
    assert_eq!(it.obstacles().await, [""; 0]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_that_no_key_of_the_host_signed_is_in_the_way(pool: PgPool) {
    let (signer, other) = (Signer::new(), Signer::new());
    let it = Staged::new(&pool, Some((&signer, 7)), &other.keys()).await;
    let found = it.obstacles().await;
    assert_eq!(found.len(), 1, "{found:?}");
    let of = |signer: &Signer| signer.keys().as_slice()[0].to_string();
    let said = format!(
        "it trusts {}, and the signatures name {}",
        of(&other),
        of(&signer)
    );
    assert!(
        found[0].starts_with("release-trusted: ") && found[0].contains(&said),
        "{found:?}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_that_nobody_signed_and_a_wrong_clock_are_in_the_way(pool: PgPool) {
    let it = Staged::new(&pool, None, &Signer::new().keys()).await;
    let found = it.obstacles().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("nobody signed this one"), "{found:?}");
    sql(&pool, "UPDATE hosts SET clock_skew_seconds = -500").await;
    let checks: Vec<String> = it
        .obstacles()
        .await
        .iter()
        .map(|found| found.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(checks, ["clock", "release-trusted"]);
}
