//! The row with a walk's place.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use slipway_domain::event::EventHash;
use sqlx::PgConnection;

use super::{Pace, Walk};
use crate::StoreError;
use crate::audit::AuditKey;

/// Keeps the digest of a walk apart from every event's.
const LABEL: &[u8] = b"slipway audit walk\0";

/// A row of `audit_walks`.
pub(super) struct WalkRow {
    pub(super) name: String,
    pub(super) number: i64,
    pub(super) hash: Vec<u8>,
    pub(super) seal_key: String,
    pub(super) walked_at: Option<DateTime<Utc>>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) problem: Option<String>,
    pub(super) seal: Option<Vec<u8>>,
    pub(super) sealed_with: Option<String>,
}

impl WalkRow {
    /// What its seal covers: every column but the seal itself.
    fn digest(&self) -> EventHash {
        let mut hasher = Sha256::new_with_prefix(LABEL);
        let micros = |at: Option<DateTime<Utc>>| at.map_or(i64::MIN, |at| at.timestamp_micros());
        hasher.update(self.number.to_be_bytes());
        hasher.update(micros(self.walked_at).to_be_bytes());
        hasher.update(micros(self.ended_at).to_be_bytes());
        hasher.update(&self.hash);
        for text in [
            &self.name,
            &self.seal_key,
            self.problem.as_deref().unwrap_or_default(),
        ] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }

    /// Whether the control plane wrote it.
    pub(super) fn is_sealed(&self, key: &AuditKey) -> bool {
        let seal = self.sealed_with.as_deref().zip(self.seal.as_deref());
        seal.is_some_and(|(with, seal)| key.check(with, &self.digest(), seal).is_ok())
    }
}

/// The row of a walk that has its turn, locked, and the present instant.
pub(super) async fn lock_due(
    tx: &mut PgConnection,
    walk: Walk,
    every: Pace,
) -> Result<Option<(WalkRow, DateTime<Utc>)>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT name, number, hash, seal_key, walked_at, ended_at, problem, seal, sealed_with, now() AS "now!"
           FROM audit_walks
           WHERE name = $1
             AND (walked_at IS NULL OR walked_at > now() OR walked_at <= now() - make_interval(secs => $2))
             AND (name = 'newest' OR number > 0 OR problem IS NOT NULL OR ended_at IS NULL OR ended_at > now()
                  OR ended_at <= now() - make_interval(secs => $3))
           FOR NO KEY UPDATE SKIP LOCKED"#,
        walk.as_str(),
        f64::from(every.turn_seconds),
        f64::from(every.rest_seconds)
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| {
        let reached = WalkRow {
            name: row.name,
            number: row.number,
            hash: row.hash,
            seal_key: row.seal_key,
            walked_at: row.walked_at,
            ended_at: row.ended_at,
            problem: row.problem,
            seal: row.seal,
            sealed_with: row.sealed_with,
        };
        (reached, row.now)
    }))
}

/// Writes the place, with its seal.
pub(super) async fn write_place(
    tx: &mut PgConnection,
    key: &AuditKey,
    place: &WalkRow,
) -> Result<(), StoreError> {
    let seal = key.seal(&place.digest());
    sqlx::query!(
        "UPDATE audit_walks SET number = $2, hash = $3, seal_key = $4, walked_at = $5, ended_at = $6, problem = $7,
                                seal = $8, sealed_with = $9
         WHERE name = $1",
        place.name,
        place.number,
        place.hash,
        place.seal_key,
        place.walked_at,
        place.ended_at,
        place.problem,
        seal.as_slice(),
        key.fingerprint()
    )
    .execute(tx)
    .await?;
    Ok(())
}
