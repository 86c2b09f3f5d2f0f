//! What was decided cannot be swapped by hand: `verify` finds it, and no host is told anything of it.

use std::fmt::Write as _;

use slipway_domain::RolloutState;
use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Share};
use slipway_domain::{RolloutId, Strategy};
use slipway_store::{By, NewEnvironment, NewToken, Permits, StoreError, TokenHash, TokenOwner};
use sqlx::PgPool;

use crate::support::{Fleet, agents, claim, drive, settle, sql, store};

/// A fleet whose environment asks for an approval, with tokens for both people and a rollout that waits.
async fn waiting(pool: &PgPool) -> (Fleet, RolloutId) {
    let fleet = Fleet::of(3).approval_required().seed(&store(pool)).await;
    for (n, person) in [&fleet.author, &fleet.approver].into_iter().enumerate() {
        let token = NewToken {
            owner: TokenOwner::Principal(person.id),
            label: "laptop".to_owned(),
            hash: TokenHash::of(&format!("slw_{n}")),
            parent: None,
            expires_in_seconds: None,
        };
        fleet
            .store
            .create_token(&token, &By::new(Actor::Console, &fleet.key))
            .await
            .unwrap();
    }
    let rollout = fleet.rollout(1).await;
    (fleet, rollout)
}

async fn approve(fleet: &Fleet, rollout: RolloutId) -> Result<(), StoreError> {
    fleet
        .store
        .request_command(
            rollout,
            CommandKind::Approve,
            fleet.approver.id,
            Some("looks good"),
            &fleet.key,
        )
        .await
        .map(drop)
}

async fn state(fleet: &Fleet, rollout: RolloutId) -> (RolloutState, String) {
    let summary = fleet.store.get_rollout(rollout).await.unwrap().summary;
    (summary.state, summary.reason.unwrap_or_default())
}

/// Every row that an event decides, swapped by somebody with full rights and without the key.
const SWAPS: [(&str, &str); 13] = [
    ("UPDATE release_closures SET closure = replace(closure, 'system', 'evil')", "release "),
    ("UPDATE releases SET author_id = (SELECT id FROM principals WHERE name = 'grace')", "release "),
    ("UPDATE steps SET closure = replace(closure, 'system', 'evil')", "plan of rollout"),
    ("UPDATE steps SET wave = 0", "plan of rollout"),
    ("UPDATE rollouts SET strategy = strategy || '{\"retries\": 9}'", "plan of rollout"),
    ("UPDATE environments SET strategy = strategy || '{\"retries\": 9}'", "environment "),
    ("UPDATE environments SET approval_required = false", "environment "),
    ("UPDATE principals SET role = 'admin' WHERE name = 'ada'", "principal ada"),
    (
        "INSERT INTO principals (id, name, role) VALUES (gen_random_uuid(), 'mallory', 'admin')",
        "no event says how principal mallory",
    ),
    (
        "UPDATE tokens SET principal_id = (SELECT id FROM principals WHERE name = 'grace')
         WHERE principal_id = (SELECT id FROM principals WHERE name = 'ada')",
        "token ",
    ),
    ("UPDATE tokens SET sha256 = sha256('guess') WHERE label = 'laptop' AND id = (SELECT min(id::text)::uuid FROM tokens WHERE label = 'laptop')", "token "),
    (
        "INSERT INTO rollout_commands (id, rollout_id, kind, principal_id)
         SELECT gen_random_uuid(), r.id, 'approve', p.id FROM rollouts r, principals p WHERE p.name = 'grace'",
        "no event says that grace asked to approve",
    ),
    ("UPDATE rollouts SET state = 'staging'", "waited for an approval"),
];

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn invariant_9_a_row_that_was_swapped_after_its_event_is_found(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap();
    let whole = verify().await;
    assert_eq!((whole.broken, whole.undigested), (None, 0));
    let tables = [
        "releases",
        "release_closures",
        "rollouts",
        "steps",
        "environments",
        "principals",
        "tokens",
        "rollout_commands",
    ];
    for table in tables {
        sql(&pool, &format!("CREATE TABLE kept_{table} AS TABLE {table}")).await;
    }
    for (swap, found) in SWAPS {
        assert!(sql(&pool, swap).await > 0, "{swap} changes nothing");
        let broken = verify()
            .await
            .broken
            .unwrap_or_else(|| panic!("{swap} was not found"));
        assert!(broken.problem.contains(found), "{swap}: {}", broken.problem);
        // Back to what was, whatever the foreign keys would say in between.
        let mut restore = String::new();
        for table in tables {
            let _ = write!(
                restore,
                "DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept_{table};"
            );
        }
        sql(
            &pool,
            &format!(
                "SET session_replication_role = replica; {restore} SET session_replication_role = origin"
            ),
        )
        .await;
        assert_eq!(verify().await.broken, None, "after {swap}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_revoked_disabled_or_retired_and_is_back_is_found(pool: PgPool) {
    let (fleet, rollout) = waiting(&pool).await;
    let by = By::new(Actor::Console, &fleet.key);
    fleet
        .store
        .request_command(rollout, CommandKind::Abort, fleet.author.id, None, &fleet.key)
        .await
        .unwrap();
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    let token = fleet
        .store
        .list_tokens(Some(fleet.author.id), None, 1)
        .await
        .unwrap();
    fleet.store.revoke_token(token[0].id, &by).await.unwrap();
    fleet.store.retire_host(&fleet.host(0).0, &by).await.unwrap();
    fleet
        .store
        .disable_principal(&fleet.author.name, &by)
        .await
        .unwrap();
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().broken;
    assert_eq!(verify().await, None);
    for (table, column, found) in [
        ("tokens", "revoked_at", "was revoked, and is not any more"),
        ("hosts", "retired_at", "was retired, and is not any more"),
        ("principals", "disabled_at", "was disabled, and is not any more"),
    ] {
        let undo = format!(
            "CREATE TABLE kept AS SELECT id, {column} AS ended FROM {table}; UPDATE {table} SET {column} = NULL"
        );
        sql(&pool, &undo).await;
        let broken = verify().await.unwrap_or_else(|| panic!("{table} was not found"));
        assert!(broken.problem.contains(found), "{table}: {}", broken.problem);
        let put_back =
            format!("UPDATE {table} t SET {column} = k.ended FROM kept k WHERE k.id = t.id; DROP TABLE kept");
        sql(&pool, &put_back).await;
        assert_eq!(verify().await, None, "{table}");
    }
    sql(
        &pool,
        "INSERT INTO environments (id, name) VALUES (gen_random_uuid(), 'lax')",
    )
    .await;
    sql(
        &pool,
        "UPDATE hosts SET environment_id = (SELECT id FROM environments WHERE name = 'lax')",
    )
    .await;
    assert!(verify().await.is_some());
}

/// What a worker notes of a host is sealed, and puts the host nowhere.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_was_moved_by_hand_is_found_whatever_is_noted_of_it_afterwards(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let lax = NewEnvironment {
        name: "lax".parse().unwrap(),
        strategy: Strategy::default(),
        approval_required: false,
        permits: Permits::default(),
    };
    let by = By::new(Actor::Console, &fleet.key);
    fleet.store.create_environment(&lax, &by).await.unwrap();
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().broken;
    assert_eq!(verify().await, None);
    sql(
        &pool,
        "UPDATE hosts SET second_life_noted = false, environment_id = (SELECT id FROM environments WHERE name = 'lax')",
    )
    .await;
    let noted = fleet.store.note_second_lives(&fleet.key).await.unwrap();
    assert_eq!(noted, [fleet.host(0).0]);
    let broken = verify().await.expect("the move was not found");
    assert!(
        broken.problem.contains("is in another environment"),
        "{}",
        broken.problem
    );
}

/// The other way round: what is over, and no event ended it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_ended_by_hand_is_found(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().broken;
    for (table, column, found) in [
        ("tokens", "revoked_at", "is revoked, and no event says so"),
        ("hosts", "retired_at", "is retired, and no event says so"),
        ("principals", "disabled_at", "is disabled, and no event says so"),
        ("environments", "deleted_at", "is deleted, and no event says so"),
    ] {
        sql(&pool, &format!("UPDATE {table} SET {column} = now()")).await;
        let broken = verify().await.unwrap_or_else(|| panic!("{table} was not found"));
        assert!(broken.problem.contains(found), "{table}: {}", broken.problem);
        sql(&pool, &format!("UPDATE {table} SET {column} = NULL")).await;
        assert_eq!(verify().await, None, "{table}");
    }
}

/// Somebody gives themselves a token for a moment, has something decided with it, and puts the rows back.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_is_nobodys_unless_the_audit_log_gave_it(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let by = By::new(Actor::Console, &fleet.key);
    let hash = TokenHash::of("slw_0");
    let prove = async |hash: &TokenHash| {
        let found = fleet.store.find_token_by_hash(hash).await.unwrap().unwrap();
        fleet.store.prove_caller(&found, hash, &fleet.key).await
    };
    prove(&hash).await.unwrap();
    sql(
        &pool,
        "CREATE TABLE kept_tokens AS TABLE tokens; CREATE TABLE kept_principals AS TABLE principals",
    )
    .await;
    let put_back = async || {
        sql(
            &pool,
            "DELETE FROM tokens WHERE id NOT IN (SELECT id FROM kept_tokens);
             UPDATE tokens t SET sha256 = k.sha256, principal_id = k.principal_id, expires_at = k.expires_at,
                    revoked_at = k.revoked_at FROM kept_tokens k WHERE t.id = k.id;
             UPDATE principals p SET role = k.role, disabled_at = k.disabled_at FROM kept_principals k WHERE p.id = k.id",
        )
        .await;
    };
    let guess = TokenHash::of("slw_guess");
    for (swap, shown) in [
        ("UPDATE principals SET role = 'admin' WHERE name = 'ada'", &hash),
        (
            "UPDATE tokens SET principal_id = (SELECT id FROM principals WHERE name = 'grace') WHERE sha256 = sha256('slw_0')",
            &hash,
        ),
        (
            "UPDATE tokens SET sha256 = sha256('slw_guess') WHERE sha256 = sha256('slw_1')",
            &guess,
        ),
        (
            "INSERT INTO tokens (id, principal_id, label, sha256)
             SELECT gen_random_uuid(), id, 'mine', sha256('slw_guess') FROM principals WHERE name = 'grace'",
            &guess,
        ),
    ] {
        assert!(sql(&pool, swap).await > 0, "{swap} changes nothing");
        let proved = prove(shown).await;
        assert!(
            matches!(proved, Err(StoreError::Tampered(_))),
            "{swap}: {proved:?}"
        );
        put_back().await;
        prove(&hash).await.unwrap();
    }

    let token = fleet
        .store
        .list_tokens(Some(fleet.author.id), None, 1)
        .await
        .unwrap();
    fleet.store.revoke_token(token[0].id, &by).await.unwrap();
    sql(&pool, "UPDATE tokens SET revoked_at = NULL").await;
    let proved = prove(&hash).await;
    assert!(
        matches!(proved, Err(StoreError::Tampered(_))),
        "revoked: {proved:?}"
    );
    fleet
        .store
        .disable_principal(&fleet.approver.name, &by)
        .await
        .unwrap();
    sql(
        &pool,
        "UPDATE principals SET disabled_at = NULL; UPDATE tokens SET revoked_at = NULL",
    )
    .await;
    let proved = prove(&TokenHash::of("slw_1")).await;
    assert!(
        matches!(proved, Err(StoreError::Tampered(_))),
        "disabled: {proved:?}"
    );
}

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
                .request_command(rollout, kind, fleet.author.id, None, &fleet.key)
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
    let hosts: Vec<_> = fleet.hosts.iter().map(|(_, id)| *id).collect();
    let proved = async || {
        let assigned = store.assignments_for(&hosts).await.unwrap();
        let steps = assigned.into_iter().map(|(host, assigned)| (host, assigned.step));
        store
            .prove_steps(steps.collect(), &fleet.key)
            .await
            .unwrap()
            .len()
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
    let commands = fleet.store.list_commands(rollout).await.unwrap();
    let refused: Vec<_> = commands
        .iter()
        .filter_map(|command| command.refused.as_deref())
        .collect();
    assert_eq!(refused, ["no event says that anybody asked for this"; 2]);
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

/// Rows and events of the release before digests: what is known of them is checked, and they are counted.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_a_release_before_digests_wrote_goes_on(pool: PgPool) {
    let strategy = Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(2),
        ..Strategy::default()
    };
    let fleet = Fleet::of(3)
        .strategy(strategy)
        .approval_required()
        .seed(&store(&pool))
        .await;
    let rollout = fleet.rollout(1).await;
    approve(&fleet, rollout).await.unwrap();
    crate::support::strip_digests(&pool, &fleet.key).await;
    let report = fleet.store.verify_chain(&fleet.key).await.unwrap();
    assert_eq!(report.broken, None);
    assert!(report.undigested > 0);
    let mut agents = agents(&fleet);
    drive(&fleet, &mut agents, &claim(&fleet.store, "w").await).await;
    assert_eq!(state(&fleet, rollout).await.0, RolloutState::Succeeded);
    // Of a role even the words of then say enough.
    sql(&pool, "UPDATE principals SET role = 'admin' WHERE name = 'ada'").await;
    let broken = fleet
        .store
        .verify_chain(&fleet.key)
        .await
        .unwrap()
        .broken
        .unwrap();
    assert!(broken.problem.contains("principal ada"), "{}", broken.problem);
}
