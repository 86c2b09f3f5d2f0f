//! The journal's changes by an instruction. A repeated or late instruction changes nothing.

use slipway_domain::{AttemptId, Instruction, StorePath};
use slipway_host::clock::Clock;
use slipway_host::host::Host;

use crate::journal::{Journal, Known};

use super::phases::enter;
use super::{Attempt, JournalPhase, Pace, Slot, Turn, chain};

/// Whether a new attempt may take the current one's place.
enum Way {
    /// Now.
    Free,
    /// Once the current one, whose revert has begun, is reverted.
    Begun,
    /// Once the current one has ended by itself.
    Busy,
}

impl<H: Host, C: Clock> Turn<'_, H, C> {
    /// `Some` when something was done about the instruction; `None` when there is nothing to do, or not yet.
    pub(super) async fn act_on(&mut self, told: &Instruction) -> Option<Pace> {
        match told {
            Instruction::Idle => None,
            Instruction::Stage {
                attempt,
                closure,
                timeout_seconds,
            } => self.begin_staging(*attempt, closure, *timeout_seconds),
            Instruction::Activate {
                attempt,
                closure,
                plan,
            } => match self.journal.know(*attempt) {
                Known::Current(current) if current.phase == JournalPhase::Staged => {
                    Some(self.activate(plan.clone()).await)
                }
                Known::Unknown => self.refuse_unknown(*attempt, closure),
                // Under way, or over: a settled attempt is never begun again.
                Known::Current(_) | Known::Unsettled(_) | Known::Past(_) => None,
            },
            Instruction::Commit { attempt } => match self.journal.know(*attempt) {
                Known::Current(current) if current.phase == JournalPhase::Verified => {
                    Some(self.commit().await)
                }
                _ => None,
            },
            Instruction::Revert {
                attempt,
                prior,
                timeout_seconds,
            } => self.revert_on_word(*attempt, prior.as_ref(), *timeout_seconds),
        }
    }

    fn begin_staging(
        &mut self,
        attempt: AttemptId,
        closure: &StorePath,
        timeout_seconds: u32,
    ) -> Option<Pace> {
        if self.journal.know(attempt) != Known::Unknown {
            return None;
        }
        match self.make_way(attempt) {
            Way::Free => {}
            Way::Begun => return Some(Pace::Now),
            Way::Busy => return None,
        }
        let boot_id = self.host.observe().boot_id;
        let mut next = Attempt::new(attempt, closure.clone(), self.clock.wall(), &boot_id);
        next.stage_seconds = timeout_seconds;
        next.stage_by = Some(self.clock.boot().after_seconds(timeout_seconds));
        tracing::info!(%attempt, %closure, "fetching");
        self.journal.begin(next);
        // Space for every later write is reserved before the attempt begins.
        let written = self.store.reserve().and_then(|()| self.save());
        if let Err(error) = written {
            self.fail_unbegun(&format!("the attempt was not begun: {}", chain(&error)));
        }
        Some(Pace::Now)
    }

    /// Settles the current attempt so that a new one may take its place.
    fn make_way(&mut self, next: AttemptId) -> Way {
        let Some(current) = self.journal.current.as_mut() else {
            return Way::Free;
        };
        match current.phase {
            phase if phase.is_unproven() => {
                let reason = format!("the control plane went on to attempt {next}");
                self.begin_revert(Slot::Current, &reason);
                Way::Begun
            }
            JournalPhase::Committing | JournalPhase::Reverting => Way::Busy,
            JournalPhase::Staging | JournalPhase::Staged => {
                enter(current, JournalPhase::StageFailed);
                current.message = Some(format!("given up for attempt {next}; nothing was touched"));
                let attempt = current.id;
                self.host.release_closure(attempt);
                Way::Free
            }
            _ => Way::Free,
        }
    }

    /// An instruction to activate a closure that was never staged here: the journal is lost or the disk is
    /// new.
    fn refuse_unknown(&mut self, attempt: AttemptId, closure: &StorePath) -> Option<Pace> {
        match self.make_way(attempt) {
            Way::Free => {}
            Way::Begun => return Some(Pace::Now),
            Way::Busy => return None,
        }
        let seen = self.host.observe();
        let mut next = Attempt::new(attempt, closure.clone(), self.clock.wall(), &seen.boot_id);
        // Only a commit moves the boot default. So a live closure that is not the boot default was never committed,
        // and the boot default ran before it.
        let orphan = seen.live.as_ref() == Some(closure)
            && seen
                .boot_default
                .as_ref()
                .is_some_and(|default| default != closure)
            && self.journal.unsettled_id().is_none();
        if orphan {
            next.prior = seen.boot_default;
            self.journal.begin(next);
            let reason = "this host has no journal of the attempt and runs its closure uncommitted";
            self.begin_revert(Slot::Current, reason);
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
        Some(Pace::Now)
    }

    fn revert_on_word(
        &mut self,
        attempt: AttemptId,
        prior: Option<&StorePath>,
        timeout_seconds: u32,
    ) -> Option<Pace> {
        const TOLD: &str = "told to by the control plane";
        match self.journal.know(attempt) {
            Known::Current(current) => match current.phase {
                JournalPhase::Staging | JournalPhase::Staged | JournalPhase::StageFailed => {
                    self.end_untouched("nothing of this attempt was activated");
                    Some(Pace::Now)
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
                    self.begin_revert(Slot::Current, TOLD);
                    Some(Pace::Now)
                }
            },
            Known::Unsettled(_) => {
                // The newly staged attempt is no longer wanted.
                match self.make_way(attempt) {
                    Way::Free => {}
                    Way::Begun => return Some(Pace::Now),
                    Way::Busy => return None,
                }
                let unsettled = self.journal.unsettled.take();
                if let Some(current) = std::mem::replace(&mut self.journal.current, unsettled) {
                    self.journal.archive(current);
                }
                self.bound_revert(timeout_seconds);
                Some(Pace::Now)
            }
            Known::Past(past) if !matches!(past.phase, JournalPhase::Committed | JournalPhase::Stuck) => None,
            Known::Past(past) => {
                let mut recorded = Attempt::new(attempt, past.closure.clone(), self.clock.wall(), "");
                recorded.own_prior = past.vouches() && past.prior.is_some();
                recorded.prior = past.prior.clone().or_else(|| prior.cloned());
                match self.make_way(attempt) {
                    Way::Free => {}
                    Way::Begun => return Some(Pace::Now),
                    Way::Busy => return None,
                }
                self.revert_recorded(recorded, timeout_seconds);
                Some(Pace::Now)
            }
            Known::Unknown => {
                match self.make_way(attempt) {
                    Way::Free => {}
                    Way::Begun => return Some(Pace::Now),
                    Way::Busy => return None,
                }
                let seen = self.host.observe();
                let away = |prior: &&StorePath| {
                    seen.live.as_ref() != Some(*prior) || seen.boot_default.as_ref() != Some(*prior)
                };
                if let Some(prior) = prior.filter(away) {
                    let closure = seen.live.unwrap_or_else(|| prior.clone());
                    let mut recorded = Attempt::new(attempt, closure, self.clock.wall(), "");
                    recorded.prior = Some(prior.clone());
                    self.revert_recorded(recorded, timeout_seconds);
                } else {
                    let closure = seen.live.or(seen.boot_default).or_else(|| prior.cloned())?;
                    let next = Attempt::new(attempt, closure, self.clock.wall(), &seen.boot_id);
                    self.journal.begin(next);
                    self.end_untouched("nothing of this attempt is on this host");
                }
                Some(Pace::Now)
            }
        }
    }

    /// Takes back an attempt that is not the current one, or was never known here. Whether its prior may be run is for the
    /// door to say.
    fn revert_recorded(&mut self, mut recorded: Attempt, timeout_seconds: u32) {
        recorded.boot_id = self.host.observe().boot_id;
        recorded.profile_moved = true;
        forget(&mut self.journal, recorded.id);
        self.journal.begin(recorded);
        self.bound_revert(timeout_seconds);
        self.begin_revert(Slot::Current, "told to by the control plane");
    }

    fn end_untouched(&mut self, message: &str) {
        if let Some(current) = &mut self.journal.current {
            enter(current, JournalPhase::Reverted);
            current.message = Some(message.to_owned());
            let attempt = current.id;
            self.host.release_closure(attempt);
        }
        self.keep();
    }

    fn bound_revert(&mut self, timeout_seconds: u32) {
        if let Some(current) = &mut self.journal.current
            && current.revert_seconds != Some(timeout_seconds)
        {
            current.revert_seconds = Some(timeout_seconds);
            self.keep();
        }
    }
}

/// It is to be the current attempt again.
fn forget(journal: &mut Journal, attempt: AttemptId) {
    journal.past.retain(|past| past.id != attempt);
}
