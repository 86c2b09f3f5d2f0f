//! What was decided cannot be swapped by hand: `verify` finds it, and no host is told anything of it.

use std::fmt::Write as _;

use slipway_domain::RolloutState;
use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::{Canary, Share};
use slipway_domain::{RolloutId, Strategy};
use slipway_store::{EventAuthor, NewCommand, NewToken, StoreError, TokenHash, TokenOwner, TokensOf};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Fleet, agents, claim, drive, new_environment, settle, sql, store};

/// A fleet whose environment asks for an approval, with tokens for both people and a rollout that waits.
pub(crate) async fn waiting(pool: &PgPool) -> (Fleet, RolloutId) {
    let fleet = Fleet::of(3).approval_required().seed(&store(pool)).await;
    for (n, person) in [&fleet.author, &fleet.approver].into_iter().enumerate() {
        let token = NewToken {
            owner: TokenOwner::Principal(person.id),
            label: "laptop".to_owned(),
            hash: TokenHash::of(&format!("slw_{n}")),
            parent: None,
            expires_in_seconds: None,
            limits: slipway_domain::TokenLimits::default(),
            idle_seconds: None,
        };
        fleet
            .store
            .create_token(&token, &EventAuthor::new(Actor::Console, &fleet.key))
            .await
            .unwrap();
    }
    let rollout = fleet.rollout(1).await;
    (fleet, rollout)
}

pub(crate) async fn approve(fleet: &Fleet, rollout: RolloutId) -> Result<(), StoreError> {
    fleet
        .store
        .request_command(
            NewCommand::new(rollout, CommandKind::Approve, fleet.approver.id).because("looks good"),
            &fleet.key,
        )
        .await
        .map(drop)
}

pub(crate) async fn state(fleet: &Fleet, rollout: RolloutId) -> (RolloutState, String) {
    let summary = fleet.store.get_rollout(rollout).await.unwrap().summary;
    (summary.state, summary.reason.unwrap_or_default())
}

/// Every row that an event decides, swapped by somebody with full rights and without the key.
const SWAPS: [(&str, &str); 24] = [
    ("UPDATE release_closures SET closure = replace(closure, 'system', 'evil')", "release "),
    ("UPDATE releases SET author_id = (SELECT id FROM principals WHERE name = 'grace')", "release "),
    ("UPDATE steps SET closure = replace(closure, 'system', 'evil')", "plan of rollout"),
    ("UPDATE steps SET wave = 0", "plan of rollout"),
    ("UPDATE rollouts SET strategy = strategy || '{\"retries\": 9}'", "plan of rollout"),
    ("UPDATE environments SET strategy = strategy || '{\"retries\": 9}'", "environment "),
    ("UPDATE environments SET approval_required = false", "environment "),
    ("UPDATE environments SET calendar = '{\"windows\": []}'", "environment "),
    ("UPDATE rollouts SET not_before = now()", "plan of rollout"),
    ("UPDATE principals SET role = 'admin' WHERE name = 'ada'", "principal ada"),
    ("UPDATE principals SET environment_roles = '{\"prod\": \"admin\"}' WHERE name = 'ada'", "principal ada"),
    ("UPDATE tokens SET limits = '{\"hosts\": []}' WHERE label = 'laptop'", "token "),
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
    ("UPDATE hosts SET labels = '{\"rack\": \"b\"}' WHERE name = 'prod-0'", "host prod-0"),
    ("UPDATE hosts SET name = 'prod-9' WHERE name = 'prod-0'", "of prod-0 (agent)"),
    ("UPDATE steps SET prior = replace(closure, 'system', 'evil')", "the prior of step"),
    ("DELETE FROM rollouts", "rollout "),
    ("DELETE FROM tokens WHERE label = 'laptop'", "token "),
    ("DELETE FROM release_closures; DELETE FROM releases", "release "),
    ("DELETE FROM hosts WHERE name = 'prod-0'", "of prod-0 (agent)"),
];

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn invariant_9_a_row_that_was_swapped_after_its_event_is_found(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap();
    let whole = verify().await;
    assert_eq!((whole.problem, whole.undigested), (None, 0));
    let tables = [
        "releases",
        "release_closures",
        "rollouts",
        "steps",
        "environments",
        "principals",
        "tokens",
        "rollout_commands",
        "hosts",
    ];
    for table in tables {
        sql(&pool, &format!("CREATE TABLE before_{table} AS TABLE {table}")).await;
    }
    for (swap, found) in SWAPS {
        // No foreign key stops the owner of the tables.
        let swapped =
            format!("SET session_replication_role = replica; {swap}; SET session_replication_role = origin");
        assert!(sql(&pool, &swapped).await > 0, "{swap} changes nothing");
        let broken = verify()
            .await
            .problem
            .unwrap_or_else(|| panic!("{swap} was not found"));
        assert!(broken.contains(found), "{swap}: {broken}");
        // Back to what was, whatever the foreign keys would say in between.
        let mut restore = String::new();
        for table in tables {
            let _ = write!(
                restore,
                "DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE before_{table};"
            );
        }
        sql(
            &pool,
            &format!(
                "SET session_replication_role = replica; {restore} SET session_replication_role = origin"
            ),
        )
        .await;
        assert_eq!(verify().await.problem, None, "after {swap}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_revoked_disabled_or_retired_and_is_back_is_found(pool: PgPool) {
    let (fleet, rollout) = waiting(&pool).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    fleet
        .store
        .request_command(
            NewCommand::new(rollout, CommandKind::Abort, fleet.author.id),
            &fleet.key,
        )
        .await
        .unwrap();
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    let token = fleet
        .store
        .list_tokens(
            TokensOf {
                principal: Some(fleet.author.id),
                ..TokensOf::default()
            },
            None,
            1,
        )
        .await
        .unwrap();
    fleet.store.revoke_token(token[0].id, &by).await.unwrap();
    fleet.store.retire_host(&fleet.host(0).0, &by).await.unwrap();
    fleet
        .store
        .disable_principal(&fleet.author.name, &by)
        .await
        .unwrap();
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().problem;
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
        assert!(broken.contains(found), "{table}: {broken}");
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
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    fleet
        .store
        .create_environment(&new_environment("lax"), &by)
        .await
        .unwrap();
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().problem;
    assert_eq!(verify().await, None);
    sql(
        &pool,
        "UPDATE hosts SET second_life_noted = false, environment_id = (SELECT id FROM environments WHERE name = 'lax')",
    )
    .await;
    let noted = fleet.store.note_second_lives(&fleet.key).await.unwrap();
    assert_eq!(noted, [fleet.host(0).0]);
    let broken = verify().await.expect("the move was not found");
    assert!(broken.contains("is in another environment"), "{broken}");
}

/// The other way round: what is over, and no event ended it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_was_ended_by_hand_is_found(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let verify = async || fleet.store.verify_chain(&fleet.key).await.unwrap().problem;
    for (table, column, found) in [
        ("tokens", "revoked_at", "is revoked, and no event says so"),
        ("hosts", "retired_at", "is retired, and no event says so"),
        ("principals", "disabled_at", "is disabled, and no event says so"),
        ("environments", "deleted_at", "is deleted, and no event says so"),
    ] {
        sql(&pool, &format!("UPDATE {table} SET {column} = now()")).await;
        let broken = verify().await.unwrap_or_else(|| panic!("{table} was not found"));
        assert!(broken.contains(found), "{table}: {broken}");
        sql(&pool, &format!("UPDATE {table} SET {column} = NULL")).await;
        assert_eq!(verify().await, None, "{table}");
    }
}

/// Somebody gives themselves a token for a moment, has something decided with it, and puts the rows back.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_is_nobodys_unless_the_audit_log_gave_it(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    let hash = TokenHash::of("slw_0");
    let prove = async |hash: &TokenHash| {
        let found = fleet.store.authenticate(hash, &fleet.key).await;
        found.map(|found| assert!(found.is_some()))
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
        .list_tokens(
            TokensOf {
                principal: Some(fleet.author.id),
                ..TokensOf::default()
            },
            None,
            1,
        )
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

/// Every request of a person needs it.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_caller_is_found_in_one_statement_and_proved_by_two_more_after_each_event(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.max_connections(1).connect_with(connect).await.unwrap();
    let (fleet, rollout) = waiting(&pool).await;
    let hash = TokenHash::of("slw_0");
    let executed = async || -> i64 {
        let executed =
            "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint FROM pg_prepared_statements
                        WHERE statement NOT LIKE '%pg_prepared_statements%'";
        sqlx::query_scalar(executed).fetch_one(&pool).await.unwrap()
    };
    let statements = async || {
        let before = executed().await;
        let found = fleet.store.authenticate(&hash, &fleet.key).await.unwrap();
        assert!(found.is_some());
        executed().await - before
    };
    assert_eq!(statements().await, 3);
    assert_eq!(statements().await, 1, "nothing happened");
    approve(&fleet, rollout).await.unwrap();
    assert_eq!(statements().await, 3, "something happened");
    assert_eq!(statements().await, 1);
    // A row that somebody changes is proved anew, whatever was proved of it before.
    for swap in [
        "UPDATE principals SET role = 'admin' WHERE name = 'ada'",
        "UPDATE tokens SET expires_at = now() + interval '10 years' WHERE sha256 = sha256('slw_0')",
        "UPDATE principals SET made_by = id WHERE name = 'ada'",
    ] {
        sql(
            &pool,
            "CREATE TABLE kept_tokens AS TABLE tokens; CREATE TABLE kept_principals AS TABLE principals",
        )
        .await;
        assert!(sql(&pool, swap).await > 0, "{swap} changes nothing");
        let found = fleet.store.authenticate(&hash, &fleet.key).await;
        assert!(matches!(found, Err(StoreError::Tampered(_))), "{swap}: {found:?}");
        sql(
            &pool,
            "UPDATE tokens t SET expires_at = k.expires_at FROM kept_tokens k WHERE t.id = k.id;
             UPDATE principals p SET role = k.role, made_by = k.made_by FROM kept_principals k WHERE p.id = k.id;
             DROP TABLE kept_tokens; DROP TABLE kept_principals",
        )
        .await;
        assert_eq!(statements().await, 1, "it is what was proved: {swap}");
    }
}

/// Somebody with the database but without the key adds a newest event, below which real ones are not seen.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_invented_event_keeps_a_revoked_token_proved(pool: PgPool) {
    let (fleet, _) = waiting(&pool).await;
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    let hash = TokenHash::of("slw_0");
    let find = async || fleet.store.authenticate(&hash, &fleet.key).await;
    assert!(find().await.unwrap().is_some());
    let seen = "SELECT encode(hash, 'hex') FROM events ORDER BY number DESC LIMIT 1";
    let remembered: String = sqlx::query_scalar(seen).fetch_one(&pool).await.unwrap();
    for (number, hash) in [
        ("9000000000000000000", "ab".repeat(32)),
        ("9000000000000000001", remembered),
    ] {
        let copied = format!(
            "INSERT INTO events SELECT (jsonb_populate_record(e, jsonb_build_object('number', {number}, 'hash', '\\x{hash}'))).*
             FROM events e ORDER BY number DESC LIMIT 1"
        );
        assert_eq!(sql(&pool, &copied).await, 1);
        assert!(
            find().await.unwrap().is_some(),
            "the proof itself is as good as before"
        );
    }
    let token = fleet.store.find_token(&hash).await.unwrap().unwrap();
    fleet.store.revoke_token(token.id, &by).await.unwrap();
    assert!(find().await.unwrap().is_none());
    sql(&pool, "UPDATE tokens SET revoked_at = NULL").await;
    let again = find().await;
    assert!(matches!(again, Err(StoreError::Tampered(_))), "{again:?}");
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
    assert_eq!(report.problem, None);
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
        .problem
        .unwrap();
    assert!(broken.contains("principal ada"), "{broken}");
}
