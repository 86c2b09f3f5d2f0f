//! Numbers and names, as they are given and as they are found again.

use std::collections::BTreeSet;

use slipway_domain::{ReleaseId, ReleaseName, RolloutState, StepState};
use slipway_store::{NewRelease, Store, StoreError};
use slipway_wire::release::Source;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Fleet, agents, claim, drive, settings, sql, store};
use slipway_testkit::closure;

fn new_release(fleet: &Fleet, name: Option<&str>) -> NewRelease {
    let closures = fleet.names().into_iter();
    NewRelease {
        id: ReleaseId::generate(),
        source: Source {
            rev: Some("4f2c1d9abc0123".to_owned()),
            ..Source::default()
        },
        message: None,
        author: fleet.author.id,
        closures: closures
            .map(|host| (host.clone(), closure(host.as_str(), 7)))
            .collect(),
        manifest: None,
        name: name.map(|name| name.parse().unwrap()),
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn releases_that_come_at_once_get_a_number_each_and_one_gets_the_name(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let wide = Store::connect(&settings(&connect, None), "race");
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            // Every third one wants the same name.
            let new = new_release(&fleet, (n % 3 == 0).then_some("v1"));
            let (store, key) = (wide.clone(), fleet.key.clone());
            tokio::spawn(async move { store.create_release(&new, &key).await })
        })
        .collect();
    let (mut numbers, mut named, mut refused) = (BTreeSet::new(), 0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(release) => {
                named += u32::from(release.name.is_some());
                assert!(numbers.insert(release.number.unwrap()), "{numbers:?}");
            }
            Err(StoreError::NameTaken {
                what: "release",
                name,
            }) => {
                assert_eq!(name, "v1");
                refused += 1;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((numbers.len(), named, refused), (9, 1, 3));
    wide.close().await;
    // Newest first is by number, and every number finds its own.
    let listed = fleet.store.list_releases(None, 20).await.unwrap();
    let order: Vec<u64> = listed.iter().filter_map(|release| release.number).collect();
    assert_eq!(order, numbers.iter().rev().copied().collect::<Vec<_>>());
    for release in listed {
        let reference = release.label().reference();
        assert_eq!(fleet.store.resolve_release(&reference).await.unwrap(), release.id);
    }
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_name_is_never_moved_unseen(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (one, two) = (new_release(&fleet, Some("v1")), new_release(&fleet, None));
    for new in [&one, &two] {
        fleet.store.create_release(new, &fleet.key).await.unwrap();
    }
    sql(&pool, "UPDATE releases SET name = NULL WHERE name = 'v1'").await;
    sql(
        &pool,
        "UPDATE releases SET name = 'v1' WHERE seq = (SELECT max(seq) FROM releases)",
    )
    .await;
    let name: ReleaseName = "v1".parse().unwrap();
    let found = fleet
        .store
        .resolve_release(&slipway_domain::Reference::Name(name))
        .await;
    assert_eq!(found.unwrap(), two.id, "the row says so");
    // No rollout begins with what the log does not say so.
    let refused = fleet.store.create_rollout(&fleet.plan(two.id), &fleet.key).await;
    assert!(matches!(refused, Err(StoreError::Tampered(_))), "{refused:?}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_and_its_environment_show_the_release_that_they_run(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let name = &fleet.environment.name;
    let host = fleet.host(0).0;
    let shown = async || {
        let host = fleet.store.get_host_by_name(&host).await.unwrap().value;
        let environment = fleet.store.get_environment_by_name(name).await.unwrap().value;
        (host, environment)
    };
    let (before, environment) = shown().await;
    assert_eq!((before.release, environment.release), (None, None));

    let named = new_release(&fleet, Some("v7"));
    fleet.store.create_release(&named, &fleet.key).await.unwrap();
    fleet
        .store
        .create_rollout(&fleet.plan(named.id), &fleet.key)
        .await
        .unwrap();
    let lease = claim(&fleet.store, "w").await;
    drive(&fleet, &mut agents, &lease).await;
    let (ran, environment) = shown().await;
    let label = ran.release.clone().unwrap();
    assert_eq!(label.to_string(), "#1 v7 (4f2c1d9abc)");
    assert_eq!(ran.version().as_deref(), Some("v7"));
    assert_eq!(environment.release, Some(label.clone()));
    let step = ran.step.unwrap();
    assert_eq!(
        (step.state, step.rollout_number, step.release),
        (StepState::Committed, Some(1), Some(label.clone()))
    );

    // A release that went back leaves the host on the one before, which its closure tells.
    for agent in &mut agents {
        agent.failing = true;
    }
    let rollout = fleet.rollout(8).await;
    let lease = claim(&fleet.store, "w").await;
    drive(&fleet, &mut agents, &lease).await;
    let rollout = fleet.store.get_rollout(rollout).await.unwrap();
    assert_ne!(rollout.summary.state, RolloutState::Succeeded);
    let (ran, environment) = shown().await;
    assert_eq!(ran.release, Some(label.clone()));
    assert_eq!(environment.release, Some(label));
    // One failed, and the other was not begun: it does not say of itself what the first one did.
    let reasons: Vec<_> = rollout
        .steps
        .iter()
        .map(|step| (step.state, step.reason.clone().unwrap_or_default()))
        .collect();
    let failed = reasons
        .iter()
        .find(|(state, _)| *state == StepState::Reverted)
        .unwrap();
    let skipped = reasons
        .iter()
        .find(|(state, _)| *state == StepState::Skipped)
        .unwrap();
    assert_eq!(skipped.1, "not begun before the rollout went back");
    assert!(rollout.summary.reason.unwrap().contains(&failed.1), "{failed:?}");
}
