//! The journal's changes by an instruction. A repeated or late instruction changes nothing.

use slipway_domain::agent::ActivationPlan;
use slipway_domain::{AttemptId, Instruction, StorePath};
use slipway_host::clock::Clock;
use slipway_host::operations::HostOperations;

use crate::journal::JournalEntry;

use super::phases::enter;
use super::{Attempt, JournalPhase, JournalSlot, LockedExecutor, NextStep, chain};

/// The reason of a revert that the control plane asks for.
const INSTRUCTED: &str = "told to by the control plane";

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// `Some` when something was done about the instruction; `None` when there is nothing to do, or not yet.
    pub(super) async fn act_on(&mut self, instruction: &Instruction) -> Option<NextStep> {
        match instruction {
            Instruction::Idle | Instruction::Probe { .. } => None,
            Instruction::Stage {
                attempt,
                closure,
                timeout_seconds,
                origin,
                manifest,
            } => {
                let mut next = Attempt::new(*attempt, closure.clone(), self.clock.wall(), "");
                next.stage_seconds = *timeout_seconds;
                next.origin.clone_from(origin);
                next.manifest = *manifest;
                self.begin_staging(next)
            }
            Instruction::Activate {
                attempt,
                closure,
                plan,
                approved_plan,
            } => match self.journal.entry(*attempt) {
                JournalEntry::Current(current) if current.phase == JournalPhase::Staged => {
                    let plan = with_floor(plan, self.least_switch_seconds);
                    Some(self.activate(plan, *approved_plan).await)
                }
                JournalEntry::Unknown => self.refuse_unknown(*attempt, closure),
                // Under way, or over: a settled attempt is never begun again.
                JournalEntry::Current(_) | JournalEntry::Unsettled(_) | JournalEntry::Past(_) => None,
            },
            Instruction::Commit { attempt } => match self.journal.entry(*attempt) {
                JournalEntry::Current(current) if current.phase == JournalPhase::Verified => {
                    Some(self.commit().await)
                }
                _ => None,
            },
            Instruction::Revert {
                attempt,
                prior,
                timeout_seconds,
            } => match self.journal.entry(*attempt) {
                JournalEntry::Current(current)
                    if current.phase == JournalPhase::Activating && current.awaits_hooks() =>
                {
                    let why = "taken back by the control plane while hooks ran";
                    Some(self.end_before_switch(why).await)
                }
                _ => {
                    let seconds = (*timeout_seconds).max(self.least_switch_seconds);
                    self.revert_as_instructed(*attempt, prior.as_ref(), seconds)
                }
            },
        }
    }

    fn begin_staging(&mut self, mut next: Attempt) -> Option<NextStep> {
        let attempt = next.id;
        if self.journal.entry(attempt) != JournalEntry::Unknown {
            return None;
        }
        let now = self.clock.boot();
        let since = match self.waits_since {
            Some((waits, since)) if waits == attempt => since,
            _ => now,
        };
        self.waits_since = Some((attempt, since));
        if let Err(meanwhile) = self.settle_current(attempt) {
            return meanwhile;
        }
        next.boot_id = self.host.observe().boot_id;
        // The control plane counts from its word, also while hooks kept it waiting.
        next.stage_by = Some(since.after_seconds(next.stage_seconds));
        tracing::info!(attempt_id = %attempt, closure = %next.closure, "fetching");
        self.journal.begin(next);
        // Space for every later write is reserved before the attempt begins.
        let written = self.store.reserve().and_then(|()| self.save());
        if let Err(error) = written {
            self.fail_unbegun(&format!("the attempt was not begun: {}", chain(&error)));
        }
        Some(NextStep::Now)
    }

    /// Settles the current attempt so that another may take its place. `Err` is what there is to do until it may.
    fn settle_current(&mut self, next: AttemptId) -> Result<(), Option<NextStep>> {
        let Some(current) = self.journal.current.as_mut() else {
            return Ok(());
        };
        if current.phase.is_over() && current.hooks_after().is_some() {
            // They end by themselves.
            return Err(None);
        }
        match current.phase {
            phase if phase.is_unproven() => {
                let reason = format!("the control plane went on to attempt {next}");
                self.begin_revert(JournalSlot::Current, &reason);
                Err(Some(NextStep::Now))
            }
            // It ends by itself.
            JournalPhase::Committing | JournalPhase::Reverting => Err(None),
            JournalPhase::Staging | JournalPhase::Staged => {
                enter(current, JournalPhase::StageFailed);
                current.message = Some(format!("given up for attempt {next}; nothing was touched"));
                let attempt = current.id;
                self.host.release_closure(attempt);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An instruction to activate a closure that was never staged here: the journal is lost or the disk is
    /// new.
    fn refuse_unknown(&mut self, attempt: AttemptId, closure: &StorePath) -> Option<NextStep> {
        if let Err(meanwhile) = self.settle_current(attempt) {
            return meanwhile;
        }
        let observed = self.host.observe();
        let mut next = Attempt::new(attempt, closure.clone(), self.clock.wall(), &observed.boot_id);
        // Only a commit moves the boot default. So a live closure that is not the boot default was never committed,
        // and the boot default ran before it.
        let orphan = observed.live.as_ref() == Some(closure)
            && observed
                .boot_default
                .as_ref()
                .is_some_and(|default| default != closure)
            && self.journal.unsettled_id().is_none();
        if orphan {
            next.prior = observed.boot_default;
            self.journal.begin(next);
            let reason = "this host has no journal of the attempt and runs its closure uncommitted";
            self.begin_revert(JournalSlot::Current, reason);
        } else {
            self.journal.begin(next);
            let lost = self
                .journal
                .lost
                .as_deref()
                .unwrap_or("its journal does not know it");
            let message = format!("the attempt was never staged on this host: {lost}; nothing was touched");
            self.fail_unbegun(&message);
        }
        Some(NextStep::Now)
    }

    fn revert_as_instructed(
        &mut self,
        attempt: AttemptId,
        prior: Option<&StorePath>,
        timeout_seconds: u32,
    ) -> Option<NextStep> {
        match self.journal.entry(attempt) {
            JournalEntry::Current(current) => match current.phase {
                JournalPhase::Staging | JournalPhase::Staged | JournalPhase::StageFailed => {
                    self.end_untouched("nothing of this attempt was activated");
                    Some(NextStep::Now)
                }
                JournalPhase::Committing | JournalPhase::Reverted => None,
                JournalPhase::Reverting | JournalPhase::Stuck => {
                    self.bound_revert(timeout_seconds);
                    None
                }
                JournalPhase::Activating
                | JournalPhase::Verifying
                | JournalPhase::Verified
                | JournalPhase::Committed => {
                    self.bound_revert(timeout_seconds);
                    self.begin_revert(JournalSlot::Current, INSTRUCTED);
                    Some(NextStep::Now)
                }
            },
            JournalEntry::Unsettled(_) => {
                // The newly staged attempt is no longer wanted.
                if let Err(meanwhile) = self.settle_current(attempt) {
                    return meanwhile;
                }
                let unsettled = self.journal.unsettled.take();
                if let Some(current) = std::mem::replace(&mut self.journal.current, unsettled) {
                    self.journal.archive(current);
                }
                self.bound_revert(timeout_seconds);
                Some(NextStep::Now)
            }
            JournalEntry::Past(past)
                if !matches!(past.phase, JournalPhase::Committed | JournalPhase::Stuck) =>
            {
                None
            }
            JournalEntry::Past(past) => {
                let mut recorded = Attempt::new(attempt, past.closure.clone(), self.clock.wall(), "");
                recorded.own_prior = past.vouches() && past.prior.is_some();
                recorded.prior = past.prior.clone().or_else(|| prior.cloned());
                // A stuck attempt never committed its number.
                recorded.signed = past.signed.filter(|_| past.phase == JournalPhase::Committed);
                recorded.was_committed = true;
                recorded.reboot.clone_from(&past.reboot);
                if let Err(meanwhile) = self.settle_current(attempt) {
                    return meanwhile;
                }
                self.revert_recorded(recorded, timeout_seconds);
                Some(NextStep::Now)
            }
            JournalEntry::Unknown => {
                if let Err(meanwhile) = self.settle_current(attempt) {
                    return meanwhile;
                }
                let observed = self.host.observe();
                let away = |prior: &&StorePath| {
                    observed.live.as_ref() != Some(*prior) || observed.boot_default.as_ref() != Some(*prior)
                };
                if let Some(prior) = prior.filter(away) {
                    let closure = observed.live.unwrap_or_else(|| prior.clone());
                    let mut recorded = Attempt::new(attempt, closure, self.clock.wall(), "");
                    recorded.prior = Some(prior.clone());
                    self.revert_recorded(recorded, timeout_seconds);
                } else {
                    let closure = observed
                        .live
                        .or(observed.boot_default)
                        .or_else(|| prior.cloned())?;
                    let next = Attempt::new(attempt, closure, self.clock.wall(), &observed.boot_id);
                    self.journal.begin(next);
                    self.end_untouched("nothing of this attempt is on this host");
                }
                Some(NextStep::Now)
            }
        }
    }

    /// Takes back an attempt that is not the current one, or was never known here. Whether its prior may be run is for the
    /// door to say.
    fn revert_recorded(&mut self, mut recorded: Attempt, timeout_seconds: u32) {
        recorded.boot_id = self.host.observe().boot_id;
        recorded.profile_moved = true;
        // It is to be the current attempt again.
        self.journal.past.retain(|past| past.id != recorded.id);
        self.journal.begin(recorded);
        self.bound_revert(timeout_seconds);
        self.begin_revert(JournalSlot::Current, INSTRUCTED);
    }

    fn end_untouched(&mut self, message: &str) {
        if let Some(current) = &mut self.journal.current {
            // A fetch that failed, or hooks that were ended, have said why.
            let told = current.phase == JournalPhase::StageFailed && current.message.is_some();
            enter(current, JournalPhase::Reverted);
            if !told {
                current.message = Some(message.to_owned());
            }
            let attempt = current.id;
            self.host.release_closure(attempt);
        }
        self.try_save();
    }

    fn bound_revert(&mut self, timeout_seconds: u32) {
        if let Some(current) = &mut self.journal.current
            && current.revert_seconds != Some(timeout_seconds)
        {
            current.revert_seconds = Some(timeout_seconds);
            self.try_save();
        }
    }
}

/// The plan with at least so many seconds for the switch and for the way back. The dead-man comes after the switch.
fn with_floor(plan: &ActivationPlan, least: u32) -> ActivationPlan {
    let activate_seconds = plan.activate_seconds.max(least);
    ActivationPlan {
        activate_seconds,
        deadman_seconds: plan.deadman_seconds.max(activate_seconds.saturating_add(1)),
        revert_seconds: plan.revert_seconds.map(|seconds| seconds.max(least)),
        ..plan.clone()
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::Strategy;

    use super::*;

    #[test]
    fn no_plan_gives_a_switch_less_than_the_floor() {
        let usual = ActivationPlan::of(&Strategy::default());
        assert_eq!(with_floor(&usual, 60), usual);
        let hostile = ActivationPlan {
            activate_seconds: 1,
            deadman_seconds: 2,
            revert_seconds: Some(1),
            ..usual.clone()
        };
        let bounded = with_floor(&hostile, 60);
        assert_eq!(
            (
                bounded.activate_seconds,
                bounded.deadman_seconds,
                bounded.revert_seconds
            ),
            (60, 61, Some(60))
        );
        let old = ActivationPlan {
            revert_seconds: None,
            ..hostile
        };
        assert_eq!(with_floor(&old, 60).revert_seconds, None);
    }
}
