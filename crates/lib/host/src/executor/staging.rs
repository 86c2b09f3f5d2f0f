//! Fetching. It only changes the machine's store.

use std::time::Duration;

use slipway_domain::{AttemptId, Instruction};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::host::Host;
use crate::nix::StageError;

use super::{Executor, JournalPhase, Ledger, Pace, TROUBLE_PAUSE, chain, news};

/// A garbage collection takes what it had chosen before the closure got its root. It leaves alone what comes in after
/// that, so the second fetch stays, unless another collection did the same meanwhile.
const MOST_FETCHES: u32 = 3;

impl<H: Host, C: Clock> Executor<H, C> {
    /// Fetches without holding the lock. After a restart it only fetches the missing parts.
    pub(super) async fn stage(&mut self, ledger: Ledger) -> Pace {
        let Some(attempt) = self.journal.current.clone() else {
            return Pace::Now;
        };
        self.publish();
        drop(ledger);
        let now = self.clock.boot();
        let whole = Duration::from_secs(attempt.stage_seconds.into());
        let bound = match attempt.stage_by {
            Some(by) if attempt.boot_id == self.host.observe().boot_id => by.left(now).min(whole),
            // The mark is another boot's.
            _ => whole,
        };
        let host = self.host.clone();
        let work = async {
            let began = Instant::now();
            let left = || bound.saturating_sub(began.elapsed());
            let mut fetches = 0;
            loop {
                fetches += 1;
                host.fetch(attempt.id, &attempt.closure, left()).await?;
                match host.admit_release(&attempt.closure, left()).await {
                    Err(StageError::Vanished { .. }) if fetches < MOST_FETCHES => {
                        tracing::warn!(attempt = %attempt.id, closure = %attempt.closure, "a collection took it, fetching again");
                    }
                    admitted => return admitted,
                }
            }
        };
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = news(&mut self.told) => {
                    if interrupts(&self.told.borrow(), attempt.id) {
                        return Pace::Now;
                    }
                }
            }
        };
        let ledger = match self.open().await {
            Ok(ledger) => ledger,
            Err(error) => {
                self.note_trouble(&error);
                return Pace::After(TROUBLE_PAUSE);
            }
        };
        if !self.current_in(&attempt) {
            return Pace::Now;
        }
        match result {
            Ok(_runnable) => {
                tracing::info!(attempt = %attempt.id, closure = %attempt.closure, "fetched");
                if let Some(current) = &mut self.journal.current {
                    current.phase = JournalPhase::Staged;
                }
                // When this is not written, the next start fetches again, which then takes no time.
                self.keep(&ledger);
            }
            Err(error) => self.fail_unbegun(&chain(&error), &ledger),
        }
        Pace::Now
    }
}

/// Whether the instruction interrupts work on this attempt.
pub(super) fn interrupts(told: &Instruction, attempt: AttemptId) -> bool {
    match told {
        Instruction::Idle => false,
        Instruction::Commit { .. } | Instruction::Revert { .. } => true,
        Instruction::Stage { attempt: other, .. } | Instruction::Activate { attempt: other, .. } => {
            *other != attempt
        }
    }
}
