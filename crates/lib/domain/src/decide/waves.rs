//! Rolling: hosts are activated wave by wave, never more at once than may be out.

use super::Round;
use crate::event::Actor;
use crate::snapshot::StepSnapshot;
use crate::strategy::Canary;
use crate::{AttemptId, RolloutState, StepState};

impl Round<'_> {
    pub(super) fn roll(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        if self.stop_for_doubt() || self.stop_for_failures() {
            return;
        }
        self.begin_staging(attempt_id);
        if !self.changes.is_empty() {
            return;
        }
        match self.current_wave() {
            Some(wave) if wave > 0 && self.is_on_trial() => self.begin_trial(wave),
            Some(wave) => self.begin_wave(wave, usize::MAX),
            None => self.conclude(),
        }
    }

    /// The first wave with an unfinished host.
    fn current_wave(&self) -> Option<u32> {
        let through = |step: &&StepSnapshot| !step.state.is_settled();
        self.snapshot
            .steps
            .iter()
            .filter(through)
            .map(|step| step.wave)
            .min()
    }

    /// Whether there are to be canaries and no host has proved the release yet.
    pub(super) fn is_on_trial(&self) -> bool {
        let steps = &self.snapshot.steps;
        steps.iter().any(|step| step.wave == 0)
            && !steps.iter().any(|step| step.state == StepState::Committed)
    }

    /// All canaries were skipped. If the strategy gives their number, others replace them; if it names them, no
    /// other host can.
    fn begin_trial(&mut self, wave: u32) {
        match &self.snapshot.rollout.strategy.canary {
            Canary::Number(number) => {
                let under_way = self
                    .snapshot
                    .steps
                    .iter()
                    .filter(|step| step.state.is_under_way());
                let places = (*number as usize).saturating_sub(under_way.count());
                self.begin_wave(wave, places);
            }
            Canary::Hosts(_) => {
                let left_out = self.first_left_out().unwrap_or_default();
                self.fail_unbegun(format!(
                    "no canary was verified: {left_out}; name others, or roll out again when it is back"
                ));
            }
        }
    }

    /// Activates hosts of a wave, within `max_unavailable` and `places`.
    fn begin_wave(&mut self, wave: u32, mut places: usize) {
        let snapshot = self.snapshot;
        let mut slots = self.free_slots();
        for step in snapshot
            .steps
            .iter()
            .filter(|step| step.wave == wave && step.state == StepState::Staged)
        {
            if !step.observed.is_online(self.now) {
                self.handle_offline(step);
                continue;
            }
            // A host that is out already takes no further place, and the activation may repair it.
            if places == 0 || (slots == 0 && !step.out_before) {
                continue;
            }
            places -= 1;
            let cause = if step.out_before {
                format!("wave {wave}; it was out already")
            } else {
                slots -= 1;
                format!("wave {wave}")
            };
            self.step(step, StepState::Activating, Actor::Rules, cause);
        }
        self.stop_if_blocked(wave);
    }

    /// Hosts that earlier rollouts left stuck can take every place, and waiting for them would never end.
    fn stop_if_blocked(&mut self, wave: u32) {
        let idle =
            self.changes.is_empty() && !self.snapshot.steps.iter().any(|step| step.state.is_under_way());
        let online = |step: &StepSnapshot| {
            step.wave == wave && step.state == StepState::Staged && step.observed.is_online(self.now)
        };
        if idle && self.free_slots() == 0 && self.snapshot.steps.iter().any(online) {
            let out = self.out_now().join(", ");
            self.rollout(
                RolloutState::Paused,
                format!("still out because of earlier rollouts, and no more hosts may be: {out}; mend them and resume"),
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
        if committed == 0 {
            let left_out = self.first_left_out().unwrap_or_default();
            self.rollout(
                RolloutState::Failed,
                format!("no host runs the release: {skipped} were skipped; first {left_out}"),
            );
            return;
        }
        let cause = match skipped {
            0 => format!("all {committed} hosts run the release"),
            _ => format!("{committed} hosts run the release, {skipped} were skipped"),
        };
        self.rollout(RolloutState::Succeeded, cause);
    }

    /// The first host that was left out, in words.
    fn first_left_out(&self) -> Option<String> {
        let mut steps = self.snapshot.steps.iter();
        let step = steps.find(|step| step.state == StepState::Skipped)?;
        Some(format!(
            "{}: {}",
            step.name,
            step.reason.as_deref().unwrap_or("skipped")
        ))
    }
}
