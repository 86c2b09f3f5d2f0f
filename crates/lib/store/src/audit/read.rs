//! Reading the chain.

use chrono::{DateTime, Utc};
use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{EnvironmentId, HostId, RolloutId, StepId};
use slipway_wire::audit::Event;
use tracing::instrument;
use uuid::Uuid;

use super::{EventHead, EventRecord};
use crate::{Store, StoreError, bounded, page_limit, row};

/// A row as it stands, before anything is made of it.
pub(super) struct EventRow {
    pub(super) number: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) actor_kind: String,
    pub(super) actor_name: String,
    pub(super) kind: String,
    pub(super) environment_id: Option<Uuid>,
    pub(super) rollout_id: Option<Uuid>,
    pub(super) step_id: Option<Uuid>,
    pub(super) host_id: Option<Uuid>,
    pub(super) host_name: Option<String>,
    pub(super) from_state: Option<String>,
    pub(super) to_state: Option<String>,
    pub(super) cause: String,
    pub(super) hash: Vec<u8>,
    pub(super) seal: Vec<u8>,
    pub(super) seal_key: String,
    /// The hash of the event before, where it is to be proved.
    pub(super) before: Option<Vec<u8>>,
}

/// A query of events; what is given is the rest of it, in which they are `e`. `listed` names their hosts, `proved` has the
/// hashes before them, and `chained` neither.
macro_rules! event_rows {
    (listed $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(
            r#"(SELECT h.name FROM hosts h WHERE h.id = e.host_id) AS "host_name?", NULL::bytea AS "before?" "#,
            $from $($args)*
        )
    };
    (proved $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(
            r#"NULL AS "host_name?", (SELECT b.hash FROM events b WHERE b.number = e.number - 1) AS "before?" "#,
            $from $($args)*
        )
    };
    (chained $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(r#"NULL AS "host_name?", NULL::bytea AS "before?" "#, $from $($args)*)
    };
    ($more:tt, $from:tt $($args:tt)*) => {
        sqlx::query_as!(
            crate::audit::read::EventRow,
            "SELECT e.number, e.at, e.actor_kind, e.actor_name, e.kind, e.environment_id, e.rollout_id, e.step_id,
                    e.host_id, e.from_state, e.to_state, e.cause, e.hash, e.seal, e.seal_key, " + $more + $from
            $($args)*
        )
    };
}
pub(super) use event_rows;

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    /// Strict: what reads back as the event is exactly what was written, with nothing that no hash covers.
    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let corrupt = |detail: &str| StoreError::Corrupt {
            what: "event",
            detail: detail.to_owned(),
        };
        let actor = match (row.actor_kind.as_str(), row.actor_name) {
            ("principal", name) => Actor::Principal(row::parse("principal name", &name)?),
            ("host", name) => Actor::Host(name),
            ("rules", name) if name.is_empty() => Actor::Rules,
            ("console", name) if name.is_empty() => Actor::Console,
            _ => return Err(corrupt("its actor is none of those that there are")),
        };
        if [&row.from_state, &row.to_state]
            .into_iter()
            .flatten()
            .any(String::is_empty)
        {
            return Err(corrupt("a state is empty"));
        }
        Ok(Self {
            number: row.number,
            at: row.at,
            event: NewEvent {
                actor,
                kind: row.kind,
                environment: row.environment_id.map(EnvironmentId::from_uuid),
                rollout: row.rollout_id.map(RolloutId::from_uuid),
                step: row.step_id.map(StepId::from_uuid),
                host: row.host_id.map(HostId::from_uuid),
                from: row.from_state,
                to: row.to_state,
                cause: row.cause,
            },
            host_name: row::parse_opt("host name", row.host_name.as_deref())?,
            hash: row::hash("event hash", row.hash)?,
            seal: row::hash("event seal", row.seal)?,
            seal_key: row.seal_key,
        })
    }
}

fn shown(row: EventRow) -> Result<Event, StoreError> {
    EventRecord::try_from(row).map(Event::from)
}

impl Store {
    /// Events of one rollout with a number above `after`, the oldest first.
    #[instrument(name = "db.event.list", level = "debug", skip_all, fields(rollout_id = %rollout))]
    pub async fn list_events(
        &self,
        rollout: RolloutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        bounded(async {
            let rows = event_rows!(
                listed "FROM events e WHERE e.rollout_id = $1 AND e.number > $2 ORDER BY e.number LIMIT $3",
                rollout.as_uuid(),
                after,
                page_limit(limit)
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter().map(shown).collect()
        })
        .await
    }

    /// Every event with a number above `after`, the oldest first, with all that is needed to check the chain.
    #[instrument(name = "db.event.list_all", level = "debug", skip_all)]
    pub async fn list_all_events(&self, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        bounded(async {
            let rows = event_rows!(
                listed "FROM events e WHERE e.number > $1 ORDER BY e.number LIMIT $2",
                after,
                page_limit(limit)
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter().map(shown).collect()
        })
        .await
    }

    /// The newest event.
    #[instrument(name = "db.event.head", level = "debug", skip_all)]
    pub async fn event_head(&self) -> Result<EventHead, StoreError> {
        bounded(async {
            let head = sqlx::query!("SELECT number, hash FROM event_head")
                .fetch_one(&self.pool)
                .await?;
            Ok(EventHead {
                number: head.number,
                hash: row::hash("event hash", head.hash)?,
            })
        })
        .await
    }
}
