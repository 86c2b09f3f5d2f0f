//! The snapshot that a decision looks at.

use std::collections::BTreeMap;

use slipway_domain::agent::AttemptReport;
use slipway_domain::event::Actor;
use slipway_domain::lives::Doubt;
use slipway_domain::snapshot::{
    CommandKind, HostObservation, LeftOut, OperatorCommand, Preflight, RevertScope, RolloutSnapshot,
    Snapshot, StepSnapshot,
};
use slipway_domain::{
    AttemptId, Calendar, CommandId, EnvironmentId, Hold, HostId, Labels, PlanReport, PrincipalId,
    PrincipalName, RolloutId, RolloutState, StepId, StepState, Strategy, Timestamp, Timing,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::Lease;
use crate::audit::gate;
use crate::row::{self, LenientJson};
use crate::{AuditKey, Store, StoreError, bounded, preflight};

impl Store {
    /// Everything that a decision on the rollout looks at, and the instant of it, all of one moment. What does not fit
    /// the audit log is in [`Snapshot::swapped`] and [`OperatorCommand::forged`].
    ///
    /// Fails with [`StoreError::StaleLease`] when the lease is somebody else's by now.
    #[instrument(name = "db.rollout.load", level = "debug", skip_all, fields(rollout_id = %lease.rollout))]
    pub async fn load_snapshot(
        &self,
        lease: &Lease,
        key: &AuditKey,
    ) -> Result<(Snapshot, Timestamp), StoreError> {
        bounded(async {
            let mut tx = self.begin_one_moment().await?;
            let row = load_rollout(&mut tx, lease.rollout).await?;
            lease.check_epoch(row.epoch)?;
            let now = row.now;
            let mut steps = load_steps(&mut tx, StepsOf::Rollout(lease.rollout)).await?;
            let fleet_size = sqlx::query_scalar!(
                r#"SELECT count(*) AS "hosts!" FROM hosts WHERE environment_id = $1 AND retired_at IS NULL"#,
                row.environment
            )
            .fetch_one(&mut *tx)
            .await?;
            let environment = EnvironmentId::from_uuid(row.environment);
            let mut left_out = load_left_out(&mut tx, environment, Some(lease.rollout)).await?;
            let check = gate::rollout(&mut tx, key, environment, &row.rollout).await?;
            // It reads the facts of every host, and says nothing before all of them are staged.
            let fetches = |step: &StepSnapshot| step.state.is_fetching();
            let preflight = if row.rollout.state == RolloutState::Staging && !steps.iter().any(fetches) {
                preflight::of_rollout(&mut tx, lease.rollout, &row.rollout.strategy).await?
            } else {
                Preflight::default()
            };
            let mut commands = load_commands(&mut tx, lease.rollout).await?;
            for command in &mut commands {
                command.forged = check.forged.contains(&command.id);
            }
            tx.rollback().await?;
            for step in &mut steps {
                step.out_before = left_out.remove(&step.host).is_some();
                // Where it is not what the event says, the rollout goes no further; going back takes the event's.
                if let Some(recorded) = check.priors.get(&step.id) {
                    step.prior = Some(recorded.clone());
                }
            }
            let mut out_elsewhere: Vec<LeftOut> = left_out.into_values().collect();
            out_elsewhere.sort_by(|one, other| one.name.cmp(&other.name));
            let snapshot = Snapshot {
                rollout: row.rollout,
                steps,
                fleet_size: row::count("number of hosts", fleet_size)? as usize,
                out_elsewhere,
                commands,
                swapped: check.swapped,
                timing: Timing {
                    overridden: check.overridden,
                    ..row.timing
                },
                preflight,
            };
            Ok((snapshot, now))
        })
        .await
    }
}

/// A rollout, with the columns of its row that no decision looks at.
pub(super) struct RolloutRow {
    pub(super) rollout: RolloutSnapshot,
    pub(super) environment: Uuid,
    pub(super) epoch: i64,
    /// The strategy as it is stored.
    pub(super) strategy: String,
    /// As the rows say it.
    pub(super) timing: Timing,
    pub(super) now: Timestamp,
}

pub(super) async fn load_rollout(tx: &mut PgConnection, id: RolloutId) -> Result<RolloutRow, StoreError> {
    let row = sqlx::query!(
        r#"SELECT r.environment_id, r.strategy AS "strategy: Strategy", r.strategy::text AS "as_stored!",
                  r.state AS "state: RolloutState", r.since, r.scope AS "scope: RevertScope", r.reason,
                  r.author_id AS "author: PrincipalId", r.approver_id AS "approver: PrincipalId", r.approved_plan, r.lease_epoch,
                  coalesce(r.awaits_verdict_since = r.since, false) AS "awaits_verdict!", now() AS "now!",
                  r.hold AS "hold: Hold", r.not_before, e.calendar AS "calendar: Calendar",
                  EXISTS (SELECT FROM rollout_commands c
                          WHERE c.rollout_id = r.id AND c.kind = $2 AND c.applied_at IS NOT NULL
                            AND c.refused IS NULL) AS "overridden!"
           FROM rollouts r JOIN environments e ON e.id = r.environment_id WHERE r.id = $1"#,
        id.as_uuid(),
        CommandKind::OverrideFreeze.as_str()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("rollout", &id))?;
    let rollout = RolloutSnapshot {
        id,
        state: row.state,
        since: row.since,
        strategy: row.strategy,
        author: row.author,
        approver: row.approver,
        approved_plan: row::parse_opt("approved plan", row.approved_plan.as_deref())?,
        scope: row.scope,
        reason: row.reason,
        awaits_verdict: row.awaits_verdict,
        hold: row.hold,
    };
    Ok(RolloutRow {
        rollout,
        environment: row.environment_id,
        epoch: row.lease_epoch,
        strategy: row.as_stored,
        timing: Timing {
            calendar: row.calendar,
            not_before: row.not_before,
            overridden: row.overridden,
        },
        now: row.now,
    })
}

/// Which steps are wanted.
#[derive(Clone, Copy)]
pub(super) enum StepsOf<'a> {
    Rollout(RolloutId),
    These(&'a [Uuid]),
}

pub(super) async fn load_steps(
    tx: &mut PgConnection,
    wanted: StepsOf<'_>,
) -> Result<Vec<StepSnapshot>, StoreError> {
    fetch_steps(tx, wanted).await?.into_iter().collect()
}

/// As [`load_steps`], where one that cannot be read does not keep the others from being looked at.
pub(super) async fn fetch_steps(
    tx: &mut PgConnection,
    wanted: StepsOf<'_>,
) -> Result<Vec<Result<StepSnapshot, StoreError>>, StoreError> {
    let (rollout, these) = match wanted {
        StepsOf::Rollout(id) => (Some(id.as_uuid()), None),
        StepsOf::These(ids) => (None, Some(ids)),
    };
    let rows = sqlx::query!(
        r#"SELECT s.id, s.host_id, h.name, s.wave, s.host_group, coalesce(s.canary, s.wave = 0) AS "canary!", s.cluster, s.state, s.since, s.activated_at, s.attempt, s.failures, s.closure,
                  s.prior, s.reason, s.plan AS "plan: LenientJson<PlanReport>", h.last_seen_at, h.heard_at, h.second_life_at, h.boot_replaced_at, h.live,
                  h.boot_default, h.report AS "report: LenientJson<AttemptReport>", h.unsettled, now() AS "now!"
           FROM steps s JOIN hosts h ON h.id = s.host_id
           WHERE ($1::uuid IS NULL OR s.rollout_id = $1) AND ($2::uuid[] IS NULL OR s.id = ANY($2))
           ORDER BY s.wave, h.name"#,
        rollout,
        these
    )
    .fetch_all(tx)
    .await?;
    let steps = rows.into_iter().map(|row| {
        Ok(StepSnapshot {
            id: StepId::from_uuid(row.id),
            host: HostId::from_uuid(row.host_id),
            name: row::parse("host name", &row.name)?,
            wave: row::count("wave", row.wave)?,
            group: row::count("group", row.host_group)?,
            canary: row.canary,
            cluster: row.cluster,
            state: row::parse("step state", &row.state)?,
            since: row.since,
            activated: row.activated_at,
            attempt: row.attempt.map(AttemptId::from_uuid),
            failures: row::count("number of failures", row.failures)?,
            closure: row::parse("store path", &row.closure)?,
            prior: row::parse_opt("store path", row.prior.as_deref())?,
            reason: row.reason,
            plan: row.plan.and_then(Option::from),
            observed: HostObservation {
                connected_at: row.last_seen_at,
                observed_at: row.heard_at,
                doubt: Doubt::of(row.second_life_at, row.boot_replaced_at, row.now),
                live: row::parse_opt("store path", row.live.as_deref())?,
                boot_default: row::parse_opt("store path", row.boot_default.as_deref())?,
                report: row.report.and_then(Option::from),
                unsettled: row.unsettled.map(AttemptId::from_uuid),
            },
            out_before: false,
        })
    });
    Ok(steps.collect())
}

/// Hosts of the environment that any rollout but this one left out of service, by [`HostObservation::is_left_out`]. A host may
/// have come from another environment meanwhile.
///
/// The newest such step that touched the host decides, by [`StepSnapshot::was_touched`]. A step that was never activated
/// proves nothing about the host, such as one that was skipped because the host was offline.
pub(crate) async fn load_left_out(
    tx: &mut PgConnection,
    environment: EnvironmentId,
    but: Option<RolloutId>,
) -> Result<BTreeMap<HostId, LeftOut>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.id, h.name, h.labels AS "labels: Json<Labels>", h.heard_at, h.second_life_at, h.boot_replaced_at, h.unsettled,
                  s.state AS "state?", s.since AS "since?", now() AS "now!"
           FROM hosts h
           LEFT JOIN LATERAL (
               SELECT s.state, s.since FROM steps s
               WHERE s.host_id = h.id AND s.rollout_id IS DISTINCT FROM $2 AND (s.prior IS NOT NULL OR s.state = ANY($3))
               ORDER BY s.seq DESC LIMIT 1
           ) s ON true
           WHERE h.environment_id = $1 AND h.retired_at IS NULL
             AND (h.unsettled IS NOT NULL OR s.state = ANY($3))"#,
        environment.as_uuid(),
        but.map(RolloutId::as_uuid),
        &StepState::OUT.map(StepState::as_str) as _
    )
    .fetch_all(tx)
    .await?;
    let mut left_out = BTreeMap::new();
    for row in rows {
        let observed = HostObservation {
            observed_at: row.heard_at,
            doubt: Doubt::of(row.second_life_at, row.boot_replaced_at, row.now),
            unsettled: row.unsettled.map(AttemptId::from_uuid),
            ..HostObservation::default()
        };
        let state = row.state.as_deref().map(str::parse::<StepState>).transpose();
        // In a state that only a newer program knows it may be anywhere.
        if state.map_or(true, |state| observed.is_left_out(state.zip(row.since))) {
            let host = LeftOut {
                name: row::parse("host name", &row.name)?,
                labels: row.labels.0,
            };
            left_out.insert(HostId::from_uuid(row.id), host);
        }
    }
    Ok(left_out)
}

pub(super) async fn load_commands(
    tx: &mut PgConnection,
    rollout: RolloutId,
) -> Result<Vec<OperatorCommand>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.id AS "id: CommandId", c.kind AS "kind: CommandKind", c.principal_id AS "by: PrincipalId",
                  p.name AS "principal: PrincipalName", c.reason, c.plan
           FROM rollout_commands c JOIN principals p ON p.id = c.principal_id
           WHERE c.rollout_id = $1 AND c.applied_at IS NULL ORDER BY c.seq"#,
        rollout.as_uuid()
    )
    .fetch_all(tx)
    .await?;
    let commands = rows.into_iter().map(|row| {
        Ok(OperatorCommand {
            id: row.id,
            kind: row.kind,
            by: row.by,
            actor: Actor::Principal(row.principal),
            reason: row.reason,
            plan: row::parse_opt("plan", row.plan.as_deref())?,
            forged: false,
        })
    });
    commands.collect()
}
