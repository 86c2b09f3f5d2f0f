//! Leases: who drives which rollout.

use slipway_domain::snapshot::StepSnapshot;
use slipway_domain::{RolloutId, TraceParent};
use sqlx::PgConnection;
use tracing::{instrument, warn};
use uuid::Uuid;

use super::load::{StepsOf, fetch_steps};
use crate::{Store, StoreError, bounded, row};

/// How much longer a rollout that waits for a person or for a window waits for its turn, in seconds.
const STAND_BACK_SECONDS: f64 = 10.0;

/// The right to drive a rollout, until it runs out or somebody else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The rollout.
    pub rollout: RolloutId,
    /// Grows with every change of hands.
    pub epoch: i64,
    /// The worker that holds it.
    pub owner: String,
    /// Where the rollout's spans hang.
    pub traceparent: Option<TraceParent>,
}

impl Lease {
    pub(super) fn stale(&self, detail: impl Into<String>) -> StoreError {
        StoreError::StaleLease {
            rollout: self.rollout,
            detail: detail.into(),
        }
    }

    pub(super) fn check_epoch(&self, now: i64) -> Result<(), StoreError> {
        if now == self.epoch {
            return Ok(());
        }
        Err(self.stale(format!("epoch {now} now, {} here", self.epoch)))
    }
}

impl Store {
    /// Takes or renews leases on rollouts with work: first those with a command, then those that have waited longest.
    /// One that waits for a person or for a window stands back for a while: thousands of these must not slow down the others.
    ///
    /// Those are open ones, and ones that are over but have commands to refuse or a stuck host that is back on its
    /// prior. Only free, run out and own leases are taken. `worker_id` must belong to this run of this process alone:
    /// whoever has the same one passes for the same worker.
    #[instrument(name = "db.lease.claim", level = "debug", skip_all)]
    pub async fn claim_rollouts(
        &self,
        worker_id: &str,
        lease_seconds: u32,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            let mended = find_mended(&mut connection).await?;
            let rows = sqlx::query!(
                "WITH due AS (
                     SELECT id FROM rollouts WHERE finished_at IS NULL
                     UNION
                     SELECT rollout_id FROM rollout_commands WHERE applied_at IS NULL
                     UNION
                     SELECT unnest($5::uuid[])),
                 free AS (
                     SELECT r.id, r.lease_owner FROM rollouts r
                     WHERE r.id IN (SELECT id FROM due)
                       AND (r.lease_owner IS NULL OR r.lease_owner = $1 OR r.lease_expires_at <= now())
                     ORDER BY NOT EXISTS (SELECT FROM rollout_commands c
                                          WHERE c.rollout_id = r.id AND c.applied_at IS NULL),
                              r.driven_at + CASE WHEN r.state IN ('pending_approval', 'paused') OR r.hold IS NOT NULL
                                                 THEN make_interval(secs => $4) ELSE interval '0' END NULLS FIRST,
                              r.seq
                     LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
                 UPDATE rollouts r
                 SET driven_at = now(), lease_epoch = r.lease_epoch + CASE WHEN free.lease_owner = $1 THEN 0 ELSE 1 END,
                     lease_owner = $1, lease_expires_at = now() + make_interval(secs => $2)
                 FROM free WHERE r.id = free.id
                 RETURNING r.id, r.lease_epoch, r.traceparent",
                worker_id,
                f64::from(lease_seconds),
                i64::from(limit),
                STAND_BACK_SECONDS,
                &mended
            )
            .fetch_all(&mut *connection)
            .await?;
            Ok(rows
                .into_iter()
                .map(|row| Lease {
                    rollout: RolloutId::from_uuid(row.id),
                    epoch: row.lease_epoch,
                    owner: worker_id.to_owned(),
                    traceparent: row::lenient(row.traceparent.as_deref()),
                })
                .collect())
        })
        .await
    }

    /// Gives a lease back, so that another worker need not wait for it to run out. A stale one is left alone.
    #[instrument(name = "db.lease.release", level = "debug", skip_all, fields(rollout_id = %lease.rollout))]
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        bounded(async {
            sqlx::query!(
                "UPDATE rollouts SET lease_owner = NULL, lease_expires_at = NULL
                 WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3",
                lease.rollout.as_uuid(),
                lease.epoch,
                lease.owner
            )
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

/// Rollouts that are over and have a stuck host that [mended](StepSnapshot::has_mended).
async fn find_mended(connection: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let stuck = sqlx::query!(
        "SELECT s.id, s.rollout_id FROM steps s JOIN rollouts r ON r.id = s.rollout_id
         WHERE s.state = 'stuck' AND r.finished_at IS NOT NULL"
    )
    .fetch_all(&mut *connection)
    .await?;
    if stuck.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = stuck.iter().map(|row| row.id).collect();
    let steps = fetch_steps(connection, StepsOf::These(&ids)).await?;
    let read = steps.into_iter().filter_map(|step| {
        step.inspect_err(|error| warn!(%error, "cannot tell whether a stuck host mended"))
            .ok()
    });
    let mended: Vec<Uuid> = read
        .filter(StepSnapshot::has_mended)
        .map(|step| step.id.as_uuid())
        .collect();
    let rollouts = stuck.iter().filter(|row| mended.contains(&row.id));
    Ok(rollouts.map(|row| row.rollout_id).collect())
}

/// Locks the rollout and checks that the lease still holds. The lock keeps others from taking the lease until commit.
pub(super) async fn lock(tx: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    let row = sqlx::query!(
        "SELECT lease_epoch, lease_owner FROM rollouts WHERE id = $1 FOR NO KEY UPDATE",
        lease.rollout.as_uuid()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("rollout", &lease.rollout))?;
    lease.check_epoch(row.lease_epoch)?;
    if row.lease_owner.as_deref() != Some(lease.owner.as_str()) {
        return Err(lease.stale("it was given back"));
    }
    Ok(())
}
