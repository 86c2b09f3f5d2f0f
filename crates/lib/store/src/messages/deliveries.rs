//! What was sent and what was not: showing, replaying, testing and forgetting deliveries.

use slipway_domain::{
    DeliveryId, DeliveryState, DestinationId, DestinationKind, DestinationName, MessageKind, Timestamp,
};
use slipway_wire::message::{Delivery, EarlierDelivery, Message, MessageData};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::destinations::get;
use super::{TRIED_FOR_SECONDS, UNREADABLE, UNREADABLE_TRIES};
use crate::row::{Count, LenientJson};
use crate::{EventAuthor, Store, StoreError, bounded, page_limit, row};

/// For how many days what was delivered can be looked at.
const DELIVERED_DAYS: i32 = 7;
/// For how many days what is dead can be looked at and replayed.
const DEAD_DAYS: i32 = 30;
/// The most that one look removes.
const REMOVED_AT_ONCE: i64 = 5_000;

/// How a destination does, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// The destination.
    pub destination: DestinationName,
    /// How it takes messages.
    pub kind: DestinationKind,
    /// Whether it gets messages.
    pub enabled: bool,
    /// Deliveries that are to be sent, or sent again.
    pub waiting: u32,
    /// For how many seconds the oldest of these has waited.
    pub oldest_seconds: f64,
    /// Deliveries that are sent no more.
    pub dead: u32,
}

struct DeliveryRow {
    id: Uuid,
    destination: DestinationName,
    message: LenientJson<Message>,
    state: DeliveryState,
    attempts: i32,
    created_at: Timestamp,
    next_at: Timestamp,
    last_error: Option<String>,
    finished_at: Option<Timestamp>,
    earlier: Option<Uuid>,
    earlier_message: Option<LenientJson<Message>>,
}

/// A query of deliveries; what is given is the rest of it, in which they are `y`. Its parameters begin with `$3`.
macro_rules! delivery_rows {
    ($from:tt $($args:tt)*) => {
        sqlx::query_as!(
            DeliveryRow,
            r#"SELECT y.id, d.name AS "destination: DestinationName", y.message AS "message: LenientJson<Message>",
                      y.state AS "state: DeliveryState", y.attempts, y.created_at, y.next_at, y.last_error, y.finished_at,
                      b.id AS "earlier?", b.message AS "earlier_message?: LenientJson<Message>"
               FROM deliveries y JOIN destinations d ON d.id = y.destination_id
               LEFT JOIN LATERAL (
                   SELECT b.id, b.message FROM deliveries b
                   WHERE y.state = 'waiting' AND b.destination_id = y.destination_id AND b.lane = y.lane
                     AND b.state = 'waiting' AND b.seq < y.seq
                     AND NOT (b.attempts >= $1 AND coalesce(b.last_error, '') = $2)
                   ORDER BY b.seq LIMIT 1
               ) b ON true "# + $from,
            UNREADABLE_TRIES,
            UNREADABLE
            $($args)*
        )
    };
}

impl Store {
    /// Deliveries of a destination, the newest first.
    #[instrument(name = "db.delivery.list", level = "debug", skip_all, fields(%destination))]
    pub async fn list_deliveries(
        &self,
        destination: DestinationId,
        state: Option<DeliveryState>,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        bounded(async {
            let rows = delivery_rows!(
                "WHERE y.destination_id = $3 AND ($4::text IS NULL OR y.state = $4)
                   AND ($5::uuid IS NULL OR y.seq < (SELECT a.seq FROM deliveries a WHERE a.id = $5))
                 ORDER BY y.seq DESC LIMIT $6",
                destination.as_uuid(),
                state.map(DeliveryState::as_str),
                after.map(DeliveryId::as_uuid),
                page_limit(limit)
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter()
                .filter_map(|row| delivery_of(row).transpose())
                .collect()
        })
        .await
    }

    /// The delivery with this id.
    #[instrument(name = "db.delivery.get", level = "debug", skip_all, fields(%id))]
    pub async fn get_delivery(&self, id: DeliveryId) -> Result<Delivery, StoreError> {
        bounded(async { one(&mut *self.pool.acquire().await?, id).await }).await
    }

    /// Queues a test, and gives its delivery.
    #[instrument(name = "db.delivery.test", level = "debug", skip_all, fields(%name))]
    pub async fn queue_test(
        &self,
        name: &DestinationName,
        by: &EventAuthor<'_>,
    ) -> Result<Delivery, StoreError> {
        self.transaction(async |tx| {
            let destination = get(tx, name).await?;
            if !destination.enabled {
                return Err(StoreError::DestinationDisabled { name: name.clone() });
            }
            let id = by.id(DeliveryId::from_uuid, || DeliveryId::from_uuid(Uuid::now_v7()));
            let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
                .fetch_one(&mut *tx)
                .await?;
            let message = Message {
                kind: MessageKind::Test,
                timestamp: now,
                data: MessageData {
                    by: Some(by.actor.name().to_owned()),
                    ..MessageData::default()
                },
            };
            sqlx::query!(
                "INSERT INTO deliveries (id, destination_id, lane, message, until)
                 VALUES ($1, $2, $5, $3, now() + make_interval(secs => $4))",
                id.as_uuid(),
                destination.id.as_uuid(),
                Json(&message) as _,
                f64::from(TRIED_FOR_SECONDS),
                format!("test {id}")
            )
            .execute(&mut *tx)
            .await?;
            one(tx, id).await
        })
        .await
    }

    /// Sends a dead delivery again, with the same id, for as long as a new one is tried.
    #[instrument(name = "db.delivery.replay", level = "debug", skip_all, fields(%id))]
    pub async fn replay_delivery(&self, id: DeliveryId) -> Result<Delivery, StoreError> {
        self.transaction(async |tx| {
            let delivery = one(tx, id).await?;
            if !get(tx, &delivery.destination).await?.enabled {
                return Err(StoreError::DestinationDisabled {
                    name: delivery.destination,
                });
            }
            if replay(tx, None, Some(id)).await? == 0 {
                return Err(StoreError::NotDead {
                    id,
                    state: delivery.state,
                });
            }
            one(tx, id).await
        })
        .await
    }

    /// Sends all that is dead of a destination again, in the order in which it was queued. Gives how many.
    #[instrument(name = "db.delivery.replay_all", level = "debug", skip_all, fields(%name))]
    pub async fn replay_destination(&self, name: &DestinationName) -> Result<u32, StoreError> {
        self.transaction(async |tx| {
            let destination = get(tx, name).await?;
            if !destination.enabled {
                return Err(StoreError::DestinationDisabled { name: name.clone() });
            }
            replay(tx, Some(destination.id), None).await
        })
        .await
    }

    /// How each destination does.
    #[instrument(name = "db.delivery.backlogs", level = "debug", skip_all)]
    pub async fn delivery_backlogs(&self) -> Result<Vec<Backlog>, StoreError> {
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT d.name AS "name: DestinationName", d.kind AS "kind: DestinationKind", d.disabled_at,
                          count(y.id) FILTER (WHERE y.state = 'waiting') AS "waiting!: Count",
                          count(y.id) FILTER (WHERE y.state = 'dead') AS "dead!: Count",
                          coalesce(extract(epoch FROM now() - min(y.created_at) FILTER (WHERE y.state = 'waiting'))::float8, 0)
                              AS "oldest_seconds!"
                   FROM destinations d LEFT JOIN deliveries y ON y.destination_id = d.id AND y.state <> 'delivered'
                   GROUP BY d.id ORDER BY d.name"#
            )
            .fetch_all(&self.pool)
            .await?;
            let backlogs = rows.into_iter().map(|row| Backlog {
                destination: row.name,
                kind: row.kind,
                enabled: row.disabled_at.is_none(),
                waiting: row.waiting.into(),
                oldest_seconds: row.oldest_seconds,
                dead: row.dead.into(),
            });
            Ok(backlogs.collect())
        })
        .await
    }

    /// Forgets deliveries that were delivered a week ago, or dead for a month. Gives how many.
    #[instrument(name = "db.delivery.collect", level = "debug", skip_all)]
    pub async fn collect_deliveries(&self) -> Result<u64, StoreError> {
        bounded(async {
            let gone = sqlx::query!(
                "DELETE FROM deliveries WHERE id IN (
                     SELECT id FROM deliveries
                     WHERE state <> 'waiting'
                       AND finished_at < now() - make_interval(days => CASE state WHEN 'dead' THEN $1::integer ELSE $2::integer END)
                     LIMIT $3
                 )",
                DEAD_DAYS,
                DELIVERED_DAYS,
                REMOVED_AT_ONCE
            )
            .execute(&self.pool)
            .await?;
            Ok(gone.rows_affected())
        })
        .await
    }
}

/// Nothing, where a newer program wrote the message.
fn delivery_of(row: DeliveryRow) -> Result<Option<Delivery>, StoreError> {
    let attempts = row::count("attempts", row.attempts)?;
    let earlier_message = row.earlier_message.and_then(Option::<Message>::from);
    let waits_for = row.earlier.map(|id| {
        let (kind, data) = earlier_message
            .map(|message| (message.kind, message.data))
            .unzip();
        EarlierDelivery {
            id: DeliveryId::from_uuid(id),
            kind,
            rollout_number: data.as_ref().and_then(|data| data.rollout_number),
            environment: data.and_then(|data| data.environment),
        }
    });
    Ok(Option::<Message>::from(row.message).map(|message| Delivery {
        id: DeliveryId::from_uuid(row.id),
        destination: row.destination,
        message,
        state: row.state,
        attempts,
        created_at: row.created_at,
        next_at: (row.state == DeliveryState::Waiting).then_some(row.next_at),
        last_error: row.last_error,
        finished_at: row.finished_at,
        waits_for,
    }))
}

async fn one(tx: &mut PgConnection, id: DeliveryId) -> Result<Delivery, StoreError> {
    let row = delivery_rows!("WHERE y.id = $3", id.as_uuid())
        .fetch_optional(tx)
        .await?;
    let delivery = row.map(delivery_of).transpose()?.flatten();
    delivery.ok_or_else(|| StoreError::not_found("delivery", &id))
}

async fn replay(
    tx: &mut PgConnection,
    destination: Option<DestinationId>,
    id: Option<DeliveryId>,
) -> Result<u32, StoreError> {
    let done = sqlx::query!(
        "UPDATE deliveries SET state = 'waiting', finished_at = NULL, attempts = 0, next_at = now(),
                until = now() + make_interval(secs => $3)
         WHERE state = 'dead' AND ($1::uuid IS NULL OR destination_id = $1) AND ($2::uuid IS NULL OR id = $2)",
        destination.map(DestinationId::as_uuid),
        id.map(DeliveryId::as_uuid),
        f64::from(TRIED_FOR_SECONDS)
    )
    .execute(tx)
    .await?;
    row::count(
        "deliveries",
        i64::try_from(done.rows_affected()).unwrap_or(i64::MAX),
    )
}

/// Nothing more is sent to the destination of what waits; it can be replayed.
pub(super) async fn bury(
    tx: &mut PgConnection,
    destination: DestinationId,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE deliveries SET state = 'dead', finished_at = now(), lease = NULL, leased_until = NULL, last_error = $2
         WHERE destination_id = $1 AND state = 'waiting'",
        destination.as_uuid(),
        error
    )
    .execute(tx)
    .await?;
    Ok(())
}
