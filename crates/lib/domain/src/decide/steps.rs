//! Steps follow their agents' reports and the bounds of their waits.

use super::{Effect, Round};
use crate::agent::{HooksReport, MAX_HOOKS_SECONDS};
use crate::digest::Digest;
use crate::event::Actor;
use crate::host_plan::PlanReport;
use crate::snapshot::StepSnapshot;
use crate::{AttemptPhase, StepState, StorePath};

/// How long the control plane waits for the agent's report after the agent's own bound, in seconds.
///
/// One long poll (30 s), and as much again for an agent that was just restarted.
const GRACE_SECONDS: u32 = 60;

impl Round<'_> {
    /// One change of its state a step and round: the next round sees it and goes on.
    pub(super) fn follow_agents(&mut self) {
        let snapshot = self.snapshot;
        for step in &snapshot.steps {
            if self.record_prior(step) {
                continue;
            }
            self.record_plan(step);
            match step.state {
                StepState::Staging => self.follow_staging(step),
                StepState::Activating => self.follow_activating(step),
                StepState::Verifying => self.follow_verifying(step),
                StepState::Verified => self.follow_verified(step),
                StepState::Reverting => self.follow_reverting(step),
                StepState::Stuck => self.follow_stuck(step),
                StepState::Waiting
                | StepState::Staged
                | StepState::Committed
                | StepState::Reverted
                | StepState::Skipped => {}
            }
        }
    }

    /// A finished rollout still learns that a stuck host is back.
    pub(super) fn mend(&mut self) {
        let snapshot = self.snapshot;
        for step in snapshot
            .steps
            .iter()
            .filter(|step| step.state == StepState::Stuck)
        {
            self.follow_stuck(step);
        }
    }

    fn record_prior(&mut self, step: &StepSnapshot) -> bool {
        let recorded: Option<&StorePath> = step.report().and_then(|report| report.prior.as_ref());
        match recorded {
            Some(prior) if step.prior.is_none() => {
                let effect = Effect::Prior {
                    step: step.id,
                    prior: prior.clone(),
                };
                self.push(effect, host(step), "the agent recorded what ran before");
                true
            }
            _ => false,
        }
    }

    /// Writes down what the agent computed, until a plan was approved. An attempt has one plan, in the round that finds it
    /// staged. A host that says another one each time would fill the audit log, and no approval could ever keep up.
    fn record_plan(&mut self, step: &StepSnapshot) {
        let open = match step.state {
            StepState::Staging => step.phase() == Some(AttemptPhase::Staged),
            // By a worker from before plans.
            StepState::Staged => step.plan.is_none(),
            _ => false,
        };
        let reported = step
            .report()
            .filter(|_| open && self.snapshot.rollout.approved_plan.is_none())
            .and_then(|report| report.plan.as_ref());
        if let Some(plan) = reported.filter(|plan| step.plan.as_ref() != Some(*plan)) {
            let effect = Effect::Plan {
                step: step.id,
                plan: plan.clone(),
            };
            self.push(effect, host(step), "the agent computed what would change");
        }
    }

    /// Why a host may not go on that has fetched: its plan is not the one that was approved.
    fn unapproved_plan(&self, step: &StepSnapshot) -> Option<String> {
        let approval = self.snapshot.rollout.approved_plan?;
        let digest = |plan: &PlanReport| plan.digest;
        let approved = step.plan.as_ref().map(digest);
        let reported = step.report().and_then(|report| report.plan.as_ref()).map(digest);
        if reported == approved {
            return None;
        }
        let words = |plan: Option<Digest>| plan.map_or_else(|| "none".to_owned(), |plan| plan.to_string());
        Some(format!(
            "its plan is {}, and the approval {} is for {}; nothing was touched, so look at the plan and roll out again",
            words(reported),
            approval.short(),
            words(approved)
        ))
    }

    /// Moves the step as the agent reports; `otherwise` is the cause of a report without a message.
    fn follow_report(&mut self, step: &StepSnapshot, to: StepState, otherwise: &str) {
        self.step(step, to, host(step), step.message_or(otherwise));
    }

    fn follow_staging(&mut self, step: &StepSnapshot) {
        match step.phase() {
            Some(AttemptPhase::Staged) => {
                match self.unapproved_plan(step).or_else(|| self.refused_reboot(step)) {
                    Some(why) => self.step(step, StepState::Reverted, host(step), why),
                    None => self.follow_report(step, StepState::Staged, "the closure is on the host"),
                }
            }
            Some(AttemptPhase::StageFailed) => {
                self.follow_report(step, StepState::Reverted, "the closure could not be fetched");
            }
            _ if step.overdue(
                self.snapshot.rollout.strategy.limits.stage_seconds + GRACE_SECONDS,
                self.now,
            ) =>
            {
                let cause = format!(
                    "the closure was not fetched within {} s",
                    self.snapshot.rollout.strategy.limits.stage_seconds
                );
                self.step(step, StepState::Reverted, Actor::Rules, cause);
            }
            _ => {}
        }
    }

    fn follow_activating(&mut self, step: &StepSnapshot) {
        match step.phase() {
            Some(AttemptPhase::Verifying | AttemptPhase::Verified) => {
                self.step(step, StepState::Verifying, host(step), "activated");
            }
            _ => self.follow_failure(step),
        }
    }

    fn follow_verifying(&mut self, step: &StepSnapshot) {
        match step.phase() {
            Some(AttemptPhase::Verified) => {
                self.follow_report(step, StepState::Verified, "the checks passed");
            }
            _ => self.follow_failure(step),
        }
    }

    fn follow_verified(&mut self, step: &StepSnapshot) {
        match step.phase() {
            Some(AttemptPhase::Committed) if self.runs_hooks(step) => {}
            Some(AttemptPhase::Committed) => self.follow_report(
                step,
                StepState::Committed,
                "the profile and the boot default are the release's closure",
            ),
            _ => self.follow_failure(step),
        }
    }

    /// Whether hooks of a committed closure run, within their own bound after the dead-man's.
    fn runs_hooks(&self, step: &StepSnapshot) -> bool {
        let hooks = step.report().and_then(|report| report.hooks.as_ref());
        let Some(HooksReport {
            running: Some(hook), ..
        }) = hooks
        else {
            return false;
        };
        let deadman = self.snapshot.rollout.strategy.limits.deadman_seconds;
        let bound = deadman.saturating_add(hook.seconds.min(MAX_HOOKS_SECONDS));
        !step.is_active_for(bound.saturating_add(GRACE_SECONDS), self.now)
    }

    /// The agent's own evidence, or its silence beyond the dead-man's deadline.
    fn follow_failure(&mut self, step: &StepSnapshot) {
        let deadman = self.snapshot.rollout.strategy.limits.deadman_seconds;
        match step.phase() {
            Some(AttemptPhase::Reverted | AttemptPhase::StageFailed) => {
                self.follow_report(step, StepState::Reverted, "the host went back to its prior");
            }
            Some(AttemptPhase::Reverting) => {
                self.follow_report(step, StepState::Reverting, "the host goes back to its prior");
            }
            Some(AttemptPhase::Stuck) => {
                self.follow_report(step, StepState::Stuck, "the prior could not be put back");
            }
            _ if step.is_active_for(deadman.saturating_add(GRACE_SECONDS), self.now) => {
                let cause = format!(
                    "no word of success within {deadman} s{}; its dead-man puts the prior back",
                    doubt(step)
                );
                self.step(step, StepState::Reverting, Actor::Rules, cause);
            }
            _ => {}
        }
    }

    fn follow_reverting(&mut self, step: &StepSnapshot) {
        let reason = step
            .reason
            .clone()
            .unwrap_or_else(|| "the host went back to its prior".to_owned());
        match step.phase() {
            Some(AttemptPhase::Reverted | AttemptPhase::StageFailed) => {
                self.step(step, StepState::Reverted, host(step), reason);
            }
            Some(AttemptPhase::Stuck) => {
                self.follow_report(step, StepState::Stuck, "the prior could not be put back");
            }
            _ if step.is_on_prior() => self.step(step, StepState::Reverted, host(step), reason),
            _ => {
                let limit = self.snapshot.rollout.strategy.limits.revert_seconds;
                if step.overdue(limit.saturating_add(GRACE_SECONDS), self.now) {
                    let cause = format!(
                        "not known to be back on its prior within {limit} s{}; first: {reason}",
                        doubt(step)
                    );
                    self.step(step, StepState::Stuck, Actor::Rules, cause);
                }
            }
        }
    }

    fn follow_stuck(&mut self, step: &StepSnapshot) {
        if step.has_mended() {
            let reason = step.reason.clone().unwrap_or_default();
            self.step(
                step,
                StepState::Reverted,
                host(step),
                format!("mended by itself: {reason}"),
            );
        }
    }
}

/// The reason why the agent's report does not count, for a cause.
fn doubt(step: &StepSnapshot) -> String {
    step.observed
        .doubt
        .map(|doubt| format!(" ({})", doubt.words()))
        .unwrap_or_default()
}

fn host(step: &StepSnapshot) -> Actor {
    Actor::Host(step.name.to_string())
}
