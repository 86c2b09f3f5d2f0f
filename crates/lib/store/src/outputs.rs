//! What switch scripts and hooks print: bounded for every host of a rollout, and removed with age.
//!
//! It is kept for people to read. No decision depends on it, and the audit log does not cover it.

mod collect;
mod read;

pub use read::OutputSearch;

use slipway_domain::{AttemptId, HostId, RolloutId};
use slipway_wire::output::OutputPiece;
use sqlx::PgConnection;
use tracing::{instrument, warn};
use uuid::Uuid;

use crate::{Store, StoreError};

/// What is kept of one rollout. Every host has an equal share, so that none can use up that of another.
const ROLLOUT_BYTES: i64 = 128 * 1024 * 1024;
/// The most and the least of one host's share.
const MOST_BYTES: i64 = 512 * 1024;
const LEAST_BYTES: i64 = 16 * 1024;
/// What a piece counts for beside its text, so that a host cannot fill the table with empty ones.
const PIECE_BYTES: i64 = 128;
/// The first half of the lock under which the pieces of a rollout get their numbers.
const LOCK: i32 = 0x6f75_7470;

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptOutput {
    /// How far the job's output is known now, in bytes.
    pub known: u64,
    /// Whether nothing more of this host is kept.
    pub full: bool,
    /// The rollout, and the piece's number if it is new.
    pub rollout: RolloutId,
    /// The piece's number if it is new.
    pub number: Option<i64>,
}

struct Used {
    bytes: i64,
    is_cut: bool,
}

impl Store {
    /// Keeps the next piece of what a job printed. A piece that does not begin where the last one ended changes nothing,
    /// and the answer says where to go on.
    ///
    /// The attempt must be one that the host is to carry out or just did. Its rollout is open, or over for less than an
    /// hour.
    #[instrument(name = "db.output.keep", level = "debug", skip_all, fields(%host))]
    pub async fn keep_output(&self, host: HostId, piece: &OutputPiece) -> Result<KeptOutput, StoreError> {
        self.transaction(async |tx| {
            let Some((rollout, share)) = find_rollout(tx, host, piece.attempt).await? else {
                return Err(StoreError::not_found(
                    "attempt of this host that may print",
                    &piece.attempt,
                ));
            };
            // In the order of their numbers pieces become visible.
            sqlx::query!("SELECT pg_advisory_xact_lock($1, hashtext($2))", LOCK, rollout.to_string())
                .execute(&mut *tx)
                .await?;
            let known = known(tx, piece.attempt, &piece.job).await?;
            let used = used(tx, rollout, host).await?;
            let mut kept = KeptOutput {
                known,
                full: used.is_cut,
                rollout,
                number: None,
            };
            if used.is_cut || known.checked_add(piece.skipped) != Some(piece.start) {
                return Ok(kept);
            }
            let cost = |text: &str| PIECE_BYTES + i64::try_from(text.len()).unwrap_or(i64::MAX);
            kept.full = used.bytes.saturating_add(cost(&piece.text)) > share;
            // The last of a host that printed too much says so, and nothing else.
            let (end, skipped, text) = if kept.full {
                warn!(%rollout, "the host printed more than its share; the rest is not kept");
                (known, 0, "")
            } else {
                (piece.end, piece.skipped, piece.text.as_str())
            };
            let number = sqlx::query_scalar!(
                r#"INSERT INTO output_pieces (rollout_id, number, host_id, attempt, job, end_at, skipped, is_cut, text)
                   SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8
                   FROM output_pieces WHERE rollout_id = $1
                   RETURNING number"#,
                rollout.as_uuid(),
                host.as_uuid(),
                piece.attempt.as_uuid(),
                piece.job,
                position(end)?,
                position(skipped)?,
                kept.full,
                text
            )
            .fetch_one(&mut *tx)
            .await?;
            sqlx::query!(
                "UPDATE host_outputs SET bytes = bytes + $3, is_cut = $4 WHERE rollout_id = $1 AND host_id = $2",
                rollout.as_uuid(),
                host.as_uuid(),
                cost(text),
                kept.full
            )
            .execute(&mut *tx)
            .await?;
            kept.known = end;
            kept.number = Some(number);
            Ok(kept)
        })
        .await
    }
}

/// The rollout of the host's attempt, and the host's share of what is kept of it.
///
/// A host that is tried again may still have the end of the attempt before to tell.
async fn find_rollout(
    tx: &mut PgConnection,
    host: HostId,
    attempt: AttemptId,
) -> Result<Option<(RolloutId, i64)>, StoreError> {
    let found = sqlx::query!(
        r#"SELECT r.id, (SELECT count(*) FROM steps WHERE steps.rollout_id = r.id) AS "hosts!"
           FROM rollouts r
           WHERE r.id = coalesce(
                 (SELECT rollout_id FROM steps WHERE attempt = $2 AND host_id = $1),
                 (SELECT rollout_id FROM output_pieces
                  WHERE attempt = $2 AND host_id = $1 AND at > now() - interval '1 hour' LIMIT 1))
             AND coalesce(r.finished_at > now() - interval '1 hour', true)"#,
        host.as_uuid(),
        attempt.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    Ok(found.map(|row| {
        let share = ROLLOUT_BYTES / row.hosts.max(1);
        (RolloutId::from_uuid(row.id), share.clamp(LEAST_BYTES, MOST_BYTES))
    }))
}

/// How far the job's output is known.
async fn known(tx: &mut PgConnection, attempt: AttemptId, job: &str) -> Result<u64, StoreError> {
    let end = sqlx::query_scalar!(
        "SELECT end_at FROM output_pieces WHERE attempt = $1 AND job = $2 ORDER BY number DESC LIMIT 1",
        attempt.as_uuid(),
        job
    )
    .fetch_optional(tx)
    .await?;
    Ok(end.and_then(|end| u64::try_from(end).ok()).unwrap_or_default())
}

/// What the host has used of its share.
async fn used(tx: &mut PgConnection, rollout: RolloutId, host: HostId) -> Result<Used, StoreError> {
    let (rollout, host): (Uuid, Uuid) = (rollout.as_uuid(), host.as_uuid());
    sqlx::query!(
        "INSERT INTO host_outputs (rollout_id, host_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        rollout,
        host
    )
    .execute(&mut *tx)
    .await?;
    Ok(sqlx::query_as!(
        Used,
        "SELECT bytes, is_cut FROM host_outputs WHERE rollout_id = $1 AND host_id = $2",
        rollout,
        host
    )
    .fetch_one(tx)
    .await?)
}

fn position(at: u64) -> Result<i64, StoreError> {
    at.try_into().map_err(|_| StoreError::Corrupt {
        what: "place in an output",
        detail: format!("{at} is out of range"),
    })
}
