//! Putting messages into the outbox.

use slipway_domain::{DestinationId, EnvironmentName};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Queued, TRIED_FOR_SECONDS, delivery_id};
use crate::StoreError;

/// A destination, as far as queueing is concerned.
pub(super) struct Reader {
    pub(super) id: Uuid,
    pub(super) environments: Vec<String>,
    pub(super) messages: Vec<String>,
}

impl Reader {
    /// Whether it wants the message. Kinds and names are compared as text: a newer program may have written others.
    fn wants(&self, queued: &Queued) -> bool {
        let any = |list: &[String], text: Option<&str>| {
            list.is_empty() || text.is_some_and(|text| list.iter().any(|wanted| wanted == text))
        };
        let data = &queued.message.data;
        any(&self.messages, Some(queued.message.kind.as_str()))
            && any(
                &self.environments,
                data.environment.as_ref().map(EnvironmentName::as_str),
            )
    }
}

/// Locks the cursor: whoever holds it queues messages. `None` when another worker does.
pub(super) async fn lock(tx: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    let cursor = sqlx::query_scalar!("SELECT number FROM message_cursor FOR UPDATE SKIP LOCKED");
    Ok(cursor.fetch_optional(tx).await?)
}

/// The destinations that get messages.
pub(super) async fn readers(tx: &mut PgConnection) -> Result<Vec<Reader>, StoreError> {
    let readers = sqlx::query_as!(
        Reader,
        "SELECT id, environments, messages FROM destinations WHERE disabled_at IS NULL ORDER BY name FOR KEY SHARE"
    );
    Ok(readers.fetch_all(tx).await?)
}

/// Queues each message for every destination that wants it, in this order, and gives how many deliveries there are.
pub(super) async fn queue(
    tx: &mut PgConnection,
    readers: &[Reader],
    all: &[Queued],
) -> Result<usize, StoreError> {
    let (mut ids, mut destinations, mut lanes, mut messages) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for queued in all {
        for reader in readers.iter().filter(|reader| reader.wants(queued)) {
            ids.push(delivery_id(DestinationId::from_uuid(reader.id), &queued.source).as_uuid());
            destinations.push(reader.id);
            lanes.push(queued.lane.as_str());
            messages.push(Json(&queued.message));
        }
    }
    if ids.is_empty() {
        return Ok(0);
    }
    sqlx::query!(
        "INSERT INTO deliveries (id, destination_id, lane, message, until)
         SELECT id, destination_id, lane, message, now() + make_interval(secs => $5)
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[]) WITH ORDINALITY
              AS q (id, destination_id, lane, message, place)
         ORDER BY place
         ON CONFLICT (id) DO NOTHING",
        &ids,
        &destinations,
        &lanes as _,
        &messages as _,
        f64::from(TRIED_FOR_SECONDS)
    )
    .execute(tx)
    .await?;
    Ok(ids.len())
}
