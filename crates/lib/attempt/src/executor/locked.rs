//! The journal, locked and ready to be changed.

use std::ops::{Deref, DerefMut};

use slipway_domain::agent::AttemptPhase;
use slipway_host::clock::Clock;
use slipway_host::operations::HostOperations;
use slipway_host::text::{MESSAGE_CHARS, one_line};
use slipway_process::FileLock;

use crate::journal::JournalError;

use super::phases::enter;
use super::{Attempt, Executor, ExecutorView, JournalPhase, JournalSlot, chain};

/// The executor while it holds the journal's lock: the memory is as new as the disk or newer. Only this type
/// changes the journal.
#[derive(Debug)]
pub(super) struct LockedExecutor<'a, H, C> {
    executor: &'a mut Executor<H, C>,
    _lock: FileLock,
}

impl<H, C> Deref for LockedExecutor<'_, H, C> {
    type Target = Executor<H, C>;

    fn deref(&self) -> &Self::Target {
        self.executor
    }
}

impl<H, C> DerefMut for LockedExecutor<'_, H, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.executor
    }
}

impl<H: HostOperations, C: Clock> Executor<H, C> {
    /// Waits for the lock and reads changes of others. `Err` says what is wrong with the journal.
    pub(super) async fn lock_journal(&mut self) -> Result<LockedExecutor<'_, H, C>, String> {
        let read = async {
            let lock = self.store.lock().await?;
            Ok::<_, JournalError>((lock, self.store.load()?))
        };
        let (lock, mut loaded) = match read.await {
            Ok(read) => read,
            Err(error) => {
                self.note_trouble(&error);
                self.publish();
                return Err(chain(&error));
            }
        };
        let mut locked = LockedExecutor {
            executor: self,
            _lock: lock,
        };
        if let Some(damage) = loaded.damage.take() {
            if locked.trouble.is_none() {
                tracing::error!(%damage, "the journal was damaged");
            }
            // A journal that is damaged while we run is written again from memory: nothing is lost. Where it cannot be
            // written, memory is what there is to go by.
            if let Some(known) = locked.on_disk.clone() {
                if let Err(error) = locked.store.save(&locked.journal) {
                    locked.note_trouble(&error);
                }
                loaded.journal = known;
            }
        }
        if locked.on_disk.as_ref() != Some(&loaded.journal) {
            locked.journal.clone_from(&loaded.journal);
            locked.on_disk = Some(loaded.journal);
        }
        if locked.on_disk.as_ref() != Some(&locked.journal) {
            locked.try_save();
        }
        Ok(locked)
    }

    pub(super) fn note_trouble(&mut self, error: &JournalError) {
        let trouble = chain(error);
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::error!(%trouble, "the journal cannot be kept");
        }
        self.trouble = Some(trouble);
    }

    /// Lets others see how things stand.
    pub(super) fn publish(&mut self) {
        self.phase.follow(&self.journal, self.revert_tries);
        let mut report = self.journal.report(self.requested);
        if let Some(report) = &mut report
            && report.phase == AttemptPhase::Verifying
            && report.message.is_none()
        {
            report.message = self.failing.words(report.attempt).map(ToOwned::to_owned);
        }
        let plan = report.as_ref().and_then(|report| self.plan_of(report));
        let current = self.journal.current.as_ref();
        let origin = current
            .filter(|current| report.as_ref().is_some_and(|report| report.attempt == current.id))
            .and_then(|current| current.origin.as_ref());
        let view = ExecutorView {
            plan,
            traceparent: origin.and_then(|origin| origin.traceparent.clone()),
            report,
            unsettled: self.journal.unsettled_id(),
            trouble: self.trouble.clone().or_else(|| self.journal.lost.clone()),
        };
        self.view.send_if_modified(|old| {
            let changed = *old != view;
            *old = view;
            changed
        });
    }
}

impl<'a, H: HostOperations, C: Clock> LockedExecutor<'a, H, C> {
    /// Lets others see how things stand and lets go of the lock, for work that takes long.
    pub(super) fn unlock(mut self) -> &'a mut Executor<H, C> {
        self.publish();
        self.executor
    }

    /// Writes the journal. After an error no action that depends on it may follow.
    pub(super) fn save(&mut self) -> Result<(), JournalError> {
        let now = self.clock.wall();
        if let Some(current) = &mut self.journal.current {
            current.updated_at = now;
        }
        self.publish();
        self.store.save(&self.journal)?;
        self.on_disk = Some(self.journal.clone());
        if self.trouble.take().is_some() {
            tracing::info!("the journal is kept again");
        }
        Ok(())
    }

    /// Writes the journal if the next step is safe without: the machine itself tells the next reader the same.
    pub(super) fn try_save(&mut self) {
        if let Err(error) = self.save() {
            self.note_trouble(&error);
        }
    }

    /// Whether the current attempt is still this one, in this phase.
    pub(super) fn current_in(&self, attempt: &Attempt) -> bool {
        self.journal
            .current
            .as_ref()
            .is_some_and(|current| current.id == attempt.id && current.phase == attempt.phase)
    }

    /// Ends an attempt that never touched the machine.
    pub(super) fn fail_unbegun(&mut self, message: &str) {
        if let Some(current) = &mut self.journal.current {
            let message = one_line(message, MESSAGE_CHARS);
            tracing::warn!(attempt_id = %current.id, closure = %current.closure, why = %message, "not activated");
            enter(current, JournalPhase::StageFailed);
            current.message = Some(message);
            let attempt = current.id;
            self.host.release_closure(attempt);
        }
        self.try_save();
    }

    /// Decides that an attempt goes back. The next step does the work.
    ///
    /// Going on without this write is safe. A later reader of the older phase finds the prior live, or the closure
    /// live after the deadline, and goes back too.
    pub(super) fn begin_revert(&mut self, slot: JournalSlot, reason: &str) {
        let reason = one_line(reason, MESSAGE_CHARS);
        if let Some(attempt) = self.slot_mut(slot) {
            tracing::warn!(attempt_id = %attempt.id, closure = %attempt.closure, prior = attempt.prior.as_ref().map(tracing::field::display), %reason, "going back");
            attempt.was_committed |= attempt.phase == JournalPhase::Committed;
            enter(attempt, JournalPhase::Reverting);
            attempt.message = Some(reason.clone());
            attempt.reason = Some(reason);
        }
        self.revert_tries = 0;
        self.revert_began = Some(self.clock.boot());
        self.next_revert = self.clock.boot();
        self.try_save();
    }
}
