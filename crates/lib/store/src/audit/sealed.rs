//! Single events with the proof that they are real, for decisions that rest on them.
//!
//! An event is proved by the hash of the one before it, its own content and its seal. Nobody without the key can make a
//! seal for other content, whatever else of the chain they changed.

use std::collections::HashMap;

use slipway_domain::event::{GENESIS, NewEvent, chain_hash};
use slipway_domain::{EnvironmentId, RolloutId};
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

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

/// Every event of a token that was made for this principal by another one.
pub(crate) async fn of_tokens_made_for(
    tx: &mut PgConnection,
    key: &AuditKey,
    owner: &str,
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT number, at, actor_kind, actor_name, kind, environment_id, rollout_id, step_id, host_id,
                  NULL AS "host_name?", from_state, to_state, cause, hash, seal, seal_key
           FROM events
           WHERE kind = 'token.created' AND host_id IS NULL AND actor_name <> split_part(cause, ' ', 4)
             AND split_part(cause, ' ', 4) = $1 AND actor_kind = 'principal'
           ORDER BY number"#,
        owner
    )
    .fetch_all(&mut *tx)
    .await?;
    prove(tx, key, rows).await
}

/// The newest event of each of these hosts by which a step of it came to its state. Those that cannot be proved are left
/// out.
pub(crate) async fn of_steps(
    tx: &mut PgConnection,
    key: &AuditKey,
    hosts: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT e.number, e.at, e.actor_kind, e.actor_name, e.kind, e.environment_id, e.rollout_id, e.step_id, e.host_id,
                  NULL AS "host_name?", e.from_state, e.to_state, e.cause, e.hash, e.seal, e.seal_key
           FROM unnest($1::uuid[]) AS h (id)
           CROSS JOIN LATERAL (
               SELECT * FROM events WHERE host_id = h.id AND kind = 'step.state' ORDER BY number DESC LIMIT 1
           ) e"#,
        hosts
    )
    .fetch_all(&mut *tx)
    .await?;
    prove_those_that_fit(tx, key, rows).await
}

/// The newest event of each of these hosts that put it where it is, or took it out of the fleet.
pub(crate) async fn of_hosts(
    tx: &mut PgConnection,
    key: &AuditKey,
    hosts: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT e.number, e.at, e.actor_kind, e.actor_name, e.kind, e.environment_id, e.rollout_id, e.step_id, e.host_id,
                  NULL AS "host_name?", e.from_state, e.to_state, e.cause, e.hash, e.seal, e.seal_key
           FROM unnest($1::uuid[]) AS h (id)
           CROSS JOIN LATERAL (
               SELECT * FROM events
               WHERE host_id = h.id AND kind IN ('host.created', 'host.restored', 'host.moved', 'host.retired')
               ORDER BY number DESC LIMIT 1
           ) e"#,
        hosts
    )
    .fetch_all(&mut *tx)
    .await?;
    prove(tx, key, rows).await
}

/// The event of each of these steps that recorded its prior. Those that cannot be proved are left out.
pub(crate) async fn of_priors(
    tx: &mut PgConnection,
    key: &AuditKey,
    steps: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"SELECT e.number, e.at, e.actor_kind, e.actor_name, e.kind, e.environment_id, e.rollout_id, e.step_id, e.host_id,
                  NULL AS "host_name?", e.from_state, e.to_state, e.cause, e.hash, e.seal, e.seal_key
           FROM unnest($1::uuid[]) AS s (id)
           CROSS JOIN LATERAL (
               SELECT * FROM events WHERE step_id = s.id AND kind = 'step.prior' ORDER BY number DESC LIMIT 1
           ) e"#,
        steps
    )
    .fetch_all(&mut *tx)
    .await?;
    prove_those_that_fit(tx, key, rows).await
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
    let before = hashes_before(tx, &rows).await?;
    rows.into_iter().map(|row| prove_one(key, row, &before)).collect()
}

/// Those of these events that can be proved. Of the others the log says why not, and the hosts are told nothing by them.
async fn prove_those_that_fit(
    tx: &mut PgConnection,
    key: &AuditKey,
    rows: Vec<EventRow>,
) -> Result<Vec<Sealed>, StoreError> {
    let before = hashes_before(tx, &rows).await?;
    let proved = rows.into_iter().map(|row| prove_one(key, row, &before));
    Ok(proved
        .filter_map(|one| {
            one.inspect_err(|error| warn!(%error, "a host is told nothing by this event"))
                .ok()
        })
        .collect())
}

fn prove_one(key: &AuditKey, row: EventRow, before: &HashMap<i64, Vec<u8>>) -> Result<Sealed, StoreError> {
    let hash = before.get(&(row.number - 1)).cloned();
    prove_after(key, row, hash)
}

/// Proves an event that comes after the one with this hash.
pub(super) fn prove_after(
    key: &AuditKey,
    row: EventRow,
    before: Option<Vec<u8>>,
) -> Result<Sealed, StoreError> {
    let number = row.number;
    let fails = |why: &str| StoreError::Tampered(format!("event {number} cannot be trusted: {why}"));
    let record = EventRecord::try_from(row).map_err(|error| fails(&error.to_string()))?;
    let before = match before {
        Some(hash) => row::hash("event hash", hash)?,
        None if number == 1 => GENESIS,
        None => return Err(StoreError::Tampered(format!("event {} is missing", number - 1))),
    };
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
    Ok(Sealed {
        number,
        event: record.event,
    })
}

/// The hashes of the events before these, by their numbers.
async fn hashes_before(
    tx: &mut PgConnection,
    rows: &[EventRow],
) -> Result<HashMap<i64, Vec<u8>>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let numbers: Vec<i64> = rows.iter().map(|row| row.number - 1).collect();
    let found = sqlx::query!("SELECT number, hash FROM events WHERE number = ANY($1)", &numbers)
        .fetch_all(tx)
        .await?;
    Ok(found.into_iter().map(|row| (row.number, row.hash)).collect())
}
