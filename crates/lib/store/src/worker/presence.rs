//! Which workers there are, for health and for people.

use tracing::instrument;

use crate::{Store, StoreError, bounded, row};

impl Store {
    /// Notes that a worker is at work, and forgets those that have not been for a day.
    #[instrument(name = "db.worker.note", level = "debug", skip_all, fields(worker_id))]
    pub async fn note_worker(&self, worker_id: &str, version: &str) -> Result<(), StoreError> {
        bounded(async {
            sqlx::query!(
                "WITH gone AS (DELETE FROM workers WHERE seen_at < now() - interval '1 day' AND id <> $1)
                 INSERT INTO workers (id, version) VALUES ($1, $2)
                 ON CONFLICT (id) DO UPDATE SET seen_at = now(), version = $2",
                worker_id,
                version
            )
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Forgets a worker that stops in an orderly way.
    #[instrument(name = "db.worker.forget", level = "debug", skip_all, fields(worker_id))]
    pub async fn forget_worker(&self, worker_id: &str) -> Result<(), StoreError> {
        bounded(async {
            sqlx::query!("DELETE FROM workers WHERE id = $1", worker_id)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// How many workers were at work within so many seconds.
    #[instrument(name = "db.worker.count", level = "debug", skip_all)]
    pub async fn count_workers(&self, within_seconds: u32) -> Result<u32, StoreError> {
        bounded(async {
            let count = sqlx::query_scalar!(
                r#"SELECT count(*) AS "workers!" FROM workers WHERE seen_at > now() - make_interval(secs => $1)"#,
                f64::from(within_seconds)
            )
            .fetch_one(&self.pool)
            .await?;
            row::count("number of workers", count)
        })
        .await
    }
}
