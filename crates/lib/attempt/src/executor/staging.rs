//! Fetching. It only changes the machine's store.

use std::sync::Arc;
use std::time::Duration;

use slipway_host::clock::Clock;
use slipway_host::nix::StageError;
use slipway_host::operations::HostOperations;
use slipway_host::{AdmittedRelease, ReleaseClaim};
use tokio::time::Instant;

use crate::journal::Attempt;

use super::phases::enter;
use super::planning::{compute, reboots};
use super::{Executor, JournalPhase, LockedExecutor, NextStep, TROUBLE_PAUSE, chain};

/// A garbage collection takes what it had chosen before the closure got its root. It leaves alone what comes in after
/// that, so the second fetch stays, unless another collection did the same meanwhile.
const MOST_FETCHES: u32 = 3;

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Fetches without holding the lock. After a restart it only fetches the missing parts.
    pub(super) async fn stage(self) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        let executor = self.unlock();
        let bound = executor.fetch_bound(&attempt);
        let claim = executor.claim_of(&attempt);
        let host = executor.host.clone();
        let of = attempt.clone();
        let fetching = async move {
            fetch(host.clone(), of.clone(), claim, bound).await?;
            let reboots = reboots(&*host, &of.closure).await;
            Ok::<_, StageError>((compute(&*host, &of.closure).await, reboots))
        };
        let Some(fetched) = executor.unless_interrupted(attempt.id, fetching).await else {
            return NextStep::Now;
        };
        let Ok(mut locked) = executor.lock_journal().await else {
            return NextStep::After(TROUBLE_PAUSE);
        };
        if !locked.current_in(&attempt) {
            return NextStep::Now;
        }
        match fetched {
            Ok((planned, reboots)) => {
                tracing::info!(attempt_id = %attempt.id, closure = %attempt.closure, "fetched");
                locked.note_plan(planned);
                if let Some(current) = &mut locked.journal.current {
                    current.reboots = Some(reboots);
                    enter(current, JournalPhase::Staged);
                }
                // When this is not written, the next start fetches again, which then takes no time.
                locked.try_save();
            }
            Err(error) => locked.fail_unbegun(&chain(&error)),
        }
        NextStep::Now
    }
}

impl<H: HostOperations, C: Clock> Executor<H, C> {
    fn fetch_bound(&self, attempt: &Attempt) -> Duration {
        let whole = Duration::from_secs(attempt.stage_seconds.into());
        match attempt.stage_by {
            Some(by) if attempt.boot_id == self.host.observe().boot_id => {
                by.left(self.clock.boot()).min(whole)
            }
            // The mark is another boot's.
            _ => whole,
        }
    }
}

async fn fetch<H: HostOperations>(
    host: Arc<H>,
    attempt: Attempt,
    claim: ReleaseClaim,
    bound: Duration,
) -> Result<AdmittedRelease, StageError> {
    // What nobody signed does not fill the disk either.
    host.check_named(&attempt.closure, &claim)?;
    let began = Instant::now();
    let left = || bound.saturating_sub(began.elapsed());
    let mut fetches = 0;
    loop {
        fetches += 1;
        host.fetch(attempt.id, &attempt.closure, left()).await?;
        match host.admit_release(&attempt.closure, &claim, left()).await {
            Err(StageError::Vanished { .. }) if fetches < MOST_FETCHES => {
                tracing::warn!(attempt_id = %attempt.id, closure = %attempt.closure, "a collection took it, fetching again");
            }
            admitted => return admitted,
        }
    }
}
