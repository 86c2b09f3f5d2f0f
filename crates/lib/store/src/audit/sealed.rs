//! Single events with the proof that they are real, for decisions that rest on them.
//!
//! An event is proved by the hash of the one before it, its own content and its seal. Nobody without the key can make a
//! seal for other content, whatever else of the chain they changed.

use slipway_domain::event::{EventHash, GENESIS, NewEvent, chain_hash};
use slipway_domain::{EnvironmentId, RolloutId};
use sqlx::PgConnection;

use super::key::BadSeal;
use super::read::EventRow;
use super::{AuditKey, EventRecord};
use crate::{StoreError, row};

/// Events of a rollout of one kind, the oldest first.
pub(crate) async fn of_rollout(
    tx: &mut PgConnection,
    key: &AuditKey,
    rollout: RolloutId,
    kind: &str,
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id, host_id,
                  NULL AS "host_name?", from_state, to_state, cause, hash, seal, seal_key
           FROM events WHERE rollout_id = $1 AND kind = $2 ORDER BY number"#,
        rollout.as_uuid(),
        kind
    )
    .fetch_all(&mut *tx)
    .await?;
    prove(tx, key, rows).await
}

/// The newest event of these kinds about an environment itself.
pub(crate) async fn of_environment(
    tx: &mut PgConnection,
    key: &AuditKey,
    environment: EnvironmentId,
    kinds: &[&str],
) -> Result<Option<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id, host_id,
                  NULL AS "host_name?", from_state, to_state, cause, hash, seal, seal_key
           FROM events WHERE rollout_id IS NULL AND kind = ANY($2) AND environment_id = $1
           ORDER BY number DESC LIMIT 1"#,
        environment.as_uuid(),
        kinds as _
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(prove(tx, key, rows).await?.pop())
}

/// The newest event of a kind whose cause begins so, of those that are about no rollout.
pub(crate) async fn by_cause(
    tx: &mut PgConnection,
    key: &AuditKey,
    kind: &str,
    cause: &str,
) -> Result<Option<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id, host_id,
                  NULL AS "host_name?", from_state, to_state, cause, hash, seal, seal_key
           FROM events
           WHERE rollout_id IS NULL AND kind = $1 AND left(cause, 16) = left($2, 16) AND starts_with(cause, $2)
           ORDER BY number DESC LIMIT 1"#,
        kind,
        cause
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(prove(tx, key, rows).await?.pop())
}

/// An event that was proved.
pub(crate) struct Sealed {
    pub(crate) number: i64,
    pub(crate) event: NewEvent,
}

async fn prove(
    tx: &mut PgConnection,
    key: &AuditKey,
    rows: Vec<EventRow>,
) -> Result<Vec<Sealed>, StoreError> {
    let mut proved = Vec::with_capacity(rows.len());
    for row in rows {
        let number = row.number;
        let fails = |why: &str| StoreError::Tampered(format!("event {number} cannot be trusted: {why}"));
        let record = EventRecord::try_from(row).map_err(|error| fails(&error.to_string()))?;
        let before = hash_before(tx, number).await?;
        let hash = chain_hash(&before, number, record.at, &record.event);
        match key.check(&record.seal_key, &hash, &record.seal) {
            Ok(_) => {}
            Err(BadSeal::Wrong) => return Err(fails("its seal does not fit it")),
            Err(BadSeal::UnknownKey) => {
                return Err(fails(
                    "it is sealed with a key that nobody named; if SECRET_KEY was changed, put the one before into \
                     SECRET_KEY_EARLIER",
                ));
            }
        }
        proved.push(Sealed {
            number,
            event: record.event,
        });
    }
    Ok(proved)
}

async fn hash_before(tx: &mut PgConnection, number: i64) -> Result<EventHash, StoreError> {
    if number == 1 {
        return Ok(GENESIS);
    }
    let hash = sqlx::query_scalar!("SELECT hash FROM events WHERE number = $1", number - 1)
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| StoreError::Tampered(format!("event {} is missing", number - 1)))?;
    row::hash("event hash", hash)
}
