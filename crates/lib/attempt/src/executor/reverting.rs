//! Puts the recorded prior back, and tries until it works.

use std::time::Duration;

use slipway_domain::StorePath;
use slipway_domain::agent::Verdict;
use slipway_host::clock::Clock;
use slipway_host::door::{Refusal, Runnable};
use slipway_host::failpoint::failpoint;
use slipway_host::job::{Job, JobEnd, JobExit, JobId, JobKind, JobState};
use slipway_host::operations::{HostOperations, MachineObservation};
use slipway_host::text::{MESSAGE_CHARS, one_line};
use tracing::Instrument as _;

use crate::journal::{Attempt, HooksDue};

use super::hooks::SLACK;
use super::phases::enter;
use super::rebooting::BootBack;
use super::{JournalPhase, JournalSlot, LockedExecutor, NextStep, REST, WATCH_EVERY, chain};

/// Failed tries before the attempt counts as stuck: a single one may have met a passing problem.
const TRIES_UNTIL_STUCK: u32 = 2;
/// The bound of one run where nobody gave one, in seconds.
const DEFAULT_SECONDS: u32 = 600;
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_mins(5);

/// Between two looks at a machine that is to go down.
const DOWN_POLL: Duration = Duration::from_secs(10);

/// A prior that is back, and a remark about it.
struct RestoredPrior {
    prior: StorePath,
    remark: String,
}

/// How far one try came.
enum PutBack {
    /// The prior is back.
    Done(RestoredPrior),
    /// It comes back with the next boot.
    GoesDown,
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// One try. Holds the lock, so that the dead-man does not try at the same time.
    pub(super) async fn revert(&mut self, slot: JournalSlot) -> NextStep {
        let Some(attempt) = self.slot(slot).cloned() else {
            return NextStep::Now;
        };
        let now = self.clock.boot();
        let began = *self.revert_began.get_or_insert(now);
        if self.next_revert > now {
            return NextStep::After(self.next_revert.left(now).min(REST));
        }
        failpoint("reverting");
        match self.put_back(slot, &attempt).await {
            Ok(PutBack::GoesDown) => {
                self.next_revert = self.clock.boot().after(DOWN_POLL);
                NextStep::After(DOWN_POLL)
            }
            Ok(PutBack::Done(back)) => {
                let disarming = self.phase.part("disarm dead-man");
                self.host.disarm(attempt.id).instrument(disarming).await;
                failpoint("prior-back");
                self.settle_reverted(slot, &back);
                NextStep::Now
            }
            Err(why) => {
                self.revert_tries += 1;
                let bound = attempt.revert_seconds.unwrap_or(DEFAULT_SECONDS);
                let stuck = self.revert_tries >= TRIES_UNTIL_STUCK || began.after_seconds(bound) <= now;
                let pause = pause_after(self.revert_tries);
                self.next_revert = self.clock.boot().after(pause);
                let tries = self.revert_tries;
                tracing::error!(attempt_id = %attempt.id, prior = ?attempt.prior, %why, tries, "the prior could not be put back");
                if let Some(current) = self.slot_mut(slot) {
                    if stuck {
                        enter(current, JournalPhase::Stuck);
                    }
                    let because = current.reason.as_deref().unwrap_or("unknown");
                    let message =
                        format!("the prior could not be put back: {why}; it goes back because: {because}");
                    current.message = Some(one_line(&message, MESSAGE_CHARS));
                }
                self.try_save();
                NextStep::After(pause.min(REST))
            }
        }
    }

    fn settle_reverted(&mut self, slot: JournalSlot, back: &RestoredPrior) {
        if let Some(current) = self.slot_mut(slot) {
            let because = current.reason.as_deref().unwrap_or("unknown");
            let RestoredPrior { prior, remark } = back;
            let message = one_line(&format!("{because}; went back to {prior}{remark}"), MESSAGE_CHARS);
            tracing::info!(attempt_id = %current.id, why = %message, "reverted");
            enter(current, JournalPhase::Reverted);
            current.message = Some(message);
        }
        let current = self.journal.current.as_ref();
        if current.is_some_and(|current| current.phase.is_over()) {
            self.owe_hooks(HooksDue::AfterRevert, &back.prior);
        }
        // Firm ground: whatever was stuck before is over too.
        if let Some(mut stuck) = self.journal.unsettled.take() {
            if slot == JournalSlot::Current {
                enter(&mut stuck, JournalPhase::Reverted);
            }
            self.journal.archive(stuck);
        }
        self.revert_tries = 0;
        self.revert_began = None;
        // When this is not written, the next start puts the prior back again, which changes nothing.
        self.try_save();
        failpoint("reverted-written");
        self.tidy();
    }

    async fn put_back(&mut self, slot: JournalSlot, attempt: &Attempt) -> Result<PutBack, String> {
        // No part of the attempt may run or start while the prior comes back.
        for kind in [JobKind::Activate, JobKind::Commit, JobKind::BootOnce] {
            let newest = self.host.newest_job(kind, attempt.id);
            let id = newest.unwrap_or(JobId::first(kind, attempt.id));
            self.host.stop(id).await;
        }
        for kind in [JobKind::BeforeActivate, JobKind::AfterCommit] {
            self.stop_hooks(kind, attempt.id).await;
        }
        let prior = attempt
            .prior
            .clone()
            .ok_or("no prior is recorded; switch the host to a good system by hand")?;
        let observed = self.host.observe();
        self.check_way_back(attempt, &prior, &observed)?;
        let prior = self.admit_prior(attempt, &prior).await?;
        let moved = self.boot_default_moved(attempt, prior.path(), &observed);
        let in_other_boot = attempt
            .reboot
            .as_ref()
            .is_some_and(|reboot| reboot.from != observed.boot_id);
        // The way back may fail, and then the next boot must not bring the closure either.
        let forgotten = !in_other_boot && self.clear_boot_back(attempt, &prior, moved).await.is_ok();
        if in_other_boot && observed.runs(&attempt.closure) && attempt.closure != *prior.path() {
            // What the next boot brings must be right before it.
            if moved {
                self.move_boot_back(attempt, &prior).await?;
            }
            match self.boot_back(slot, attempt, prior.path(), &observed).await? {
                BootBack::Waits => return Ok(PutBack::GoesDown),
                BootBack::None => {}
            }
        }
        let untried = self.host.newest_job(JobKind::Revert, attempt.id).is_none();
        let booted_into_it = untried && observed.boot_id != attempt.boot_id && observed.runs(prior.path());
        // Before its one boot nothing of it ran.
        let never_left = attempt.reboot.is_some() && !in_other_boot && observed.runs(prior.path());
        let mut remark = String::new();
        if !(booted_into_it || never_left) {
            let what = format!("switch-to-configuration test of {}", prior.path().short());
            // A host that never left the prior has nothing to hand over.
            let used = if untried && !attempt.awaits_hooks() {
                self.run_hooks_back(slot, attempt, &prior).await
            } else {
                Duration::ZERO
            };
            let span = self.phase.part("run switch script");
            let exit = self
                .run_job(JobKind::Revert, attempt, &prior, used)
                .instrument(span)
                .await;
            let exit = exit.map_err(|why| format!("{what} {why}"))?;
            if !exit.is_success() {
                self.confirm_prior(attempt, &prior, &exit)
                    .await
                    .map_err(|but| format!("{what} {exit}{but}"))?;
                remark = format!(", which is live and healthy, though {what} {exit}");
            }
        }
        failpoint("prior-switched");
        if moved {
            self.move_boot_back(attempt, &prior).await?;
        }
        if !forgotten {
            self.clear_boot_back(attempt, &prior, moved).await?;
        }
        let observed = self.host.observe();
        let prior = prior.path().clone();
        if observed.runs(&prior) {
            return Ok(PutBack::Done(RestoredPrior { prior, remark }));
        }
        Err(format!(
            "the switch to {} ended well, but the live link names {}",
            prior.short(),
            observed.live_text()
        ))
    }

    /// Makes the prior the profile and the boot default again.
    async fn move_boot_back(&self, attempt: &Attempt, prior: &Runnable) -> Result<(), String> {
        self.host
            .set_profile(prior)
            .await
            .map_err(|error| chain(&error))?;
        failpoint("profile-back");
        self.run_boot_job(JobKind::RevertBoot, attempt, prior).await
    }

    /// Until the boot loader has forgotten the closure, the next boot could bring it.
    async fn clear_boot_back(&self, attempt: &Attempt, prior: &Runnable, moved: bool) -> Result<(), String> {
        let Some(reboot) = attempt.reboot.as_ref().filter(|_| attempt.takes_boot_entry()) else {
            return Ok(());
        };
        let default = match &reboot.default {
            default if moved || default == prior.path() => prior.clone(),
            default => self.admit_known(default).await.map_err(|error| chain(&error))?,
        };
        self.clear_boot(attempt, &default).await?;
        failpoint("boot-cleared");
        Ok(())
    }

    /// Whether a host with release keys may go back so far. `Err` says why not.
    ///
    /// Its own prior needs no manifest, also after the commit. But the control plane could name attempt after attempt, and
    /// so walk the host back to releases that were replaced for good reasons.
    pub(super) fn check_way_back(
        &self,
        attempt: &Attempt,
        prior: &StorePath,
        observed: &MachineObservation,
    ) -> Result<(), String> {
        if !self.host.takes_only_signed() {
            return Ok(());
        }
        if !attempt.vouches() && observed.boot_default.as_ref() != Some(prior) {
            return Err(format!(
                "this host takes signed releases only, and {prior} is a prior that only the control plane names; to go there, sign its closure under a new number"
            ));
        }
        match self.journal.signed {
            Some(last) if attempt.vouches() && attempt.profile_moved && attempt.signed != Some(last) => {
                Err(format!(
                    "this host takes signed releases only, and it has committed number {} after this attempt; to go to {prior}, sign its closure under a new number",
                    last.number
                ))
            }
            _ if attempt.was_committed => {
                let keeps = self.host.check_keeps_keys(prior);
                keeps.map_err(|refusal| chain(&refusal))
            }
            _ => Ok(()),
        }
    }

    /// Lets the prior pass the door; fetches it first if it is gone.
    async fn admit_prior(&self, attempt: &Attempt, prior: &StorePath) -> Result<Runnable, String> {
        let gone = match self.admit_known(prior).await {
            Ok(prior) => return Ok(prior),
            Err(refusal @ (Refusal::NotValid { .. } | Refusal::Unfit(_))) => refusal,
            Err(refusal) => return Err(chain(&refusal)),
        };
        let bound = Duration::from_secs(attempt.revert_seconds.unwrap_or(DEFAULT_SECONDS).into());
        let fetched = self.host.fetch(attempt.id, prior, bound).await;
        fetched.map_err(|error| format!("{}; {}", chain(&gone), chain(&error)))?;
        let admitted = self.admit_known(prior).await;
        admitted.map_err(|refusal| chain(&refusal))
    }

    /// Whether the prior is back although its switch script complained: it is live, and its own checks pass. `Err` ends
    /// the sentence that begins with the complaint.
    ///
    /// A script that found failed units did all its other work. After any other error another try may help.
    async fn confirm_prior(&self, attempt: &Attempt, prior: &Runnable, exit: &JobExit) -> Result<(), String> {
        let last_try = self.revert_tries + 1 >= TRIES_UNTIL_STUCK;
        let ended = matches!(exit.end, JobEnd::Exited(_));
        let is_live = self.host.observe().runs(prior.path());
        if !ended || !(exit.is_with_failed_units() || last_try) || !is_live {
            return Err(String::new());
        }
        let verify = attempt
            .plan
            .as_ref()
            .map(|plan| plan.verify.clone())
            .unwrap_or_default();
        let until = self.clock.boot().after_seconds(verify.timeout_seconds);
        let mut passes = 0;
        loop {
            let span = self.phase.part("run checks");
            let round = self.host.round(prior).instrument(span).await;
            passes = if round.verdict == Verdict::Pass {
                passes + 1
            } else {
                0
            };
            if passes >= verify.passes.max(1) {
                return Ok(());
            }
            let over = self.clock.boot() >= until;
            match round.verdict {
                // A first system that somebody made by hand may carry no checks. Units that fail on the prior as well
                // say nothing of the way back.
                Verdict::Unknown if over && exit.is_with_failed_units() => return Ok(()),
                Verdict::Pass => {}
                _ if over => return Err(format!("; {}", round.detail)),
                _ => {}
            }
            tokio::time::sleep(Duration::from_secs(verify.interval_seconds.into())).await;
        }
    }

    /// Whether the profile or the boot loader may name the closure.
    fn boot_default_moved(
        &self,
        attempt: &Attempt,
        prior: &StorePath,
        observed: &MachineObservation,
    ) -> bool {
        let default = observed.boot_default.as_ref();
        if default == Some(prior) {
            // The profile is right already; the boot loader is not when a commit got that far.
            let ran = |kind| self.host.newest_job(kind, attempt.id).is_some();
            return attempt.profile_moved && (ran(JobKind::Commit) || ran(JobKind::RevertBoot));
        }
        attempt.profile_moved || default == Some(&attempt.closure)
    }

    /// Runs a switch script for the boot loader to its end.
    pub(super) async fn run_boot_job(
        &self,
        kind: JobKind,
        attempt: &Attempt,
        closure: &Runnable,
    ) -> Result<(), String> {
        let ended = match self.run_job(kind, attempt, closure, Duration::ZERO).await {
            Ok(exit) if exit.is_success() => return Ok(()),
            Ok(exit) => exit.to_string(),
            Err(why) => why,
        };
        let short = closure.path().short();
        Err(format!("switch-to-configuration boot of {short} {ended}"))
    }

    /// Runs a switch script as a job to its end, in the time that hooks have not used. One that runs already is waited
    /// for.
    pub(super) async fn run_job(
        &self,
        kind: JobKind,
        attempt: &Attempt,
        closure: &Runnable,
        used: Duration,
    ) -> Result<JobExit, String> {
        let seconds = attempt
            .revert_seconds
            .or_else(|| attempt.plan.as_ref().map(|plan| plan.activate_seconds))
            .unwrap_or(DEFAULT_SECONDS);
        let seconds = Duration::from_secs(seconds.into());
        let left = attempt
            .whole_revert_seconds()
            .map(|whole| Duration::from_secs(whole.into()).saturating_sub(used));
        let own = self.host.switch_seconds(closure.path()).unwrap_or(0);
        let timeout = seconds
            .min(left.unwrap_or(seconds))
            .max(Duration::from_secs(own.max(1).into()));
        let newest = self.host.newest_job(kind, attempt.id);
        let running = newest.filter(|id| self.host.job_state(*id).is_running());
        let id = if let Some(id) = running {
            id
        } else {
            if let Some(old) = newest {
                self.host.stop(old).await;
            }
            let id = newest.map_or(JobId::first(kind, attempt.id), JobId::next);
            let job = Job {
                id,
                closure: closure.clone(),
                timeout,
                traceparent: self.phase.place(),
                hook: None,
                once: None,
            };
            if let Err(error) = self.host.start(&job).await {
                let why = chain(&error);
                if kind == JobKind::Commit {
                    return Err(format!("could not be started: {why}"));
                }
                // A full disk must not keep the prior away.
                tracing::warn!(%why, job = %id, "run without a supervisor");
                self.host.stop(id).await;
                return Ok(self.host.run_attached(&job).await);
            }
            failpoint("job-started");
            id
        };
        self.wait_for_job(id, timeout).await
    }

    /// Waits for the end of a job that runs. It is ended when it outlives its limit.
    pub(super) async fn wait_for_job(&self, id: JobId, timeout: Duration) -> Result<JobExit, String> {
        let until = self.clock.boot().after(timeout + SLACK);
        loop {
            match self.host.job_state(id) {
                JobState::Ended(exit) => return Ok(exit),
                JobState::Absent | JobState::Lost => return Err("was cut short".to_owned()),
                state if self.clock.boot() >= state.ends(timeout).unwrap_or(until) => {
                    self.host.stop(id).await;
                    return Err(format!("did not end within {} s", timeout.as_secs()));
                }
                _ => tokio::time::sleep(WATCH_EVERY / 2).await,
            }
        }
    }
}

/// 2, 4, 8 … seconds.
fn pause_after(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(16)).min(MAX_PAUSE)
}
