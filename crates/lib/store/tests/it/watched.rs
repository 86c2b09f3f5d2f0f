//! What metrics say of the fleet.

use slipway_domain::drift::DriftKind;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{RolloutState, StepState};
use slipway_store::NewCommand;
use slipway_store::fleet::{Waiting, WatchedHost};
use slipway_testkit::closure;
use sqlx::PgPool;

use crate::support::{Fleet, agents, claim, drive, settle, sql, store};

async fn watched(fleet: &Fleet) -> Vec<WatchedHost> {
    fleet.store.watch_fleet().await.unwrap().hosts
}

/// What drifts on each host, once a worker has looked.
async fn drifting(fleet: &Fleet, pool: &PgPool) -> Vec<Option<Vec<DriftKind>>> {
    sql(pool, "UPDATE hosts SET drift_noted_at = NULL").await;
    fleet.store.note_drift(None, &fleet.key).await.unwrap();
    watched(fleet).await.into_iter().map(|host| host.drift).collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_is_out_while_a_rollout_works_on_it(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    let nobody = watched(&fleet).await;
    assert!(
        nobody
            .iter()
            .all(|host| host.last_seen_at.is_none() && host.out.is_none())
    );
    fleet.rollout(1).await;
    let lease = claim(&fleet.store, "w").await;
    let mut seen = Vec::new();
    for _ in 0..20 {
        for agent in &mut agents {
            agent.sync(&fleet.store).await;
        }
        settle(&fleet.store, &lease).await.unwrap();
        seen.extend(watched(&fleet).await.into_iter().filter_map(|host| host.out));
    }
    assert!(seen.contains(&StepState::Activating), "{seen:?}");
    let after = watched(&fleet).await;
    assert!(
        after
            .iter()
            .all(|host| host.last_seen_at.is_some() && host.out.is_none())
    );
    assert_eq!(after[0].environment.as_str(), "prod");

    sql(&pool, "UPDATE steps SET state = 'stuck'").await;
    assert!(watched(&fleet).await.iter().all(WatchedHost::is_stuck));
    sql(&pool, "UPDATE hosts SET retired_at = now() WHERE name = 'prod-0'").await;
    assert_eq!(watched(&fleet).await.len(), 1);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_drifts_when_it_is_not_as_slipway_left_it_or_behind_the_last_good_release(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let mut agents = agents(&fleet);
    assert_eq!(drifting(&fleet, &pool).await, [None, None], "nobody has come yet");
    for agent in &mut agents {
        agent.sync(&fleet.store).await;
    }
    let none = || Some(Vec::new());
    assert_eq!(
        drifting(&fleet, &pool).await,
        [none(), none()],
        "the first sight is no drift"
    );
    let rollout = fleet.rollout(1).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    let state = fleet.store.get_rollout(rollout).await.unwrap().summary.state;
    assert_eq!(state, RolloutState::Succeeded);
    assert_eq!(drifting(&fleet, &pool).await, [none(), none()]);

    agents[1].live = Some(closure("prod-1", 7));
    agents[1].sync(&fleet.store).await;
    assert_eq!(
        drifting(&fleet, &pool).await,
        [none(), Some(vec![DriftKind::Live])]
    );

    // A release that went back is not what hosts should run.
    agents[1].live = Some(closure("prod-1", 1));
    agents[0].failing = true;
    fleet.rollout(2).await;
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(drifting(&fleet, &pool).await, [none(), none()]);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_waits_for_an_approval_for_a_person_or_for_a_verdict(pool: PgPool) {
    let fleet = Fleet::of(1).approval_required().seed(&store(&pool)).await;
    agents(&fleet)[0].sync(&fleet.store).await;
    assert_eq!(fleet.store.watch_fleet().await.unwrap().waiting, []);
    let rollout = fleet.rollout(1).await;
    sql(&pool, "UPDATE rollouts SET since = now() - interval '90 minutes'").await;
    let waiting = fleet.store.watch_fleet().await.unwrap().waiting;
    assert_eq!((waiting.len(), waiting[0].rollout), (1, rollout));
    assert_eq!(waiting[0].reason, Waiting::Approval);
    assert!((5400.0..5500.0).contains(&waiting[0].seconds), "{waiting:?}");

    let asked = fleet.store.request_command(
        NewCommand::new(rollout, CommandKind::Approve, fleet.approver.id),
        &fleet.key,
    );
    asked.await.unwrap();
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    assert_eq!(
        fleet.store.watch_fleet().await.unwrap().waiting,
        [],
        "it is staging"
    );
    for (change, reason) in [("NULL", Waiting::Paused), ("now()", Waiting::Verdict)] {
        let paused =
            format!("UPDATE rollouts SET state = 'paused', since = now(), awaits_verdict_since = {change}");
        sql(&pool, &paused).await;
        let waiting = fleet.store.watch_fleet().await.unwrap().waiting;
        assert_eq!(waiting[0].reason, reason);
    }
}
