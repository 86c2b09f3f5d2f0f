//! What a change does to a rollout. The store writes the outcome down, and the simulator goes on from it.

use crate::decide::{Change, Effect};
use crate::snapshot::{CommandKind, Snapshot, StepSnapshot};
use crate::{RolloutState, StepId, StepState, Timestamp};

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A state is no longer the one that the change starts from: decide again.
    #[error("{0}")]
    Stale(String),
    /// The state machines do not allow it.
    #[error("{0}")]
    Illegal(String),
    /// The rollout has no such step.
    #[error("there is no step `{0}`")]
    UnknownStep(StepId),
}

impl Snapshot {
    /// Makes a change at this instant, if it starts from what is there and the state machines allow it.
    pub fn apply(&mut self, change: &Change, now: Timestamp) -> Result<(), ApplyError> {
        match &change.effect {
            Effect::Rollout {
                from,
                to,
                scope,
                awaits_verdict,
            } => {
                let rollout = &mut self.rollout;
                if rollout.state != *from {
                    return Err(ApplyError::Stale(format!("it is {}, not {from}", rollout.state)));
                }
                if !from.may_become(*to) {
                    let what = format!("rollout {} from {from} to {to}", rollout.id);
                    return Err(ApplyError::Illegal(what));
                }
                // Going on needs no explanation; stopping, going back and ending do.
                let plain = matches!(to, RolloutState::Staging | RolloutState::Rolling);
                rollout.reason = (!plain).then(|| change.cause.clone());
                rollout.state = *to;
                rollout.since = now;
                rollout.scope = scope.or(rollout.scope);
                rollout.awaits_verdict = *awaits_verdict;
                if *to != RolloutState::Rolling {
                    rollout.hold = None;
                }
            }
            Effect::Scope(scope) => {
                let rollout = &mut self.rollout;
                if rollout.state != RolloutState::Reverting {
                    return Err(ApplyError::Illegal(format!(
                        "rollout {} is {}, and only one that goes back has a scope",
                        rollout.id, rollout.state
                    )));
                }
                rollout.scope = Some(*scope);
            }
            Effect::Hold(hold) => self.rollout.hold.clone_from(hold),
            Effect::Step {
                step,
                from,
                to,
                attempt,
                reset_failures,
            } => {
                if *to == StepState::Activating
                    && let Some(hold) = self.timing.hold(now)
                {
                    // It was decided before a window closed, and is late.
                    return Err(ApplyError::Stale(format!("the rollout {}", hold.words())));
                }
                let goes_back = self.rollout.state == RolloutState::Reverting;
                let why = self.rollout.reason.clone().filter(|_| goes_back);
                let step = self.step_mut(*step)?;
                if step.state != *from {
                    let moved = format!("step {} is {}, not {from}", step.id, step.state);
                    return Err(ApplyError::Stale(moved));
                }
                if !from.may_become(*to) {
                    return Err(ApplyError::Illegal(format!("a step from {from} to {to}")));
                }
                // One that is put back because of its rollout did not fail.
                let is_put_back = *from == StepState::Reverting && why.is_some() && why == step.reason;
                if *to == StepState::Stuck || (*to == StepState::Reverted && !is_put_back) {
                    step.failures = step.failures.saturating_add(1);
                }
                step.become_(*to, &change.cause, now);
                step.attempt = attempt.or(step.attempt);
                if *reset_failures {
                    step.failures = 0;
                }
            }
            Effect::Prior { step, prior } => self.step_mut(*step)?.prior = Some(prior.clone()),
            Effect::Plan { step, plan } => self.step_mut(*step)?.plan = Some(plan.clone()),
            Effect::Command { command, refused } => {
                let waiting = self.commands.iter().position(|waits| waits.id == *command);
                let Some(place) = waiting else {
                    return Err(ApplyError::Stale(format!("command {command} was taken already")));
                };
                let taken = self.commands.remove(place);
                match taken.kind {
                    _ if refused.is_some() => {}
                    CommandKind::Approve => {
                        self.rollout.approver = Some(taken.by);
                        self.rollout.approved_plan = taken.plan;
                    }
                    CommandKind::OverrideFreeze => self.timing.overridden = true,
                    CommandKind::Pause | CommandKind::Resume | CommandKind::Revert | CommandKind::Abort => {}
                }
            }
        }
        Ok(())
    }

    fn step_mut(&mut self, id: StepId) -> Result<&mut StepSnapshot, ApplyError> {
        let mut steps = self.steps.iter_mut();
        steps
            .find(|step| step.id == id)
            .ok_or(ApplyError::UnknownStep(id))
    }
}

impl StepSnapshot {
    fn become_(&mut self, to: StepState, cause: &str, now: Timestamp) {
        use StepState::{Activating, Committed, Reverted, Reverting, Skipped, Stuck};
        self.state = to;
        self.since = now;
        if to == Activating {
            self.activated = Some(now);
        }
        let explained = matches!(to, Reverting | Reverted | Stuck | Skipped);
        self.reason = explained.then(|| cause.to_owned());
        if to == Committed {
            // A hook that failed undoes nothing, and is not forgotten either.
            let hooks = self.report().and_then(|report| report.hooks.as_ref());
            self.reason = hooks.and_then(|hooks| hooks.trouble.clone());
        }
    }
}
