//! What a decision looks at.

use slipway_domain::snapshot::{CommandKind, RevertScope};
use slipway_domain::{RolloutState, StepState, Strategy};
use slipway_store::NewCommand;
use slipway_testkit::{ScriptedAgent, audit_key, closure};
use sqlx::PgPool;

use StepState as S;

use crate::support::{Fleet, ada, agents, claim, sql, store, to, wave};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_snapshot_is_the_rollout_as_it_stands(pool: PgPool) {
    let strategy = Strategy {
        retries: 2,
        ..Strategy::default()
    };
    let fleet = Fleet::of(4).strategy(strategy.clone()).seed(&store(&pool)).await;
    let store = &fleet.store;
    let mut plan = fleet.plan(fleet.release(1).await);
    plan.waves = vec![wave(0, &["prod-2"]), wave(1, &["prod-1", "prod-0"])];
    let id = store.create_rollout(&plan, &fleet.key).await.unwrap();
    let mut agent = agents(&fleet).remove(2);
    agent.unsettled = Some(slipway_domain::AttemptId::random());
    agent.sync(store).await;
    for (kind, reason) in [(CommandKind::Pause, Some("lunch")), (CommandKind::Abort, None)] {
        store
            .request_command(
                NewCommand {
                    reason,
                    ..NewCommand::new(id, kind, fleet.approver.id)
                },
                &fleet.key,
            )
            .await
            .unwrap();
    }
    let (snapshot, now) = store
        .load_snapshot(&claim(store, "w").await, &audit_key())
        .await
        .unwrap();
    assert!((store.now().await.unwrap() - now).num_seconds() < 5);
    assert_eq!(
        (snapshot.rollout.id, snapshot.rollout.state),
        (id, RolloutState::Staging)
    );
    assert_eq!(
        (snapshot.rollout.author, snapshot.rollout.scope),
        (fleet.author.id, None)
    );
    assert_eq!(snapshot.rollout.strategy, strategy);
    assert_eq!(snapshot.fleet_size, 4, "also the host without a step");
    let steps: Vec<_> = snapshot
        .steps
        .iter()
        .map(|step| (step.wave, step.name.as_str()))
        .collect();
    assert_eq!(steps, [(0, "prod-2"), (1, "prod-0"), (1, "prod-1")]);
    let seen = &snapshot.steps[0].observed;
    assert_eq!(
        (&seen.live, &seen.boot_default),
        (&agent.live, &agent.boot_default)
    );
    assert!(seen.is_online(now) && !snapshot.steps[1].observed.is_online(now));
    assert_eq!(seen.unsettled, agent.unsettled);
    assert_eq!(snapshot.steps[0].closure, closure("prod-2", 1));
    let commands: Vec<_> = snapshot
        .commands
        .iter()
        .map(|c| (c.kind, c.actor.name(), c.reason.as_deref()))
        .collect();
    assert_eq!(
        commands,
        [
            (CommandKind::Pause, "grace", Some("lunch")),
            (CommandKind::Abort, "grace", None)
        ]
    );

    store
        .retire_host(&fleet.host(3).0, &ada(&fleet.key))
        .await
        .unwrap();
    sql(
        &pool,
        "UPDATE rollouts SET state = 'reverting', scope = 'in_flight', reason = 'told to'",
    )
    .await;
    let (snapshot, _) = store
        .load_snapshot(&claim(store, "w").await, &audit_key())
        .await
        .unwrap();
    assert_eq!(snapshot.fleet_size, 3);
    assert_eq!(snapshot.rollout.scope, Some(RevertScope::InFlight));
    assert_eq!(snapshot.rollout.reason.as_deref(), Some("told to"));
}

/// A rollout that is over, with the step of each host in the given state since a minute ago.
async fn leave(fleet: &Fleet, pool: &PgPool, version: u32, states: &[(usize, StepState)]) {
    let id = fleet.rollout(version).await;
    for (n, state) in states {
        sqlx::query(
            "UPDATE steps SET state = $1, since = now() - interval '1 minute', attempt = gen_random_uuid(),
                    prior = CASE WHEN $1 <> 'skipped' THEN closure END
             WHERE rollout_id = $2 AND host_id = $3",
        )
        .bind(state.as_str())
        .bind(id.as_uuid())
        .bind(fleet.host(*n).1.as_uuid())
        .execute(pool)
        .await
        .unwrap();
    }
    sqlx::query("UPDATE rollouts SET state = 'failed', finished_at = now() WHERE id = $1")
        .bind(id.as_uuid())
        .execute(pool)
        .await
        .unwrap();
}

/// Which hosts of the open rollout count as out before it, and how many others.
async fn out(fleet: &Fleet) -> (Vec<String>, Vec<String>) {
    let lease = claim(&fleet.store, "w").await;
    let (snapshot, _) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
    let before = snapshot.steps.iter().filter(|step| step.out_before);
    (
        before.map(|step| step.name.to_string()).collect(),
        snapshot
            .out_elsewhere
            .iter()
            .map(|host| host.name.to_string())
            .collect(),
    )
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hosts_that_an_earlier_rollout_left_out_count(pool: PgPool) {
    let fleet = Fleet::of(6).seed(&store(&pool)).await;
    let elsewhere = Fleet::of(1).environment("dev").seed(&fleet.store).await;
    leave(&elsewhere, &pool, 1, &[(0, StepState::Stuck)]).await;
    leave(
        &fleet,
        &pool,
        1,
        &[
            (0, S::Stuck),
            (1, S::Stuck),
            (2, S::Committed),
            (3, S::Stuck),
            (4, S::Reverted),
        ],
    )
    .await;
    // Skipped, because it was offline still: that says nothing about the host.
    leave(&fleet, &pool, 2, &[(0, S::Skipped), (3, S::Committed)]).await;

    let mut plan = fleet.plan(fleet.release(3).await);
    plan.waves = vec![wave(0, &["prod-0", "prod-2", "prod-3"])];
    fleet.store.create_rollout(&plan, &fleet.key).await.unwrap();
    assert_eq!(
        out(&fleet).await,
        (vec!["prod-0".to_owned()], vec!["prod-1".to_owned()])
    );
    // Being connected says nothing of what runs.
    sql(
        &pool,
        "UPDATE hosts SET last_seen_at = now() WHERE name IN ('prod-0', 'prod-1')",
    )
    .await;
    assert_eq!(
        out(&fleet).await,
        (vec!["prod-0".to_owned()], vec!["prod-1".to_owned()])
    );

    // Heard of since, and nothing is unsettled: it is back in service.
    let (name, id) = fleet.host(1);
    let mut agent = ScriptedAgent::new(id, name.clone(), None);
    agent.sync(&fleet.store).await;
    assert_eq!(out(&fleet).await, (vec!["prod-0".to_owned()], vec![]));
    // Its own agent says that it is out, whatever the steps say.
    agent.unsettled = Some(slipway_domain::AttemptId::random());
    agent.sync(&fleet.store).await;
    let (name, id) = fleet.host(2);
    let mut committed = ScriptedAgent::new(id, name, None);
    committed.unsettled = agent.unsettled;
    committed.sync(&fleet.store).await;
    assert_eq!(
        out(&fleet).await,
        (
            vec!["prod-0".to_owned(), "prod-2".to_owned()],
            vec!["prod-1".to_owned()]
        )
    );
    sql(&pool, "UPDATE hosts SET retired_at = now() WHERE name = 'prod-1'").await;
    assert!(
        out(&fleet).await.1.is_empty(),
        "a retired host is none of the fleet"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_comes_from_another_environment_while_a_rollout_is_open_counts(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let elsewhere = Fleet::of(1).environment("dev").seed(&fleet.store).await;
    fleet.rollout(1).await;
    // A later rollout leaves it out of service, and nothing was heard of it since.
    leave(&elsewhere, &pool, 1, &[(0, S::Stuck)]).await;
    assert_eq!(out(&fleet).await, (vec![], vec![]));
    let (name, prod) = (elsewhere.host(0).0, &fleet.environment.name);
    fleet
        .store
        .update_host(&name, &to(prod.as_str()), &ada(&fleet.key))
        .await
        .unwrap();
    assert_eq!(out(&fleet).await, (vec![], vec!["dev-0".to_owned()]));
}
