//! Single events with the proof that they are real, for decisions that rest on them.
//!
//! An event is proved by the hash of the one before it, its own content and its seal. Nobody without the key can make a
//! seal for other content, whatever else of the chain they changed.

use slipway_domain::event::{GENESIS, NewEvent, chain_hash};
use slipway_domain::{EnvironmentId, RolloutId};
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

use super::key::BadSeal;
use super::read::{EventRow, event_rows};
use super::{AuditKey, EventRecord};
use crate::{StoreError, row};

/// An event that was proved.
pub(crate) struct Sealed {
    pub(crate) number: i64,
    pub(crate) event: NewEvent,
}

/// The kind of an event, and how its cause begins.
pub(crate) type CausePrefix = (&'static str, String);

/// Events of a rollout of one kind, the oldest first.
pub(crate) async fn of_rollout(
    tx: &mut PgConnection,
    key: &AuditKey,
    rollout: RolloutId,
    kind: &str,
) -> Result<Vec<Sealed>, StoreError> {
    let rows = event_rows!(
        proved "FROM events e WHERE rollout_id = $1 AND kind = $2 ORDER BY number",
        rollout.as_uuid(),
        kind
    )
    .fetch_all(tx)
    .await?;
    prove_all(key, rows)
}

/// The newest event of these kinds about an environment itself.
pub(crate) async fn of_environment(
    tx: &mut PgConnection,
    key: &AuditKey,
    environment: EnvironmentId,
    kinds: &[&str],
) -> Result<Option<Sealed>, StoreError> {
    let row = event_rows!(
        proved "FROM events e WHERE rollout_id IS NULL AND kind = ANY($2) AND environment_id = $1
                ORDER BY number DESC LIMIT 1",
        environment.as_uuid(),
        kinds as _
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| prove(key, row)).transpose()
}

/// The newest event of each of these causes, of those that are about no rollout. [`newest`] finds the one of a cause.
pub(crate) async fn by_causes(
    tx: &mut PgConnection,
    key: &AuditKey,
    causes: &[CausePrefix],
) -> Result<Vec<Sealed>, StoreError> {
    let (kinds, causes): (Vec<&str>, Vec<&str>) =
        causes.iter().map(|(kind, cause)| (*kind, cause.as_str())).unzip();
    let rows = event_rows!(
        proved "FROM unnest($1::text[], $2::text[]) AS w (kind, cause)
                CROSS JOIN LATERAL (
                    SELECT * FROM events
                    WHERE rollout_id IS NULL AND kind = w.kind AND left(cause, 16) = left(w.cause, 16)
                      AND starts_with(cause, w.cause)
                    ORDER BY number DESC LIMIT 1
                ) e",
        &kinds as _,
        &causes as _
    )
    .fetch_all(tx)
    .await?;
    prove_all(key, rows)
}

/// Whether the event of this number has this hash and can be proved.
pub(crate) async fn is_real(
    tx: &mut PgConnection,
    key: &AuditKey,
    number: i64,
    hash: &[u8],
) -> Result<bool, StoreError> {
    let row = event_rows!(proved "FROM events e WHERE number = $1 AND hash = $2", number, hash)
        .fetch_optional(tx)
        .await?;
    Ok(row.is_some_and(|row| prove(key, row).is_ok()))
}

/// The newest of these events with this cause.
pub(crate) fn newest<'a>(events: &'a [Sealed], (kind, cause): &CausePrefix) -> Option<&'a Sealed> {
    let of_cause = events
        .iter()
        .filter(|found| found.event.kind == *kind && found.event.cause.starts_with(cause));
    of_cause.max_by_key(|found| found.number)
}

/// Every event of a token that was made for this principal by another one.
pub(crate) async fn of_tokens_made_for(
    tx: &mut PgConnection,
    key: &AuditKey,
    owner: &str,
) -> Result<Vec<Sealed>, StoreError> {
    let rows = event_rows!(
        proved "FROM events e
                WHERE kind = 'token.created' AND host_id IS NULL AND actor_name <> split_part(cause, ' ', 4)
                  AND split_part(cause, ' ', 4) = $1 AND actor_kind = 'principal'
                ORDER BY number",
        owner
    )
    .fetch_all(tx)
    .await?;
    prove_all(key, rows)
}

/// The newest event of each of these hosts by which a step of it came to its state. Those that cannot be proved are left
/// out.
pub(crate) async fn of_steps(
    tx: &mut PgConnection,
    key: &AuditKey,
    hosts: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = event_rows!(
        proved "FROM unnest($1::uuid[]) AS h (id)
                CROSS JOIN LATERAL (
                    SELECT * FROM events WHERE host_id = h.id AND kind = 'step.state' ORDER BY number DESC LIMIT 1
                ) e",
        hosts
    )
    .fetch_all(tx)
    .await?;
    Ok(prove_those_that_fit(key, rows))
}

/// The newest event of each of these hosts that put it where it is, or took it out of the fleet.
pub(crate) async fn of_hosts(
    tx: &mut PgConnection,
    key: &AuditKey,
    hosts: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = event_rows!(
        proved "FROM unnest($1::uuid[]) AS h (id)
                CROSS JOIN LATERAL (
                    SELECT * FROM events
                    WHERE host_id = h.id AND kind IN ('host.created', 'host.restored', 'host.moved', 'host.retired')
                    ORDER BY number DESC LIMIT 1
                ) e",
        hosts
    )
    .fetch_all(tx)
    .await?;
    prove_all(key, rows)
}

/// The event of each of these steps that recorded its prior. Those that cannot be proved are left out.
pub(crate) async fn of_priors(
    tx: &mut PgConnection,
    key: &AuditKey,
    steps: &[Uuid],
) -> Result<Vec<Sealed>, StoreError> {
    let rows = event_rows!(
        proved "FROM unnest($1::uuid[]) AS s (id)
                CROSS JOIN LATERAL (
                    SELECT * FROM events WHERE step_id = s.id AND kind = 'step.prior' ORDER BY number DESC LIMIT 1
                ) e",
        steps
    )
    .fetch_all(tx)
    .await?;
    Ok(prove_those_that_fit(key, rows))
}

fn prove_all(key: &AuditKey, rows: Vec<EventRow>) -> Result<Vec<Sealed>, StoreError> {
    rows.into_iter().map(|row| prove(key, row)).collect()
}

/// Those of these events that can be proved. Of the others the log says why not, and the hosts are told nothing by them.
fn prove_those_that_fit(key: &AuditKey, rows: Vec<EventRow>) -> Vec<Sealed> {
    let proved = rows.into_iter().map(|row| prove(key, row));
    proved
        .filter_map(|one| {
            one.inspect_err(|error| warn!(%error, "a host is told nothing by this event"))
                .ok()
        })
        .collect()
}

/// Proves an event by the hash of the one before it.
pub(super) fn prove(key: &AuditKey, mut row: EventRow) -> Result<Sealed, StoreError> {
    let (number, before) = (row.number, row.before.take());
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
