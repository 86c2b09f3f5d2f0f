//! The revert of the dead-man at its deadline, and of a person with `slipway-agent revert`.

use slipway_domain::{AttemptId, StorePath};
use slipway_host::clock::Clock;
use slipway_host::operations::HostOperations;

use crate::journal::JournalEntry;

use super::{Attempt, Executor, JournalPhase, JournalSlot, LockedExecutor, NextStep, TROUBLE_PAUSE};

/// Tries of one run: with the pauses between, about half an hour. A dead-man is run again until it has worked.
const TRIES: u32 = 12;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevertOutcome {
    /// The prior is back.
    Reverted(StorePath),
    /// Nothing was done: the attempt is over, or stays.
    Settled(JournalPhase),
    /// Nothing was done: the journal does not know the attempt.
    Unknown,
    /// The prior could not be put back.
    Stuck(String),
}

impl<H: HostOperations, C: Clock> Executor<H, C> {
    /// Puts the attempt's prior back unless it was committed, is being committed, or is over.
    ///
    /// `prior` counts only if the journal was lost and everything else confirms it.
    pub async fn revert_attempt(
        mut self,
        attempt: AttemptId,
        prior: Option<StorePath>,
        reason: &str,
    ) -> RevertOutcome {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut locked = match self.lock_journal().await {
                Ok(locked) => locked,
                Err(trouble) => {
                    last = trouble;
                    tokio::time::sleep(TROUBLE_PAUSE).await;
                    continue;
                }
            };
            let slot = match locked.claim_revert(attempt, prior.as_ref(), reason) {
                Ok(slot) => slot,
                Err(nothing) => return nothing,
            };
            let next = locked.revert(slot).await;
            let (phase, back_on, message) = match locked.journal.entry(attempt) {
                JournalEntry::Current(after) | JournalEntry::Unsettled(after) => {
                    (after.phase, after.prior.clone(), after.message.clone())
                }
                JournalEntry::Past(after) => (after.phase, after.prior.clone(), after.message.clone()),
                JournalEntry::Unknown => return RevertOutcome::Unknown,
            };
            if let (JournalPhase::Reverted, Some(prior)) = (phase, back_on) {
                return RevertOutcome::Reverted(prior);
            }
            last = message.unwrap_or_default();
            drop(locked);
            if let NextStep::After(_) = next {
                let now = self.clock.boot();
                tokio::time::sleep(self.next_revert.left(now)).await;
            }
        }
        RevertOutcome::Stuck(last)
    }
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    fn claim_revert(
        &mut self,
        attempt: AttemptId,
        prior: Option<&StorePath>,
        reason: &str,
    ) -> Result<JournalSlot, RevertOutcome> {
        match self.journal.entry(attempt) {
            JournalEntry::Current(current) if current.phase.is_unproven() => {
                self.begin_revert(JournalSlot::Current, reason);
                Ok(JournalSlot::Current)
            }
            JournalEntry::Current(current) if current.phase.deadman_applies() => Ok(JournalSlot::Current),
            JournalEntry::Current(current) => Err(RevertOutcome::Settled(current.phase)),
            JournalEntry::Unsettled(_) => Ok(JournalSlot::Unsettled),
            JournalEntry::Past(past) => Err(RevertOutcome::Settled(past.phase)),
            JournalEntry::Unknown => {
                let observed = self.host.observe();
                // Only a commit moves the boot default. If the journal was lost, a boot default that is the prior
                // beside another live system says that the attempt was under way.
                let orphan = self.journal.lost.is_some()
                    && self.journal.unsettled_id().is_none()
                    && prior.is_some()
                    && observed.boot_default.as_ref() == prior
                    && observed.live.as_ref() != prior;
                let (Some(prior), true) = (prior, orphan) else {
                    return Err(RevertOutcome::Unknown);
                };
                let closure = observed.live.unwrap_or_else(|| prior.clone());
                let mut found = Attempt::new(attempt, closure, self.clock.wall(), &observed.boot_id);
                found.prior = Some(prior.clone());
                self.journal.begin(found);
                self.begin_revert(JournalSlot::Current, reason);
                Ok(JournalSlot::Current)
            }
        }
    }
}
