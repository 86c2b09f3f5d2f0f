//! Pauses: what a person must look at, and what ends one.

use super::{Round, What};
use crate::RolloutState;
use crate::event::Actor;
use crate::lives::Doubt;
use crate::snapshot::{RevertScope, Step};

impl Round<'_> {
    /// Pauses for a host of which nobody can say how it is. True when the rollout goes no further by itself.
    pub(super) fn stop_for_doubt(&mut self) -> bool {
        let snapshot = self.snapshot;
        let in_doubt = |step: &&Step| !step.state.is_settled() && step.seen.doubt == Some(Doubt::TwoLives);
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
        let said = step.said("its checks can come to no verdict");
        let what = What::Rollout {
            from: snapshot.rollout.state,
            to: RolloutState::Paused,
            scope: None,
            awaits_verdict: true,
        };
        self.push(what, Actor::Rules, format!("{}: {said}", step.name));
        true
    }

    /// A pause for want of a verdict is over once there is one, or once the host is on its way back; then the strategy
    /// says what follows. Every other pause waits for a person, and not for ever.
    pub(super) fn stay_paused(&mut self) {
        let rollout = &self.snapshot.rollout;
        let limit = rollout.strategy.limits.person_seconds;
        if rollout.awaits_verdict && !self.snapshot.steps.iter().any(Step::is_inconclusive) {
            self.rollout(RolloutState::Staging, "no host is without a verdict any more");
        } else if self.in_this_state_for(limit) {
            self.revert_rollout(
                RevertScope::InFlight,
                format!("nobody resumed it within {limit} s"),
            );
        }
    }
}
