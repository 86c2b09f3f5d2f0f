//! The database: its migrations and its queries.

use std::time::{Duration, Instant};

use settings::Settings;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool};

/// What `api migrate` applies. Only add to it: an older program may run on a newer schema.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// How long `connect` and `migrate` wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a migration waits for a lock at once. Everybody who comes after it waits as long, readers too.
const LOCK_TIMEOUT: &str = "2s";
/// Between two such waits, for those who came after it.
const LOCK_PAUSE: Duration = Duration::from_secs(3);
/// All waits together: longer than a dump, and shorter than the modules give to migrations.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);

/// A pool that connects when it is first used, so that a process starts while the database is away.
pub fn connect(settings: &Settings) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(settings.database_pool_size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy(settings.database_url.expose())
}

/// Applies the migrations that the database lacks, over a connection of its own.
pub async fn migrate(settings: &Settings) -> Result<(), MigrateError> {
    let options: PgConnectOptions = settings.database_url.expose().parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.options([
            ("lock_timeout", LOCK_TIMEOUT),
            // The server ends a migration whose program was killed. Else it would hold the lock until it is done.
            ("client_connection_check_interval", "5s"),
        ]));
    let mut connection = pool.acquire().await?;
    let applied = apply_patiently(&MIGRATOR, &mut connection, LOCK_PAUSE, LOCK_PATIENCE).await;
    // The lock goes with the connection, also when a migration failed.
    connection.close().await.ok();
    applied
}

/// As [`apply`], again and again while another transaction holds what a migration needs, or another migrator is at work.
/// In between the others go on. What was applied stays.
pub async fn apply_patiently(
    migrator: &Migrator,
    connection: &mut PgConnection,
    pause: Duration,
    patience: Duration,
) -> Result<(), MigrateError> {
    let begun = Instant::now();
    loop {
        match apply(migrator, connection).await {
            Err(error) if is_locked(&error) && begun.elapsed() + pause < patience => {
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
}

/// Whether a lock was not to be had in time, or two transactions waited for each other.
fn is_locked(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// Applies what the database lacks of `migrator`.
///
/// A database that has all of it and more was migrated by a newer program. There is nothing to do: a host that goes
/// back after a failed release runs this program on that schema.
pub async fn apply(migrator: &Migrator, connection: &mut PgConnection) -> Result<(), MigrateError> {
    connection.ensure_migrations_table().await?;
    let unfinished = connection.dirty_version().await?.is_some();
    let applied = connection.list_applied_migrations().await?;
    let complete = migrator.iter().all(|ours| {
        applied
            .iter()
            .any(|theirs| theirs.version == ours.version && theirs.checksum == ours.checksum)
    });
    let newer = applied
        .iter()
        .any(|theirs| !migrator.version_exists(theirs.version));
    if complete && newer && !unfinished {
        return Ok(());
    }
    // It names the migration that is unknown, changed or unfinished.
    migrator.run_direct(connection).await
}

/// Writes a job down and says its number.
pub async fn add(pool: &PgPool, text: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("INSERT INTO jobs (text) VALUES ($1) RETURNING id")
        .bind(text)
        .fetch_one(pool)
        .await
}

/// The result of a job: nothing if there is no such job or it is not done.
pub async fn result(pool: &PgPool, id: i64) -> Result<Option<String>, sqlx::Error> {
    let row: Option<Option<String>> = sqlx::query_scalar("SELECT result FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    Ok(row.flatten())
}

/// Does the oldest open job, if there is one. Workers that run at the same time take different ones; a job whose
/// worker dies is open again.
pub async fn do_one(pool: &PgPool, work: impl FnOnce(&str) -> String) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let open: Option<(i64, String)> = sqlx::query_as(
        "SELECT id, text FROM jobs WHERE result IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((id, text)) = open else {
        return Ok(false);
    };
    sqlx::query("UPDATE jobs SET result = $1 WHERE id = $2")
        .bind(work(&text))
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}
