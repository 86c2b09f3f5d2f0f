//! Reading the chain.

use chrono::{DateTime, Utc};
use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{EnvironmentId, HostId, RolloutId, StepId};
use slipway_wire::audit::Event;
use tracing::instrument;
use uuid::Uuid;

use super::{EventHead, EventRecord};
use crate::releases::number;
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
    pub(super) rollout_seq: Option<i64>,
    pub(super) from_state: Option<String>,
    pub(super) to_state: Option<String>,
    pub(super) cause: String,
    pub(super) hash: Vec<u8>,
    pub(super) seal: Vec<u8>,
    pub(super) seal_key: String,
    /// The hash of the event before, where it is to be proved.
    pub(super) before: Option<Vec<u8>>,
}

/// Which events are looked for.
#[derive(Debug, Clone)]
pub struct EventSearch {
    /// What they are about.
    pub of: EventsOf,
    /// Their kind, or what it begins with before a dot.
    pub kind: Option<String>,
    /// The name of who made them.
    pub actor: Option<String>,
    /// Only greater numbers.
    pub after: i64,
    /// Only smaller numbers.
    pub before: Option<i64>,
    /// Whether the newest comes first.
    pub newest_first: bool,
}

impl EventSearch {
    /// All of them with greater numbers, the oldest first.
    const fn after(of: EventsOf, after: i64) -> Self {
        Self {
            of,
            kind: None,
            actor: None,
            after,
            before: None,
            newest_first: false,
        }
    }
}

/// What events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsOf {
    /// Anything.
    Everything,
    /// A rollout.
    Rollout(RolloutId),
    /// A host.
    Host(HostId),
}

/// A query of events; what is given is the rest of it, in which they are `e`. `listed` names their hosts, `proved` has the
/// hashes before them, and `chained` neither.
macro_rules! event_rows {
    (listed $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(
            r#"(SELECT h.name FROM hosts h WHERE h.id = e.host_id) AS "host_name?",
               (SELECT r.seq FROM rollouts r WHERE r.id = e.rollout_id) AS "rollout_seq?", NULL::bytea AS "before?" "#,
            $from $($args)*
        )
    };
    (proved $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(
            r#"NULL AS "host_name?", NULL::bigint AS "rollout_seq?", (SELECT b.hash FROM events b WHERE b.number = e.number - 1) AS "before?" "#,
            $from $($args)*
        )
    };
    (chained $from:tt $($args:tt)*) => {
        crate::audit::read::event_rows!(r#"NULL AS "host_name?", NULL::bigint AS "rollout_seq?", NULL::bytea AS "before?" "#, $from $($args)*)
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

fn corrupt(detail: &str) -> StoreError {
    StoreError::Corrupt {
        what: "event",
        detail: detail.to_owned(),
    }
}

/// Who caused an event.
pub(crate) fn actor(kind: &str, name: String) -> Result<Actor, StoreError> {
    match (kind, name) {
        ("principal", name) => Ok(Actor::Principal(row::parse("principal name", &name)?)),
        ("host", name) => Ok(Actor::Host(name)),
        ("rules", name) if name.is_empty() => Ok(Actor::Rules),
        ("console", name) if name.is_empty() => Ok(Actor::Console),
        _ => Err(corrupt(
            "its kind of actor is unknown, or has a name where none belongs",
        )),
    }
}

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    /// Strict: what reads back as the event is exactly what was written, with nothing that no hash covers.
    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let actor = actor(&row.actor_kind, row.actor_name)?;
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
            rollout_number: row.rollout_seq.map(number),
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
    pub async fn list_events(
        &self,
        rollout: RolloutId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let search = EventSearch::after(EventsOf::Rollout(rollout), after);
        self.search_events(&search, limit).await
    }

    /// Every event with a number above `after`, the oldest first, with all that is needed to check the chain.
    pub async fn list_all_events(&self, after: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let search = EventSearch::after(EventsOf::Everything, after);
        self.search_events(&search, limit).await
    }

    /// Events that fit, with numbers above `after` and below `before`; the newest first if so asked.
    ///
    /// One statement each for what a list can be of, so that each uses its index.
    #[instrument(name = "db.event.search", level = "debug", skip_all)]
    pub async fn search_events(&self, search: &EventSearch, limit: u32) -> Result<Vec<Event>, StoreError> {
        macro_rules! found {
            ($of:literal, $id:expr) => {
                if search.newest_first {
                    found!($of, $id, " ORDER BY e.number DESC LIMIT $6")
                } else {
                    found!($of, $id, " ORDER BY e.number LIMIT $6")
                }
            };
            ($of:literal, $id:expr, $order:literal) => {
                event_rows!(
                    listed "FROM events e WHERE " + $of + " AND e.number > $2 AND e.number < $3
                              AND ($4::text IS NULL OR e.kind = $4 OR starts_with(e.kind, $4 || '.'))
                              AND ($5::text IS NULL OR e.actor_name = $5)" + $order,
                    $id,
                    search.after,
                    search.before.unwrap_or(i64::MAX),
                    search.kind,
                    search.actor,
                    page_limit(limit)
                )
                .fetch_all(&self.pool)
                .await?
            };
        }
        bounded(async {
            let rows = match search.of {
                EventsOf::Rollout(id) => found!("e.rollout_id = $1", id.as_uuid()),
                EventsOf::Host(id) => found!("e.host_id = $1", id.as_uuid()),
                EventsOf::Everything => found!("$1::uuid IS NULL", None::<Uuid>),
            };
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
