//! Between staging and the first activation: what stands in the way stops the rollout, or only the hosts that it is about.

use super::Round;
use crate::event::Actor;
use crate::preflight::Finding;
use crate::snapshot::{Preflight, StepSnapshot};
use crate::strategy::OnFailure;
use crate::{RolloutState, StepState};

impl<'a> Round<'a> {
    /// Every host has its closure: the rollout goes on unless the preflight stops it. Once a host was activated, only its
    /// checks can stop it.
    pub(super) fn begin_rolling(&mut self) {
        let snapshot = self.snapshot;
        let Preflight { awaited, obstacles } = &snapshot.preflight;
        if snapshot.steps.iter().any(StepSnapshot::was_touched) || (awaited.is_none() && obstacles.is_empty())
        {
            return self.rollout(RolloutState::Rolling, "every host has its closure");
        }
        if let Some(single) = self.only_single_hosts(obstacles) {
            for (step, obstacle) in single {
                let cause = format!("preflight: {}", obstacle.of_one());
                self.step(step, StepState::Reverted, Actor::Rules, cause);
            }
        } else if let Some(first) = obstacles.first() {
            let more = match obstacles.len() {
                1 => String::new(),
                all => format!(" (and {} more: slipway preflight)", all - 1),
            };
            let without = if first.hosts.is_empty() {
                "start one with its name in skip_checks"
            } else {
                "start one for other hosts (--host) or with its name in skip_checks"
            };
            self.rollout(
                RolloutState::Paused,
                format!(
                    "preflight: {}{more}; resume when it is mended, or abort and {without}",
                    first.in_words()
                ),
            );
        }
    }

    /// The hosts in the way, each with its first obstacle, if they may fail for themselves. The facts are a host's own word,
    /// so one that lies must not keep the others back.
    ///
    /// None if all stand still. The strategy stops for a failure, the release itself or a canary is in the way, or no host would
    /// be left.
    fn only_single_hosts(&self, obstacles: &'a [Finding]) -> Option<Vec<(&'a StepSnapshot, &'a Finding)>> {
        let of_a_host = |obstacle: &Finding| !obstacle.hosts.is_empty();
        let snapshot = self.snapshot;
        if snapshot.rollout.strategy.on_failure != OnFailure::RevertHost || !obstacles.iter().all(of_a_host) {
            return None;
        }
        let staged = || {
            let steps = snapshot.steps.iter();
            steps.filter(|step| step.state == StepState::Staged)
        };
        let single: Vec<_> = staged()
            .filter_map(|step| {
                let obstacle = obstacles
                    .iter()
                    .find(|obstacle| obstacle.hosts.contains(&step.name));
                Some((step, obstacle?))
            })
            .collect();
        let may_fail = !single.is_empty() && single.len() < staged().count();
        (may_fail && !single.iter().any(|(step, _)| step.canary)).then_some(single)
    }
}
