//! The revert of the dead-man at its deadline, and of a person with `slipway-agent revert`.

use slipway_domain::{AttemptId, StorePath};
use slipway_host::clock::Clock;
use slipway_host::host::Host;

use crate::journal::Known;

use super::{Attempt, Executor, JournalPhase, Pace, Slot, TROUBLE_PAUSE, Turn};

/// Tries of one run: with the pauses between, about half an hour. A dead-man is run again until it has worked.
const TRIES: u32 = 12;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fired {
    /// The prior is back.
    Reverted(StorePath),
    /// Nothing was done: the attempt is over, or stays.
    Settled(JournalPhase),
    /// Nothing was done: the journal does not know the attempt.
    Unknown,
    /// The prior could not be put back.
    Stuck(String),
}

impl<H: Host, C: Clock> Executor<H, C> {
    /// Puts the attempt's prior back unless it was committed, is being committed, or is over.
    ///
    /// `prior` counts only if the journal was lost and everything else confirms it.
    pub async fn fire(mut self, attempt: AttemptId, prior: Option<StorePath>, reason: &str) -> Fired {
        let mut last = String::new();
        for _ in 0..TRIES {
            let mut turn = match self.take_turn().await {
                Ok(turn) => turn,
                Err(trouble) => {
                    last = trouble;
                    tokio::time::sleep(TROUBLE_PAUSE).await;
                    continue;
                }
            };
            let slot = match turn.claim_revert(attempt, prior.as_ref(), reason) {
                Ok(slot) => slot,
                Err(nothing) => return nothing,
            };
            let pace = turn.revert(slot).await;
            let (phase, back_on, message) = match turn.journal.know(attempt) {
                Known::Current(after) | Known::Unsettled(after) => {
                    (after.phase, after.prior.clone(), after.message.clone())
                }
                Known::Past(after) => (after.phase, after.prior.clone(), after.message.clone()),
                Known::Unknown => return Fired::Unknown,
            };
            if let (JournalPhase::Reverted, Some(prior)) = (phase, back_on) {
                return Fired::Reverted(prior);
            }
            last = message.unwrap_or_default();
            drop(turn);
            if let Pace::After(_) = pace {
                let now = self.clock.boot();
                tokio::time::sleep(self.next_revert.left(now)).await;
            }
        }
        Fired::Stuck(last)
    }
}

impl<H: Host, C: Clock> Turn<'_, H, C> {
    fn claim_revert(
        &mut self,
        attempt: AttemptId,
        prior: Option<&StorePath>,
        reason: &str,
    ) -> Result<Slot, Fired> {
        match self.journal.know(attempt) {
            Known::Current(current) if current.phase.is_unproven() => {
                self.begin_revert(Slot::Current, reason);
                Ok(Slot::Current)
            }
            Known::Current(current) if current.phase.deadman_applies() => Ok(Slot::Current),
            Known::Current(current) => Err(Fired::Settled(current.phase)),
            Known::Unsettled(_) => Ok(Slot::Unsettled),
            Known::Past(past) => Err(Fired::Settled(past.phase)),
            Known::Unknown => {
                let seen = self.host.observe();
                // Only a commit moves the boot default. If the journal was lost, a boot default that is the prior
                // beside another live system says that the attempt was under way.
                let orphan = self.journal.lost.is_some()
                    && self.journal.unsettled_id().is_none()
                    && prior.is_some()
                    && seen.boot_default.as_ref() == prior
                    && seen.live.as_ref() != prior;
                let (Some(prior), true) = (prior, orphan) else {
                    return Err(Fired::Unknown);
                };
                let closure = seen.live.unwrap_or_else(|| prior.clone());
                let mut found = Attempt::new(attempt, closure, self.clock.wall(), &seen.boot_id);
                found.prior = Some(prior.clone());
                self.journal.begin(found);
                self.begin_revert(Slot::Current, reason);
                Ok(Slot::Current)
            }
        }
    }
}
