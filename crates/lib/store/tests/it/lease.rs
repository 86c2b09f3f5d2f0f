//! Leases.

use std::collections::{HashMap, HashSet};

use slipway_domain::RolloutId;
use slipway_domain::decide::{Change, Effect};
use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{RolloutState, StepState};
use slipway_store::{Lease, NewCommand, Store, StoreError};
use slipway_testkit::{audit_key, begin};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Fleet, SECONDS, claim, settings, settle, sql, store};

/// Claims for no time: so the worker's leases run out at once.
async fn end_leases(store: &Store, worker: &str) {
    store.claim_rollouts(worker, 0, 10).await.unwrap();
}

fn pause() -> Change {
    Change {
        effect: Effect::Rollout {
            from: RolloutState::Staging,
            to: RolloutState::Paused,
            scope: None,
            awaits_verdict: false,
        },
        actor: Actor::Rules,
        cause: "a test".to_owned(),
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_lease_is_held_by_one_worker(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let store = &fleet.store;
    assert!(
        store.claim_rollouts("a", SECONDS, 10).await.unwrap().is_empty(),
        "nothing to do"
    );
    let rollout = fleet.rollout(1).await;
    let first = claim(store, "a").await;
    assert_eq!((first.rollout, first.epoch), (rollout, 1));
    assert_eq!(claim(store, "a").await, first, "its own, again");
    assert!(store.claim_rollouts("b", SECONDS, 10).await.unwrap().is_empty());

    end_leases(store, "a").await;
    let second = claim(store, "b").await;
    assert_eq!(second.epoch, 2);
    let error = store.load_snapshot(&first, &fleet.key).await.unwrap_err();
    assert!(matches!(error, StoreError::StaleLease { .. }), "{error}");
    store.release_lease(&first).await.unwrap();
    assert!(
        store.claim_rollouts("a", SECONDS, 10).await.unwrap().is_empty(),
        "b has it still"
    );
    store.release_lease(&second).await.unwrap();
    assert_eq!(
        claim(store, "b").await.epoch,
        3,
        "back to the same one is a change of hands too"
    );
}

/// Invariant 8.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_stale_lease_writes_nothing(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let store = &fleet.store;
    let rollout = fleet.rollout(1).await;
    let old = claim(store, "a").await;
    end_leases(store, "a").await;
    let new = claim(store, "b").await;
    let before = (
        store.get_rollout(rollout).await.unwrap(),
        store.event_head().await.unwrap(),
    );

    let error = store.apply(&old, &[pause()], &fleet.key).await.unwrap_err();
    assert!(error.to_string().contains("epoch 2 now, 1 here"), "{error}");
    assert!(matches!(
        store.load_snapshot(&old, &audit_key()).await,
        Err(StoreError::StaleLease { .. })
    ));
    let guessed = Lease {
        owner: "a".to_owned(),
        ..new.clone()
    };
    let error = store.apply(&guessed, &[pause()], &fleet.key).await.unwrap_err();
    assert!(matches!(error, StoreError::StaleLease { .. }), "{error}");
    assert_eq!(
        (
            store.get_rollout(rollout).await.unwrap(),
            store.event_head().await.unwrap()
        ),
        before
    );

    store.apply(&new, &[pause()], &fleet.key).await.unwrap();
    store.release_lease(&new).await.unwrap();
    let error = store.apply(&new, &[], &fleet.key).await.unwrap_err();
    assert!(error.to_string().contains("given back"), "{error}");
}

/// A worker that was away between its lock and its commit: whoever comes next waits for the outcome.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nobody_takes_a_lease_while_a_write_under_it_is_under_way(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    fleet.rollout(1).await;
    end_leases(&fleet.store, "a").await;
    let mut writer = begin(&pool).await;
    sqlx::query("SELECT FROM rollouts FOR NO KEY UPDATE")
        .execute(&mut *writer)
        .await
        .unwrap();
    assert!(
        fleet
            .store
            .claim_rollouts("b", SECONDS, 10)
            .await
            .unwrap()
            .is_empty()
    );
    writer.rollback().await.unwrap();
    assert_eq!(claim(&fleet.store, "b").await.epoch, 2);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn workers_that_race_never_share_a_lease(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let seed = store(&pool);
    let mut rollouts = Vec::new();
    for n in 0..6 {
        let fleet = Fleet::of(1).environment(&format!("env{n}")).seed(&seed).await;
        rollouts.push(fleet.rollout(1).await);
    }
    let wide = Store::connect(&settings(&connect, None), "race");
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = wide.clone();
            tokio::spawn(async move {
                let mut held = Vec::new();
                for _ in 0..20 {
                    // Now and then a lease that runs out at once, so that leases change hands all the time.
                    let seconds = if n % 2 == 0 { 0 } else { SECONDS };
                    for lease in store.claim_rollouts(&format!("w{n}"), seconds, 2).await.unwrap() {
                        held.push(lease.clone());
                        if n % 2 == 1 {
                            store.release_lease(&lease).await.unwrap();
                        }
                    }
                }
                held
            })
        })
        .collect();
    let mut owners: HashMap<(RolloutId, i64), String> = HashMap::new();
    for task in tasks {
        for lease in task.await.unwrap() {
            let owner = owners
                .entry((lease.rollout, lease.epoch))
                .or_insert_with(|| lease.owner.clone());
            assert_eq!(
                *owner, lease.owner,
                "two workers had epoch {} of {}",
                lease.epoch, lease.rollout
            );
        }
    }
    assert!(owners.len() > rollouts.len(), "leases changed hands");
    let all = wide.claim_rollouts("last", SECONDS, 10).await.unwrap();
    wide.close().await;
    assert!(all.len() <= rollouts.len());
    let epochs: Vec<i64> = sqlx::query_scalar("SELECT lease_epoch FROM rollouts")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert!(
        epochs.iter().all(|epoch| *epoch > 0),
        "every one was taken: {epochs:?}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_that_is_over_is_taken_up_for_a_host_that_mended(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let store = &fleet.store;
    let rollout = fleet.rollout(1).await;
    settle(store, &claim(store, "w").await).await.unwrap();
    let none = async || store.claim_rollouts("w", SECONDS, 10).await.unwrap().is_empty();
    assert!(none().await, "it is over");

    // As if its one host had been left stuck.
    let attempt = uuid::Uuid::from_u128(7);
    let prior = slipway_testkit::closure("prod-0", 0);
    sqlx::query("UPDATE steps SET state = 'stuck', attempt = $1, prior = $2, reason = 'no way back'")
        .bind(attempt)
        .bind(prior.as_str())
        .execute(&pool)
        .await
        .unwrap();
    sql(&pool, "UPDATE rollouts SET state = 'failed'").await;
    assert!(none().await, "nothing was heard of the host");
    let report = async |phase: &str, attempt: uuid::Uuid| {
        sqlx::query("UPDATE hosts SET last_seen_at = now(), heard_at = now(), report = $1")
            .bind(serde_json::json!({"attempt": attempt, "phase": phase}))
            .execute(&pool)
            .await
            .unwrap();
    };
    report("stuck", attempt).await;
    assert!(none().await, "still stuck");
    report("reverted", uuid::Uuid::from_u128(8)).await;
    assert!(none().await, "another attempt");
    report("reverted", attempt).await;

    let lease = claim(store, "w").await;
    let applied = settle(store, &lease).await.unwrap();
    assert_eq!(applied.len(), 1);
    let step = store.get_rollout(rollout).await.unwrap().steps.remove(0);
    assert_eq!(step.state, StepState::Reverted);
    assert_eq!(step.reason.as_deref(), Some("mended by itself: no way back"));
    assert!(none().await, "and that is all");

    // An agent that lost its journal, seen on the prior.
    sql(
        &pool,
        "UPDATE steps SET state = 'stuck', since = now() - interval '1 hour'",
    )
    .await;
    sqlx::query("UPDATE hosts SET report = NULL, live = $1, boot_default = $1")
        .bind(prior.as_str())
        .execute(&pool)
        .await
        .unwrap();
    settle(store, &claim(store, "w").await).await.unwrap();
    assert_eq!(
        store.get_rollout(rollout).await.unwrap().steps[0].state,
        StepState::Reverted
    );
    assert!(none().await);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn rollouts_that_wait_for_people_keep_no_other_from_its_turn(pool: PgPool) {
    let store = store(&pool);
    let mut waiting = Vec::new();
    for n in 0..5 {
        let fleet = Fleet::of(1).environment(&format!("env-{n}")).approval_required();
        let fleet = fleet.seed(&store).await;
        waiting.push(fleet.rollout(1).await);
    }
    let turn = async |most: u32| -> Vec<RolloutId> {
        let leases = store.claim_rollouts("w", SECONDS, most).await.unwrap();
        leases.iter().map(|lease| lease.rollout).collect()
    };
    assert_eq!(turn(3).await.len(), 3);
    assert_eq!(turn(3).await.len(), 3);

    let fleet = Fleet::of(1).environment("busy").seed(&store).await;
    let busy = fleet.rollout(1).await;
    for _ in 0..5 {
        sql(
            &pool,
            "UPDATE rollouts SET driven_at = now() WHERE state = 'pending_approval'",
        )
        .await;
        assert!(turn(1).await.contains(&busy), "the others stand back");
    }
    // What a person asks for comes before everything else.
    let aborted = waiting[4];
    store
        .request_command(
            NewCommand::new(aborted, CommandKind::Abort, fleet.approver.id),
            &fleet.key,
        )
        .await
        .unwrap();
    let leases = store.claim_rollouts("w", SECONDS, 1).await.unwrap();
    assert_eq!(leases[0].rollout, aborted);
    settle(&store, &leases[0]).await.unwrap();
    let state = store.get_rollout(aborted).await.unwrap().summary.state;
    assert_eq!(state, RolloutState::Aborted);

    // Each gets its turn in the end, whatever else there is to do.
    sql(
        &pool,
        "UPDATE rollouts SET driven_at = driven_at - interval '1 minute'",
    )
    .await;
    let mut seen: HashSet<RolloutId> = HashSet::new();
    for _ in 0..3 {
        seen.extend(turn(2).await);
    }
    assert!(
        waiting[..4].iter().all(|rollout| seen.contains(rollout)),
        "{seen:?}"
    );
}
