//! Staging: every host fetches its closure before the first one activates.

use super::Round;
use crate::event::Actor;
use crate::snapshot::{RevertScope, StepSnapshot};
use crate::strategy::{Offline, OnFailure};
use crate::{AttemptId, RolloutState, StepState};

/// Why an attempt begins.
const FETCH: &str = "fetch the closure";

impl Round<'_> {
    pub(super) fn stage(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        if self.stop_for_doubt() || self.stop_for_failures() {
            return;
        }
        if self.go_on_or_fetch(attempt_id) {
            return;
        }
        let fetches = |step: &StepSnapshot| step.state.is_fetching();
        if self.changes.is_empty() && !self.snapshot.steps.iter().any(fetches) && !self.retries_pending() {
            self.begin_rolling();
        }
    }

    /// Asks every waiting host to fetch, and lets failed ones with tries left wait again.
    pub(super) fn begin_staging(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        let snapshot = self.snapshot;
        for step in &snapshot.steps {
            match step.state {
                StepState::Reverted if self.has_tries_left(step) => self.try_again(step),
                StepState::Waiting if !step.observed.is_online(self.now) => self.handle_offline(step),
                StepState::Waiting => self.begin_attempt(step, attempt_id(), FETCH),
                _ => {}
            }
        }
    }

    /// Asks every waiting host that is online to fetch, before an approval. What to do about the others is decided after it.
    pub(super) fn begin_fetching(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        let snapshot = self.snapshot;
        let now = self.now;
        for step in snapshot.steps.iter().filter(|step| step.observed.is_online(now)) {
            match step.state {
                StepState::Reverted if self.has_tries_left(step) => self.try_again(step),
                StepState::Waiting => self.begin_attempt(step, attempt_id(), FETCH),
                _ => {}
            }
        }
    }

    /// The first host that is still to say what would change there.
    pub(super) fn still_to_plan(&self) -> Option<&StepSnapshot> {
        let mut online = self
            .snapshot
            .steps
            .iter()
            .filter(|step| step.observed.is_online(self.now));
        online.find(|step| match step.state {
            StepState::Reverted => self.has_tries_left(step),
            state => state.is_fetching(),
        })
    }

    fn try_again(&mut self, step: &StepSnapshot) {
        let cause = format!(
            "try {} of {} after: {}",
            step.failures + 1,
            self.snapshot.rollout.strategy.retries + 1,
            step.reason.as_deref().unwrap_or("a failure")
        );
        self.step(step, StepState::Waiting, Actor::Rules, cause);
    }

    /// Applies the strategy to a host that is offline in its turn.
    pub(super) fn handle_offline(&mut self, step: &StepSnapshot) {
        let rules = Actor::Rules;
        let strategy = &self.snapshot.rollout.strategy;
        match strategy.offline {
            Offline::Skip => self.step(step, StepState::Skipped, rules, "offline when its turn came"),
            Offline::Fail => self.step(step, StepState::Reverted, rules, "offline when its turn came"),
            Offline::Wait if step.is_offline_for(strategy.limits.offline_seconds, self.now) => {
                let cause = format!("offline for {} s", strategy.limits.offline_seconds);
                self.step(step, StepState::Reverted, rules, cause);
            }
            Offline::Wait => {}
        }
    }

    pub(super) fn retries_pending(&self) -> bool {
        self.snapshot
            .steps
            .iter()
            .any(|step| step.state == StepState::Reverted && self.has_tries_left(step))
    }

    /// Turns failures into the rollout's own state. True when the rollout goes no further by itself.
    pub(super) fn stop_for_failures(&mut self) -> bool {
        let Some(why) = self.first_failure() else {
            return false;
        };
        let touched = self.snapshot.steps.iter().any(StepSnapshot::was_touched);
        match self.snapshot.rollout.strategy.on_failure {
            OnFailure::Pause => self.rollout(RolloutState::Paused, why),
            OnFailure::RevertRollout if touched => {
                self.revert_rollout(RevertScope::All, why);
            }
            OnFailure::RevertRollout => self.fail_unbegun(why),
            OnFailure::RevertHost => return self.stop_for_canary(why),
        }
        true
    }

    /// A stuck host or a failed canary stops the rollout even if single hosts may fail.
    fn stop_for_canary(&mut self, why: String) -> bool {
        if self.failed().any(|step| step.state == StepState::Stuck) {
            self.rollout(RolloutState::Paused, why);
            return true;
        }
        let is_canary =
            |step: &StepSnapshot| step.canary || (step.was_touched() && self.is_on_trial(step.group));
        if !self.failed().any(is_canary) {
            return false;
        }
        if self
            .snapshot
            .steps
            .iter()
            .any(|step| step.state.is_in_flight() || step.state == StepState::Reverting)
        {
            // The other canaries finish first; nothing new begins.
            return true;
        }
        self.fail_unbegun(why);
        true
    }

    pub(super) fn fail_unbegun(&mut self, why: String) {
        self.skip_unbegun(&Actor::Rules, "not begun before the rollout failed");
        self.rollout(RolloutState::Failed, why);
    }
}
