//! What the api does for agents: at every sync, and while syncs are parked.

use std::collections::HashMap;

use slipway_domain::agent::{Assignment, AttemptReport};
use slipway_domain::{AttemptId, HostId, Observation, RolloutId, StorePath, Strategy};
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use crate::fleet::offline_after;
use crate::{Store, StoreError, bounded, row};

/// What was made of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The host's newest step, for [`slipway_domain::agent::instruct`].
    pub assignment: Option<Assignment>,
    /// The rollout of that step.
    pub rollout: Option<RolloutId>,
    /// Whether the worker should look: the report, what runs or what boots changed, or the host was offline before.
    pub news: bool,
}

/// The columns of a step that make an assignment; all null where a host has no step.
struct AssignmentRow {
    state: Option<String>,
    attempt: Option<Uuid>,
    closure: Option<String>,
    prior: Option<String>,
    strategy: Option<Json<Strategy>>,
}

impl AssignmentRow {
    fn read(self) -> Result<Option<Assignment>, StoreError> {
        let (Some(state), Some(closure), Some(strategy)) = (self.state, self.closure, self.strategy) else {
            return Ok(None);
        };
        Ok(Some(Assignment {
            state: row::parse("step state", &state)?,
            attempt: self.attempt.map(AttemptId::from_uuid),
            closure: row::parse("store path", &closure)?,
            prior: row::parse_opt("store path", self.prior.as_deref())?,
            strategy: strategy.0,
        }))
    }
}

impl Store {
    /// Keeps what an agent sees and gives its host's newest step, in one statement.
    ///
    /// The clock that the agent sent is only compared with the database's. Text that the database cannot hold is
    /// mended rather than refused, so that no message of a switch script can keep a host from reporting.
    #[instrument(name = "db.agent.record", level = "debug", skip_all, fields(%host))]
    pub async fn record_observation(&self, host: HostId, seen: &Observation) -> Result<Recorded, StoreError> {
        let report = seen.report.as_ref().map(storable);
        let clock = seen.clock.timestamp();
        bounded(async {
            let row = sqlx::query!(
                r#"WITH before AS (
                       SELECT id, live, boot_default, report, unsettled, journal_trouble, last_seen_at FROM hosts
                       WHERE id = $1 AND retired_at IS NULL FOR NO KEY UPDATE),
                   compared AS (
                       SELECT id,
                              (live IS DISTINCT FROM $5 OR boot_default IS DISTINCT FROM $6
                               OR report IS DISTINCT FROM $7 OR unsettled IS DISTINCT FROM $9
                               OR journal_trouble IS DISTINCT FROM $10) AS changed,
                              coalesce(last_seen_at <= now() - make_interval(secs => $8), true) AS returned
                       FROM before),
                   recorded AS (
                       UPDATE hosts SET last_seen_at = now(), agent_version = $2,
                              clock_skew_seconds = $3 - floor(extract(epoch FROM now()))::bigint, boot_id = $4,
                              live = $5, boot_default = $6, report = $7, unsettled = $9, journal_trouble = $10,
                              observed_at = CASE WHEN c.changed THEN now() ELSE observed_at END
                       FROM compared c WHERE hosts.id = c.id
                       RETURNING hosts.id, c.changed OR c.returned AS news)
                   SELECT h.news AS "news!", s.rollout_id AS "rollout_id?", s.state AS "state?", s.attempt,
                          s.closure AS "closure?", s.prior, r.strategy AS "strategy?: Json<Strategy>"
                   FROM recorded h
                   LEFT JOIN LATERAL (
                       SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                   ) s ON true
                   LEFT JOIN rollouts r ON r.id = s.rollout_id"#,
                host.as_uuid(),
                without_nul(&seen.agent_version),
                clock,
                without_nul(&seen.boot_id),
                seen.live.as_ref().map(StorePath::as_str),
                seen.boot_default.as_ref().map(StorePath::as_str),
                report.as_ref().map(Json) as _,
                offline_after(),
                seen.unsettled.map(AttemptId::as_uuid),
                seen.journal_trouble.as_deref().map(without_nul)
            )
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| StoreError::not_found("host", &host))?;
            let assignment = AssignmentRow {
                state: row.state,
                attempt: row.attempt,
                closure: row.closure,
                prior: row.prior,
                strategy: row.strategy,
            };
            Ok(Recorded {
                assignment: assignment.read()?,
                rollout: row.rollout_id.map(RolloutId::from_uuid),
                news: row.news,
            })
        })
        .await
    }

    /// The newest step and the last report of each of these hosts, in one query. Hosts without a step are left out.
    #[instrument(name = "db.agent.assignments", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn assignments_for(
        &self,
        hosts: &[HostId],
    ) -> Result<HashMap<HostId, (Assignment, Option<AttemptReport>)>, StoreError> {
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT h.id, h.report AS "report: Json<AttemptReport>", s.state, s.attempt, s.closure, s.prior,
                          r.strategy AS "strategy: Json<Strategy>"
                   FROM hosts h
                   CROSS JOIN LATERAL (
                       SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                   ) s
                   JOIN rollouts r ON r.id = s.rollout_id
                   WHERE h.id = ANY($1)"#,
                &ids
            )
            .fetch_all(&self.pool)
            .await?;
            let mut all = HashMap::with_capacity(rows.len());
            for row in rows {
                let assignment = AssignmentRow {
                    state: Some(row.state),
                    attempt: row.attempt,
                    closure: Some(row.closure),
                    prior: row.prior,
                    strategy: Some(row.strategy),
                };
                if let Some(assignment) = assignment.read()? {
                    let report = row.report.map(|report| report.0);
                    all.insert(HostId::from_uuid(row.id), (assignment, report));
                }
            }
            Ok(all)
        })
        .await
    }

    /// Notes that these hosts are still connected, while their requests are parked.
    ///
    /// A host whose row somebody else is writing is passed over: it is being heard of right then.
    #[instrument(name = "db.agent.touch", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn touch_seen(&self, hosts: &[HostId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        bounded(async {
            sqlx::query!(
                "UPDATE hosts SET last_seen_at = now() FROM (
                     SELECT id FROM hosts WHERE id = ANY($1) AND retired_at IS NULL
                     ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
                 ) AS free WHERE hosts.id = free.id",
                &ids
            )
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

/// The report with a message that Postgres can hold.
fn storable(report: &AttemptReport) -> AttemptReport {
    AttemptReport {
        message: report.message.as_deref().map(without_nul),
        ..report.clone()
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
