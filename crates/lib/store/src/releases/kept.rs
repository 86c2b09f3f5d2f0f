//! Releases that somebody keeps, and every closure that a cache must keep.

use slipway_domain::{PrincipalName, ReleaseId, StorePath};
use slipway_wire::kept::{DEFAULT_DAYS, DEFAULT_LAST};
use slipway_wire::kept::{KeepRelease, KeptRelease, ReleaseRoot, ReleaseRoots, RootsQuery};
use sqlx::PgExecutor;
use tracing::instrument;

use super::label_of;
use crate::audit::{append, kind};
use crate::{EventAuthor, Store, StoreError, bounded};

impl Store {
    /// Keeps a release, or keeps it for another time. Fails with [`StoreError::KeptUntilPast`] where that time is over.
    #[instrument(name = "db.release.keep", level = "debug", skip_all, fields(%id))]
    pub async fn keep_release(
        &self,
        id: ReleaseId,
        request: &KeepRelease,
        by: &EventAuthor<'_>,
    ) -> Result<KeptRelease, StoreError> {
        self.transaction(async |tx| {
            let label = label_of(tx, id).await?;
            let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(&mut *tx).await?;
            if let Some(until) = request.until.filter(|until| *until <= now) {
                return Err(StoreError::KeptUntilPast { until, now });
            }
            sqlx::query!(
                "INSERT INTO kept_releases (release_id, by_name, until, reason) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (release_id) DO UPDATE
                 SET by_name = excluded.by_name, at = now(), until = excluded.until, reason = excluded.reason",
                id.as_uuid(),
                by.actor.name(),
                request.until,
                request.reason
            )
            .execute(&mut *tx)
            .await?;
            let until = request.until.map_or_else(
                || "for ever".to_owned(),
                |until| format!("until {}", until.format("%Y-%m-%d %H:%M:%S UTC")),
            );
            let why = request.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let event = by.event(kind::RELEASE_KEPT, format!("release {label} {until}{why}"));
            let kept = kept(&mut *tx, id).await?;
            append(tx, by.key, &[event]).await?;
            kept.ok_or_else(|| StoreError::not_found("kept release", &id))
        })
        .await
    }

    /// Keeps a release no longer. Fails when it is not kept.
    #[instrument(name = "db.release.unkeep", level = "debug", skip_all, fields(%id))]
    pub async fn unkeep_release(&self, id: ReleaseId, by: &EventAuthor<'_>) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let gone = sqlx::query!("DELETE FROM kept_releases WHERE release_id = $1", id.as_uuid())
                .execute(&mut *tx)
                .await?;
            if gone.rows_affected() == 0 {
                return Err(StoreError::not_found("kept release", &id));
            }
            let label = label_of(tx, id).await?;
            let event = by.event(kind::RELEASE_UNKEPT, format!("release {label}"));
            append(tx, by.key, &[event]).await
        })
        .await
    }

    /// Every closure in use, as of one moment: a list that lacked one would cost a host its way back. So more than this many
    /// are an error.
    ///
    /// What a host says runs there is its own word. It counts in the folder of a Nix store alone, so that nobody has a
    /// collector's script link to other files.
    #[instrument(name = "db.release.roots", level = "debug", skip_all)]
    pub async fn list_roots(&self, query: &RootsQuery, most: u32) -> Result<ReleaseRoots, StoreError> {
        bounded(async {
            let rows = sqlx::query!(
                r#"WITH told (host, path, why) AS (
                       SELECT h.id, p.path, 'running' FROM hosts h,
                              unnest(ARRAY[h.live, h.boot_default, h.baseline, h.baseline_boot_default]) AS p (path)
                       WHERE h.retired_at IS NULL
                       UNION ALL
                       SELECT h.id, h.report ->> 'prior', 'prior' FROM hosts h WHERE h.retired_at IS NULL
                       UNION ALL
                       SELECT h.id, s.prior, 'prior' FROM hosts h CROSS JOIN LATERAL (
                           SELECT prior FROM steps
                           WHERE steps.host_id = h.id AND steps.prior IS NOT NULL ORDER BY seq DESC LIMIT 1
                       ) s WHERE h.retired_at IS NULL
                       UNION ALL
                       SELECT s.host_id, s.prior, 'rollout' FROM rollouts r JOIN steps s ON s.rollout_id = r.id
                       WHERE r.finished_at IS NULL
                   ),
                   used (closure, why) AS (
                       SELECT t.path, t.why FROM told t LEFT JOIN LATERAL (
                           SELECT closure FROM steps WHERE steps.host_id = t.host ORDER BY seq DESC LIMIT 1
                       ) s ON true
                       WHERE regexp_replace(t.path, '/[^/]*$', '')
                             IN ('/nix/store', regexp_replace(s.closure, '/[^/]*$', ''))
                       UNION ALL
                       SELECT s.closure, 'rollout' FROM rollouts r JOIN steps s ON s.rollout_id = r.id
                       WHERE r.finished_at IS NULL
                       UNION ALL
                       SELECT c.closure, 'recent' FROM environments e CROSS JOIN LATERAL (
                           SELECT release_id FROM rollouts
                           WHERE rollouts.environment_id = e.id AND rollouts.state = 'succeeded'
                           GROUP BY release_id ORDER BY max(seq) DESC LIMIT $1
                       ) r JOIN release_closures c ON c.release_id = r.release_id
                       WHERE e.deleted_at IS NULL
                       UNION ALL
                       SELECT c.closure, 'new' FROM releases r JOIN release_closures c ON c.release_id = r.id
                       WHERE r.created_at > now() - make_interval(days => $2)
                       UNION ALL
                       SELECT c.closure, 'kept' FROM kept_releases k
                       JOIN release_closures c ON c.release_id = k.release_id
                       WHERE k.until IS NULL OR k.until > now()
                   )
                   SELECT closure AS "closure!: StorePath", array_agg(DISTINCT why ORDER BY why) AS "why!", now() AS "now!"
                   FROM used WHERE closure IS NOT NULL GROUP BY closure ORDER BY closure
                   LIMIT $3"#,
                i64::from(query.last.unwrap_or(DEFAULT_LAST)),
                i32::try_from(query.days.unwrap_or(DEFAULT_DAYS)).unwrap_or(i32::MAX),
                i64::from(most) + 1
            )
            .fetch_all(&self.pool)
            .await?;
            if rows.len() > most as usize {
                return Err(StoreError::TooManyRoots { most });
            }
            let at = match rows.first() {
                Some(row) => row.now,
                None => self.now().await?,
            };
            let roots = rows.into_iter().map(|row| ReleaseRoot {
                closure: row.closure,
                why: row.why,
            });
            Ok(ReleaseRoots {
                at,
                roots: roots.collect(),
            })
        })
        .await
    }
}

/// How a release is kept, if it is.
pub(super) async fn kept(
    executor: impl PgExecutor<'_>,
    id: ReleaseId,
) -> Result<Option<KeptRelease>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT by_name AS "by: PrincipalName", at, until, reason FROM kept_releases
           WHERE release_id = $1 AND (until IS NULL OR until > now())"#,
        id.as_uuid()
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| KeptRelease {
        by: row.by,
        at: row.at,
        until: row.until,
        reason: row.reason,
    }))
}
