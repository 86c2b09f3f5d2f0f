//! Events as messages.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::{
    EnvironmentName, HostName, MessageKind, ReleaseId, ReleaseName, RolloutId, StepState, Timestamp,
};
use slipway_wire::message::{MAX_HOSTS, Message, MessageData, MessageHost};
use slipway_wire::release::ReleaseLabel;
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use super::Queued;
use super::queue::{lock, queue, readers};
use crate::releases::{label, number};
use crate::{Store, StoreError};

/// The most events that one transaction looks at.
const AT_ONCE: i64 = 1_000;

/// An event that people are told of, with what is around it.
struct Told {
    number: i64,
    at: Timestamp,
    kind: MessageKind,
    environment: Option<EnvironmentName>,
    host: Option<HostName>,
    rollout: Option<RolloutId>,
    rollout_number: Option<u64>,
    release: Option<ReleaseLabel>,
    by: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
}

impl Store {
    /// Queues the next events as messages, and moves the cursor behind them: both or neither. Gives whether there are more
    /// events. Where another worker is at it, nothing is done.
    #[instrument(name = "db.message.queue_events", level = "debug", skip_all)]
    pub async fn queue_events(&self) -> Result<bool, StoreError> {
        self.transaction(async |tx| {
            let Some(cursor) = lock(tx).await? else {
                return Ok(false);
            };
            let head = sqlx::query_scalar!("SELECT number FROM event_head")
                .fetch_one(&mut *tx)
                .await?;
            if head <= cursor {
                return Ok(false);
            }
            let readers = readers(tx).await?;
            let last = if readers.is_empty() {
                head
            } else {
                head.min(cursor + AT_ONCE)
            };
            if !readers.is_empty() {
                let told = read(tx, cursor, last).await?;
                let trouble = trouble(tx, &told).await?;
                queue(tx, &readers, &messages(told, &trouble)).await?;
            }
            sqlx::query!("UPDATE message_cursor SET number = $1", last)
                .execute(&mut *tx)
                .await?;
            Ok(last < head)
        })
        .await
    }
}

/// The events after `cursor` up to `last` that people are told of.
async fn read(tx: &mut PgConnection, cursor: i64, last: i64) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT e.number AS "number!", e.at AS "at!", e.actor_kind AS "actor_kind!", e.actor_name AS "actor_name!",
                  e.kind AS "kind!", e.from_state, e.to_state, e.cause AS "cause!", e.rollout_id,
                  n.name AS "environment?: EnvironmentName", h.name AS "host?: HostName", r.seq AS "rollout_seq?",
                  l.id AS "release_id?: ReleaseId", l.seq AS "release_seq?", l.name AS "release_name?: ReleaseName",
                  l.rev AS "rev?"
           FROM events e
           LEFT JOIN environments n ON n.id = e.environment_id
           LEFT JOIN hosts h ON h.id = e.host_id
           LEFT JOIN rollouts r ON r.id = e.rollout_id
           LEFT JOIN releases l ON l.id = r.release_id
           WHERE e.number > $1 AND e.number <= $2
             AND e.kind IN ('rollout.created', 'rollout.state', 'step.state', 'host.drifted', 'host.drift_ended')
             AND (e.kind <> 'step.state' OR e.to_state = 'stuck')
           ORDER BY e.number"#,
        cursor,
        last
    )
    .fetch_all(tx)
    .await?;
    let told = rows.into_iter().filter_map(|row| {
        let event = NewEvent {
            from: row.from_state,
            to: row.to_state,
            ..NewEvent::new(Actor::Rules, &row.kind, row.cause)
        };
        let kind = MessageKind::of_event(&event)?;
        let is_principal = row.actor_kind == "principal";
        let is_drift = matches!(kind, MessageKind::HostDrifted | MessageKind::HostDriftEnded);
        let cause = event.cause_text();
        Some(Told {
            number: row.number,
            at: row.at,
            kind,
            environment: row.environment,
            host: row.host,
            rollout: row.rollout_id.map(RolloutId::from_uuid),
            rollout_number: row.rollout_seq.map(number),
            release: row
                .release_id
                .zip(row.release_seq)
                .map(|(id, seq)| label(id, seq, row.release_name, row.rev)),
            by: is_principal.then_some(row.actor_name),
            // What the rules say may quote a host, and a host's words may hold anything.
            reason: (is_principal && kind != MessageKind::ApprovalWanted).then(|| cause.to_owned()),
            // Words of the program itself.
            detail: is_drift.then(|| cause.to_owned()),
        })
    });
    Ok(told.collect())
}

/// Hosts in trouble, of each rollout that stops or goes back.
async fn trouble(
    tx: &mut PgConnection,
    told: &[Told],
) -> Result<BTreeMap<Uuid, Vec<MessageHost>>, StoreError> {
    use MessageKind as M;
    let rollouts: BTreeSet<Uuid> = told
        .iter()
        .filter(|told| {
            matches!(
                told.kind,
                M::RolloutPaused | M::RolloutReverting | M::RolloutReverted | M::RolloutFailed
            )
        })
        .filter_map(|told| told.rollout.map(RolloutId::as_uuid))
        .collect();
    let mut found = BTreeMap::<Uuid, Vec<MessageHost>>::new();
    if rollouts.is_empty() {
        return Ok(found);
    }
    let rows = sqlx::query!(
        r#"SELECT s.rollout_id, h.name AS "host: HostName", s.state AS "state: StepState"
           FROM steps s JOIN hosts h ON h.id = s.host_id
           WHERE s.rollout_id = ANY($1) AND (s.state IN ('reverting', 'stuck') OR s.failures > 0)
           ORDER BY h.name"#,
        &rollouts.into_iter().collect::<Vec<_>>()
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        found.entry(row.rollout_id).or_default().push(MessageHost {
            name: row.host,
            detail: Some(row.state.to_string()),
        });
    }
    Ok(found)
}

/// One message for each event; those of hosts that began or ended to drift at one moment are told together.
fn messages(told: Vec<Told>, trouble: &BTreeMap<Uuid, Vec<MessageHost>>) -> Vec<Queued> {
    let mut all = Vec::<Queued>::new();
    for told in told {
        let lane = match (&told.rollout, &told.environment) {
            (Some(rollout), _) => rollout.to_string(),
            (None, Some(environment)) => format!("drift of {environment}"),
            (None, None) => "drift".to_owned(),
        };
        if told.rollout.is_none()
            && let Some(last) = all.last_mut()
            && last.lane == lane
            && (last.message.kind, last.message.timestamp) == (told.kind, told.at)
        {
            add_host(&mut last.message.data, told.host, told.detail);
            continue;
        }
        let mut data = MessageData {
            environment: told.environment,
            rollout: told.rollout,
            release: told.release.as_ref().map(|release| release.id),
            rev: told.release.as_ref().and_then(|release| release.rev.clone()),
            by: told.by,
            reason: told.reason,
            rollout_number: told.rollout_number,
            release_label: told.release,
            ..MessageData::default()
        };
        let in_trouble = told.rollout.and_then(|rollout| trouble.get(&rollout.as_uuid()));
        for host in in_trouble
            .into_iter()
            .flatten()
            .filter(|_| told.kind != MessageKind::HostStuck)
        {
            add_host(&mut data, Some(host.name.clone()), host.detail.clone());
        }
        add_host(&mut data, told.host, told.detail);
        all.push(Queued {
            source: format!("event {}", told.number),
            lane,
            message: Message {
                kind: told.kind,
                timestamp: told.at,
                data,
            },
        });
    }
    all
}

/// Adds a host to a message, once; what else is so there goes beside it.
pub(super) fn add_host(data: &mut MessageData, host: Option<HostName>, detail: Option<String>) {
    let Some(name) = host else {
        return;
    };
    if let Some(known) = data.hosts.iter_mut().find(|known| known.name == name) {
        if let (Some(words), Some(more)) = (&mut known.detail, detail)
            && !words.contains(&more)
        {
            words.push_str("; ");
            words.push_str(&more);
        }
        return;
    }
    data.host_count += 1;
    if data.hosts.len() < MAX_HOSTS {
        data.hosts.push(MessageHost { name, detail });
    }
}
