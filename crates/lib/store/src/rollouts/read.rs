//! Reading rollouts.

use std::collections::BTreeMap;

use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    AttemptId, EnvironmentId, EnvironmentName, Hold, HostName, PlanReport, PrincipalName, ReleaseId,
    ReleaseName, RolloutId, RolloutState, StepState, StorePath, Strategy, TraceParent,
};
use slipway_wire::rollout::{DoneCommand, FreezeOverride, Rollout, RolloutSummary, Step};
use sqlx::PgConnection;
use tracing::instrument;

use crate::releases::{label, number};
use crate::row::{self, Count, LenientJson};
use crate::{Store, StoreError, bounded, page_limit};

/// Which rollouts are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RolloutsOf {
    /// Only those of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only those of this release.
    pub release: Option<ReleaseId>,
}

/// Which rollouts to read.
struct RolloutFilter {
    id: Option<RolloutId>,
    of: RolloutsOf,
    before: i64,
    limit: i64,
}

impl Store {
    /// A rollout with its steps.
    #[instrument(name = "db.rollout.get", level = "debug", skip_all, fields(rollout_id = %id))]
    pub async fn get_rollout(&self, id: RolloutId) -> Result<Rollout, StoreError> {
        bounded(async {
            let filter = RolloutFilter {
                id: Some(id),
                of: RolloutsOf::default(),
                before: i64::MAX,
                limit: 1,
            };
            let mut tx = self.begin_one_moment().await?;
            let summary = select_rollouts(&mut tx, filter).await?.pop();
            let summary = summary.ok_or_else(|| StoreError::not_found("rollout", &id))?;
            let more = sqlx::query!(
                r#"SELECT r.strategy AS "strategy: Strategy", r.traceparent, r.approved_plan, r.not_before,
                          p.name AS "approver?: PrincipalName", o.name AS "overridden_by?: PrincipalName", o.reason AS "override_reason?",
                          ARRAY(SELECT c.kind FROM rollout_commands c
                                WHERE c.rollout_id = r.id AND c.applied_at IS NULL
                                ORDER BY c.seq) AS "pending_commands!: Vec<CommandKind>",
                          d.kind AS "done?: CommandKind", d.name AS "done_by?: PrincipalName", d.reason AS "done_reason?",
                          d.applied_at AS "done_at?"
                   FROM rollouts r LEFT JOIN principals p ON p.id = r.approver_id
                   LEFT JOIN LATERAL (
                       SELECT p.name, c.reason FROM rollout_commands c JOIN principals p ON p.id = c.principal_id
                       WHERE c.rollout_id = r.id AND c.kind = $2 AND c.applied_at IS NOT NULL AND c.refused IS NULL
                       ORDER BY c.seq LIMIT 1
                   ) o ON true
                   LEFT JOIN LATERAL (
                       SELECT c.kind, p.name, c.reason, c.applied_at
                       FROM rollout_commands c JOIN principals p ON p.id = c.principal_id
                       WHERE c.rollout_id = r.id AND c.kind <> $2 AND c.applied_at IS NOT NULL AND c.refused IS NULL
                       ORDER BY c.seq DESC LIMIT 1
                   ) d ON true
                   WHERE r.id = $1"#,
                id.as_uuid(),
                CommandKind::OverrideFreeze.as_str()
            )
            .fetch_one(&mut *tx)
            .await?;
            let steps = select_steps(&mut tx, id, &more.strategy).await?;
            tx.rollback().await?;
            Ok(Rollout {
                summary,
                strategy: more.strategy,
                approver: more.approver,
                approved_plan: row::parse_opt("approved plan", more.approved_plan.as_deref())?,
                not_before: more.not_before,
                overridden: more.overridden_by.map(|by| FreezeOverride {
                    by,
                    reason: more.override_reason.unwrap_or_default(),
                }),
                pending_commands: more.pending_commands,
                last_command: more.done.zip(more.done_by).zip(more.done_at).map(
                    |((command, by), at)| DoneCommand {
                        command,
                        by,
                        at,
                        reason: more.done_reason,
                    },
                ),
                trace_id: row::lenient(more.traceparent.as_deref())
                    .map(|traceparent: TraceParent| traceparent.trace_id().to_owned()),
                steps,
            })
        })
        .await
    }

    /// Fails unless there is this rollout; reads none of its steps.
    #[instrument(name = "db.rollout.require", level = "debug", skip_all, fields(rollout_id = %id))]
    pub async fn require_rollout(&self, id: RolloutId) -> Result<(), StoreError> {
        bounded(async {
            let found = sqlx::query_scalar!("SELECT seq FROM rollouts WHERE id = $1", id.as_uuid());
            let found = found.fetch_optional(&self.pool).await?;
            found
                .map(drop)
                .ok_or_else(|| StoreError::not_found("rollout", &id))
        })
        .await
    }

    /// These rollouts without their steps, the newest first. `after` is the last of the page before.
    #[instrument(name = "db.rollout.list", level = "debug", skip_all)]
    pub async fn list_rollouts(
        &self,
        of: RolloutsOf,
        after: Option<RolloutId>,
        limit: u32,
    ) -> Result<Vec<RolloutSummary>, StoreError> {
        bounded(async {
            let before = match after {
                None => i64::MAX,
                Some(id) => sqlx::query_scalar!("SELECT seq FROM rollouts WHERE id = $1", id.as_uuid())
                    .fetch_optional(&self.pool)
                    .await?
                    .ok_or_else(|| StoreError::not_found("rollout", &id))?,
            };
            let filter = RolloutFilter {
                id: None,
                of,
                before,
                limit: page_limit(limit),
            };
            let mut connection = self.pool.acquire().await?;
            select_rollouts(&mut connection, filter).await
        })
        .await
    }

    /// How many rollouts there are in each state, for metrics. Every state is there.
    #[instrument(name = "db.rollout.count", level = "debug", skip_all)]
    pub async fn count_rollouts(&self) -> Result<BTreeMap<RolloutState, u32>, StoreError> {
        bounded(async {
            let mut counts: BTreeMap<RolloutState, u32> =
                RolloutState::ALL.iter().map(|state| (*state, 0)).collect();
            let rows = sqlx::query!(r#"SELECT state, count(*) AS "count!" FROM rollouts GROUP BY state"#)
                .fetch_all(&self.pool)
                .await?;
            for row in rows {
                // One that only a newer program knows is not among those that are shown.
                if let Ok(state) = row.state.parse() {
                    counts.insert(state, row::count("number of rollouts", row.count)?);
                }
            }
            Ok(counts)
        })
        .await
    }
}

async fn select_rollouts(
    tx: &mut PgConnection,
    filter: RolloutFilter,
) -> Result<Vec<RolloutSummary>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT r.id AS "id: RolloutId", r.seq, e.name AS "environment: EnvironmentName",
                  r.release_id AS "release: ReleaseId", r.state AS "state: RolloutState", r.since, r.reason,
                  author.name AS "author: PrincipalName", r.created_at, r.finished_at, r.hold AS "hold: Hold",
                  l.seq AS release_seq, l.name AS "release_name: ReleaseName", l.rev
           FROM rollouts r
           JOIN environments e ON e.id = r.environment_id
           JOIN principals author ON author.id = r.author_id
           JOIN releases l ON l.id = r.release_id
           WHERE ($1::uuid IS NULL OR r.id = $1) AND ($2::uuid IS NULL OR r.environment_id = $2)
             AND ($5::uuid IS NULL OR r.release_id = $5) AND r.seq < $3
           ORDER BY r.seq DESC LIMIT $4"#,
        filter.id.map(RolloutId::as_uuid),
        filter.of.environment.map(EnvironmentId::as_uuid),
        filter.before,
        filter.limit,
        filter.of.release.map(ReleaseId::as_uuid)
    )
    .fetch_all(tx)
    .await?;
    let rollouts = rows.into_iter().map(|row| RolloutSummary {
        id: row.id,
        environment: row.environment,
        release: row.release,
        state: row.state,
        since: row.since,
        reason: row.reason,
        author: row.author,
        created_at: row.created_at,
        finished_at: row.finished_at,
        hold: row.hold,
        number: Some(number(row.seq)),
        release_label: Some(label(row.release, row.release_seq, row.release_name, row.rev)),
    });
    Ok(rollouts.collect())
}

async fn select_steps(
    tx: &mut PgConnection,
    rollout: RolloutId,
    strategy: &Strategy,
) -> Result<Vec<Step>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.name AS "host: HostName", s.wave AS "wave!: Count", s.host_group AS "group!: Count",
                  coalesce(s.canary, s.wave = 0) AS "canary!", s.cluster, s.state AS "state: StepState", s.since,
                  s.attempt AS "attempt: AttemptId", s.failures AS "failures!: Count", s.closure AS "closure: StorePath",
                  s.prior AS "prior: StorePath", s.reason,
                  CASE WHEN h.report->>'attempt' = s.attempt::text
                       THEN h.report->'hooks'->'running'->>'name' END AS hook,
                  CASE WHEN s.state = 'verifying' AND h.report->>'phase' = 'verifying'
                            AND h.report->>'attempt' = s.attempt::text
                       THEN h.report->>'message' END AS checks,
                  extract(epoch FROM now() - s.since)::bigint AS "seconds!",
                  s.plan AS "plan: LenientJson<PlanReport>"
           FROM steps s JOIN hosts h ON h.id = s.host_id
           WHERE s.rollout_id = $1 ORDER BY s.wave, h.name"#,
        rollout.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    let steps = rows.into_iter().map(|row| Step {
        host: row.host,
        wave: row.wave.into(),
        group: row.group.into(),
        canary: row.canary,
        cluster: row.cluster,
        state: row.state,
        since: row.since,
        attempt: row.attempt,
        failures: row.failures.into(),
        closure: row.closure,
        prior: row.prior,
        reason: row.reason,
        hook: row.hook,
        checks_seconds_left: row
            .checks
            .as_ref()
            .and_then(|_| u32::try_from(i64::from(strategy.verify.timeout_seconds) - row.seconds).ok()),
        checks: row.checks,
        plan: row.plan.and_then(Option::from),
    });
    Ok(steps.collect())
}
