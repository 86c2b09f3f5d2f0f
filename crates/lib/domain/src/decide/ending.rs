//! Going back, and the bounds of waits for people.

use std::collections::BTreeSet;

use super::Round;
use crate::event::Actor;
use crate::snapshot::{RevertScope, StepSnapshot};
use crate::{AttemptId, RolloutState, StepState};

impl Round<'_> {
    /// Puts hosts back, within `max_unavailable`, until the rollout is over.
    pub(super) fn go_back(&mut self) {
        let snapshot = self.snapshot;
        let why = snapshot
            .rollout
            .reason
            .clone()
            .unwrap_or_else(|| "the rollout goes back".to_owned());
        // Why it goes back is told of the rollout, and of the hosts that failed.
        self.skip_unbegun(&Actor::Rules, "not begun before the rollout went back");
        // These are out already and keep their places.
        for step in snapshot.steps.iter().filter(|step| step.state.is_in_flight()) {
            self.step(step, StepState::Reverting, Actor::Rules, why.clone());
        }
        self.take_back_committed(&why);
        if !self.changes.is_empty() || !snapshot.steps.iter().all(|step| step.state.is_settled()) {
            return;
        }
        let left: Vec<&StepSnapshot> = snapshot
            .steps
            .iter()
            .filter(|step| self.has_to_go_back(step))
            .collect();
        if left.is_empty() {
            self.conclude_reverting(&why);
        } else {
            self.give_up(&left);
        }
    }

    /// Sends committed hosts back, the last group first. A group waits until the ones after it are not under way any
    /// more. It waits for none that cannot go now: a host that is stuck or offline must not keep the others.
    fn take_back_committed(&mut self, why: &str) {
        let snapshot = self.snapshot;
        let groups: BTreeSet<u32> = snapshot.steps.iter().map(|step| step.group).collect();
        let mut places = self.places();
        for group in groups.into_iter().rev() {
            let mut busy = false;
            for step in snapshot.steps.iter().filter(|step| step.group == group) {
                busy |= step.state.is_under_way();
                if self.has_to_go_back(step) && step.observed.is_online(self.now) && places.take(step) {
                    busy = true;
                    self.step(step, StepState::Reverting, Actor::Rules, why);
                }
            }
            if busy {
                return;
            }
        }
    }

    pub(super) fn has_to_go_back(&self, step: &StepSnapshot) -> bool {
        step.state == StepState::Committed
            && step.was_touched()
            && self.snapshot.rollout.scope != Some(RevertScope::InFlight)
    }

    /// Committed hosts are left, and none can go back now. If hosts that are stuck leave them no place, only a person can
    /// help. If the hosts are offline, the rollout waits for them.
    fn give_up(&mut self, left: &[&StepSnapshot]) {
        let limit = self.snapshot.rollout.strategy.limits.offline_seconds;
        let places = self.places();
        let cause = if left.iter().all(|step| places.obstacle(step).is_some()) {
            format!(
                "{} are out and leave no place to put them back",
                self.names_of_out(None)
            )
        } else if self.waited_in_vain(limit) {
            format!("offline for {limit} s")
        } else {
            return;
        };
        let names: Vec<&str> = left.iter().map(|step| step.name.as_str()).collect();
        let cause = format!(
            "still on the release: {} ({cause}); when they are well again, roll the release before out to them",
            names.join(", ")
        );
        self.rollout(RolloutState::Failed, cause);
    }

    /// Whether neither the rollout nor a step has changed for so long.
    fn waited_in_vain(&self, seconds: u32) -> bool {
        let last = self
            .snapshot
            .steps
            .iter()
            .map(|step| step.since)
            .fold(self.snapshot.rollout.since, Ord::max);
        (self.now - last).num_seconds() >= i64::from(seconds)
    }

    fn conclude_reverting(&mut self, why: &str) {
        if let Some(stuck) = self
            .snapshot
            .steps
            .iter()
            .find(|step| step.state == StepState::Stuck)
        {
            let detail = stuck
                .reason
                .as_deref()
                .unwrap_or("its prior could not be put back");
            self.rollout(
                RolloutState::Failed,
                format!(
                    "{} is stuck: {detail}; the rollout went back because: {why}",
                    stuck.name
                ),
            );
        } else if self.snapshot.rollout.scope == Some(RevertScope::InFlight) {
            self.rollout(RolloutState::Aborted, why);
        } else {
            self.rollout(RolloutState::Reverted, why);
        }
    }

    /// Hosts fetch already, so that people see what they approve. Nothing is touched, and no failure ends the rollout:
    /// the strategy looks at failures once it is approved.
    pub(super) fn await_approval(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        let limit = self.snapshot.rollout.strategy.limits.person_seconds;
        if self.in_this_state_for(limit) {
            let cause = format!("nobody approved it within {limit} s");
            self.skip_unbegun(&Actor::Rules, &cause);
            self.rollout(RolloutState::Aborted, cause);
        } else if self.snapshot.swapped.is_none() {
            self.begin_fetching(attempt_id);
        }
    }

    pub(super) fn in_this_state_for(&self, limit: u32) -> bool {
        (self.now - self.snapshot.rollout.since).num_seconds() >= i64::from(limit)
    }
}
