//! Migrations, and what the schema says of states.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use slipway_domain::snapshot::{CommandKind, RevertScope};
use slipway_domain::{Role, RolloutState, StepState};
use slipway_store::schema::{Patience, migrate, migrate_with};
use slipway_store::{MIGRATOR, SchemaState, StoreError};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{settings, sql, store};

#[sqlx::test(migrator = "MIGRATOR")]
async fn states_in_the_schema_are_those_of_the_domain(pool: PgPool) {
    let steps = StepState::ALL.iter().map(|state| state.as_str());
    let rollouts = RolloutState::ALL.iter().map(|state| state.as_str());
    let terminal = RolloutState::ALL
        .iter()
        .filter(|state| state.is_terminal())
        .map(|state| state.as_str());
    let checks: [(&str, Vec<&str>); 7] = [
        ("steps_state_check", steps.collect()),
        ("rollouts_state_check", rollouts.collect()),
        ("rollouts_finished_check", terminal.collect()),
        (
            "rollouts_scope_check",
            vec![RevertScope::All.as_str(), RevertScope::InFlight.as_str()],
        ),
        (
            "rollout_commands_kind_check",
            CommandKind::ALL.iter().map(|kind| kind.as_str()).collect(),
        ),
        ("principals_role_check", Role::ALL.map(Role::as_str).to_vec()),
        (
            "events_actor_check",
            vec!["principal", "host", "rules", "console"],
        ),
    ];
    for (name, expected) in checks {
        let text: String =
            sqlx::query_scalar("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1")
                .bind(name)
                .fetch_one(&pool)
                .await
                .unwrap();
        // The text between quotes, which is every second piece.
        let found: BTreeSet<&str> = text.split('\'').skip(1).step_by(2).collect();
        assert_eq!(found, expected.into_iter().collect(), "{name}");
    }
}

#[sqlx::test(migrations = false)]
async fn an_empty_database_is_pending_and_then_current(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let store = store(&pool);
    let state = store.schema_state().await.unwrap();
    let SchemaState::Pending(versions) = &state else {
        panic!("{state:?}")
    };
    assert_eq!(versions.len(), MIGRATOR.iter().count());
    assert!(
        state.to_string().ends_with("run `slipway-api migrate`"),
        "{state}"
    );
    let settings = settings(&pool.connect_options(), None);
    assert_eq!(migrate(&settings).await.unwrap().applied, *versions);
    assert_eq!(store.schema_state().await.unwrap(), SchemaState::Current);
    assert!(migrate(&settings).await.unwrap().applied.is_empty());
}

#[sqlx::test(migrations = false)]
async fn two_migrators_at_the_same_time(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    slipway_testkit::empty(&pool).await;
    let settings = settings(&connect, None);
    let (a, b, c) = tokio::join!(migrate(&settings), migrate(&settings), migrate(&settings));
    let all = MIGRATOR.iter().count();
    for applied in [a, b, c] {
        let applied = applied.unwrap().applied.len();
        assert!(applied <= all);
    }
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), all);
    assert_eq!(store(&pool).schema_state().await.unwrap(), SchemaState::Current);
}

const FUTURE: i64 = 99_990_101_000_000;

async fn add_a_migration_of_the_future(pool: &PgPool) {
    let insert = format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ({FUTURE}, 'of the future', true, 'x', 0)"
    );
    sql(pool, &insert).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_program_that_was_gone_back_to_runs_on_the_newer_schema(pool: PgPool) {
    add_a_migration_of_the_future(&pool).await;
    let state = store(&pool).schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Newer(vec![FUTURE]));
    assert!(state.is_usable());
    // What runs before it does: going back must not fail there.
    let applied = migrate(&settings(&pool.connect_options(), None)).await.unwrap();
    assert!(applied.applied.is_empty());
    assert_eq!(store(&pool).schema_state().await.unwrap(), state);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schema_of_another_line_of_versions_is_refused(pool: PgPool) {
    add_a_migration_of_the_future(&pool).await;
    let last = MIGRATOR.iter().last().unwrap().version;
    sql(
        &pool,
        &format!("DELETE FROM _sqlx_migrations WHERE version = {last}"),
    )
    .await;
    let state = store(&pool).schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Unknown(vec![FUTURE]));
    assert!(!state.is_usable());
    assert!(
        state
            .to_string()
            .contains("run the version that the database belongs to, or a newer one"),
        "{state}"
    );
    let error = migrate(&settings(&pool.connect_options(), None))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Migrate { .. }));
    assert!(
        error
            .to_string()
            .contains("does not know (the newest is 99990101000000)"),
        "{error}"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_was_edited_or_half_done_is_refused(pool: PgPool) {
    let store = store(&pool);
    let first = MIGRATOR.iter().next().unwrap().version;
    sql(
        &pool,
        &format!("UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = {first}"),
    )
    .await;
    let state = store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::ChecksumMismatch(vec![first]));
    assert!(state.to_string().contains("another content"), "{state}");
    let error = migrate(&settings(&pool.connect_options(), None))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another content"), "{error}");

    sql(
        &pool,
        &format!("UPDATE _sqlx_migrations SET success = false WHERE version = {first}"),
    )
    .await;
    let state = store.schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Dirty(first));
    let error = migrate(&settings(&pool.connect_options(), None))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("did not finish: undo what it did by hand"),
        "{error}"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_older_schema_is_pending(pool: PgPool) {
    let last = MIGRATOR.iter().last().unwrap().version;
    sql(
        &pool,
        &format!("DELETE FROM _sqlx_migrations WHERE version = {last}"),
    )
    .await;
    let state = store(&pool).schema_state().await.unwrap();
    assert_eq!(state, SchemaState::Pending(vec![last]));
}

/// A database to which everything was applied but the last change of `hosts`, which waits for whoever uses that table.
async fn before_a_change_of_hosts(pool: &PgPool) {
    let last = MIGRATOR
        .iter()
        .rfind(|migration| migration.sql.contains("ALTER TABLE hosts"))
        .unwrap();
    let earlier = sqlx::migrate::Migrator {
        migrations: MIGRATOR
            .iter()
            .filter(|migration| migration.version < last.version)
            .cloned()
            .collect::<Vec<_>>()
            .into(),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    earlier.run(pool).await.unwrap();
}

/// Until the migrator waits for a lock.
async fn wait_until_it_waits(pool: &PgPool) {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                 AND application_name = 'slipway-migrate' AND wait_event_type = 'Lock')";
    let begun = Instant::now();
    while !sqlx::query_scalar::<_, bool>(waits)
        .fetch_one(pool)
        .await
        .unwrap()
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[sqlx::test(migrations = false)]
async fn readers_go_on_while_a_migration_waits_for_an_open_transaction(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    before_a_change_of_hosts(&pool).await;
    let mut open = slipway_testkit::begin(&pool).await;
    sqlx::query("SELECT count(*) FROM hosts")
        .execute(&mut *open)
        .await
        .unwrap();
    let settings = settings(&pool.connect_options(), None);
    let (done, ()) = tokio::join!(migrate(&settings), async {
        wait_until_it_waits(&pool).await;
        let mut reader = pool.acquire().await.unwrap();
        // A process's own limit.
        sqlx::query("SET lock_timeout = '10s'")
            .execute(&mut *reader)
            .await
            .unwrap();
        for _ in 0..3 {
            // Behind the migration, until that steps back.
            sqlx::query("SELECT count(*) FROM hosts")
                .execute(&mut *reader)
                .await
                .expect("a reader goes on");
            wait_until_it_waits(&pool).await;
        }
        open.rollback().await.unwrap();
    });
    let done = done.unwrap();
    assert!(!done.applied.is_empty());
    assert_eq!(store(&pool).schema_state().await.unwrap(), SchemaState::Current);
}

#[sqlx::test(migrations = false)]
async fn a_transaction_that_never_ends_is_named_as_what_is_in_the_way(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    before_a_change_of_hosts(&pool).await;
    let mut open = slipway_testkit::begin(&pool).await;
    sqlx::query("SELECT count(*) FROM hosts")
        .execute(&mut *open)
        .await
        .unwrap();
    let patience = Patience {
        one_wait: Duration::from_millis(200),
        pause: Duration::from_millis(100),
        all_waits: Duration::from_secs(1),
    };
    let error = migrate_with(&settings(&pool.connect_options(), None), patience)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::LocksHeld { .. }), "{error:?}");
    assert!(error.to_string().contains("pg_stat_activity"), "{error}");
    assert!(matches!(
        store(&pool).schema_state().await.unwrap(),
        SchemaState::Pending(_)
    ));
    open.rollback().await.unwrap();
    migrate(&settings(&pool.connect_options(), None)).await.unwrap();
}
