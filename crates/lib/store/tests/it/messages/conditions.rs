//! What lasts and is no event.

use slipway_domain::MessageKind;
use slipway_store::messages::Lasting;
use sqlx::PgPool;

use super::{deliveries, kinds, make, slack};
use crate::support::{Fleet, agents, sql, store};

const LASTING: Lasting = Lasting {
    silent_seconds: Some(300),
    remind_seconds: 3_600,
};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn silent_agents_are_told_together_and_once(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    let fleet = Fleet::of(3).seed(&store).await;
    let mut agents = agents(&fleet);
    // The third was never heard of: its agent may not be there yet.
    for agent in &mut agents[..2] {
        agent.sync(&store).await;
    }
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 0);
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() - interval '6 minutes' WHERE last_seen_at IS NOT NULL",
    )
    .await;
    let unwatched = Lasting {
        silent_seconds: None,
        ..LASTING
    };
    assert_eq!(
        store.queue_conditions(unwatched).await.unwrap(),
        0,
        "nobody could have heard them"
    );
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 1);
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 0, "once");
    assert_eq!(
        store.queue_conditions(unwatched).await.unwrap(),
        0,
        "nor is it over because nobody looks"
    );
    let silent = deliveries(&store, "ops").await.remove(0).message;
    assert_eq!(
        (silent.kind, silent.data.host_count),
        (MessageKind::AgentSilent, 2)
    );
    assert!(silent.data.since.is_some());
    agents[0].sync(&store).await;
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 1);
    let heard = deliveries(&store, "ops").await.pop().unwrap().message;
    assert_eq!(
        (heard.kind, &heard.data.hosts[0].name),
        (MessageKind::AgentHeard, &agents[0].name)
    );
    // And again, which is a message of its own.
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() - interval '6 minutes' WHERE last_seen_at IS NOT NULL",
    )
    .await;
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 1);
    assert_eq!(
        kinds(&store, "ops").await,
        [
            MessageKind::AgentSilent,
            MessageKind::AgentHeard,
            MessageKind::AgentSilent
        ]
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn late_backups_and_drills_are_told_until_they_are_well(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    let fleet = Fleet::of(1).seed(&store).await;
    let facts = |text: &str| {
        format!(
            "INSERT INTO host_facts (host_id, facts) SELECT id, '{text}' FROM hosts
             ON CONFLICT (host_id) DO UPDATE SET facts = excluded.facts, at = now()"
        )
    };
    let late = r#"{"backups": [
        {"stack": "shop", "kind": "dump", "last_success": null, "ok": false, "problem": "password hunter2"},
        {"stack": "shop", "kind": "drill", "last_success": null, "ok": false},
        {"stack": "<b>", "kind": "dump", "last_success": null, "ok": false},
        {"stack": "docs", "kind": "dump", "last_success": null, "ok": true}]}"#;
    sql(&pool, &facts(late)).await;
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 2);
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 0);
    let all = deliveries(&store, "ops").await;
    let told: Vec<_> = all
        .iter()
        .map(|one| {
            (
                one.message.kind,
                one.message.data.hosts[0].detail.clone().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (MessageKind::BackupLate, "dump of shop".to_owned()),
            (MessageKind::DrillLate, "drill of shop".to_owned()),
        ]
    );
    assert_eq!(all[0].message.data.hosts[0].name, fleet.host(0).0);
    assert!(
        !serde_json::to_string(&all).unwrap().contains("hunter2"),
        "what a host says is not told"
    );
    sql(&pool, &facts(r#"{"backups": []}"#)).await;
    assert_eq!(store.queue_conditions(LASTING).await.unwrap(), 2);
    assert_eq!(
        kinds(&store, "ops").await[2..],
        [MessageKind::BackupWell, MessageKind::DrillWell]
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn people_are_reminded_of_a_rollout_until_it_is_approved(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    let fleet = Fleet::of(1).approval_required().seed(&store).await;
    let rollout = fleet.rollout(1).await;
    store.queue_events().await.unwrap();
    let look = async || store.queue_conditions(LASTING).await.unwrap();
    assert_eq!(look().await, 0, "the event was the first word");
    sql(&pool, "UPDATE rollouts SET since = now() - interval '61 minutes'").await;
    let never = Lasting {
        remind_seconds: 0,
        ..LASTING
    };
    assert_eq!(store.queue_conditions(never).await.unwrap(), 0);
    assert_eq!((look().await, look().await), (1, 0));
    sql(
        &pool,
        "UPDATE conditions SET told_at = now() - interval '61 minutes'",
    )
    .await;
    assert_eq!((look().await, look().await), (1, 0));
    let all = deliveries(&store, "ops").await;
    let reminders: Vec<_> = all
        .iter()
        .map(|one| (one.message.kind, one.message.data.reminder))
        .collect();
    assert_eq!(reminders, [0, 1, 2].map(|n| (MessageKind::ApprovalWanted, n)));
    assert!(
        all.iter()
            .all(|one| one.message.data.rollout == Some(rollout) && one.message.data.release.is_some())
    );
    sql(&pool, "UPDATE rollouts SET state = 'staging'; UPDATE conditions SET told_at = now() - interval '61 minutes'").await;
    assert_eq!(look().await, 0);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM conditions")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// Two workers look at once.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_lasts_is_told_once_by_however_many_workers(pool: PgPool) {
    let store = store(&pool);
    make(&store, slack("ops")).await;
    let fleet = Fleet::of(1).seed(&store).await;
    agents(&fleet)[0].sync(&store).await;
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() - interval '6 minutes'",
    )
    .await;
    let workers = (0..8).map(|_| store.queue_conditions(LASTING));
    futures_util::future::try_join_all(workers).await.unwrap();
    store.queue_conditions(LASTING).await.unwrap();
    assert_eq!(kinds(&store, "ops").await, [MessageKind::AgentSilent]);
}
