//! Releases.

use std::collections::BTreeMap;

use slipway_domain::ReleaseId;
use slipway_store::{NewRelease, StoreError};
use slipway_testkit::closure;
use sqlx::PgPool;

use crate::support::{Fleet, ada, store};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_keeps_what_it_was_given(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    let id = fleet.release(1).await;
    let release = fleet.store.get_release(id).await.unwrap();
    assert_eq!(release.author, fleet.author.name);
    assert_eq!(release.message.as_deref(), Some("version 1"));
    let expected: BTreeMap<_, _> = fleet
        .names()
        .into_iter()
        .map(|n| (n.clone(), closure(n.as_str(), 1)))
        .collect();
    assert_eq!(release.closures, expected);
    let nothing = ReleaseId::generate();
    let error = fleet.store.get_release(nothing).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no release `{nothing}`"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_unknown_host_is_named_at_once(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let gone = fleet.host(1).0;
    fleet.store.retire_host(&gone, &ada(&fleet.key)).await.unwrap();
    let closures =
        ["prod-0", "prod-1", "web-8", "web-9"].map(|name| (name.parse().unwrap(), closure(name, 1)));
    let new = NewRelease {
        flake_ref: None,
        rev: None,
        nar_hash: None,
        message: None,
        author: fleet.author.id,
        closures: closures.into(),
    };
    let before = fleet.store.event_head().await.unwrap();
    let error = fleet.store.create_release(&new, &fleet.key).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownHosts { .. }));
    assert_eq!(
        error.to_string(),
        "the release names hosts that do not exist or were retired: prod-1, web-8, web-9"
    );
    assert!(fleet.store.list_releases(None, 10).await.unwrap().is_empty());
    assert_eq!(fleet.store.event_head().await.unwrap(), before);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn releases_are_listed_in_pages_the_newest_first(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut made = Vec::new();
    for version in 1..=5 {
        made.insert(0, fleet.release(version).await);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = fleet.store.list_releases(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2 && page.iter().all(|release| release.hosts == 1));
        after = Some(last.id);
        seen.extend(page.iter().map(|release| release.id));
    }
    assert_eq!(seen, made);
    let nothing = ReleaseId::generate();
    let error = fleet.store.list_releases(Some(nothing), 2).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no release `{nothing}`"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_hosts_of_a_rollout_are_those_of_both(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    let other = Fleet::of(1).environment("dev").seed(&fleet.store).await;
    let release = fleet.release(1).await;
    fleet
        .store
        .retire_host(&fleet.host(2).0, &ada(&fleet.key))
        .await
        .unwrap();
    let hosts = fleet
        .store
        .list_release_hosts(release, fleet.environment.id)
        .await
        .unwrap();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), fleet.names()[..2]);
    let none = fleet
        .store
        .list_release_hosts(release, other.environment.id)
        .await
        .unwrap();
    assert!(none.is_empty());
}
