//! The one way in which the states of rollouts and steps change.

use slipway_domain::apply::ApplyError;
use slipway_domain::decide::{Change, Effect};
use slipway_domain::digest::Digest;
use slipway_domain::event::NewEvent;
use slipway_domain::snapshot::{Preflight, RevertScope, RolloutSnapshot, Snapshot, StepSnapshot};
use slipway_domain::{
    AttemptId, EnvironmentId, HostId, PrincipalId, RolloutState, StepId, StepState, StorePath,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::Lease;
use super::lease::lock;
use super::load::{RolloutRow, StepsOf, load_commands, load_rollout, load_steps};
use crate::audit::digests::StepDecision;
use crate::audit::{append, gate, kind};
use crate::{AuditKey, Store, StoreError};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Where the rollout stands now.
    pub state: RolloutState,
    /// The hosts whose steps changed: for the wake-up.
    pub hosts: Vec<HostId>,
}

impl Store {
    /// Writes what [`slipway_domain::decide::decide`] said, with one event for every change, all or nothing.
    ///
    /// Fails with [`StoreError::StaleLease`] if another worker has the lease, or if a state has changed since the
    /// snapshot. Fails with [`StoreError::IllegalChange`] if the state machines do not allow a change. Fails with
    /// [`StoreError::Tampered`] if a host would get another closure than the one that was started. Then it writes
    /// nothing. Changes that only record hosts' reports are written even after tampering, without sealing a
    /// swapped row.
    #[instrument(name = "db.rollout.apply", level = "debug", skip_all,
                 fields(rollout_id = %lease.rollout, changes = changes.len()))]
    pub async fn apply(
        &self,
        lease: &Lease,
        changes: &[Change],
        key: &AuditKey,
    ) -> Result<Applied, StoreError> {
        self.transaction(async |tx| {
            let (row, mut now) = lock_and_load(tx, lease, changes).await?;
            let as_started = is_as_started(tx, lease, changes, key).await?;
            let mut events = Vec::with_capacity(changes.len());
            for change in changes {
                let event = event_of(change, &now, &row);
                now.apply(change, row.now)
                    .map_err(|error| refusal(lease, error))?;
                events.push(match decision_of(change, &now, &row, as_started) {
                    Some(decision) => event.deciding(&decision.digest()),
                    None => event,
                });
            }
            if now.rollout != row.rollout {
                write_rollout(tx, &now.rollout).await?;
            }
            write_steps(tx, &now.steps).await?;
            write_commands(tx, changes).await?;
            append(tx, key, &events).await?;
            Ok(Applied {
                state: now.rollout.state,
                hosts: now.steps.iter().map(|step| step.host).collect(),
            })
        })
        .await
    }
}

/// Locks the rollout and the steps that the changes name, and gives what they start from.
async fn lock_and_load(
    tx: &mut PgConnection,
    lease: &Lease,
    changes: &[Change],
) -> Result<(RolloutRow, Snapshot), StoreError> {
    lock(&mut *tx, lease).await?;
    let steps = changes.iter().filter_map(|change| change.effect.step());
    let steps: Vec<Uuid> = steps.map(StepId::as_uuid).collect();
    let steps = sqlx::query_scalar!(
        "SELECT id FROM steps WHERE rollout_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
        lease.rollout.as_uuid(),
        &steps
    )
    .fetch_all(&mut *tx)
    .await?;
    let row = load_rollout(&mut *tx, lease.rollout).await?;
    let snapshot = Snapshot {
        rollout: row.rollout.clone(),
        steps: load_steps(&mut *tx, StepsOf::These(&steps)).await?,
        fleet_size: 0,
        out_elsewhere: Vec::new(),
        commands: load_commands(tx, lease.rollout).await?,
        swapped: None,
        timing: row.timing.clone(),
        preflight: Preflight::default(),
    };
    Ok((row, snapshot))
}

/// Whether the plan is the one that was started, as far as a change rests on it. Looked at again now that the rows are
/// locked, for they may have been changed since the snapshot. Going back needs no plan.
async fn is_as_started(
    tx: &mut PgConnection,
    lease: &Lease,
    changes: &[Change],
    key: &AuditKey,
) -> Result<bool, StoreError> {
    if !changes.iter().any(rests_on_plan) {
        return Ok(true);
    }
    match gate::plan(tx, key, lease.rollout).await {
        Ok(_) => Ok(true),
        // What a host reports is written all the same, and its event makes no closure a decision.
        Err(StoreError::Tampered(_)) if !changes.iter().any(sends_closure) => Ok(false),
        Err(error) => Err(error),
    }
}

fn refusal(lease: &Lease, error: ApplyError) -> StoreError {
    match error {
        ApplyError::Stale(detail) => lease.stale(detail),
        ApplyError::Illegal(what) => StoreError::IllegalChange(what),
        ApplyError::UnknownStep(id) => StoreError::not_found("step of this rollout", &id),
    }
}

/// The event of a change of what was there before it.
fn event_of(change: &Change, before: &Snapshot, row: &RolloutRow) -> NewEvent {
    let mut event = NewEvent::new(
        change.actor.clone(),
        kind_of(&change.effect),
        change.cause.clone(),
    );
    event.environment = Some(EnvironmentId::from_uuid(row.environment));
    event.rollout = Some(row.rollout.id);
    if let Some(id) = change.effect.step() {
        event.step = Some(id);
        event.host = before.step(id).map(|step| step.host);
    }
    (event.from, event.to) = match &change.effect {
        Effect::Rollout { from, to, .. } => (Some(from.to_string()), Some(to.to_string())),
        Effect::Scope(scope) => (
            before.rollout.scope.map(|scope| scope.as_str().to_owned()),
            Some(scope.as_str().to_owned()),
        ),
        Effect::Hold(Some(_)) => (None, Some("on_hold".to_owned())),
        Effect::Hold(None) => (Some("on_hold".to_owned()), Some("released".to_owned())),
        Effect::Step { from, to, .. } => (Some(from.to_string()), Some(to.to_string())),
        Effect::Prior { prior, .. } => (None, Some(prior.to_string())),
        Effect::Plan { plan, .. } => (None, Some(plan.digest.to_string())),
        Effect::Command { .. } => (None, None),
    };
    event
}

/// What a change of a step decides for its host: no closure that is not the one that was started.
fn decision_of<'a>(
    change: &Change,
    after: &'a Snapshot,
    row: &'a RolloutRow,
    as_started: bool,
) -> Option<StepDecision<'a>> {
    let Effect::Step { step, .. } = &change.effect else {
        return None;
    };
    let step = after.step(*step)?;
    Some(StepDecision {
        host: step.host.as_uuid(),
        state: step.state,
        attempt: step.attempt.map(AttemptId::as_uuid),
        closure: if as_started { step.closure.as_str() } else { "" },
        strategy: &row.strategy,
        approved_plan: approved_plan(after, step),
    })
}

/// The plan that was approved for a step's host.
fn approved_plan(snapshot: &Snapshot, step: &StepSnapshot) -> Option<Digest> {
    snapshot.rollout.approved_plan?;
    step.plan.as_ref().map(|plan| plan.digest)
}

async fn write_rollout(tx: &mut PgConnection, rollout: &RolloutSnapshot) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE rollouts SET state = $2, since = $3, scope = $4, reason = $5, approver_id = $6,
                awaits_verdict_since = CASE WHEN $7 THEN $3::timestamptz END,
                finished_at = CASE WHEN $8 THEN coalesce(finished_at, $3::timestamptz) END,
                approved_plan = $9, hold = $10
         WHERE id = $1",
        rollout.id.as_uuid(),
        rollout.state.as_str(),
        rollout.since,
        rollout.scope.map(RevertScope::as_str),
        rollout.reason,
        rollout.approver.map(PrincipalId::as_uuid),
        rollout.awaits_verdict,
        rollout.state.is_terminal(),
        rollout.approved_plan.map(String::from),
        rollout.hold.as_ref().map(Json) as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_steps(tx: &mut PgConnection, steps: &[StepSnapshot]) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = steps.iter().map(|step| step.id.as_uuid()).collect();
    let states: Vec<&str> = steps.iter().map(|step| step.state.as_str()).collect();
    let sinces: Vec<_> = steps.iter().map(|step| step.since).collect();
    let activated: Vec<_> = steps.iter().map(|step| step.activated).collect();
    let attempts: Vec<_> = steps
        .iter()
        .map(|step| step.attempt.map(AttemptId::as_uuid))
        .collect();
    let failures: Vec<i32> = steps
        .iter()
        .map(|step| i32::try_from(step.failures).unwrap_or(i32::MAX))
        .collect();
    let priors: Vec<_> = steps
        .iter()
        .map(|step| step.prior.as_ref().map(StorePath::as_str))
        .collect();
    let reasons: Vec<_> = steps.iter().map(|step| step.reason.as_deref()).collect();
    let plans: Vec<_> = steps.iter().map(|step| step.plan.as_ref().map(Json)).collect();
    sqlx::query!(
        "UPDATE steps SET state = n.state, since = n.since, activated_at = n.activated_at, attempt = n.attempt,
                failures = n.failures, prior = n.prior, reason = n.reason, plan = n.plan
         FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::uuid[], $6::integer[],
                     $7::text[], $8::text[], $9::jsonb[])
              AS n (id, state, since, activated_at, attempt, failures, prior, reason, plan)
         WHERE steps.id = n.id",
        &ids,
        &states as _,
        &sinces,
        &activated as _,
        &attempts as _,
        &failures,
        &priors as _,
        &reasons as _,
        &plans as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_commands(tx: &mut PgConnection, changes: &[Change]) -> Result<(), StoreError> {
    let taken = changes.iter().filter_map(|change| match &change.effect {
        Effect::Command { command, refused } => Some((command.as_uuid(), refused.as_deref())),
        _ => None,
    });
    let (ids, refused): (Vec<Uuid>, Vec<Option<&str>>) = taken.unzip();
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE rollout_commands SET applied_at = now(), refused = n.refused
         FROM unnest($1::uuid[], $2::text[]) AS n (id, refused) WHERE rollout_commands.id = n.id",
        &ids,
        &refused as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether the event of it covers the closure.
const fn rests_on_plan(change: &Change) -> bool {
    matches!(change.effect, Effect::Step { to, .. } if StepDecision::rests_on_plan(to))
}

/// Whether it is the worker who sends the host on with it, and not the host that reports.
const fn sends_closure(change: &Change) -> bool {
    matches!(
        change.effect,
        Effect::Step {
            to: StepState::Staging | StepState::Activating,
            ..
        }
    )
}

fn kind_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::Rollout { .. } => "rollout.state",
        Effect::Scope(_) => "rollout.scope",
        Effect::Hold(_) => "rollout.hold",
        Effect::Step { .. } => kind::STEP_STATE,
        Effect::Prior { .. } => kind::STEP_PRIOR,
        Effect::Plan { .. } => kind::STEP_PLAN,
        Effect::Command { refused: None, .. } => "command.taken",
        Effect::Command { refused: Some(_), .. } => "command.refused",
    }
}
