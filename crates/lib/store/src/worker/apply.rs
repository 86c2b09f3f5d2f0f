//! The one way in which the states of rollouts and steps change.

use std::collections::HashMap;

use slipway_domain::decide::{Change, What};
use slipway_domain::event::NewEvent;
use slipway_domain::snapshot::{CommandKind, RevertScope};
use slipway_domain::{
    AttemptId, CommandId, EnvironmentId, HostId, RolloutState, StepId, StepState, StorePath,
};
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use super::Lease;
use super::lease::lock;
use crate::audit::digests::Told;
use crate::audit::{append, gate, kind};
use crate::{AuditKey, Store, StoreError, row};

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
                 fields(rollout = %lease.rollout, changes = changes.len()))]
    pub async fn apply(
        &self,
        lease: &Lease,
        changes: &[Change],
        key: &AuditKey,
    ) -> Result<Applied, StoreError> {
        self.transaction(async |tx| {
            let mut draft = Draft::load(tx, lease, changes).await?;
            // Again, now that the rows are locked: they may have been changed since the snapshot. Going back needs no plan.
            if changes.iter().any(rests_on_plan) {
                match gate::plan(tx, key, lease.rollout).await {
                    Ok(_) => {}
                    // What a host reports is written all the same, and its event makes no closure a decision.
                    Err(StoreError::Tampered(_)) if !changes.iter().any(sends_closure) => {
                        draft.as_started = false;
                    }
                    Err(error) => return Err(error),
                }
            }
            for change in changes {
                draft.take(change)?;
            }
            draft.write_rollout(tx).await?;
            draft.write_steps(tx).await?;
            draft.write_commands(tx).await?;
            append(tx, key, &draft.events).await?;
            Ok(Applied {
                state: draft.rollout.state,
                hosts: draft.steps.values().map(|step| step.host).collect(),
            })
        })
        .await
    }
}

/// The rollout as it is to be written.
struct Draft<'a> {
    lease: &'a Lease,
    environment: EnvironmentId,
    strategy: String,
    /// The plan is the one that was started, as far as a change rests on it.
    as_started: bool,
    rollout: RolloutDraft,
    steps: HashMap<StepId, StepDraft>,
    commands: Vec<(CommandId, Option<String>)>,
    events: Vec<NewEvent>,
}

struct RolloutDraft {
    state: RolloutState,
    scope: Option<RevertScope>,
    reason: Option<String>,
    /// It is paused for lack of a verdict.
    awaits_verdict: bool,
    /// It has another state, and so a new instant from which it counts.
    state_changed: bool,
    /// It has to be written at all.
    changed: bool,
}

struct StepDraft {
    host: HostId,
    state: StepState,
    attempt: Option<AttemptId>,
    failures: i32,
    prior: Option<StorePath>,
    reason: Option<String>,
    closure: String,
    state_changed: bool,
}

impl<'a> Draft<'a> {
    async fn load(tx: &mut PgConnection, lease: &'a Lease, changes: &[Change]) -> Result<Self, StoreError> {
        let locked = lock(&mut *tx, lease).await?;
        let wanted: Vec<Uuid> = changes
            .iter()
            .filter_map(|change| step_of(&change.what))
            .collect();
        let rows = sqlx::query!(
            "SELECT id, host_id, state, attempt, failures, prior, reason, closure FROM steps
             WHERE rollout_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
            lease.rollout.as_uuid(),
            &wanted
        )
        .fetch_all(tx)
        .await?;
        let mut steps = HashMap::with_capacity(rows.len());
        for row in rows {
            let draft = StepDraft {
                host: HostId::from_uuid(row.host_id),
                state: row::parse("step state", &row.state)?,
                attempt: row.attempt.map(AttemptId::from_uuid),
                failures: row.failures,
                prior: row::parse_opt("store path", row.prior.as_deref())?,
                reason: row.reason,
                closure: row.closure,
                state_changed: false,
            };
            steps.insert(StepId::from_uuid(row.id), draft);
        }
        let scope = locked.scope.as_deref();
        Ok(Self {
            lease,
            environment: EnvironmentId::from_uuid(locked.environment_id),
            strategy: locked.strategy,
            as_started: true,
            rollout: RolloutDraft {
                state: row::parse("rollout state", &locked.state)?,
                scope: scope
                    .map(|scope| row::named("scope", scope, RevertScope::from_name))
                    .transpose()?,
                reason: locked.reason,
                awaits_verdict: false,
                state_changed: false,
                changed: false,
            },
            steps,
            commands: Vec::new(),
            events: Vec::new(),
        })
    }

    /// Puts one change on the draft, if the state machines allow it.
    fn take(&mut self, change: &Change) -> Result<(), StoreError> {
        let mut event = NewEvent::new(change.actor.clone(), kind_of(&change.what), change.cause.clone());
        event.environment = Some(self.environment);
        event.rollout = Some(self.lease.rollout);
        match &change.what {
            What::Rollout {
                from,
                to,
                scope,
                awaits_verdict,
            } => {
                self.take_rollout(*from, *to, *scope, &mut event)?;
                self.rollout.awaits_verdict = *awaits_verdict;
            }
            What::Scope(scope) => self.take_scope(*scope, &mut event)?,
            What::Step {
                step,
                from,
                to,
                attempt,
                reset_failures,
            } => {
                let lease = self.lease;
                let draft = find(&mut self.steps, *step)?;
                if draft.state != *from {
                    return Err(lease.stale(format!("step {step} is {}, not {from}", draft.state)));
                }
                draft.become_(*to, *attempt, *reset_failures, &change.cause)?;
                (event.step, event.host) = (Some(*step), Some(draft.host));
                (event.from, event.to) = (Some(from.to_string()), Some(to.to_string()));
                event = event.deciding(&draft.told(&self.strategy, self.as_started).digest());
            }
            What::Prior { step, prior } => {
                let draft = find(&mut self.steps, *step)?;
                draft.prior = Some(prior.clone());
                (event.step, event.host) = (Some(*step), Some(draft.host));
                event.to = Some(prior.to_string());
            }
            What::Command { command, refused } => {
                self.commands.push((*command, refused.clone()));
            }
        }
        self.events.push(event);
        Ok(())
    }

    fn take_rollout(
        &mut self,
        from: RolloutState,
        to: RolloutState,
        scope: Option<RevertScope>,
        event: &mut NewEvent,
    ) -> Result<(), StoreError> {
        if self.rollout.state != from {
            return Err(self
                .lease
                .stale(format!("it is {}, not {from}", self.rollout.state)));
        }
        if !from.may_become(to) {
            return Err(StoreError::IllegalChange(format!(
                "rollout {} from {from} to {to}",
                self.lease.rollout
            )));
        }
        self.rollout.state = to;
        (self.rollout.state_changed, self.rollout.changed) = (true, true);
        if scope.is_some() {
            self.rollout.scope = scope;
        }
        // Going on needs no explanation; stopping, going back and ending do.
        let plain = matches!(to, RolloutState::Staging | RolloutState::Rolling);
        self.rollout.reason = (!plain).then(|| event.cause.clone());
        (event.from, event.to) = (Some(from.to_string()), Some(to.to_string()));
        Ok(())
    }

    fn take_scope(&mut self, scope: RevertScope, event: &mut NewEvent) -> Result<(), StoreError> {
        if self.rollout.state != RolloutState::Reverting {
            return Err(StoreError::IllegalChange(format!(
                "rollout {} is {}, and only one that goes back has a scope",
                self.lease.rollout, self.rollout.state
            )));
        }
        event.from = self.rollout.scope.map(|scope| scope.as_str().to_owned());
        event.to = Some(scope.as_str().to_owned());
        self.rollout.scope = Some(scope);
        self.rollout.changed = true;
        Ok(())
    }

    async fn write_rollout(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if !self.rollout.changed {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE rollouts SET state = $2, scope = $3, reason = $4,
                    since = CASE WHEN $5 THEN now() ELSE since END,
                    awaits_verdict_since = CASE WHEN $7 THEN now() WHEN NOT $5 THEN awaits_verdict_since END,
                    finished_at = CASE WHEN $6 THEN coalesce(finished_at, now()) END
             WHERE id = $1",
            self.lease.rollout.as_uuid(),
            self.rollout.state.as_str(),
            self.rollout.scope.map(RevertScope::as_str),
            self.rollout.reason,
            self.rollout.state_changed,
            self.rollout.state.is_terminal(),
            self.rollout.awaits_verdict
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn write_steps(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let steps: Vec<(&StepId, &StepDraft)> = self.steps.iter().collect();
        let ids: Vec<Uuid> = steps.iter().map(|(id, _)| id.as_uuid()).collect();
        let states: Vec<&str> = steps.iter().map(|(_, step)| step.state.as_str()).collect();
        let attempts: Vec<Option<Uuid>> = steps
            .iter()
            .map(|(_, step)| step.attempt.map(AttemptId::as_uuid))
            .collect();
        let failures: Vec<i32> = steps.iter().map(|(_, step)| step.failures).collect();
        let priors: Vec<Option<&str>> = steps
            .iter()
            .map(|(_, step)| step.prior.as_ref().map(StorePath::as_str))
            .collect();
        let reasons: Vec<Option<&str>> = steps.iter().map(|(_, step)| step.reason.as_deref()).collect();
        let changed: Vec<bool> = steps.iter().map(|(_, step)| step.state_changed).collect();
        sqlx::query!(
            "UPDATE steps SET state = n.state, attempt = n.attempt, failures = n.failures, prior = n.prior,
                    reason = n.reason, since = CASE WHEN n.changed THEN now() ELSE since END,
                    activated_at = CASE WHEN n.changed AND n.state = 'activating' THEN now() ELSE activated_at END
             FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::boolean[])
                  AS n (id, state, attempt, failures, prior, reason, changed)
             WHERE steps.id = n.id",
            &ids,
            &states as _,
            &attempts as _,
            &failures,
            &priors as _,
            &reasons as _,
            &changed
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn write_commands(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        for (command, refused) in &self.commands {
            let taken = sqlx::query!(
                "UPDATE rollout_commands SET applied_at = now(), refused = $3
                 WHERE id = $1 AND rollout_id = $2 AND applied_at IS NULL RETURNING kind, principal_id",
                command.as_uuid(),
                self.lease.rollout.as_uuid(),
                refused.as_deref()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| self.lease.stale(format!("command {command} was taken already")))?;
            if refused.is_none() && taken.kind == CommandKind::Approve.as_str() {
                sqlx::query!(
                    "UPDATE rollouts SET approver_id = $2 WHERE id = $1",
                    self.lease.rollout.as_uuid(),
                    taken.principal_id
                )
                .execute(&mut *tx)
                .await?;
            }
        }
        Ok(())
    }
}

fn find(steps: &mut HashMap<StepId, StepDraft>, step: StepId) -> Result<&mut StepDraft, StoreError> {
    steps
        .get_mut(&step)
        .ok_or_else(|| StoreError::not_found("step of this rollout", &step))
}

impl StepDraft {
    /// What the host is told by it as it is now: no closure that is not the one that was started.
    fn told<'a>(&'a self, strategy: &'a str, as_started: bool) -> Told<'a> {
        Told {
            host: self.host.as_uuid(),
            state: self.state,
            attempt: self.attempt.map(AttemptId::as_uuid),
            closure: if as_started { &self.closure } else { "" },
            strategy,
        }
    }

    fn become_(
        &mut self,
        to: StepState,
        attempt: Option<AttemptId>,
        reset_failures: bool,
        cause: &str,
    ) -> Result<(), StoreError> {
        if !self.state.may_become(to) {
            return Err(StoreError::IllegalChange(format!(
                "a step from {} to {to}",
                self.state
            )));
        }
        self.state = to;
        self.state_changed = true;
        if attempt.is_some() {
            self.attempt = attempt;
        }
        if reset_failures {
            self.failures = 0;
        }
        if matches!(to, StepState::Reverted | StepState::Stuck) {
            self.failures = self.failures.saturating_add(1);
        }
        let explained = matches!(
            to,
            StepState::Reverting | StepState::Reverted | StepState::Stuck | StepState::Skipped
        );
        self.reason = explained.then(|| cause.to_owned());
        Ok(())
    }
}

/// Whether the event of it covers the closure.
const fn rests_on_plan(change: &Change) -> bool {
    matches!(change.what, What::Step { to, .. } if Told::rests_on_plan(to))
}

/// Whether it is the worker who sends the host on with it, and not the host that reports.
const fn sends_closure(change: &Change) -> bool {
    matches!(
        change.what,
        What::Step {
            to: StepState::Staging | StepState::Activating,
            ..
        }
    )
}

fn kind_of(what: &What) -> &'static str {
    match what {
        What::Rollout { .. } => "rollout.state",
        What::Scope(_) => "rollout.scope",
        What::Step { .. } => kind::STEP_STATE,
        What::Prior { .. } => kind::STEP_PRIOR,
        What::Command { refused: None, .. } => "command.taken",
        What::Command { refused: Some(_), .. } => "command.refused",
    }
}

fn step_of(what: &What) -> Option<Uuid> {
    match what {
        What::Step { step, .. } | What::Prior { step, .. } => Some(step.as_uuid()),
        What::Rollout { .. } | What::Scope(_) | What::Command { .. } => None,
    }
}
