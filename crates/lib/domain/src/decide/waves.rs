//! Rolling: hosts are activated wave by wave, never more at once than may be out, and group by group.

use std::collections::BTreeSet;

use super::places::Obstacle;
use super::{Round, in_words};
use crate::event::Actor;
use crate::snapshot::{RevertScope, StepSnapshot};
use crate::strategy::{Canary, OnFailure};
use crate::{AttemptId, RolloutState, StepState};

impl<'a> Round<'a> {
    pub(super) fn roll(&mut self, attempt_id: &mut dyn FnMut() -> AttemptId) {
        if self.stop_for_doubt() || self.stop_for_failures() {
            return;
        }
        if self.go_on_or_fetch(attempt_id) || !self.changes.is_empty() {
            return;
        }
        let Some(next) = self.next_step() else {
            return self.conclude();
        };
        if let Some(group) = self.group_in_the_way(next.group) {
            self.stop_before_group(group);
        } else if self.holds(next.wave) {
            // Hosts under way finish; nothing new begins.
        } else if !next.canary && self.is_on_trial(next.group) {
            self.begin_trial(next);
        } else {
            self.begin_wave(next, usize::MAX);
        }
    }

    /// The first step of the first wave that is not through. Waves are numbered through all groups, so it is of the first
    /// group that is not through.
    fn next_step(&self) -> Option<&'a StepSnapshot> {
        let unsettled = self.snapshot.steps.iter().filter(|step| !step.state.is_settled());
        unsettled.min_by_key(|step| step.wave)
    }

    /// A group before this one without a host that committed: what comes after it must not begin.
    fn group_in_the_way(&self, group: u32) -> Option<u32> {
        let before = self.snapshot.steps.iter().filter(|step| step.group < group);
        let before: BTreeSet<u32> = before.map(|step| step.group).collect();
        before.into_iter().find(|group| !self.is_proved(*group))
    }

    /// Whether a host of the group has proved the release.
    fn is_proved(&self, group: u32) -> bool {
        let mut steps = self.snapshot.steps.iter();
        steps.any(|step| step.group == group && step.state == StepState::Committed)
    }

    /// Whether the group is to have canaries and none of its hosts has proved the release yet.
    pub(super) fn is_on_trial(&self, group: u32) -> bool {
        let mut steps = self.snapshot.steps.iter();
        steps.any(|step| step.group == group && step.canary) && !self.is_proved(group)
    }

    /// All canaries of the group were skipped. If the strategy gives their number, others replace them; if it names them,
    /// no other host can.
    fn begin_trial(&mut self, next: &StepSnapshot) {
        let snapshot = self.snapshot;
        let group = || snapshot.steps.iter().filter(|step| step.group == next.group);
        match snapshot.rollout.strategy.canary_of(next.group) {
            Canary::Number(_) => {
                let canaries = group().filter(|step| step.canary).count();
                let under_way = group().filter(|step| step.state.is_under_way()).count();
                self.begin_wave(next, canaries.saturating_sub(under_way));
            }
            Canary::Hosts(_) => {
                let left_out = first_left_out(group()).unwrap_or_default();
                self.stop_for_good(format!(
                    "no canary was verified: {left_out}; name others, or roll out again when it is back"
                ));
            }
        }
    }

    /// A group is through and none of its hosts runs the release, so no later one may begin.
    fn stop_before_group(&mut self, group: u32) {
        let steps = self.snapshot.steps.iter().filter(|step| step.group == group);
        let failed = self.failed().find(|step| step.group == group).map(in_words);
        let why = failed.or_else(|| first_left_out(steps)).unwrap_or_default();
        let name = self.snapshot.rollout.strategy.group_name(group);
        self.stop_for_good(format!(
            "no host of the group {name} runs the release, so no later group begins; first {why}"
        ));
    }

    /// Nothing more can begin: hosts that are done go back if the strategy says so, and else the rollout has failed.
    fn stop_for_good(&mut self, why: String) {
        let done = self.snapshot.steps.iter().any(|step| self.has_to_go_back(step));
        if done && self.snapshot.rollout.strategy.on_failure == OnFailure::RevertRollout {
            self.revert_rollout(RevertScope::All, why);
        } else {
            self.fail_unbegun(why);
        }
    }

    /// Activates hosts of the wave of this step, within their places and at most so many.
    fn begin_wave(&mut self, next: &StepSnapshot, mut most: usize) {
        let snapshot = self.snapshot;
        let wave = next.wave;
        let group = match snapshot.rollout.strategy.order.len() {
            0 => String::new(),
            _ => format!(" of {}", snapshot.rollout.strategy.group_name(next.group)),
        };
        let mut places = self.places();
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
            let is_out = step.is_out();
            if most == 0 || !(is_out || places.take(step)) {
                continue;
            }
            most -= 1;
            let already = if is_out { "; it was out already" } else { "" };
            let cause = format!("wave {wave}{group}{already}");
            self.step(step, StepState::Activating, Actor::Rules, cause);
        }
        self.stop_if_blocked(wave);
    }

    /// Hosts that earlier rollouts left stuck can keep others from their turn, and waiting for them would never end.
    fn stop_if_blocked(&mut self, wave: u32) {
        let snapshot = self.snapshot;
        if !self.changes.is_empty() || snapshot.steps.iter().any(|step| step.state.is_under_way()) {
            return;
        }
        let places = self.places();
        let blocked = snapshot.steps.iter().find_map(|step| {
            let turn =
                step.wave == wave && step.state == StepState::Staged && step.observed.is_online(self.now);
            Some((step, turn.then(|| places.obstacle(step)).flatten()?))
        });
        let Some((step, obstacle)) = blocked else {
            return;
        };
        let why = match obstacle {
            Obstacle::Environment => format!("no more hosts may be: {}", self.names_of_out(None)),
            Obstacle::Group => format!(
                "no more hosts of the group {} may be: {}",
                snapshot.rollout.strategy.group_name(step.group),
                self.names_of_out(Some(step.group))
            ),
            Obstacle::Member(member) => format!(
                "{} may not be at the same time, as a member of the cluster `{}`: {member}",
                step.name,
                step.cluster.as_deref().unwrap_or_default()
            ),
        };
        self.rollout(
            RolloutState::Paused,
            format!("still out because of earlier rollouts, and {why}; mend them and resume"),
        );
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
            let left_out = first_left_out(self.snapshot.steps.iter()).unwrap_or_default();
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
}

/// The first of these hosts that was left out, in words.
fn first_left_out<'a>(mut steps: impl Iterator<Item = &'a StepSnapshot>) -> Option<String> {
    let step = steps.find(|step| step.state == StepState::Skipped)?;
    Some(format!(
        "{}: {}",
        step.name,
        step.reason.as_deref().unwrap_or("skipped")
    ))
}
