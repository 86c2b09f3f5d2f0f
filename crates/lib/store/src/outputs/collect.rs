//! Removing what was printed long ago.

use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use crate::{Store, StoreError};

/// How long the output of a rollout stays after its end.
const KEEP_DAYS: i32 = 30;
/// What is kept of all rollouts together. Beyond it the oldest goes first.
const TOTAL_BYTES: i64 = 1024 * 1024 * 1024;
/// The most pieces that one call removes; the next call takes more.
const AT_ONCE: i64 = 20_000;

impl Store {
    /// Removes output of one rollout: of one that ended long ago, or of the oldest if there is too much. Gives how many
    /// pieces; `None` if nothing is to be removed.
    #[instrument(name = "db.output.collect", level = "debug", skip_all)]
    pub async fn collect_output(&self) -> Result<Option<u64>, StoreError> {
        self.collect_output_beyond(TOTAL_BYTES).await
    }

    /// As [`Self::collect_output`], with another total.
    #[doc(hidden)]
    pub async fn collect_output_beyond(&self, total: i64) -> Result<Option<u64>, StoreError> {
        self.transaction(async |tx| {
            let Some(rollout) = find(tx, total).await? else {
                return Ok(None);
            };
            let gone = sqlx::query!(
                "DELETE FROM output_pieces WHERE rollout_id = $1 AND number IN (
                     SELECT number FROM output_pieces WHERE rollout_id = $1 ORDER BY number LIMIT $2)",
                rollout,
                AT_ONCE
            )
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if gone < AT_ONCE.unsigned_abs() {
                sqlx::query!("DELETE FROM host_outputs WHERE rollout_id = $1", rollout)
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(Some(gone))
        })
        .await
    }
}

/// Of one that is over for less than an hour, hosts may still have something to tell.
async fn find(tx: &mut PgConnection, total: i64) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id FROM (
               SELECT r.id, r.finished_at,
                      sum(o.bytes) OVER (ORDER BY r.finished_at DESC NULLS FIRST, r.seq DESC) AS with_newer
               FROM (SELECT rollout_id, sum(bytes) AS bytes FROM host_outputs GROUP BY rollout_id) o
               JOIN rollouts r ON r.id = o.rollout_id) q
           WHERE finished_at < now() - interval '1 hour'
             AND (finished_at < now() - make_interval(days => $1) OR with_newer > $2::bigint)
           ORDER BY finished_at LIMIT 1"#,
        KEEP_DAYS,
        total
    )
    .fetch_optional(tx)
    .await?)
}
