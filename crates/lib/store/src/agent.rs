//! What the api does for agents: at every sync, and while syncs are parked.

mod lives;

use std::collections::HashMap;

use slipway_domain::agent::{Assignment, AttemptReport};
use slipway_domain::digest::Digest;
use slipway_domain::lives::{Doubt, counter};
use slipway_domain::{AttemptId, HostId, Observation, RolloutId, StepId, StepState, StorePath};
use sqlx::types::Json;
use tracing::{instrument, warn};
use uuid::Uuid;

use crate::audit::digests::Told;
use crate::audit::gate;
use crate::fleet::offline_after;
use crate::row::{self, Known};
use crate::{AuditKey, Store, StoreError, bounded};

pub(crate) use lives::quiet_after;

/// How often an observation is judged again because another one of its host came between.
const MOST_JUDGEMENTS: u32 = 3;

/// A host's newest step, as far as it says what the host is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub(crate) id: StepId,
    /// Where it stands.
    pub(crate) state: StepState,
    /// Of all that an instruction is made of.
    pub(crate) digest: Digest,
}

impl Step {
    /// Whether there is something that a host in this state may be told.
    const fn tells(&self) -> bool {
        use StepState::{Activating, Reverting, Staging, Stuck, Verified, Verifying};
        matches!(
            self.state,
            Staging | Activating | Verifying | Verified | Reverting | Stuck
        )
    }
}

/// What was made of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The host's newest step, for [`slipway_domain::agent::instruct`]; none while it is in doubt which machine it is.
    pub assignment: Option<Assignment>,
    /// That step, for [`Store::prove_steps`].
    pub step: Option<Step>,
    /// The rollout of that step.
    pub rollout: Option<RolloutId>,
    /// Whether the worker should look: the report, what runs or what boots changed, or the host was offline before.
    pub news: bool,
}

/// What a host is to do, and what it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Its newest step, for [`slipway_domain::agent::instruct`].
    pub assignment: Assignment,
    /// That step, for [`Store::prove_steps`].
    pub step: Step,
    /// Its last report.
    pub report: Option<AttemptReport>,
}

/// The columns of a step that make an assignment; all null where a host has no step.
struct AssignmentRow {
    id: Option<Uuid>,
    state: Option<String>,
    attempt: Option<Uuid>,
    closure: Option<String>,
    prior: Option<String>,
    strategy: Option<String>,
}

impl AssignmentRow {
    /// A host whose step cannot be read is told nothing, and keeps no other from its news. Most likely a newer program
    /// wrote it.
    fn read(self, host: HostId) -> Option<(Assignment, Step)> {
        self.try_read(host).unwrap_or_else(|error| {
            warn!(%host, %error, "this host is told nothing");
            None
        })
    }

    fn try_read(self, host: HostId) -> Result<Option<(Assignment, Step)>, StoreError> {
        let (Some(id), Some(state), Some(closure), Some(strategy)) =
            (self.id, self.state, self.closure, self.strategy)
        else {
            return Ok(None);
        };
        let state = row::parse("step state", &state)?;
        let told = Told {
            host: host.as_uuid(),
            state,
            attempt: self.attempt,
            closure: &closure,
            strategy: &strategy,
        };
        let step = Step {
            id: StepId::from_uuid(id),
            state,
            digest: told.digest(),
        };
        let assignment = Assignment {
            state: step.state,
            attempt: self.attempt.map(AttemptId::from_uuid),
            closure: row::parse("store path", &closure)?,
            prior: row::parse_opt("store path", self.prior.as_deref())?,
            strategy: serde_json::from_str(&strategy).map_err(|error| StoreError::Corrupt {
                what: "strategy",
                detail: error.to_string(),
            })?,
        };
        Ok(Some((assignment, step)))
    }
}

impl Store {
    /// Keeps what an agent sees and gives its host's newest step, in one statement if it is plain news.
    ///
    /// Fails with [`StoreError::OldObservation`] when something newer of the host is known, and with
    /// [`StoreError::TwoLives`] when another machine has spoken for the host meanwhile. Then nothing of it was kept.
    ///
    /// The clock that the agent sent is only compared with the database's. Text that the database cannot hold is
    /// mended rather than refused, so that no message of a switch script can keep a host from reporting.
    #[instrument(name = "db.agent.record", level = "debug", skip_all, fields(%host))]
    pub async fn record_observation(&self, host: HostId, seen: &Observation) -> Result<Recorded, StoreError> {
        let (boot_id, counter) = (without_nul(&seen.boot_id), counter(seen.counter));
        bounded(async {
            for _ in 0..MOST_JUDGEMENTS {
                if let Some(recorded) = self.record_news(host, seen, &boot_id, counter).await? {
                    return Ok(recorded);
                }
                self.judge_boot(host, &boot_id, counter).await?;
            }
            Err(StoreError::OldObservation {
                host: seen.host.clone(),
            })
        })
        .await
    }

    /// `None` when it is not newer than what is known of the host's current boot, or not of that boot. However long the
    /// statement was on its way: it compares in the very moment in which it writes.
    async fn record_news(
        &self,
        host: HostId,
        seen: &Observation,
        boot_id: &str,
        counter: Option<i64>,
    ) -> Result<Option<Recorded>, StoreError> {
        let report = seen.report.as_ref().map(storable);
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
                   UPDATE hosts SET last_seen_at = now(), heard_at = now(), agent_version = $2,
                          clock_skew_seconds = $3 - floor(extract(epoch FROM now()))::bigint, boot_id = $4,
                          counted_boot_id = $4, boot_counter = greatest(boot_counter, $11::bigint),
                          booted_at = least(booted_at, now() - $11::bigint * interval '1 microsecond'),
                          live = $5, boot_default = $6, report = $7, unsettled = $9, journal_trouble = $10,
                          observed_at = CASE WHEN c.changed THEN now() ELSE observed_at END
                   FROM compared c
                   WHERE hosts.id = c.id AND coalesce(hosts.counted_boot_id = $4, true)
                     AND coalesce($11::bigint > hosts.boot_counter, true)
                   RETURNING hosts.id, c.changed OR c.returned AS news, second_life_at, boot_replaced_at)
               SELECT h.news AS "news!", h.second_life_at, h.boot_replaced_at, now() AS "now!",
                      s.rollout_id AS "rollout_id?", s.id AS "step_id?", s.state AS "state?", s.attempt,
                      s.closure AS "closure?", s.prior, r.strategy::text AS strategy
               FROM recorded h
               LEFT JOIN LATERAL (
                   SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
               ) s ON true
               LEFT JOIN rollouts r ON r.id = s.rollout_id"#,
            host.as_uuid(),
            without_nul(&seen.agent_version),
            seen.clock.timestamp(),
            boot_id,
            seen.live.as_ref().map(StorePath::as_str),
            seen.boot_default.as_ref().map(StorePath::as_str),
            report.as_ref().map(Json) as _,
            offline_after(),
            seen.unsettled.map(AttemptId::as_uuid),
            seen.journal_trouble.as_deref().map(without_nul),
            counter
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let doubt = Doubt::of(row.second_life_at, row.boot_replaced_at, row.now);
        let assignment = AssignmentRow {
            id: row.step_id,
            state: row.state,
            attempt: row.attempt,
            closure: row.closure,
            prior: row.prior,
            strategy: row.strategy,
        };
        let (assignment, step) = assignment.read(host).filter(|_| doubt.is_none()).unzip();
        Ok(Some(Recorded {
            assignment,
            step,
            rollout: row.rollout_id.map(RolloutId::from_uuid),
            news: row.news,
        }))
    }

    /// The newest step and the last report of each of these hosts, in one query. Hosts without a step are left out, and
    /// those of which it is in doubt which machine they are.
    #[instrument(name = "db.agent.assignments", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn assignments_for(&self, hosts: &[HostId]) -> Result<HashMap<HostId, Assigned>, StoreError> {
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT h.id, h.report AS "report: Known<AttemptReport>", s.id AS step_id, s.state, s.attempt, s.closure, s.prior,
                          r.strategy::text AS "strategy!", h.second_life_at, h.boot_replaced_at, now() AS "now!"
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
                if Doubt::of(row.second_life_at, row.boot_replaced_at, row.now).is_some() {
                    continue;
                }
                let assignment = AssignmentRow {
                    id: Some(row.step_id),
                    state: Some(row.state),
                    attempt: row.attempt,
                    closure: Some(row.closure),
                    prior: row.prior,
                    strategy: Some(row.strategy),
                };
                let host = HostId::from_uuid(row.id);
                if let Some((assignment, step)) = assignment.read(host) {
                    let report = row.report.and_then(Known::into_option);
                    let assigned = Assigned {
                        assignment,
                        step,
                        report,
                    };
                    all.insert(host, assigned);
                }
            }
            Ok(all)
        })
        .await
    }

    /// Those of these steps that a worker decided, according to the audit log. Hosts must not hear of any
    /// other.
    ///
    /// Somebody with the database could otherwise swap a closure after the worker's last check, or change a step by
    /// hand. A step that moves on between the two looks is not proved either; its news come next.
    #[instrument(name = "db.agent.prove", level = "debug", skip_all, fields(hosts = steps.len()))]
    pub async fn prove_steps(
        &self,
        mut steps: HashMap<HostId, (Assignment, Step)>,
        key: &AuditKey,
    ) -> Result<HashMap<HostId, Assignment>, StoreError> {
        steps.retain(|_, (_, step)| step.tells());
        if steps.is_empty() {
            return Ok(HashMap::new());
        }
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            gate::told(&mut connection, key, steps).await
        })
        .await
    }

    /// Notes that these hosts are still connected, while their requests are parked. It is no observation: it says
    /// nothing of what runs.
    ///
    /// A host whose row somebody else is writing is ignored: it is being heard of right then.
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
