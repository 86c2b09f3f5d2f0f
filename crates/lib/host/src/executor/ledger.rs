//! The journal, opened for changing.

use crate::clock::Clock;
use crate::host::Host;
use crate::journal::JournalError;
use crate::text::{MESSAGE_CHARS, one_line};
use slipway_process::FileLock;

use super::{Attempt, Executor, JournalPhase, Slot, View, chain};

/// Proof that the journal's lock is held, and that the memory is as new as the disk or newer.
#[derive(Debug)]
pub(super) struct Ledger {
    _lock: FileLock,
}

impl<H: Host, C: Clock> Executor<H, C> {
    /// Waits for the lock and reads changes of others.
    pub(super) async fn open(&mut self) -> Result<Ledger, JournalError> {
        let lock = self.store.lock().await?;
        let mut loaded = self.store.load()?;
        let ledger = Ledger { _lock: lock };
        if let Some(damage) = loaded.damage.take() {
            if self.trouble.is_none() {
                tracing::error!(%damage, "the journal was damaged");
            }
            // A journal that is damaged while we run is written again from memory: nothing is lost. Where it cannot be
            // written, memory is what there is to go by.
            if let Some(known) = self.on_disk.clone() {
                if let Err(error) = self.store.save(&self.journal) {
                    self.note_trouble(&error);
                }
                loaded.journal = known;
            }
        }
        if self.on_disk.as_ref() != Some(&loaded.journal) {
            self.journal.clone_from(&loaded.journal);
            self.on_disk = Some(loaded.journal);
        }
        if self.on_disk.as_ref() != Some(&self.journal) {
            self.keep(&ledger);
        }
        Ok(ledger)
    }

    /// Writes the journal. After an error no action that depends on it may follow.
    pub(super) fn save(&mut self, _ledger: &Ledger) -> Result<(), JournalError> {
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
    pub(super) fn keep(&mut self, ledger: &Ledger) {
        if let Err(error) = self.save(ledger) {
            self.note_trouble(&error);
        }
    }

    pub(super) fn note_trouble(&mut self, error: &JournalError) {
        let trouble = chain(error);
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::error!(%trouble, "the journal cannot be kept");
        }
        self.trouble = Some(trouble);
    }

    /// Lets others see how things stand.
    pub(super) fn publish(&self) {
        let view = View {
            report: self.journal.report(self.asked),
            unsettled: self.journal.unsettled_id(),
            trouble: self.trouble.clone().or_else(|| self.journal.lost.clone()),
        };
        self.view.send_if_modified(|old| {
            let changed = *old != view;
            *old = view;
            changed
        });
    }

    /// The current attempt, if it is this one in this phase still.
    pub(super) fn current_in(&self, attempt: &Attempt) -> bool {
        self.journal
            .current
            .as_ref()
            .is_some_and(|current| current.id == attempt.id && current.phase == attempt.phase)
    }

    /// Ends an attempt that never touched the machine.
    pub(super) fn fail_unbegun(&mut self, message: &str, ledger: &Ledger) {
        if let Some(current) = &mut self.journal.current {
            let message = one_line(message, MESSAGE_CHARS);
            tracing::warn!(attempt = %current.id, closure = %current.closure, why = %message, "not activated");
            current.phase = JournalPhase::StageFailed;
            current.message = Some(message);
            self.host.release_closure(current.id);
        }
        self.keep(ledger);
    }

    /// Decides that an attempt goes back. The next step does the work.
    ///
    /// Going on without this write is safe. A later reader of the older phase finds the prior live, or the closure
    /// live after the deadline, and goes back too.
    pub(super) fn begin_revert(&mut self, slot: Slot, reason: &str, ledger: &Ledger) {
        let reason = one_line(reason, MESSAGE_CHARS);
        if let Some(attempt) = self.slot_mut(slot) {
            tracing::warn!(attempt = %attempt.id, closure = %attempt.closure, prior = attempt.prior.as_ref().map(tracing::field::display), %reason, "going back");
            attempt.phase = JournalPhase::Reverting;
            attempt.message = Some(reason.clone());
            attempt.reason = Some(reason);
        }
        self.revert_tries = 0;
        self.revert_began = Some(self.clock.boot());
        self.next_revert = self.clock.boot();
        self.keep(ledger);
    }
}
