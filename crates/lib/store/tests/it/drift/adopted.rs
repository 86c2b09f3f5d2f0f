//! What is accepted as it drifted.

use slipway_domain::{Standing, TokenLimits};
use slipway_store::HostsOf;

use super::*;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_accepted_was_seen_can_be_had_again_and_is_in_the_log(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let nothing = HostDrift::of(Vec::new());
    assert_eq!((drift(&fleet, &pool).await, nothing), (None, None));

    agents[0].live = Some(closure(name.as_str(), 7));
    agents[0].boot_default = Some(closure(name.as_str(), 7));
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    // No release has it: nobody could bring it back.
    let error = fleet
        .store
        .adopt_host(&name, &adopt(&seen), &by)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NotReleased { signed: false, .. }),
        "{error}"
    );
    fleet.release(7).await;
    // Something came between the look and the word.
    agents[0].overrides = Some(vec![drop_in("1")]);
    sync(&fleet, &mut agents[0]).await;
    let error = fleet
        .store
        .adopt_host(&name, &adopt(&seen), &by)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::DriftMoved { .. }), "{error}");

    let seen = drift(&fleet, &pool).await.unwrap();
    fleet.store.adopt_host(&name, &adopt(&seen), &by).await.unwrap();
    assert_eq!(drift(&fleet, &pool).await, None);
    let adopted = noted(&fleet, "host.adopted").await;
    let (from, to) = (
        closure(name.as_str(), 1).to_string(),
        closure(name.as_str(), 7).to_string(),
    );
    assert_eq!(adopted, [(from, to, "an emergency fix".to_owned())]);
    assert_eq!(noted(&fleet, "host.drift_ended").await.len(), 1);
    let error = fleet
        .store
        .adopt_host(&name, &adopt(&seen), &by)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NoDrift { .. }), "{error}");

    let host = fleet.store.get_host_by_name(&name).await.unwrap().value;
    let listed = fleet.store.list_hosts(None, None, 10).await.unwrap();
    assert_eq!(listed[0].accepted, host.accepted);
    let limits = TokenLimits::default();
    let of = HostsOf {
        limits: &limits,
        environment: None,
        standings: Standing::ALL.to_vec(),
        words: Vec::new(),
    };
    let worst = fleet.store.list_worst_hosts(&of, 0, 10).await.unwrap();
    assert_eq!(worst.items[0].accepted, None, "only who shows it looks it up");
    let accepted = host.accepted.unwrap();
    assert_eq!(
        (accepted.by_words(), accepted.reason.as_str()),
        ("ada", "an emergency fix")
    );
    assert_eq!(accepted.live, closure(name.as_str(), 7));
    assert_eq!(accepted.boot_default.as_ref(), Some(&accepted.live));

    // Another content of the same file, and the release that ran before, are drift again.
    agents[0].overrides = Some(vec![drop_in("2")]);
    agents[0].live = Some(closure(name.as_str(), 1));
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, [DriftKind::Live, DriftKind::Unit]);
    // Until a rollout commits, that is what was accepted.
    let accepted = async || {
        let host = fleet.store.get_host_by_name(&name).await.unwrap().value;
        host.accepted
    };
    assert!(accepted().await.is_some());
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(accepted().await, None);
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_the_boot_loader_boots_is_told_with_both_paths_until_it_is_accepted_or_put_right(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let path = |version| closure(name.as_str(), version).to_string();
    let boots = |found: String| Some(vec![Override::boot(path(1), found)]);

    agents[0].overrides = boots(path(7));
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    let [item] = seen.items.clone().try_into().unwrap();
    assert_eq!(
        (item.kind, item.expected, item.found),
        (DriftKind::Boot, path(1), path(7))
    );
    assert_eq!(noted(&fleet, "host.drifted").await[0].1, path(7));
    // No release has that system.
    let refused = fleet.store.adopt_host(&name, &adopt(&seen), &by).await;
    assert!(
        matches!(refused, Err(StoreError::NotReleased { .. })),
        "{refused:?}"
    );
    fleet.release(7).await;
    fleet.store.adopt_host(&name, &adopt(&seen), &by).await.unwrap();
    assert_eq!(kinds(&fleet, &pool).await, []);

    // What is booted once must be in a release too.
    agents[0].overrides = boots(format!("{}{ONCE}", path(9)));
    sync(&fleet, &mut agents[0]).await;
    let once = drift(&fleet, &pool).await.unwrap();
    let refused = fleet.store.adopt_host(&name, &adopt(&once), &by).await;
    assert!(
        matches!(refused, Err(StoreError::NotReleased { .. })),
        "{refused:?}"
    );

    // What was accepted is that one alone, and something that is no system is accepted by a word.
    agents[0].overrides = boots("the boot entry memtest.conf, once".to_owned());
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    assert_eq!(seen.items[0].kind, DriftKind::Boot);
    fleet.store.adopt_host(&name, &adopt(&seen), &by).await.unwrap();
    agents[0].overrides = boots(path(8));
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, [DriftKind::Boot]);
    agents[0].overrides = Some(Vec::new());
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, []);
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn where_releases_are_signed_only_one_that_a_host_took_vouches_for_anything(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    sql(
        &pool,
        "INSERT INTO release_manifests (release_id, environment_id, number, expires_at, digest, manifest, signatures)
         SELECT r.release_id, r.environment_id, 1, now() + interval '1 day', 'sha256:0', '', '{}' FROM rollouts r",
    )
    .await;
    let unsigned = fleet.release(7).await;
    agents[0].live = Some(closure(name.as_str(), 7));
    agents[0].boot_default = Some(closure(name.as_str(), 7));
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    let refused = async || {
        let adopted = fleet.store.adopt_host(&name, &adopt(&seen), &by).await;
        let error = adopted.unwrap_err();
        assert!(
            matches!(error, StoreError::NotReleased { signed: true, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("no signed release"), "{error}");
    };
    refused().await;
    // A manifest that somebody registered says nothing: nobody here knows who signed it.
    sql(
        &pool,
        &format!(
            "INSERT INTO release_manifests (release_id, environment_id, number, expires_at, digest, manifest, signatures)
             SELECT '{unsigned}', environment_id, 2, now() + interval '1 day', 'sha256:0', 'junk', '{{}}' FROM rollouts"
        ),
    )
    .await;
    refused().await;
    // Once a host has taken it, its signature is good.
    sql(&pool, &format!("UPDATE rollouts SET release_id = '{unsigned}'")).await;
    fleet.store.adopt_host(&name, &adopt(&seen), &by).await.unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_is_accepted_in_the_middle_of_an_attempt_or_of_a_host_that_never_came(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    let any = AdoptHost {
        drift: slipway_domain::drift::digest(&[]),
        reason: "x".to_owned(),
    };
    let error = fleet.store.adopt_host(&name, &any, &by).await.unwrap_err();
    assert!(matches!(error, StoreError::HostChanging { .. }), "{error}");
    sync(&fleet, &mut agents[0]).await;
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    for _ in 0..3 {
        settle(&fleet.store, &lease).await.unwrap();
        sync(&fleet, &mut agents[0]).await;
    }
    assert!(agents[0].unsettled.is_some(), "an attempt is under way");
    let error = fleet.store.adopt_host(&name, &any, &by).await.unwrap_err();
    assert!(matches!(error, StoreError::HostChanging { .. }), "{error}");
}
