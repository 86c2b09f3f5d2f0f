//! What the api does for agents: at every sync, and while syncs are parked.

mod lives;

use std::collections::HashMap;

use slipway_domain::agent::{Assignment, AttemptReport, HooksReport, ManifestRef, RunningHook, instruct};
use slipway_domain::digest::Digest;
use slipway_domain::drift::Override;
use slipway_domain::event::NewEvent;
use slipway_domain::lives::{Doubt, counter};
use slipway_domain::{
    AttemptId, AttemptOrigin, HostId, Instruction, Observation, ReleaseId, RolloutId, StepId, StorePath,
};
use sqlx::types::Json;
use tracing::{instrument, warn};
use uuid::Uuid;

use crate::audit::digests::StepDecision;
use crate::audit::gate;
use crate::commits::note_commit;
use crate::fleet::offline_after;
use crate::row::{self, LenientJson};
use crate::{AuditKey, Store, StoreError, bounded};

pub(crate) use lives::quiet_after;

/// How often an observation is judged again because another one of its host came between.
const MOST_JUDGEMENTS: u32 = 3;

/// What was made of an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedObservation {
    /// What the host is to do, for [`Store::instruct`]; none while it is in doubt which machine it is.
    pub assigned: Option<Assigned>,
    /// The rollout of its newest step.
    pub rollout: Option<RolloutId>,
    /// Whether the worker should look: the report, what runs or what boots changed, or the host was offline before.
    pub news: bool,
}

/// What a host is to do by its newest step, and what it last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The host.
    pub host: HostId,
    /// The step.
    pub step: StepId,
    /// What an instruction is derived from.
    pub assignment: Assignment,
    /// The host's last report.
    pub report: Option<AttemptReport>,
    /// Of all that an instruction is made of.
    digest: Digest,
}

impl Assigned {
    /// What the host is to be told, as far as the rows say the truth.
    #[must_use]
    pub fn instruction(&self) -> Instruction {
        instruct(Some(&self.assignment), self.report.as_ref())
    }

    /// Whether the event is the one by which the step came to be as it is.
    pub(crate) fn is_decided_by(&self, event: &NewEvent) -> bool {
        event.step == Some(self.step)
            && event.to.as_deref() == Some(self.assignment.state.as_str())
            && event.digest().is_none_or(|digest| digest == self.digest)
    }
}

/// The columns of a step that make an assignment; all null where a host has no step.
struct AssignmentRow {
    id: Option<Uuid>,
    state: Option<String>,
    attempt: Option<Uuid>,
    closure: Option<String>,
    prior: Option<String>,
    strategy: Option<String>,
    rollout: Option<Uuid>,
    traceparent: Option<String>,
    release: Option<Uuid>,
    manifest: Option<String>,
    approved_plan: Option<String>,
}

impl AssignmentRow {
    /// A host whose step cannot be read is told nothing, and keeps no other from its news. Most likely a newer program
    /// wrote it.
    fn read(self, host: HostId, report: Option<AttemptReport>) -> Option<Assigned> {
        self.try_read(host, report).unwrap_or_else(|error| {
            warn!(%host, %error, "this host is told nothing");
            None
        })
    }

    fn try_read(self, host: HostId, report: Option<AttemptReport>) -> Result<Option<Assigned>, StoreError> {
        let (Some(id), Some(state), Some(closure), Some(strategy)) =
            (self.id, self.state, self.closure, self.strategy)
        else {
            return Ok(None);
        };
        let state = row::parse("step state", &state)?;
        let approved_plan = row::parse_opt("plan", self.approved_plan.as_deref())?;
        let decision = StepDecision {
            host: host.as_uuid(),
            state,
            attempt: self.attempt,
            closure: &closure,
            strategy: &strategy,
            approved_plan,
        };
        let digest = decision.digest();
        let assignment = Assignment {
            state,
            attempt: self.attempt.map(AttemptId::from_uuid),
            closure: row::parse("store path", &closure)?,
            prior: row::parse_opt("store path", self.prior.as_deref())?,
            strategy: serde_json::from_str(&strategy).map_err(|error| StoreError::Corrupt {
                what: "strategy",
                detail: error.to_string(),
            })?,
            origin: self.rollout.map(|rollout| AttemptOrigin {
                rollout: RolloutId::from_uuid(rollout),
                traceparent: row::lenient(self.traceparent.as_deref()),
            }),
            // Only a hint: whether the manifest counts, the agent finds out by its signature.
            manifest: row::lenient(self.manifest.as_deref())
                .zip(self.release)
                .map(|(digest, release)| ManifestRef {
                    release: ReleaseId::from_uuid(release),
                    digest,
                }),
            approved_plan,
        };
        Ok(Some(Assigned {
            host,
            step: StepId::from_uuid(id),
            assignment,
            report,
            digest,
        }))
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
    pub async fn record_observation(
        &self,
        host: HostId,
        seen: &Observation,
    ) -> Result<RecordedObservation, StoreError> {
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
    ) -> Result<Option<RecordedObservation>, StoreError> {
        let report = seen.report.as_ref().map(storable);
        let overrides: Option<Vec<Override>> = seen
            .overrides
            .as_ref()
            .map(|seen| seen.iter().map(storable_override).collect());
        let pending_reboot: Option<Vec<String>> = seen
            .pending_reboot
            .as_ref()
            .map(|parts| parts.iter().map(|part| without_nul(part)).collect());
        note_commit();
        let row = sqlx::query!(
            r#"WITH before AS (
                   SELECT id, live, boot_default, report, unsettled, journal_trouble, overrides, pending_reboot,
                          last_seen_at FROM hosts
                   WHERE id = $1 AND retired_at IS NULL FOR NO KEY UPDATE),
               compared AS (
                   SELECT id,
                          (live IS DISTINCT FROM $5 OR boot_default IS DISTINCT FROM $6
                           OR report IS DISTINCT FROM $7 OR unsettled IS DISTINCT FROM $9
                           OR journal_trouble IS DISTINCT FROM $10 OR overrides IS DISTINCT FROM $12
                           OR pending_reboot IS DISTINCT FROM $13) AS changed,
                          coalesce(last_seen_at <= now() - make_interval(secs => $8), true) AS returned
                   FROM before),
               recorded AS (
                   UPDATE hosts SET last_seen_at = now(), heard_at = now(), agent_version = $2,
                          clock_skew_seconds = $3 - floor(extract(epoch FROM now()))::bigint, boot_id = $4,
                          counted_boot_id = $4, boot_counter = greatest(boot_counter, $11::bigint),
                          booted_at = least(booted_at, now() - $11::bigint * interval '1 microsecond'),
                          live = $5, boot_default = $6, report = $7, unsettled = $9, journal_trouble = $10,
                          overrides = $12,
                          pending_reboot = $13,
                          observed_at = CASE WHEN c.changed THEN now() ELSE observed_at END
                   FROM compared c
                   WHERE hosts.id = c.id AND coalesce(hosts.counted_boot_id = $4, true)
                     AND coalesce($11::bigint > hosts.boot_counter, true)
                   RETURNING hosts.id, c.changed OR c.returned AS news, second_life_at, boot_replaced_at)
               SELECT h.news AS "news!", h.second_life_at, h.boot_replaced_at, now() AS "now!",
                      s.rollout_id AS "rollout_id?", s.id AS "step_id?", s.state AS "state?", s.attempt,
                      s.closure AS "closure?", s.prior, r.strategy::text AS strategy, r.traceparent AS "traceparent?",
                      m.release_id AS "release?", m.digest AS "manifest?",
                      CASE WHEN r.approved_plan IS NOT NULL THEN s.plan->>'digest' END AS approved_plan
               FROM recorded h
               LEFT JOIN LATERAL (
                   SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
               ) s ON true
               LEFT JOIN rollouts r ON r.id = s.rollout_id
               LEFT JOIN release_manifests m ON m.release_id = r.release_id"#,
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
            counter,
            overrides.as_deref().map(Json) as _,
            pending_reboot.as_deref()
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
            rollout: row.rollout_id,
            traceparent: row.traceparent,
            release: row.release,
            manifest: row.manifest,
            approved_plan: row.approved_plan,
        };
        Ok(Some(RecordedObservation {
            assigned: assignment
                .read(host, seen.report.clone())
                .filter(|_| doubt.is_none()),
            rollout: row.rollout_id.map(RolloutId::from_uuid),
            news: row.news,
        }))
    }

    /// The newest step and the last report of each of these hosts, in one query. Hosts without a step are left out, and
    /// those of which it is in doubt which machine they are.
    #[instrument(name = "db.agent.assigned", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn find_assigned(&self, hosts: &[HostId]) -> Result<Vec<Assigned>, StoreError> {
        let ids: Vec<Uuid> = hosts.iter().copied().map(HostId::as_uuid).collect();
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT h.id, h.report AS "report: LenientJson<AttemptReport>", s.id AS step_id, s.state, s.attempt, s.closure, s.prior,
                          r.strategy::text AS "strategy!", r.id AS rollout_id, r.traceparent, m.release_id AS "release?", m.digest AS "manifest?",
                          CASE WHEN r.approved_plan IS NOT NULL THEN s.plan->>'digest' END AS approved_plan, h.second_life_at, h.boot_replaced_at, now() AS "now!"
                   FROM hosts h
                   CROSS JOIN LATERAL (
                       SELECT * FROM steps WHERE steps.host_id = h.id ORDER BY seq DESC LIMIT 1
                   ) s
                   JOIN rollouts r ON r.id = s.rollout_id
                   LEFT JOIN release_manifests m ON m.release_id = r.release_id
                   WHERE h.id = ANY($1)"#,
                &ids
            )
            .fetch_all(&self.pool)
            .await?;
            let assigned = rows.into_iter().filter_map(|row| {
                if Doubt::of(row.second_life_at, row.boot_replaced_at, row.now).is_some() {
                    return None;
                }
                let assignment = AssignmentRow {
                    id: Some(row.step_id),
                    state: Some(row.state),
                    attempt: row.attempt,
                    closure: Some(row.closure),
                    prior: row.prior,
                    strategy: Some(row.strategy),
                    rollout: Some(row.rollout_id),
                    traceparent: row.traceparent,
                    release: row.release,
                    manifest: row.manifest,
                    approved_plan: row.approved_plan,
                };
                assignment.read(HostId::from_uuid(row.id), row.report.and_then(Option::from))
            });
            Ok(assigned.collect())
        })
        .await
    }

    /// The instructions that a worker decided for these hosts, according to the audit log. Hosts without one are left out.
    ///
    /// Somebody with the database could otherwise swap a closure after the worker's last check, or change a step by
    /// hand.
    #[instrument(name = "db.agent.instruct", level = "debug", skip_all)]
    pub async fn instruct(
        &self,
        assigned: impl IntoIterator<Item = Assigned>,
        key: &AuditKey,
    ) -> Result<HashMap<HostId, Instruction>, StoreError> {
        let instructions: HashMap<_, _> = assigned
            .into_iter()
            .map(|assigned| {
                let instruction = assigned.instruction();
                (assigned.host, (assigned, instruction))
            })
            .filter(|(_, (_, instruction))| *instruction != Instruction::Idle)
            .collect();
        if instructions.is_empty() {
            return Ok(HashMap::new());
        }
        bounded(async {
            gate::proven_instructions(&mut *self.pool.acquire().await?, key, instructions).await
        })
        .await
    }
}

/// The report with a message that Postgres can hold.
fn storable(report: &AttemptReport) -> AttemptReport {
    AttemptReport {
        message: report.message.as_deref().map(without_nul),
        hooks: report.hooks.as_ref().map(storable_hooks),
        ..report.clone()
    }
}

fn storable_hooks(hooks: &HooksReport) -> HooksReport {
    HooksReport {
        running: hooks.running.as_ref().map(|hook| RunningHook {
            name: without_nul(&hook.name),
            ..hook.clone()
        }),
        trouble: hooks.trouble.as_deref().map(without_nul),
    }
}

fn storable_override(seen: &Override) -> Override {
    Override {
        expected: without_nul(&seen.expected),
        found: without_nul(&seen.found),
        boot: seen.boot,
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
