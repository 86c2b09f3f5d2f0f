//! What a cache must keep, and the plans that nobody needs any more.

use std::collections::BTreeMap;

use slipway_domain::StorePath;
use slipway_store::StoreError;
use slipway_testkit::closure;
use slipway_wire::kept::{KeepRelease, RootsQuery};
use sqlx::PgPool;

use crate::support::{Fleet, ada, agents, claim, drive, sql, store};

/// Why each closure is in use, of so many releases and days.
async fn roots(fleet: &Fleet, last: u32) -> BTreeMap<StorePath, Vec<String>> {
    let query = RootsQuery {
        last: Some(last),
        days: Some(7),
    };
    let roots = fleet.store.list_roots(&query, 1000).await.unwrap().roots;
    roots.into_iter().map(|root| (root.closure, root.why)).collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whatever_a_host_may_need_is_a_root_and_nothing_else(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    assert_eq!(roots(&fleet, 1).await, BTreeMap::new());
    let mut agents = agents(&fleet);
    let name = agents[0].name.to_string();
    for version in 1..=4 {
        fleet.rollout(version).await;
        drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    }
    let unused = fleet.release(8).await;
    // Only those of the last week are new.
    sql(
        &pool,
        "UPDATE releases SET created_at = now() - interval '8 days'",
    )
    .await;
    let new = fleet.release(9).await;
    fleet.rollout(5).await;
    sql(&pool, "UPDATE releases SET created_at = now() - interval '8 days' WHERE id = (SELECT release_id FROM rollouts WHERE finished_at IS NULL)").await;

    let why = |found: &BTreeMap<StorePath, Vec<String>>, version| {
        found
            .get(&closure(&name, version))
            .cloned()
            .unwrap_or_default()
            .join(" ")
    };
    let found = roots(&fleet, 1).await;
    let expected = [
        "",
        "",
        "",
        "prior",
        "recent running",
        "rollout",
        "",
        "",
        "",
        "new",
    ];
    for (version, expected) in (0..).zip(expected) {
        assert_eq!(why(&found, version), expected, "version {version}");
    }
    let found = roots(&fleet, 3).await;
    assert_eq!(
        (why(&found, 1), why(&found, 2)),
        (String::new(), "recent".to_owned())
    );

    // One that nothing runs is kept on somebody's word, until they take it back or the time is over.
    let by = ada(&fleet.key);
    let for_ever = KeepRelease::default();
    let kept = fleet.store.keep_release(unused, &for_ever, &by).await.unwrap();
    assert_eq!((kept.by.as_str(), kept.until), ("ada", None));
    assert_eq!(why(&roots(&fleet, 1).await, 8), "kept");
    assert_eq!(fleet.store.get_release(unused).await.unwrap().kept, Some(kept));
    let now = fleet.store.now().await.unwrap();
    let until = KeepRelease {
        until: Some(now + chrono::TimeDelta::days(1)),
        reason: Some("for the auditors".to_owned()),
    };
    fleet.store.keep_release(unused, &until, &by).await.unwrap();
    sql(
        &pool,
        "UPDATE kept_releases SET until = now() - interval '1 second'",
    )
    .await;
    assert_eq!(why(&roots(&fleet, 1).await, 8), "");
    assert_eq!(fleet.store.get_release(unused).await.unwrap().kept, None);
    fleet.store.keep_release(new, &for_ever, &by).await.unwrap();
    fleet.store.unkeep_release(new, &by).await.unwrap();
    assert_eq!(why(&roots(&fleet, 1).await, 9), "new");
    // People read numbers in the log.
    let number = fleet.store.get_release(new).await.unwrap().number.unwrap();
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let said: Vec<&str> = events
        .iter()
        .filter(|event| matches!(event.event.kind.as_str(), "release.kept" | "release.unkept"))
        .map(|event| event.event.cause_text())
        .collect();
    assert_eq!(
        said[said.len() - 2..],
        [
            format!("release #{number} for ever"),
            format!("release #{number}")
        ]
    );
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

/// The list is whole or an error, and has no path outside a Nix store on a host's word.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_list_that_would_be_too_long_is_an_error_and_other_folders_are_in_none(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let query = RootsQuery::default();
    let all = roots(&fleet, 1).await.len();
    let most = u32::try_from(all).unwrap();
    assert_eq!(
        fleet.store.list_roots(&query, most).await.unwrap().roots.len(),
        all
    );
    let error = fleet.store.list_roots(&query, most - 1).await.unwrap_err();
    assert!(
        error.to_string().contains("fewer releases (`last`) or days"),
        "{error}"
    );

    let name = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-evil";
    for (folder, counts) in [("/etc", false), ("/nix/store", true), ("/data/nix/store", false)] {
        let path: StorePath = format!("{folder}/{name}").parse().unwrap();
        sql(
            &pool,
            &format!("UPDATE hosts SET live = '{path}', report = '{{\"prior\": \"{path}\"}}'"),
        )
        .await;
        assert_eq!(roots(&fleet, 1).await.contains_key(&path), counts, "{path}");
    }
    // The folder of what was rolled out to a host is that of its store.
    sql(&pool, "UPDATE steps SET closure = '/data' || closure").await;
    let path: StorePath = format!("/data/nix/store/{name}").parse().unwrap();
    assert!(roots(&fleet, 1).await.contains_key(&path));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_unknown_release_and_a_time_that_is_over_are_refused(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let by = ada(&fleet.key);
    let (store, keep) = (&fleet.store, KeepRelease::default());
    let unknown = slipway_domain::ReleaseId::generate();
    let error = store.keep_release(unknown, &keep, &by).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("no release `{unknown}`")),
        "{error}"
    );
    let release = fleet.release(1).await;
    let error = store.unkeep_release(release, &by).await.unwrap_err();
    assert!(error.to_string().contains("no kept release"), "{error}");
    let past = KeepRelease {
        until: Some(store.now().await.unwrap() - chrono::TimeDelta::seconds(1)),
        reason: None,
    };
    let error = store.keep_release(release, &past, &by).await.unwrap_err();
    assert!(matches!(error, StoreError::KeptUntilPast { .. }), "{error}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn plans_that_nobody_needs_go_a_few_at_a_time_and_no_others(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let open = fleet.rollout(2).await;
    // Two that steps name, one of an open rollout, and many that none does; all are old.
    sql(
        &pool,
        "INSERT INTO host_plans (digest, plan, created_at)
         SELECT 'sha256:' || lpad(to_hex(n), 64, '0'), '{}', now() - interval '91 days' FROM generate_series(1, 452) n;
         UPDATE steps SET plan = jsonb_build_object('digest', 'sha256:' || lpad(to_hex(seq), 64, '0'));",
    )
    .await;
    sql(
        &pool,
        "INSERT INTO host_plans (digest, plan) VALUES ('sha256:' || repeat('f', 64), '{}')",
    )
    .await;
    let mut removed = Vec::new();
    loop {
        let gone = fleet.store.collect_plans().await.unwrap();
        removed.push(gone);
        if gone == 0 {
            break;
        }
    }
    assert_eq!(removed, [200, 200, 50, 0]);
    let left = "SELECT count(*) FROM host_plans";
    let count: i64 = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(count, 3, "two that steps name, and a new one");
    // What a rollout of long ago names is read by nobody; what an open one names stays.
    sql(
        &pool,
        "UPDATE rollouts SET finished_at = now() - interval '91 days' WHERE finished_at IS NOT NULL",
    )
    .await;
    assert_eq!(fleet.store.collect_plans().await.unwrap(), 1);
    assert!(fleet.store.get_rollout(open).await.is_ok());
}
