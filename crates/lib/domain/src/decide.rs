//! The decision: what changes next, given a snapshot and an instant.
//!
//! [`decide`] is one round. The worker writes what it says in one transaction and asks again until nothing changes.
//! An operator's command comes first and alone. Then steps follow their agents' reports, then the rollout follows its
//! steps, and only then something new begins. A round does not depend on earlier rounds: it compares the wanted state
//! with the present one.

mod commands;
mod ending;
mod hold;
mod pause;
mod places;
mod preflight;
mod reboots;
mod staging;
mod steps;
mod waves;

pub use commands::{plan_moved, plan_unknown};

use crate::calendar::Hold;
use crate::event::Actor;
use crate::host_plan::PlanReport;
use crate::snapshot::{RevertScope, Snapshot, StepSnapshot};
use crate::{AttemptId, CommandId, RolloutState, StepId, StepState, StorePath, Timestamp};

/// One change, with who and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changes.
    pub effect: Effect,
    /// Who is behind it.
    pub actor: Actor,
    /// Why, in one line for people.
    pub cause: String,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The rollout's state.
    Rollout {
        /// The state before.
        from: RolloutState,
        /// The state after.
        to: RolloutState,
        /// Which hosts go back, when it becomes `reverting`.
        scope: Option<RevertScope>,
        /// It becomes `paused` for lack of a verdict.
        awaits_verdict: bool,
    },
    /// Which hosts go back, while it is `reverting` already.
    Scope(RevertScope),
    /// It waits for a window, the end of a freeze or its own time; none: no longer.
    Hold(Option<Hold>),
    /// A step's state.
    Step {
        /// The step.
        step: StepId,
        /// The state before.
        from: StepState,
        /// The state after.
        to: StepState,
        /// A new attempt begins with this id.
        attempt: Option<AttemptId>,
        /// Forget the failures so far: a person asked for it.
        reset_failures: bool,
    },
    /// The agent recorded what ran before the activation.
    Prior {
        /// The step.
        step: StepId,
        /// What ran.
        prior: StorePath,
    },
    /// The agent computed what the switch would change.
    Plan {
        /// The step.
        step: StepId,
        /// The plan.
        plan: PlanReport,
    },
    /// An operator's command was taken; `refused` says why it had no effect.
    Command {
        /// The command.
        command: CommandId,
        /// Why it had no effect, if it had none.
        refused: Option<String>,
    },
}

impl Effect {
    /// The step that it is about.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::Step { step, .. } | Self::Prior { step, .. } | Self::Plan { step, .. } => Some(*step),
            Self::Rollout { .. } | Self::Scope(_) | Self::Hold(_) | Self::Command { .. } => None,
        }
    }
}

/// What changes next. Empty when there is nothing to do but wait.
///
/// `attempt_id` gives the ids of new attempts; the worker's are random.
pub fn decide(snapshot: &Snapshot, now: Timestamp, attempt_id: &mut dyn FnMut() -> AttemptId) -> Vec<Change> {
    let mut round = Round {
        snapshot,
        now,
        changes: Vec::new(),
    };
    if snapshot.rollout.state.is_terminal() {
        round.mend();
        round.refuse_commands();
        return round.changes;
    }
    round.follow_commands();
    if !round.changes.is_empty() {
        return round.changes;
    }
    round.follow_agents();
    if !round.changes.is_empty() {
        return round.changes;
    }
    match snapshot.rollout.state {
        RolloutState::Staging | RolloutState::Rolling if round.stop_if_swapped() => {}
        RolloutState::PendingApproval => round.await_approval(attempt_id),
        RolloutState::Staging => round.stage(attempt_id),
        RolloutState::Rolling => round.roll(attempt_id),
        RolloutState::Paused => round.stay_paused(),
        RolloutState::Reverting => round.go_back(),
        RolloutState::Succeeded | RolloutState::Reverted | RolloutState::Aborted | RolloutState::Failed => {}
    }
    round.changes
}

/// One round under way.
struct Round<'a> {
    snapshot: &'a Snapshot,
    now: Timestamp,
    changes: Vec<Change>,
}

impl Round<'_> {
    fn push(&mut self, effect: Effect, actor: Actor, cause: impl Into<String>) {
        self.changes.push(Change {
            effect,
            actor,
            cause: cause.into(),
        });
    }

    fn rollout(&mut self, to: RolloutState, cause: impl Into<String>) {
        let effect = Effect::Rollout {
            from: self.snapshot.rollout.state,
            to,
            scope: None,
            awaits_verdict: false,
        };
        self.push(effect, Actor::Rules, cause);
    }

    fn revert_rollout(&mut self, scope: RevertScope, cause: impl Into<String>) {
        let effect = Effect::Rollout {
            from: self.snapshot.rollout.state,
            to: RolloutState::Reverting,
            scope: Some(scope),
            awaits_verdict: false,
        };
        self.push(effect, Actor::Rules, cause);
    }

    fn step(&mut self, step: &StepSnapshot, to: StepState, actor: Actor, cause: impl Into<String>) {
        let effect = Effect::Step {
            step: step.id,
            from: step.state,
            to,
            attempt: None,
            reset_failures: false,
        };
        self.push(effect, actor, cause);
    }

    fn begin_attempt(&mut self, step: &StepSnapshot, attempt: AttemptId, cause: impl Into<String>) {
        let effect = Effect::Step {
            step: step.id,
            from: step.state,
            to: StepState::Staging,
            attempt: Some(attempt),
            reset_failures: false,
        };
        self.push(effect, Actor::Rules, cause);
    }

    /// Stops a rollout that differs from what was started or approved. True if it stopped the rollout.
    fn stop_if_swapped(&mut self) -> bool {
        let swapped = self.snapshot.swapped.clone();
        let stops = swapped.is_some();
        if let Some(why) = swapped {
            self.rollout(RolloutState::Paused, why);
        }
        stops
    }

    /// Whether a step that failed will be tried again by itself.
    fn has_tries_left(&self, step: &StepSnapshot) -> bool {
        step.failures <= self.snapshot.rollout.strategy.retries
    }

    /// Steps that failed finally: only a person can start them again.
    fn failed(&self) -> impl Iterator<Item = &StepSnapshot> {
        self.snapshot.steps.iter().filter(|step| match step.state {
            StepState::Stuck => true,
            StepState::Reverted => !self.has_tries_left(step),
            _ => false,
        })
    }

    /// The first failure, in words.
    fn first_failure(&self) -> Option<String> {
        self.failed().next().map(in_words)
    }
}

/// A failure, in words.
fn in_words(step: &StepSnapshot) -> String {
    let reason = step.reason.as_deref();
    let reason = reason.unwrap_or("failed for a reason nobody recorded");
    format!("{}: {reason}", step.name)
}

#[cfg(test)]
mod tests;
