//! Waiting for a window, the end of a freeze, or the rollout's own time.
//!
//! Hosts fetch meanwhile, since that touches nothing. Hosts that are under way finish, and going back never waits.

use super::{Effect, Round};
use crate::event::Actor;
use crate::snapshot::StepSnapshot;
use crate::{AttemptId, RolloutState, StepState};

impl Round<'_> {
    /// Asks hosts to fetch. True when the round has said what there is to say of times.
    ///
    /// While the rollout waits, nothing is decided about hosts that are offline: they may be back when it goes on.
    pub(super) fn go_on_or_fetch(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) -> bool {
        let snapshot = self.snapshot;
        let hold = snapshot.timing.hold(self.now);
        if hold.is_none() {
            if snapshot.rollout.hold.is_some() {
                self.push(Effect::Hold(None), Actor::Rules, self.why_it_goes_on());
                return true;
            }
            self.begin_staging(attempt_id);
            return false;
        }
        self.begin_fetching(attempt_id);
        let fetches = |step: &StepSnapshot| step.state.is_fetching();
        if snapshot.rollout.state == RolloutState::Staging
            && self.changes.is_empty()
            && snapshot.steps.iter().any(fetches)
        {
            self.note_hold();
        }
        false
    }

    /// Whether hosts of this wave could begin but for the time, which is noted.
    pub(super) fn holds(&mut self, wave: u32) -> bool {
        let holds = self.snapshot.timing.hold(self.now).is_some();
        let mut steps = self.snapshot.steps.iter();
        if holds && steps.any(|step| step.wave == wave && step.state == StepState::Staged) {
            self.note_hold();
        }
        holds
    }

    /// Writes down what it waits for, once.
    fn note_hold(&mut self) {
        let hold = self.snapshot.timing.hold(self.now);
        if hold == self.snapshot.rollout.hold {
            return;
        }
        if let Some(hold) = hold {
            let cause = hold.words();
            self.push(Effect::Hold(Some(hold)), Actor::Rules, cause);
        }
    }

    fn why_it_goes_on(&self) -> &'static str {
        let timing = &self.snapshot.timing;
        if timing.overridden {
            "goes on: its windows and freezes were overridden"
        } else if timing.calendar.is_empty() {
            "goes on: its time has come"
        } else if timing.calendar.windows.is_empty() {
            "goes on: nothing is frozen any more"
        } else {
            "goes on: a maintenance window is open"
        }
    }
}
