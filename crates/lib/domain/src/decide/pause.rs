//! Pauses: what a person must look at, and what ends one.

use super::{Effect, Round};
use crate::RolloutState;
use crate::event::Actor;
use crate::lives::Doubt;
use crate::snapshot::{RevertScope, StepSnapshot};

impl Round<'_> {
    /// Pauses for a host without a verdict. True if the rollout goes no further by itself.
    pub(super) fn stop_for_doubt(&mut self) -> bool {
        let snapshot = self.snapshot;
        let in_doubt =
            |step: &&StepSnapshot| !step.state.is_settled() && step.observed.doubt == Some(Doubt::TwoLives);
        if let Some(step) = snapshot.steps.iter().find(in_doubt) {
            self.rollout(
                RolloutState::Paused,
                format!("{}: {}", step.name, Doubt::TwoLives.words()),
            );
            return true;
        }
        let Some(step) = snapshot.steps.iter().find(|step| step.is_inconclusive()) else {
            return false;
        };
        let message = step.message_or("its checks can come to no verdict");
        let effect = Effect::Rollout {
            from: snapshot.rollout.state,
            to: RolloutState::Paused,
            scope: None,
            awaits_verdict: true,
        };
        self.push(effect, Actor::Rules, format!("{}: {message}", step.name));
        true
    }

    /// A pause for a missing verdict ends once there is one, or once the host goes back; then the strategy decides.
    /// Every other pause waits for a person, for a bounded time.
    pub(super) fn stay_paused(&mut self) {
        let rollout = &self.snapshot.rollout;
        let limit = rollout.strategy.limits.person_seconds;
        if rollout.awaits_verdict && !self.snapshot.steps.iter().any(StepSnapshot::is_inconclusive) {
            self.rollout(RolloutState::Staging, "no host is without a verdict any more");
        } else if self.in_this_state_for(limit) {
            self.revert_rollout(
                RevertScope::InFlight,
                format!("nobody resumed it within {limit} s"),
            );
        }
    }
}
