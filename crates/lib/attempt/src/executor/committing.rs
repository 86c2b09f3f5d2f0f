//! Committing: the only place that moves the profile and the boot default forward.

use slipway_host::clock::Clock;
use slipway_host::failpoint::failpoint;
use slipway_host::job::{JobKind, JobState};
use slipway_host::operations::HostOperations;
use tracing::Instrument as _;

use crate::journal::{Attempt, HooksDue};

use super::phases::enter;
use super::{JournalPhase, JournalSlot, LockedExecutor, NextStep, TROUBLE_PAUSE, chain};

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Begins the commit of a verified closure, or finishes one that was begun.
    pub(super) async fn commit(&mut self) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        let begun = attempt.phase == JournalPhase::Committing;
        let observed = self.host.observe();
        let now = self.clock.boot();
        let short = attempt.closure.short();
        let trouble = if !observed.runs(&attempt.closure) {
            Some(format!(
                "{short} was not live any more when it was to be committed"
            ))
        } else if begun {
            None
        } else if observed.boot_id != attempt.boot_id {
            Some(format!("the host was rebooted before {short} was committed"))
        } else if attempt.is_overdue(now) {
            Some(format!(
                "the word to commit {short} came after the dead-man's deadline"
            ))
        } else {
            None
        };
        if let Some(trouble) = trouble {
            self.begin_revert(JournalSlot::Current, &trouble);
            return NextStep::Now;
        }
        if !begun && let Some(next) = self.begin_commit() {
            return next;
        }
        let moving = self.phase.part("move boot default");
        if let Err(why) = self.move_boot_default(&attempt).instrument(moving).await {
            self.begin_revert(JournalSlot::Current, &why);
            return NextStep::Now;
        }
        failpoint("boot-moved");
        let disarming = self.phase.part("disarm dead-man");
        self.host.disarm(attempt.id).instrument(disarming).await;
        failpoint("deadman-disarmed");
        if let Some(current) = &mut self.journal.current {
            tracing::info!(attempt_id = %current.id, closure = %current.closure, "committed");
            enter(current, JournalPhase::Committed);
            current.message = Some(format!("{short} is the profile and the boot default"));
        }
        self.owe_hooks(HooksDue::AfterCommit, &attempt.closure);
        self.journal.lost = None;
        // When this is not written, the next start finishes the same commit again, which changes nothing.
        self.try_save();
        failpoint("committed-written");
        self.tidy();
        NextStep::Now
    }

    /// Written before the profile moves: from here on the dead-man does nothing and a restart goes forward.
    fn begin_commit(&mut self) -> Option<NextStep> {
        let before = self.journal.current.clone();
        if let Some(current) = &mut self.journal.current {
            enter(current, JournalPhase::Committing);
            current.profile_moved = true;
        }
        let signed = before.as_ref().and_then(|current| current.signed);
        let last = self.journal.signed;
        // In the same write: no power cut comes between a commit and its number.
        self.journal.signed = signed.or(last);
        if let Err(error) = self.save() {
            self.note_trouble(&error);
            self.journal.current = before;
            self.journal.signed = last;
            if let Some(current) = &mut self.journal.current {
                current.message = Some(format!("cannot commit yet: {}", chain(&error)));
            }
            // Until the dead-man's deadline there may be room again.
            return Some(NextStep::After(TROUBLE_PAUSE));
        }
        failpoint("committing-written");
        None
    }

    async fn move_boot_default(&mut self, attempt: &Attempt) -> Result<(), String> {
        let closure = self.admit_begun(&attempt.closure).await;
        let closure = closure.map_err(|error| chain(&error))?;
        self.host
            .set_profile(&closure)
            .await
            .map_err(|error| chain(&error))?;
        failpoint("profile-moved");
        let newest = self.host.newest_job(JobKind::Commit, attempt.id);
        let state = newest.map(|id| self.host.job_state(id));
        if !matches!(state, Some(JobState::Ended(exit)) if exit.is_success()) {
            self.run_boot_job(JobKind::Commit, attempt, &closure).await?;
        }
        failpoint("boot-default-moved");
        // It is the boot default, so what is left of its one boot does no harm.
        if let Err(why) = self.clear_boot(attempt, &closure).await {
            tracing::warn!(attempt_id = %attempt.id, %why, "committed all the same");
        }
        Ok(())
    }
}
