//! Against a real Postgres: DATABASE_URL names a server on which databases may be created.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};

/// The migrations of the release after this one.
fn next_release() -> Migrator {
    let mut migrations = jobs::MIGRATOR.migrations.to_vec();
    migrations.push(Migration::new(
        99_990_101_000_000,
        Cow::Borrowed("add jobs priority"),
        MigrationType::Simple,
        Cow::Borrowed("ALTER TABLE jobs ADD COLUMN priority integer"),
        false,
    ));
    Migrator {
        migrations: Cow::Owned(migrations),
        ..Migrator::DEFAULT
    }
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_job_is_done_once(pool: PgPool) {
    let id = jobs::add(&pool, "hello").await.unwrap();
    assert_eq!(jobs::result(&pool, id).await.unwrap(), None);
    assert!(jobs::do_one(&pool, str::to_uppercase).await.unwrap());
    assert_eq!(jobs::result(&pool, id).await.unwrap().as_deref(), Some("HELLO"));
    assert!(!jobs::do_one(&pool, str::to_uppercase).await.unwrap());
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn two_workers_take_different_jobs(pool: PgPool) {
    let first = jobs::add(&pool, "a").await.unwrap();
    let second = jobs::add(&pool, "b").await.unwrap();
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT id FROM jobs WHERE id = $1 FOR UPDATE")
        .bind(first)
        .execute(&mut *held)
        .await
        .unwrap();
    assert!(jobs::do_one(&pool, str::to_uppercase).await.unwrap());
    held.rollback().await.unwrap();
    assert_eq!(jobs::result(&pool, second).await.unwrap().as_deref(), Some("B"));
    assert_eq!(jobs::result(&pool, first).await.unwrap(), None);
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_program_that_is_gone_back_to_leaves_the_newer_schema_and_works_on_it(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    jobs::apply(&next_release(), &mut connection).await.unwrap();
    jobs::apply(&jobs::MIGRATOR, &mut connection).await.unwrap();
    let id = jobs::add(&pool, "hello").await.unwrap();
    assert!(jobs::do_one(&pool, str::to_uppercase).await.unwrap());
    assert_eq!(jobs::result(&pool, id).await.unwrap().as_deref(), Some("HELLO"));
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_database_of_another_line_of_versions_is_refused(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = version + 1")
        .execute(&mut *connection)
        .await
        .unwrap();
    jobs::apply(&jobs::MIGRATOR, &mut connection).await.unwrap_err();
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_newer_schema_with_a_changed_migration_is_refused(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    jobs::apply(&next_release(), &mut connection).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version < 99990101000000")
        .execute(&mut *connection)
        .await
        .unwrap();
    jobs::apply(&jobs::MIGRATOR, &mut connection).await.unwrap_err();
}

/// A transaction that has read the jobs, and a connection that gives up waiting for it.
async fn in_the_way(
    pool: &PgPool,
    patience: &str,
) -> (Transaction<'static, Postgres>, PoolConnection<Postgres>) {
    let mut open = pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM jobs")
        .execute(&mut *open)
        .await
        .unwrap();
    let mut migrating = pool.acquire().await.unwrap();
    sqlx::query("SELECT set_config('lock_timeout', $1, false)")
        .bind(patience)
        .execute(&mut *migrating)
        .await
        .unwrap();
    (open, migrating)
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn readers_go_on_while_a_migration_waits_for_an_open_transaction(pool: PgPool) {
    let (open, mut migrating) = in_the_way(&pool, "1s").await;
    let (pause, patience) = (Duration::from_secs(1), Duration::from_secs(120));
    let next = next_release();
    let (done, ()) = tokio::join!(
        jobs::apply_patiently(&next, &mut migrating, pause, patience),
        async {
            let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                         AND wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE jobs%')";
            for _ in 0..2 {
                while !sqlx::query_scalar::<_, bool>(waits)
                    .fetch_one(&pool)
                    .await
                    .unwrap()
                {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                // Behind the migration, until that steps back.
                jobs::add(&pool, "meanwhile").await.unwrap();
            }
            open.rollback().await.unwrap();
        }
    );
    done.unwrap();
    assert_eq!(jobs::result(&pool, 1).await.unwrap(), None);
    sqlx::query("SELECT priority FROM jobs")
        .execute(&pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_transaction_that_never_ends_ends_the_wait_of_a_migration(pool: PgPool) {
    let (_open, mut migrating) = in_the_way(&pool, "100ms").await;
    let (pause, patience) = (Duration::from_millis(100), Duration::from_secs(1));
    let refused = jobs::apply_patiently(&next_release(), &mut migrating, pause, patience).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("while executing migration")
    );
}
