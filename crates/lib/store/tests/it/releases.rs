//! Releases.

use std::collections::BTreeMap;

use slipway_domain::{HostName, ReleaseId, StorePath};
use slipway_store::{NewRelease, StoreError};
use slipway_testkit::closure;
use slipway_wire::release::Source;
use sqlx::PgPool;

use crate::support::{Fleet, ada, sql, store};

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
        id: ReleaseId::generate(),
        source: Source::default(),
        message: None,
        author: fleet.author.id,
        closures: closures.into(),
        manifest: None,
        name: None,
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
    let taking_part = async |environment| {
        let hosts = fleet.store.list_fleet(release, environment).await.unwrap();
        let hosts = hosts.into_iter().filter(|(_, host)| host.takes_part);
        hosts.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(taking_part(fleet.environment.id).await, fleet.names()[..2]);
    assert!(taking_part(other.environment.id).await.is_empty());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_draft_is_no_release_until_all_of_it_is_sealed(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    let (store, author, key) = (&fleet.store, fleet.author.id, &fleet.key);
    let page = |names: &[&str]| -> BTreeMap<HostName, StorePath> {
        let entry = |name: &&str| (name.parse().unwrap(), closure(name, 7));
        names.iter().map(entry).collect()
    };
    let about = NewRelease {
        id: ReleaseId::generate(),
        source: Source::default(),
        message: Some("many".to_owned()),
        author,
        closures: BTreeMap::new(),
        manifest: None,
        name: None,
    };
    let draft = store.create_draft(&about).await.unwrap();
    assert_eq!(
        store
            .add_to_draft(draft, author, &page(&["prod-0", "prod-1"]))
            .await
            .unwrap(),
        2
    );
    // A page that is sent again, as after a lost answer.
    assert_eq!(
        store
            .add_to_draft(draft, author, &page(&["prod-1"]))
            .await
            .unwrap(),
        2
    );

    let error = store.get_release(draft).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert!(store.list_releases(None, 10).await.unwrap().is_empty());
    let error = store.seal_draft(draft, author, 3, key).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("holds 2 hosts and was to be sealed with 3"),
        "{error}"
    );

    store
        .add_to_draft(draft, author, &page(&["prod-2"]))
        .await
        .unwrap();
    let sealed = store.seal_draft(draft, author, 3, key).await.unwrap();
    assert_eq!((sealed.id, sealed.message.as_deref()), (draft, Some("many")));
    assert_eq!(sealed.closures, page(&["prod-0", "prod-1", "prod-2"]));
    assert_eq!(store.get_release(draft).await.unwrap(), sealed);
    // From here on nothing can be written into it.
    let error = store
        .add_to_draft(draft, author, &page(&["prod-0"]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is no draft"), "{error}");
    assert!(store.seal_draft(draft, author, 3, key).await.is_err());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_draft_is_its_authors_alone_and_old_ones_make_room(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let by = ada(&fleet.key);
    let other = fleet
        .store
        .create_principal(&"eve".parse().unwrap(), slipway_domain::Role::Deployer, &by)
        .await
        .unwrap();
    let about = |author| NewRelease {
        id: ReleaseId::generate(),
        source: Source::default(),
        message: None,
        author,
        closures: BTreeMap::new(),
        manifest: None,
        name: None,
    };
    let draft = fleet.store.create_draft(&about(fleet.author.id)).await.unwrap();
    let page = [("prod-0".parse().unwrap(), closure("prod-0", 1))].into();
    assert!(fleet.store.add_to_draft(draft, other.id, &page).await.is_err());
    assert!(
        fleet
            .store
            .seal_draft(draft, other.id, 0, &fleet.key)
            .await
            .is_err()
    );

    for _ in 0..12 {
        fleet.store.create_draft(&about(other.id)).await.unwrap();
    }
    let of = |author: slipway_domain::PrincipalId| {
        let pool = pool.clone();
        async move {
            let sql = "SELECT count(*) FROM release_drafts WHERE author_id = $1";
            let count: i64 = sqlx::query_scalar(sql)
                .bind(author.as_uuid())
                .fetch_one(&pool)
                .await
                .unwrap();
            count
        }
    };
    assert_eq!((of(fleet.author.id).await, of(other.id).await), (1, 10));
    sql(
        &pool,
        "UPDATE release_drafts SET created_at = now() - interval '25 hours'",
    )
    .await;
    fleet.store.create_draft(&about(other.id)).await.unwrap();
    assert_eq!((of(fleet.author.id).await, of(other.id).await), (0, 1));
}
