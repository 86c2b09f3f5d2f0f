//! Rolling: hosts are activated wave by wave, never more at once than may be out.

use super::Round;
use crate::event::Actor;
use crate::snapshot::Step;
use crate::{AttemptId, RolloutState, StepState};

impl Round<'_> {
    pub(super) fn roll(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        if let Some(step) = self.snapshot.steps.iter().find(|step| step.is_inconclusive()) {
            let why = format!(
                "{}: {}",
                step.name,
                step.said("its checks can come to no verdict")
            );
            self.rollout(RolloutState::Paused, why);
            return;
        }
        if self.stop_for_failures() {
            return;
        }
        self.begin_staging(attempt_id);
        if !self.changes.is_empty() {
            return;
        }
        match self.current_wave() {
            Some(wave) => self.begin_wave(wave),
            None => self.conclude(),
        }
    }

    /// The first wave with a host that is not through.
    fn current_wave(&self) -> Option<u32> {
        let through = |step: &&Step| !step.state.is_settled();
        self.snapshot
            .steps
            .iter()
            .filter(through)
            .map(|step| step.wave)
            .min()
    }

    fn begin_wave(&mut self, wave: u32) {
        let snapshot = self.snapshot;
        let mut slots = self.free_slots();
        for step in snapshot
            .steps
            .iter()
            .filter(|step| step.wave == wave && step.state == StepState::Staged)
        {
            if !step.seen.is_online(self.now) {
                self.handle_offline(step);
            } else if step.out_before {
                // It is out already: activating it takes nobody else's place, and may mend it.
                self.step(
                    step,
                    StepState::Activating,
                    Actor::Rules,
                    format!("wave {wave}; it was out already"),
                );
            } else if slots > 0 {
                slots -= 1;
                self.step(step, StepState::Activating, Actor::Rules, format!("wave {wave}"));
            }
        }
        self.stop_if_blocked(wave);
    }

    /// Hosts that earlier rollouts left stuck can take every place, and no wait for them would end by itself.
    fn stop_if_blocked(&mut self, wave: u32) {
        let idle = self.changes.is_empty()
            && !self.snapshot.steps.iter().any(|step| {
                !matches!(step.state, StepState::Waiting | StepState::Staged) && !step.state.is_settled()
            });
        let online = |step: &Step| {
            step.wave == wave && step.state == StepState::Staged && step.seen.is_online(self.now)
        };
        if idle && self.free_slots() == 0 && self.snapshot.steps.iter().any(online) {
            let out = self.out_now();
            self.rollout(
                RolloutState::Paused,
                format!("{out} hosts are still out because of earlier rollouts, and no more may be; mend them and resume"),
            );
        }
    }

    fn conclude(&mut self) {
        if let Some(why) = self.first_failure() {
            let failed = self.failed().count();
            self.rollout(
                RolloutState::Failed,
                format!("{failed} hosts failed; first {why}"),
            );
            return;
        }
        let count = |state| {
            self.snapshot
                .steps
                .iter()
                .filter(|step| step.state == state)
                .count()
        };
        let (committed, skipped) = (count(StepState::Committed), count(StepState::Skipped));
        let cause = match skipped {
            0 => format!("all {committed} hosts run the release"),
            _ => format!("{committed} hosts run the release, {skipped} were skipped"),
        };
        self.rollout(RolloutState::Succeeded, cause);
    }
}
