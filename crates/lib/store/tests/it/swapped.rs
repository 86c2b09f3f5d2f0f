//! What is swapped by hand on the way from an approval to a host stops there.

use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{AttemptPhase, Instruction, RolloutState, StepState};
use slipway_store::{EventAuthor, NewCommand, NewRollout, StoreError};
use sqlx::PgPool;

use crate::decided::{approve, state, waiting};
use crate::support::{Fleet, agents, claim, new_environment, refusals, settle, sql, store};

/// Between approval and staging nothing can be swapped unnoticed: the rollout stops, and an event says for what.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_that_was_swapped_after_its_approval_stops_with_an_event(pool: PgPool) {
    for (swap, found) in [
        (
            "UPDATE steps SET closure = replace(closure, 'system', 'evil') WHERE wave = 0",
            "strategy or a closure",
        ),
        (
            "UPDATE rollouts SET strategy = strategy || '{\"max_unavailable\": 3}'",
            "strategy or a closure",
        ),
        (
            "UPDATE rollout_commands SET principal_id = (SELECT id FROM principals WHERE name = 'ada')",
            "nobody gave it",
        ),
        (
            "UPDATE principals SET role = 'viewer' WHERE name = 'grace'",
            "principal",
        ),
        (
            "UPDATE tokens SET sha256 = sha256('guess') WHERE label = 'laptop' AND principal_id = (SELECT id FROM principals WHERE name = 'grace')",
            "owner of token",
        ),
    ] {
        sql(&pool, "TRUNCATE hosts, principals, environments CASCADE; ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events; ALTER TABLE events ENABLE TRIGGER USER; UPDATE event_head SET number = 0, hash = decode(repeat('00', 32), 'hex')").await;
        let (fleet, rollout) = waiting(&pool).await;
        let mut agents = agents(&fleet);
        for agent in &mut agents {
            agent.sync(&fleet.store).await;
        }
        approve(&fleet, rollout).await.unwrap();
        let lease = claim(&fleet.store, "w").await;
        let (snapshot, now) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
        assert_eq!(snapshot.swapped, None);
        let changes = slipway_domain::decide::decide(&snapshot, now, &mut slipway_domain::AttemptId::random);
        fleet.store.apply(&lease, &changes, &fleet.key).await.unwrap();
        assert_eq!(state(&fleet, rollout).await.0, RolloutState::Staging);
        assert!(sql(&pool, swap).await > 0);
        settle(&fleet.store, &lease).await.unwrap();
        let (stopped, why) = state(&fleet, rollout).await;
        assert_eq!(stopped, RolloutState::Paused, "{swap}: {why}");
        assert!(why.contains(found), "{swap}: {why}");
        let events = fleet.store.list_events(rollout, 0, 1000).await.unwrap();
        assert!(events.iter().any(|event| event.event.to.as_deref() == Some("paused") && event.event.cause.contains(found)));
        let steps = fleet.store.get_rollout(rollout).await.unwrap().steps;
        assert!(
            steps.iter().all(|step| step.attempt.is_none()),
            "{swap}: a host was told something"
        );
        // Going on takes the rollout being what was approved; giving it up does not.
        let ask = async |kind| {
            fleet
                .store
                .request_command(NewCommand::new(rollout, kind, fleet.author.id), &fleet.key)
                .await
                .unwrap();
            settle(&fleet.store, &lease).await.unwrap();
        };
        ask(CommandKind::Resume).await;
        assert_eq!(state(&fleet, rollout).await.0, RolloutState::Paused, "{swap}");
        ask(CommandKind::Abort).await;
        assert_eq!(state(&fleet, rollout).await.0, RolloutState::Aborted, "{swap}");
    }
}

/// After the worker's look, and before the host asks.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_is_told_nothing_that_was_swapped_since_the_worker_looked(pool: PgPool) {
    let (fleet, rollout) = waiting(&pool).await;
    let store = &fleet.store;
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        agent.sync(store).await;
    }
    let hosts: Vec<_> = fleet.hosts.values().copied().collect();
    let proved = async || {
        let assigned = store.find_assigned(&hosts).await.unwrap();
        store.instruct(assigned, &fleet.key).await.unwrap().len()
    };
    // By hand, and without anybody's approval.
    let drive = "UPDATE steps SET state = 'staging', attempt = gen_random_uuid()";
    sql(&pool, drive).await;
    assert_eq!(proved().await, 0, "{drive}");
    sql(&pool, "UPDATE steps SET state = 'waiting', attempt = NULL").await;

    approve(&fleet, rollout).await.unwrap();
    settle(store, &claim(store, "w").await).await.unwrap();
    assert_eq!(proved().await, hosts.len());
    sql(
        &pool,
        "CREATE TABLE kept AS SELECT s.id, s.state, s.attempt, s.closure, s.host_id, r.strategy
         FROM steps s JOIN rollouts r ON r.id = s.rollout_id",
    )
    .await;
    for swap in [
        "UPDATE steps SET closure = replace(closure, 'system', 'evil')",
        "UPDATE steps SET state = 'activating'",
        "UPDATE steps SET attempt = gen_random_uuid()",
        "UPDATE rollouts SET strategy = strategy || '{\"bake_seconds\": 0}'",
    ] {
        assert!(sql(&pool, swap).await > 0);
        assert_eq!(proved().await, 0, "{swap}");
        sql(
            &pool,
            "UPDATE steps s SET state = k.state, attempt = k.attempt, closure = k.closure FROM kept k WHERE k.id = s.id;
             UPDATE rollouts SET strategy = (SELECT strategy FROM kept LIMIT 1)",
        )
        .await;
        assert_eq!(proved().await, hosts.len(), "after {swap}");
    }
}

/// A host goes back to its prior, so the prior needs the same protection as a closure.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_prior_that_was_swapped_stops_the_rollout_and_is_told_to_nobody(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let rollout = fleet.rollout(1).await;
    let (_, host) = fleet.host(0);
    let lease = claim(&fleet.store, "w").await;
    let mut agents = agents(&fleet);
    let prior = agents[0].live.clone();
    let step = async || fleet.store.get_rollout(rollout).await.unwrap().steps.remove(0);
    while step().await.prior.is_none() {
        agents[0].sync(&fleet.store).await;
        settle(&fleet.store, &lease).await.unwrap();
    }
    assert_eq!(step().await.prior, prior);
    sql(&pool, "UPDATE steps SET prior = replace(prior, 'system', 'evil')").await;

    let (snapshot, _) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
    assert_eq!(snapshot.steps[0].prior, prior, "going back rests on the row");
    settle(&fleet.store, &lease).await.unwrap();
    let (stopped, why) = state(&fleet, rollout).await;
    assert_eq!(stopped, RolloutState::Paused);
    assert!(why.contains("the prior of step"), "{why}");

    fleet
        .store
        .request_command(
            NewCommand::new(rollout, CommandKind::Abort, fleet.author.id),
            &fleet.key,
        )
        .await
        .unwrap();
    settle(&fleet.store, &lease).await.unwrap();
    assert_eq!(step().await.state, StepState::Reverting);
    let told = async || {
        let assigned = fleet.store.find_assigned(&[host]).await.unwrap();
        let mut told = fleet.store.instruct(assigned, &fleet.key).await.unwrap();
        match told.remove(&host) {
            Some(Instruction::Revert { prior, .. }) => prior,
            told => panic!("going back is told all the same: {told:?}"),
        }
    };
    assert_eq!(told().await, None);
    sql(&pool, "UPDATE steps SET prior = replace(prior, 'evil', 'system')").await;
    assert_eq!(told().await, prior);
}

/// Between the worker's look and its writing.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_closure_that_was_swapped_since_the_snapshot_is_not_sealed(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    fleet.rollout(1).await;
    for agent in &mut agents(&fleet) {
        agent.sync(&fleet.store).await;
    }
    let lease = claim(&fleet.store, "w").await;
    let (snapshot, now) = fleet.store.load_snapshot(&lease, &fleet.key).await.unwrap();
    let changes = slipway_domain::decide::decide(&snapshot, now, &mut slipway_domain::AttemptId::random);
    sql(
        &pool,
        "UPDATE steps SET closure = replace(closure, 'system', 'evil')",
    )
    .await;
    let applied = fleet.store.apply(&lease, &changes, &fleet.key).await;
    assert!(matches!(applied, Err(StoreError::Tampered(_))), "{applied:?}");
}

/// What a host reports is written also while the plan is swapped; its event makes the swapped closure no decision.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_closure_that_was_swapped_while_hosts_activate_is_not_sealed_by_their_reports(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let rollout = fleet.rollout(1).await;
    let (_, host) = fleet.host(0);
    let lease = claim(&fleet.store, "w").await;
    let mut agents = agents(&fleet);
    let step = async || fleet.store.get_rollout(rollout).await.unwrap().steps.remove(0);
    while step().await.state != StepState::Activating {
        agents[0].sync(&fleet.store).await;
        settle(&fleet.store, &lease).await.unwrap();
    }
    sql(
        &pool,
        "UPDATE steps SET closure = replace(closure, 'system', 'evil')",
    )
    .await;
    let prior = agents[0].live.clone();
    let report = agents[0].report.as_mut().unwrap();
    (report.phase, report.prior) = (AttemptPhase::Verifying, prior);
    agents[0].sync(&fleet.store).await;
    settle(&fleet.store, &lease).await.unwrap();
    assert_eq!(step().await.state, StepState::Verifying, "the report is written");
    let (stopped, why) = state(&fleet, rollout).await;
    assert_eq!(stopped, RolloutState::Paused, "{why}");
    let mut assigned = fleet.store.find_assigned(&[host]).await.unwrap();
    assigned[0].report = None;
    let told = fleet.store.instruct(assigned, &fleet.key).await.unwrap();
    assert_eq!(told.len(), 0, "a host that lost its journal would be told it");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_command_that_nobody_gave_is_refused(pool: PgPool) {
    let (fleet, rollout) = waiting(&pool).await;
    let forge = async |kind: &str| {
        let insert = format!(
            "INSERT INTO rollout_commands (id, rollout_id, kind, principal_id)
             SELECT gen_random_uuid(), r.id, '{kind}', p.id FROM rollouts r, principals p WHERE p.name = 'grace'"
        );
        sql(&pool, &insert).await;
    };
    let lease = claim(&fleet.store, "w").await;
    for kind in ["approve", "abort"] {
        forge(kind).await;
        settle(&fleet.store, &lease).await.unwrap();
        assert_eq!(
            state(&fleet, rollout).await.0,
            RolloutState::PendingApproval,
            "{kind}"
        );
    }
    let why = Some("no event says that anybody asked for this".to_owned());
    assert_eq!(refusals(&pool).await, [why.clone(), why]);
}

/// Without an approval, by the state alone.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_approval_that_was_left_out_stops_the_rollout(pool: PgPool) {
    let (fleet, rollout) = waiting(&pool).await;
    sql(&pool, "UPDATE rollouts SET state = 'staging'").await;
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    let (stopped, why) = state(&fleet, rollout).await;
    assert_eq!(stopped, RolloutState::Paused);
    assert!(
        why.contains("waited for an approval, and nobody gave it"),
        "{why}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_is_not_started_on_rules_or_closures_that_were_swapped(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let release = fleet.release(1).await;
    for (swap, back) in [
        (
            "UPDATE environments SET strategy = '{\"retries\": 9}'",
            "UPDATE environments SET strategy = s FROM kept",
        ),
        (
            "UPDATE release_closures SET closure = replace(closure, 'system', 'evil')",
            "UPDATE release_closures SET closure = replace(closure, 'evil', 'system')",
        ),
        (
            "UPDATE principals SET role = 'admin' WHERE name = 'ada'",
            "UPDATE principals SET role = 'deployer' WHERE name = 'ada'",
        ),
        (
            "UPDATE hosts SET labels = '{\"rack\": \"b\"}'",
            "UPDATE hosts SET labels = '{}'",
        ),
    ] {
        sql(
            &pool,
            "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT strategy AS s FROM environments",
        )
        .await;
        sql(&pool, swap).await;
        let refused = fleet.store.create_rollout(&fleet.plan(release), &fleet.key).await;
        assert!(
            matches!(refused, Err(StoreError::Tampered(_))),
            "{swap}: {refused:?}"
        );
        sql(&pool, back).await;
    }
    fleet
        .store
        .create_rollout(&fleet.plan(release), &fleet.key)
        .await
        .unwrap();
}

/// A host in another environment is under other rules: it may need no approval there.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_rollout_takes_a_host_that_was_moved_by_hand_or_an_environment_that_was_deleted(pool: PgPool) {
    let fleet = Fleet::of(1).approval_required().seed(&store(&pool)).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    let lax = fleet
        .store
        .create_environment(&new_environment("lax"), &by)
        .await
        .unwrap();
    let release = fleet.release(1).await;
    let refused = async || {
        let plan = NewRollout {
            environment: lax.id,
            ..fleet.plan(release)
        };
        match fleet.store.create_rollout(&plan, &fleet.key).await {
            Err(StoreError::Tampered(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    sql(
        &pool,
        "UPDATE hosts SET environment_id = (SELECT id FROM environments WHERE name = 'lax')",
    )
    .await;
    let why = refused().await;
    assert!(why.contains("host prod-0 is not where event"), "{why}");

    sql(&pool, "UPDATE hosts SET retired_at = now()").await;
    fleet.store.delete_environment(&lax.name, &by).await.unwrap();
    sql(
        &pool,
        "UPDATE hosts SET retired_at = NULL; UPDATE environments SET deleted_at = NULL",
    )
    .await;
    let why = refused().await;
    assert!(why.contains("was taken out of use by event"), "{why}");
}
