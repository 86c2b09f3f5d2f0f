//! Live systems that change without a rollout: by hand on the host, or by an intruder.
//!
//! The system in the audit log has a separate column beside the observed one. So nothing is lost if a process dies
//! between an observation and its event: the next check finds the difference. It finds it too after a host's rest.

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{HostId, StepState, Timestamp};
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, kind};
use crate::{AuditKey, Store, StoreError};

use super::drift::AT_ONCE;
use super::rest::Rest;

impl Store {
    /// Writes an event for each host whose live system changed without a rollout: of these hosts, or all.
    ///
    /// Cheap when nothing changed. The first system that is ever seen of a host is no change. A host that goes to and fro is
    /// written after its rest, with what runs by then.
    #[instrument(name = "db.host.note_live", level = "debug", skip_all)]
    pub(super) async fn note_live(&self, only: Option<&[Uuid]>, key: &AuditKey) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let changed = lock_changed(tx, only).await?;
            if changed.is_empty() {
                return Ok(());
            }
            let ids: Vec<Uuid> = changed.iter().map(|host| host.id.as_uuid()).collect();
            sqlx::query!("UPDATE hosts SET audited_live = live WHERE id = ANY($1)", &ids)
                .execute(&mut *tx)
                .await?;
            let unexplained: Vec<&Changed> = changed
                .iter()
                .filter(|host| host.audited.is_some() && !host.explained)
                .collect();
            let (ids, rests): (Vec<Uuid>, Vec<i32>) = unexplained
                .iter()
                .map(|host| (host.id.as_uuid(), host.rest.after(host.now)))
                .unzip();
            sqlx::query!(
                "UPDATE hosts h SET live_noted_at = now(), live_rest_seconds = n.rest
                 FROM unnest($1::uuid[], $2::integer[]) AS n (id, rest) WHERE h.id = n.id",
                &ids,
                &rests
            )
            .execute(&mut *tx)
            .await?;
            let events: Vec<NewEvent> = unexplained.into_iter().map(Changed::event).collect();
            append(tx, key, &events).await
        })
        .await
    }
}

/// A host whose live system differs from the audit log.
struct Changed {
    id: HostId,
    name: String,
    audited: Option<String>,
    live: Option<String>,
    explained: bool,
    rest: Rest,
    now: Timestamp,
}

impl Changed {
    fn event(&self) -> NewEvent {
        let cause = "the live system changed, and no rollout asked for it";
        NewEvent {
            host: Some(self.id),
            from: self.audited.clone(),
            to: self.live.clone(),
            ..NewEvent::new(Actor::Host(self.name.clone()), kind::HOST_LIVE, cause)
        }
    }
}

/// Those that may be written now: a change that somebody must explain waits for the host's rest.
///
/// A change is a rollout's when a step of the host is under way, and what runs is the step's closure or its prior. It
/// still is when the step has come to its end meanwhile, if the change was seen before that.
async fn lock_changed(tx: &mut PgConnection, only: Option<&[Uuid]>) -> Result<Vec<Changed>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.id, h.name, h.audited_live, h.live, h.live_noted_at, h.live_rest_seconds, e.explained AS "explained!",
                  now() AS "now!"
           FROM hosts h CROSS JOIN LATERAL (
               SELECT EXISTS (
                      SELECT FROM steps s
                      WHERE s.host_id = h.id AND (
                          (s.state = ANY($3)
                           AND h.live IN (s.closure, s.prior,
                                          CASE WHEN h.report ->> 'attempt' = s.attempt::text THEN h.report ->> 'prior' END))
                          OR (s.state = 'committed' AND h.live = s.closure AND h.observed_at <= s.since)
                          OR (s.state = 'reverted' AND h.live = s.prior AND h.observed_at <= s.since))
               ) AS explained
           ) e
           WHERE h.live IS DISTINCT FROM h.audited_live AND h.live IS NOT NULL AND h.retired_at IS NULL
             AND ($1::uuid[] IS NULL OR h.id = ANY($1))
             AND (e.explained OR h.audited_live IS NULL OR h.live_noted_at IS NULL
                  OR h.live_noted_at <= now() - make_interval(secs => h.live_rest_seconds))
           ORDER BY h.id LIMIT $2 FOR NO KEY UPDATE OF h SKIP LOCKED"#,
        only,
        i64::from(AT_ONCE),
        &StepState::OUT.map(StepState::as_str) as _
    )
    .fetch_all(tx)
    .await?;
    let changed = rows.into_iter().map(|row| Changed {
        id: HostId::from_uuid(row.id),
        name: row.name,
        audited: row.audited_live,
        live: row.live,
        explained: row.explained,
        rest: Rest {
            noted_at: row.live_noted_at,
            seconds: row.live_rest_seconds,
        },
        now: row.now,
    });
    Ok(changed.collect())
}
