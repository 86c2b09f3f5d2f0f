//! Committing: the only place that moves the profile and the boot default forward.

use slipway_host::clock::Clock;
use slipway_host::failpoint::failpoint;
use slipway_host::host::Host;
use slipway_host::job::{JobKind, JobState};

use crate::journal::Attempt;

use super::phases::enter;
use super::{JournalPhase, Pace, REST, Slot, TROUBLE_PAUSE, Turn, chain};

impl<H: Host, C: Clock> Turn<'_, H, C> {
    /// Begins the commit of a verified closure, or finishes one that was begun.
    pub(super) async fn commit(&mut self) -> Pace {
        let Some(attempt) = self.journal.current.clone() else {
            return Pace::Now;
        };
        let begun = attempt.phase == JournalPhase::Committing;
        let seen = self.host.observe();
        let now = self.clock.boot();
        let short = attempt.closure.short();
        let trouble = if seen.live.as_ref() != Some(&attempt.closure) {
            Some(format!(
                "{short} was not live any more when it was to be committed"
            ))
        } else if begun {
            None
        } else if seen.boot_id != attempt.boot_id {
            Some(format!("the host was rebooted before {short} was committed"))
        } else if attempt.deadline.is_none_or(|deadline| deadline <= now) {
            Some(format!(
                "the word to commit {short} came after the dead-man's deadline"
            ))
        } else {
            None
        };
        if let Some(trouble) = trouble {
            self.begin_revert(Slot::Current, &trouble);
            return Pace::Now;
        }
        if !begun && let Some(pace) = self.begin_commit() {
            return pace;
        }
        if let Err(why) = self.move_boot_default(&attempt).await {
            self.begin_revert(Slot::Current, &why);
            return Pace::Now;
        }
        failpoint("boot-moved");
        self.host.disarm(attempt.id).await;
        failpoint("deadman-disarmed");
        if let Some(current) = &mut self.journal.current {
            tracing::info!(attempt = %current.id, closure = %current.closure, "committed");
            enter(current, JournalPhase::Committed);
            current.message = Some(format!("{short} is the profile and the boot default"));
        }
        self.journal.lost = None;
        // When this is not written, the next start finishes the same commit again, which changes nothing.
        self.keep();
        failpoint("committed-written");
        self.tidy();
        Pace::After(REST)
    }

    /// Written before the profile moves: from here on the dead-man does nothing and a restart goes forward.
    fn begin_commit(&mut self) -> Option<Pace> {
        let before = self.journal.current.clone();
        if let Some(current) = &mut self.journal.current {
            enter(current, JournalPhase::Committing);
            current.profile_moved = true;
        }
        if let Err(error) = self.save() {
            self.note_trouble(&error);
            self.journal.current = before;
            if let Some(current) = &mut self.journal.current {
                current.message = Some(format!("cannot commit yet: {}", chain(&error)));
            }
            // Until the dead-man's deadline there may be room again.
            return Some(Pace::After(TROUBLE_PAUSE));
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
        if let Some(JobState::Ended(exit)) = newest.map(|id| self.host.job_state(id))
            && exit.is_success()
        {
            return Ok(());
        }
        let what = format!("switch-to-configuration boot of {}", closure.path().short());
        match self.run_job(JobKind::Commit, attempt, &closure).await {
            Ok(exit) if exit.is_success() => Ok(()),
            Ok(exit) => Err(format!("{what} {exit}")),
            Err(why) => Err(format!("{what} {why}")),
        }
    }
}
