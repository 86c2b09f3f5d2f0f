//! The database: its migrations and its queries.

use settings::Settings;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// What `api migrate` applies. Only add to it: an older program may run on a newer schema.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// A pool that connects when it is first used, so that a process starts while the database is away.
pub fn connect(settings: &Settings) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(settings.database_pool_size)
        .acquire_timeout(std::time::Duration::from_secs(5))
        .connect_lazy(settings.database_url.expose())
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
