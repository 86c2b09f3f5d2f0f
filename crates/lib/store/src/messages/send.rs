//! What a sender does: it takes deliveries that are due, and says what became of them.

use secrecy::SecretString;
use slipway_domain::event::Actor;
use slipway_domain::{DeliveryId, DestinationId, DestinationKind, DestinationName};
use slipway_wire::message::Message;
use tracing::instrument;
use uuid::Uuid;

use super::deliveries::bury;
use super::sealed;
use super::{Access, Bound, UNREADABLE, UNREADABLE_TRIES};
use crate::audit::{append, kind};
use crate::row::LenientJson;
use crate::{AuditKey, EventAuthor, Store, StoreError, row};

/// The most deliveries that are under way to one destination at once.
const AT_ONCE: i64 = 4;
/// Only one sender takes at a time: two would not see what the other is about to take.
const LOCK: i64 = 0x736c_6970_7761_7905;

/// A delivery that this sender has.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationName,
    /// How.
    pub kind: DestinationKind,
    /// What gives access there, or why that cannot be said.
    pub access: Result<Access, String>,
    /// What it says; `None` when a newer program wrote it.
    pub message: Option<Message>,
    /// How often it was sent, with this time.
    pub attempts: u32,
    lease: Uuid,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Delivered,
    /// It was not, and is sent again after so many seconds, unless it has been tried for long enough.
    Failed {
        /// Why not.
        error: String,
        /// When again.
        after_seconds: u32,
    },
    /// The destination says that it is gone for good: it is disabled.
    Gone {
        /// What it said.
        error: String,
    },
}

impl Store {
    /// Takes at most so many deliveries that are due, for so many seconds. Others take none of them meanwhile.
    ///
    /// A delivery is only due once those before it in its lane are delivered or dead. Where there is not room for all, the
    /// destinations with the fewest under way come first. So those that hang do not use up what a sender can do.
    ///
    /// Nothing is taken while somebody else is at it.
    #[instrument(name = "db.delivery.take", level = "debug", skip_all)]
    pub async fn take_deliveries(
        &self,
        most: u32,
        lease_seconds: u32,
        key: &AuditKey,
    ) -> Result<Vec<Taken>, StoreError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "it names this one taking, and is kept nowhere else"
        )]
        let lease = Uuid::new_v4();
        self.transaction(async |tx| {
            let is_free = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock($1) AS "is_free!""#, LOCK);
            if !is_free.fetch_one(&mut *tx).await? {
                return Ok(Vec::new());
            }
            let rows = sqlx::query!(
                r#"WITH due AS (
                       SELECT c.id FROM destinations d
                       CROSS JOIN LATERAL (
                           SELECT count(*) AS under_way FROM deliveries u
                           WHERE u.destination_id = d.id AND u.state = 'waiting' AND u.leased_until > now()
                       ) u
                       CROSS JOIN LATERAL (
                           SELECT y.id, y.seq FROM deliveries y
                           WHERE y.destination_id = d.id AND y.state = 'waiting' AND y.next_at <= now()
                             AND (y.leased_until IS NULL OR y.leased_until <= now())
                             AND NOT EXISTS (
                                 SELECT FROM deliveries b WHERE b.destination_id = y.destination_id AND b.lane = y.lane
                                 AND b.state = 'waiting' AND b.seq < y.seq
                                 AND NOT (b.attempts >= $5 AND coalesce(b.last_error, '') = $6)
                             )
                           ORDER BY y.seq LIMIT greatest($1 - u.under_way, 0) FOR UPDATE SKIP LOCKED
                       ) c
                       WHERE d.disabled_at IS NULL
                       ORDER BY u.under_way + row_number() OVER (PARTITION BY d.id ORDER BY c.seq), c.seq
                       LIMIT $2
                   )
                   UPDATE deliveries y
                   SET lease = $3, leased_until = now() + make_interval(secs => $4), attempts = attempts + 1
                   FROM due, destinations d WHERE y.id = due.id AND d.id = y.destination_id
                   RETURNING y.id, y.seq, y.attempts, y.message AS "message: LenientJson<Message>", d.id AS destination_id,
                             d.name AS "name: DestinationName", d.kind AS "kind: DestinationKind", d.shown, d.room,
                             d.recipients, d.sealed, d.sealed_key"#,
                AT_ONCE,
                i64::from(most),
                lease,
                f64::from(lease_seconds),
                UNREADABLE_TRIES,
                UNREADABLE
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut taken = Vec::with_capacity(rows.len());
            for row in rows {
                let bound = Bound {
                    id: DestinationId::from_uuid(row.destination_id),
                    kind: row.kind,
                    shown: &row.shown,
                    room: row.room.as_deref(),
                };
                let sealed = row.sealed.as_deref().zip(row.sealed_key.as_deref());
                let access = access(key, bound, row.recipients, sealed);
                taken.push((
                    row.seq,
                    Taken {
                        id: DeliveryId::from_uuid(row.id),
                        destination: row.name,
                        kind: row.kind,
                        access,
                        message: row.message.into(),
                        attempts: row::count("attempts", row.attempts)?,
                        lease,
                    },
                ));
            }
            taken.sort_by_key(|(seq, _)| *seq);
            Ok(taken.into_iter().map(|(_, taken)| taken).collect())
        })
        .await
    }

    /// Says what became of a delivery. Nothing is written where somebody else has it by now.
    #[instrument(name = "db.delivery.finish", level = "debug", skip_all, fields(id = %taken.id))]
    pub async fn finish_delivery(
        &self,
        taken: &Taken,
        sent: &Sent,
        key: &AuditKey,
    ) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let (delivered, error, after) = match sent {
                Sent::Delivered => (true, None, 0),
                Sent::Failed { error, after_seconds } => (false, Some(error.as_str()), *after_seconds),
                Sent::Gone { error } => (false, Some(error.as_str()), 0),
            };
            let row = sqlx::query!(
                "UPDATE deliveries SET lease = NULL, leased_until = NULL, last_error = $4,
                        state = CASE WHEN $3 THEN 'delivered' WHEN until <= now() THEN 'dead' ELSE 'waiting' END,
                        finished_at = CASE WHEN $3 OR until <= now() THEN now() END,
                        next_at = now() + make_interval(secs => $5)
                 WHERE id = $1 AND lease = $2 AND state = 'waiting' RETURNING destination_id",
                taken.id.as_uuid(),
                taken.lease,
                delivered,
                error,
                f64::from(after)
            )
            .fetch_optional(&mut *tx)
            .await?;
            let (Sent::Gone { error }, Some(row)) = (sent, row) else {
                return Ok(());
            };
            let disabled = sqlx::query!(
                "UPDATE destinations SET disabled_at = now(), disabled_because = $2
                 WHERE id = $1 AND disabled_at IS NULL",
                row.destination_id,
                error
            );
            let is_news = disabled.execute(&mut *tx).await?.rows_affected() > 0;
            bury(tx, DestinationId::from_uuid(row.destination_id), error).await?;
            if is_news {
                let by = EventAuthor::new(Actor::Rules, key);
                let cause = format!("{} gets no messages: {error}", taken.destination);
                append(tx, key, &[by.event(kind::DESTINATION_DISABLED, cause)]).await?;
            }
            Ok(())
        })
        .await
    }
}

fn access(
    key: &AuditKey,
    bound: Bound<'_>,
    recipients: Vec<String>,
    sealed: Option<(&[u8], &str)>,
) -> Result<Access, String> {
    if bound.kind == DestinationKind::Email {
        return Ok(Access::Email { recipients });
    }
    let (sealed, fingerprint) = sealed.ok_or("it has no address")?;
    let secrets = sealed::open(key, bound, sealed, fingerprint).map_err(|error| error.to_string())?;
    let url = SecretString::from(secrets.url);
    let secret = secrets.secret.map(SecretString::from);
    match (bound.kind, secret, bound.room) {
        (DestinationKind::Standard, Some(secret), _) => Ok(Access::Standard { url, secret }),
        (DestinationKind::Slack, ..) => Ok(Access::Slack { url }),
        (DestinationKind::Matrix, Some(token), Some(room)) => Ok(Access::Matrix {
            url,
            room: room.to_owned(),
            token,
        }),
        _ => Err("its row is not whole; delete it and make it again".to_owned()),
    }
}
