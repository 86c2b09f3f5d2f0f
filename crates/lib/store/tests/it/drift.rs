//! A live system that changes while no rollout asks for it is an event; so is whatever else begins or ends to drift.

use slipway_domain::RolloutState;
use slipway_domain::drift::{DriftKind, ONCE, Override};
use slipway_store::{StoreError, TokenHash};
use slipway_testkit::{ScriptedAgent, closure};
use slipway_wire::fleet::{AdoptHost, HostDrift};
use sqlx::PgPool;

use crate::support::{Fleet, ada, agents, claim, drive, settle, sql, store};

mod adopted;
mod expected;
mod rests;

/// The events of live systems, as from and to.
async fn told(fleet: &Fleet) -> Vec<(String, String)> {
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let live = events.into_iter().filter(|event| event.event.kind == "host.live");
    live.map(|event| (event.event.from.unwrap(), event.event.to.unwrap()))
        .collect()
}

/// One sync, as the api makes it.
async fn sync(fleet: &Fleet, agent: &mut ScriptedAgent) {
    agent.sync(&fleet.store).await;
    fleet
        .store
        .note_drift(Some(&[agent.id]), &fleet.key)
        .await
        .unwrap();
}

/// As if the hosts had been quiet for long.
async fn rest(pool: &PgPool) {
    sql(
        pool,
        "UPDATE hosts SET drift_noted_at = NULL, live_noted_at = NULL",
    )
    .await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_news_of_more_hosts_than_one_transaction_writes_are_all_noted(pool: PgPool) {
    let fleet = Fleet::of(501).seed(&store(&pool)).await;
    sql(
        &pool,
        "UPDATE hosts SET live = '/nix/store/11111111111111111111111111111111-by-hand', observed_at = now()",
    )
    .await;
    let hosts: Vec<_> = agents(&fleet).iter().map(|agent| agent.id).collect();
    fleet.store.note_drift(Some(&hosts), &fleet.key).await.unwrap();
    let left = "SELECT count(*) FROM hosts WHERE baseline IS NULL OR audited_live IS DISTINCT FROM live";
    let left: i64 = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_there_and_back_is_no_drift(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        sync(&fleet, agent).await;
    }
    for (version, failing, end) in [
        (1, false, RolloutState::Succeeded),
        (2, true, RolloutState::Reverted),
    ] {
        agents[0].failing = failing;
        let rollout = fleet.rollout(version).await;
        // The worker looks late, when the steps have come to their end.
        drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
        fleet.store.note_drift(None, &fleet.key).await.unwrap();
        assert_eq!(fleet.store.get_rollout(rollout).await.unwrap().summary.state, end);
    }
    assert_eq!(told(&fleet).await, []);
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_live_system_that_changes_without_a_rollout_is_an_event(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    let name = agents[0].name.to_string();
    let version = |n| closure(&name, n).to_string();
    // By hand to something new, back to the prior, and forth to the release again: each is one.
    for n in [7, 0, 1] {
        rest(&pool).await;
        agents[0].live = Some(closure(&name, n));
        sync(&fleet, &mut agents[0]).await;
        // Said once.
        sync(&fleet, &mut agents[0]).await;
    }
    let expected = [(1, 7), (7, 0), (0, 1)].map(|(from, to)| (version(from), version(to)));
    assert_eq!(told(&fleet).await, expected);
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let event = &events
        .iter()
        .find(|event| event.event.kind == "host.live")
        .unwrap()
        .event;
    assert_eq!((event.actor.kind(), event.actor.name()), ("host", name.as_str()));
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

/// While a rollout is under way, too: another closure than the step's and the prior is nobody's wish.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn another_closure_in_the_middle_of_a_rollout_is_an_event(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    sync(&fleet, &mut agents[0]).await;
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    for _ in 0..3 {
        settle(&fleet.store, &lease).await.unwrap();
        sync(&fleet, &mut agents[0]).await;
    }
    let name = agents[0].name.to_string();
    assert_eq!(agents[0].live, Some(closure(&name, 1)));
    agents[0].live = Some(closure(&name, 9));
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(told(&fleet).await.len(), 1);
}

/// What drifts on the fleet's first host, once somebody has looked and the pause after a change is over.
async fn drift(fleet: &Fleet, pool: &PgPool) -> Option<HostDrift> {
    rest(pool).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    let name = fleet.hosts.keys().next().unwrap();
    fleet.store.get_host_by_name(name).await.unwrap().value.drift
}

async fn kinds(fleet: &Fleet, pool: &PgPool) -> Vec<DriftKind> {
    let drift = drift(fleet, pool).await;
    drift
        .into_iter()
        .flat_map(|drift| drift.items)
        .map(|item| item.kind)
        .collect()
}

/// The events of these kinds, as from, to and cause.
async fn noted(fleet: &Fleet, kind: &str) -> Vec<(String, String, String)> {
    let events = fleet.store.list_all_events(0, 1000).await.unwrap();
    let events = events.into_iter().filter(|event| event.event.kind == kind);
    events
        .map(|event| {
            let cause = event.event.cause_text().to_owned();
            (event.event.from.unwrap(), event.event.to.unwrap(), cause)
        })
        .collect()
}

fn drop_in(content: &str) -> Override {
    Override::unit(
        "/nix/store/00000000000000000000000000000000-s/etc/systemd/system/web.service".to_owned(),
        format!("/run/systemd/system.control/web.service.d/50-x.conf (sha256:{content})"),
    )
}

fn adopt(drift: &HostDrift) -> AdoptHost {
    AdoptHost {
        drift: drift.digest,
        reason: "an emergency fix".to_owned(),
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whatever_drifts_is_noted_once_when_it_begins_and_once_when_it_ends(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(drift(&fleet, &pool).await, None);
    let name = agents[0].name.to_string();
    let (released, by_hand) = (closure(&name, 1), closure(&name, 7));

    agents[0].live = Some(by_hand.clone());
    agents[0].boot_default = Some(by_hand.clone());
    agents[0].overrides = Some(vec![drop_in("1")]);
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    let kinds_of = |seen: &HostDrift| seen.items.iter().map(|item| item.kind).collect::<Vec<_>>();
    assert_eq!(
        kinds_of(&seen),
        [DriftKind::Live, DriftKind::Profile, DriftKind::Unit]
    );
    for item in &seen.items[..2] {
        assert_eq!(
            (item.expected.as_str(), item.found.as_str()),
            (released.as_str(), by_hand.as_str())
        );
    }
    // For people it is a release, where a rollout was of it.
    let named = seen.named(released.as_str());
    assert!(named.starts_with("#1"), "{named}");
    assert_eq!(seen.named(by_hand.as_str()), by_hand.as_str());
    // It stays, with the time at which it began, and is said once.
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(drift(&fleet, &pool).await.as_ref(), Some(&seen));
    let begun = noted(&fleet, "host.drifted").await;
    let cause = "3 things drift: 1 live, 1 profile, 1 unit".to_owned();
    assert_eq!(begun, [(released.to_string(), by_hand.to_string(), cause)]);
    assert_eq!(noted(&fleet, "host.drift_ended").await, []);

    // What a person puts right ends, and the rest stays.
    agents[0].overrides = Some(Vec::new());
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, [DriftKind::Live, DriftKind::Profile]);
    let ended = noted(&fleet, "host.drift_ended").await;
    assert_eq!((ended.len(), ended[0].1.contains("50-x.conf")), (1, true));

    // So does everything when the release is rolled out again; while it is, nothing begins and nothing ends.
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    for _ in 0..3 {
        settle(&fleet.store, &lease).await.unwrap();
        sync(&fleet, &mut agents[0]).await;
        let host = fleet.store.get_host_by_name(&agents[0].name).await.unwrap().value;
        assert_eq!(
            host.drift.map(|drift| drift.items.len()),
            Some(2),
            "{:?}",
            host.step
        );
    }
    drive(&fleet, &mut agents, &lease).await;
    assert_eq!(drift(&fleet, &pool).await, None);
    assert_eq!(noted(&fleet, "host.drifted").await.len(), 1);
    let ended = noted(&fleet, "host.drift_ended").await;
    assert_eq!(ended.len(), 2);
    assert!(
        ended[1]
            .2
            .starts_with("2 things no longer drift (1 live, 1 profile)"),
        "{ended:?}"
    );
    assert_eq!(fleet.store.verify_chain(&fleet.key).await.unwrap().problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_row_that_cannot_be_read_keeps_no_other_host_from_being_compared(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    let (broken, sound) = (agents[0].name.clone(), agents[1].name.clone());
    let by_hand = closure(sound.as_str(), 7);
    agents[1].live = Some(by_hand.clone());
    agents[1].sync(&fleet.store).await;
    sql(
        &pool,
        &format!("UPDATE hosts SET live = 'broken' WHERE name = '{broken}'"),
    )
    .await;
    rest(&pool).await;
    assert_eq!(fleet.store.note_drift(None, &fleet.key).await.unwrap(), 1);
    let seen = fleet.store.get_host_by_name(&sound).await.unwrap().value.drift;
    assert_eq!(seen.unwrap().items[0].kind, DriftKind::Live);
    let begun = noted(&fleet, "host.drifted").await;
    assert_eq!((begun.len(), begun[0].1.as_str()), (1, by_hand.as_str()));
    // Once its row can be read, the host is compared again.
    let mended = closure(broken.as_str(), 7);
    let mend = format!("UPDATE hosts SET live = '{mended}' WHERE name = '{broken}'");
    sql(&pool, &mend).await;
    assert_eq!(fleet.store.note_drift(None, &fleet.key).await.unwrap(), 1);
    assert_eq!(noted(&fleet, "host.drifted").await[1].1, mended.as_str());
}

/// An attempt that failed brings the host back to what drifted, which is no less drift for that.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_attempt_that_goes_back_leaves_drift_as_it_was(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    agents[0].live = Some(closure(agents[0].name.as_str(), 7));
    sync(&fleet, &mut agents[0]).await;
    let before = drift(&fleet, &pool).await.unwrap();
    agents[0].failing = true;
    fleet.rollout(2).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(drift(&fleet, &pool).await, Some(before));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_was_away_is_behind_until_it_is_rolled_or_accepted(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    // As if the second release had passed it by.
    fleet.rollout(2).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let away = agents[0].name.clone();
    sql(
        &pool,
        "UPDATE steps SET state = 'skipped' WHERE id = (SELECT s.id FROM steps s JOIN hosts h ON h.id = s.host_id
             WHERE h.name = 'prod-0' ORDER BY s.seq DESC LIMIT 1)",
    )
    .await;
    agents[0].live = Some(closure(away.as_str(), 1));
    agents[0].boot_default = Some(closure(away.as_str(), 1));
    sync(&fleet, &mut agents[0]).await;
    let seen = drift(&fleet, &pool).await.unwrap();
    assert_eq!(seen.items.len(), 1);
    assert_eq!(seen.items[0].kind, DriftKind::Behind);
    assert_eq!(seen.items[0].expected, closure(away.as_str(), 2).to_string());

    let by = ada(&fleet.key);
    let host = fleet
        .store
        .adopt_host(&away, &adopt(&seen), &by)
        .await
        .unwrap()
        .value;
    assert_eq!(host.drift, None);
    let accepted = host.accepted.unwrap();
    let release = host.step.and_then(|step| step.release).unwrap();
    assert_eq!(accepted.release, Some(release.id));
    assert_eq!(
        drift(&fleet, &pool).await,
        None,
        "it is accepted for this release"
    );
    // The next release that passes it by is another matter.
    let third = fleet.rollout(3).await;
    sql(&pool, "UPDATE steps SET state = 'skipped' WHERE host_id = (SELECT id FROM hosts WHERE name = 'prod-0') AND state = 'waiting'").await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(
        fleet.store.get_rollout(third).await.unwrap().summary.state,
        RolloutState::Succeeded
    );
    assert_eq!(kinds(&fleet, &pool).await, [DriftKind::Behind]);
}

/// A rollout that waits hides nothing: it may wait for weeks. Nor does one of other hosts.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_hides_who_is_behind_only_while_it_changes_that_host(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    for version in [1, 2] {
        fleet.rollout(version).await;
        drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    }
    // As if the second release had passed it by.
    sql(
        &pool,
        "UPDATE steps SET state = 'skipped' WHERE id = (SELECT s.id FROM steps s JOIN hosts h ON h.id = s.host_id
             WHERE h.name = 'prod-0' ORDER BY s.seq DESC LIMIT 1)",
    )
    .await;
    let third = fleet.rollout(3).await;
    let states = [
        ("state = 'rolling', hold = NULL", false),
        ("state = 'rolling', hold = '{}'", true),
        ("state = 'staging', hold = NULL", false),
        ("state = 'paused', hold = NULL", true),
        ("state = 'pending_approval', hold = NULL", true),
    ];
    agents[0].live = Some(closure("prod-0", 1));
    agents[0].boot_default = Some(closure("prod-0", 1));
    sync(&fleet, &mut agents[0]).await;
    for (state, told) in states {
        sql(&pool, "UPDATE hosts SET drift = '[]'").await;
        sql(
            &pool,
            &format!("UPDATE rollouts SET {state} WHERE id = '{third}'"),
        )
        .await;
        let expected: &[DriftKind] = if told { &[DriftKind::Behind] } else { &[] };
        assert_eq!(kinds(&fleet, &pool).await, expected, "{state}");
    }
    sql(&pool, "UPDATE hosts SET drift = '[]'").await;
    sql(
        &pool,
        &format!(
            "UPDATE steps SET state = 'committed' WHERE rollout_id = '{third}'
                AND host_id = (SELECT id FROM hosts WHERE name = 'prod-0')"
        ),
    )
    .await;
    agents[0].live = Some(closure("prod-0", 3));
    agents[0].boot_default = Some(closure("prod-0", 3));
    sync(&fleet, &mut agents[0]).await;
    sql(
        &pool,
        &format!("UPDATE rollouts SET state = 'paused' WHERE id = '{third}'"),
    )
    .await;
    assert_eq!(kinds(&fleet, &pool).await, [], "it is ahead");
    sql(
        &pool,
        &format!(
            "DELETE FROM steps WHERE rollout_id = '{third}' AND host_id = (SELECT id FROM hosts WHERE name = 'prod-0')"
        ),
    )
    .await;
    agents[0].live = Some(closure("prod-0", 1));
    agents[0].boot_default = Some(closure("prod-0", 1));
    sync(&fleet, &mut agents[0]).await;
    sql(
        &pool,
        &format!("UPDATE rollouts SET state = 'rolling' WHERE id = '{third}'"),
    )
    .await;
    assert_eq!(
        kinds(&fleet, &pool).await,
        [DriftKind::Behind],
        "it is of other hosts"
    );
}

/// A rollout may have some hosts of its release only: the others are not behind it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_a_rollout_left_alone_is_not_behind(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    fleet.rollout(2).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    sql(
        &pool,
        "DELETE FROM steps WHERE id = (SELECT s.id FROM steps s JOIN hosts h ON h.id = s.host_id
             WHERE h.name = 'prod-0' ORDER BY s.seq DESC LIMIT 1)",
    )
    .await;
    agents[0].live = Some(closure("prod-0", 1));
    agents[0].boot_default = Some(closure("prod-0", 1));
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, []);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_machine_that_comes_back_under_its_name_is_seen_for_the_first_time(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let (name, by) = (agents[0].name.clone(), ada(&fleet.key));
    fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    fleet.store.retire_host(&name, &by).await.unwrap();
    fleet
        .store
        .restore_host(&name, None, TokenHash::of("slw_x"), &by)
        .await
        .unwrap();
    agents[0].live = Some(closure(name.as_str(), 9));
    agents[0].boot_default = Some(closure(name.as_str(), 9));
    agents[0].boot_id = "another".to_owned();
    sync(&fleet, &mut agents[0]).await;
    assert_eq!(kinds(&fleet, &pool).await, [DriftKind::Behind]);
}
