//! The one boot of a release, and the boot back. docs/decisions/0116 says why each step is safe at a power cut.
//!
//! The boot default stays where it is. The boot loader is told to boot the closure once, and the machine goes down. In the
//! boot that follows, the closure either runs or it does not, and that ends the matter: it is never tried again.

use std::time::Duration;

use slipway_domain::StorePath;
use slipway_domain::agent::ActivationPlan;
use slipway_host::clock::Clock;
use slipway_host::door::Runnable;
use slipway_host::failpoint::failpoint;
use slipway_host::job::{BootOnce, Job, JobId, JobKind, JobState};
use slipway_host::operations::{HostOperations, MachineObservation};
use tracing::Instrument as _;

use crate::journal::{Attempt, RebootProgress};

use super::phases::enter;
use super::{JournalPhase, JournalSlot, LockedExecutor, NextStep, WATCH_EVERY, chain};

/// How often a machine is asked to go down that stays up, or that comes up as the same boot (some containers do).
const MOST_ASKED: u32 = 3;
/// How long it may take to go down where nobody said.
const DOWN_WITHIN: u32 = 600;
/// Writing boot entries: kernels are copied to a slow disk.
pub(super) const ENTRIES_WITHIN: Duration = Duration::from_mins(5);

/// How far going back by a boot is.
pub(super) enum BootBack {
    /// It takes no boot, or none any more.
    None,
    /// The machine goes down.
    Waits,
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// The one boot that the attempt is to make, if it makes one. `Err` says why this host cannot.
    pub(super) async fn plan_reboot(
        &self,
        plan: &ActivationPlan,
        closure: &StorePath,
        observed: &MachineObservation,
    ) -> Result<Option<RebootProgress>, String> {
        if plan.reboot.is_never() || !plan.reboot.applies(!self.host.reboot_needs(closure).is_empty()) {
            return Ok(None);
        }
        let Some(default) = &observed.boot_default else {
            return Err(
                "the profile names no system, so nothing is known that the host would come back on: switch it to a good system by hand first"
                    .to_owned(),
            );
        };
        let reboots = self.journal.reboots_of_a_day(self.clock.wall());
        if reboots >= self.most_reboots as usize {
            return Err(format!(
                "attempts had it reboot {reboots} times within 24 h, and AGENT_MAX_REBOOTS_PER_DAY allows {}: look why, and then wait, or raise services.slipway.agent.maxRebootsPerDay on the host",
                self.most_reboots
            ));
        }
        if let Some(obstacle) = self.host.boot_obstacle(closure).await {
            return Err(format!("it cannot boot the release once: {obstacle}"));
        }
        self.admit_known(default).await.map_err(|error| chain(&error))?;
        Ok(Some(RebootProgress::new(&observed.boot_id, default.clone())))
    }

    /// Has the boot entry written. The closure that boots anyway needs none.
    pub(super) async fn start_boot(&mut self, attempt: &Attempt, reboot: &RebootProgress) {
        if !attempt.takes_boot_entry() {
            return;
        }
        if let Err(error) = self.start_boot_job(attempt, reboot).await {
            let reason = format!("the boot entry could not be written: {error}");
            self.begin_revert(JournalSlot::Current, &reason);
        }
        failpoint("boot-entry-started");
    }

    async fn start_boot_job(&self, attempt: &Attempt, reboot: &RebootProgress) -> Result<(), String> {
        let default = self
            .admit_known(&reboot.default)
            .await
            .map_err(|error| chain(&error))?;
        let prior = attempt.prior.as_ref().unwrap_or(&reboot.default);
        let prior = self.admit_known(prior).await.map_err(|error| chain(&error))?;
        let job = Job {
            id: JobId::first(JobKind::BootOnce, attempt.id),
            closure: default,
            timeout: ENTRIES_WITHIN,
            traceparent: self.phase.place(),
            hook: None,
            once: Some(BootOnce {
                closure: attempt.closure.clone(),
                prior,
                deadman_seconds: attempt
                    .plan
                    .as_ref()
                    .map_or(DOWN_WITHIN, |plan| plan.deadman_seconds),
            }),
        };
        // It may have been started all the same.
        self.host.start(&job).await.map_err(|error| chain(&error))
    }

    /// Looks how far the one boot is.
    pub(super) async fn watch_reboot(&mut self, attempt: &Attempt, reboot: &RebootProgress) -> NextStep {
        let newest = self.host.newest_job(JobKind::BootOnce, attempt.id);
        let state = newest.map_or(JobState::Absent, |id| self.host.job_state(id));
        let observed = self.host.observe();
        let done = if observed.boot_id == reboot.from {
            self.go_down_once(attempt, reboot, &state).await
        } else {
            self.judge_boot(attempt, reboot, &observed).await
        };
        match done {
            Ok(next) => next,
            Err(trouble) => {
                if let Some(current) = &mut self.journal.current {
                    current.activation = Some(trouble.clone());
                }
                self.begin_revert(JournalSlot::Current, &trouble);
                NextStep::Now
            }
        }
    }

    async fn go_down_once(
        &mut self,
        attempt: &Attempt,
        reboot: &RebootProgress,
        state: &JobState,
    ) -> Result<NextStep, String> {
        let short = attempt.closure.short();
        let now = self.clock.boot();
        if attempt.is_overdue(now) {
            return Err(format!("{short} was not booted before the dead-man's deadline"));
        }
        match state {
            _ if !attempt.takes_boot_entry() => {}
            JobState::Ended(exit) if exit.is_success() => {}
            JobState::Running => return Ok(NextStep::After(WATCH_EVERY)),
            JobState::Orphaned(_) if state.ends(ENTRIES_WITHIN).is_some_and(|end| end > now) => {
                return Ok(NextStep::After(WATCH_EVERY));
            }
            JobState::Orphaned(_) | JobState::Lost => {
                return Err(format!("writing the boot entry of {short} was cut short"));
            }
            JobState::Absent => {
                return Err(format!(
                    "the agent was stopped before it could write the boot entry of {short}"
                ));
            }
            JobState::Ended(exit) => return Err(format!("writing the boot entry of {short} {exit}")),
        }
        let bound = attempt
            .plan
            .as_ref()
            .map_or(DOWN_WITHIN, |plan| plan.reboot_seconds);
        if let Some(wait) = self.waits_to_go_down(&reboot.from)? {
            return Ok(wait);
        }
        if reboot.asked >= MOST_ASKED {
            return Err(format!(
                "the host was asked {MOST_ASKED} times to reboot into {short}, and it is still the same boot"
            ));
        }
        let left = attempt.deadline.unwrap_or(now).left(now);
        let wall = self.clock.wall();
        if reboot.asked == 0 {
            self.journal.note_reboot(wall);
        }
        if let Some(current) = &mut self.journal.current
            && let Some(reboot) = &mut current.reboot
        {
            reboot.asked += 1;
            reboot.asked_at.get_or_insert(wall);
            reboot.seconds_left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
            current.message = Some(format!("reboots into {short}"));
        }
        // The next boot's agent counts on it.
        self.save()
            .map_err(|error| format!("the reboot was not asked for: {}", chain(&error)))?;
        failpoint("reboot-written");
        tracing::info!(attempt_id = %attempt.id, closure = %attempt.closure, "rebooting");
        self.ask_to_go_down(&reboot.from, bound).await?;
        failpoint("reboot-asked");
        Ok(NextStep::After(WATCH_EVERY))
    }

    /// How long to wait on for a machine that was asked to go down; `None` where this process has not asked. `Err` when it
    /// stays up.
    fn waits_to_go_down(&self, boot_id: &str) -> Result<Option<NextStep>, String> {
        match &self.goes_down {
            Some((asked_in, until)) if asked_in == boot_id => {
                if *until > self.clock.boot() {
                    return Ok(Some(NextStep::After(WATCH_EVERY)));
                }
                Err("the host was asked to reboot and did not go down in time".to_owned())
            }
            _ => Ok(None),
        }
    }

    async fn ask_to_go_down(&mut self, boot_id: &str, within: u32) -> Result<(), String> {
        let until = self.clock.boot().after_seconds(within);
        let asked = self.host.reboot().instrument(self.phase.part("reboot")).await;
        asked.map_err(|error| format!("the host could not be asked to reboot: {}", chain(&error)))?;
        self.goes_down = Some((boot_id.to_owned(), until));
        Ok(())
    }

    /// In the boot that followed: the closure runs, or it does not.
    async fn judge_boot(
        &mut self,
        attempt: &Attempt,
        reboot: &RebootProgress,
        observed: &MachineObservation,
    ) -> Result<NextStep, String> {
        let short = attempt.closure.short();
        if !observed.runs(&attempt.closure) {
            return Err(format!(
                "{short} was to be booted once, and the host came up with {}",
                observed.live_text()
            ));
        }
        let left = self.seconds_left(attempt, reboot);
        if left == 0 {
            return Err(format!("{short} did not come up before the dead-man's deadline"));
        }
        let prior = attempt.prior.as_ref().ok_or("no prior is recorded")?;
        let prior: Runnable = self.admit_known(prior).await.map_err(|error| chain(&error))?;
        // A process that was killed right here has armed one already.
        self.host.disarm(attempt.id).await;
        let arming = self.host.arm(attempt.id, &prior, left);
        arming
            .instrument(self.phase.part("arm dead-man"))
            .await
            .map_err(|error| {
                format!(
                    "the dead-man could not be armed after the reboot: {}",
                    chain(&error)
                )
            })?;
        failpoint("deadman-armed-again");
        let now = self.clock.boot();
        if let Some(current) = &mut self.journal.current {
            tracing::info!(attempt_id = %current.id, closure = %current.closure, "booted once, checking");
            enter(current, JournalPhase::Verifying);
            current.boot_id.clone_from(&observed.boot_id);
            current.deadline = Some(now.after_seconds(left));
            current.verify_from = Some(now);
            current.activation = Some("was booted once".to_owned());
            current.message = None;
        }
        self.next_round = now;
        // When this is not written, the next start finds the closure live, and comes here again.
        self.try_save();
        failpoint("booted-written");
        Ok(NextStep::Now)
    }

    /// What is left until the deadline, in another boot. The steady clock began again. The wall's clock may have been set
    /// meanwhile. So it counts for what a reboot may take at most, and this boot's own time at least.
    fn seconds_left(&self, attempt: &Attempt, reboot: &RebootProgress) -> u32 {
        let Some(plan) = &attempt.plan else {
            return 0;
        };
        let (asked, left) = reboot
            .asked_at
            .map_or((attempt.updated_at, plan.deadman_seconds), |at| {
                (at, reboot.seconds_left)
            });
        let by_wall = (self.clock.wall() - asked).num_seconds().max(0);
        let by_wall = u32::try_from(by_wall).unwrap_or(u32::MAX);
        let this_boot = u32::try_from(self.clock.since_boot().as_secs()).unwrap_or(u32::MAX);
        left.saturating_sub(by_wall.min(plan.reboot_seconds).max(this_boot))
    }

    /// Boots the prior, if the machine runs the closure in a boot of its own. The boot default names the prior by now.
    pub(super) async fn boot_back(
        &mut self,
        slot: JournalSlot,
        attempt: &Attempt,
        prior: &StorePath,
        observed: &MachineObservation,
    ) -> Result<BootBack, String> {
        let Some(reboot) = &attempt.reboot else {
            return Ok(BootBack::None);
        };
        let in_its_boot = observed.boot_id != reboot.from && observed.runs(&attempt.closure);
        if !in_its_boot || attempt.closure == *prior {
            return Ok(BootBack::None);
        }
        let asked = match &reboot.back_from {
            None => 0,
            Some(boot_id) if *boot_id == observed.boot_id => reboot.back_asked,
            // It was booted back, and came up with the closure again.
            Some(_) => return Ok(BootBack::None),
        };
        match self.waits_to_go_down(&observed.boot_id) {
            Ok(Some(_)) => return Ok(BootBack::Waits),
            Ok(None) if asked < MOST_ASKED => {}
            // What is left is to switch it as it runs.
            Ok(None) | Err(_) => return Ok(BootBack::None),
        }
        if asked == 0 {
            let wall = self.clock.wall();
            self.journal.note_reboot(wall);
        }
        if let Some(attempt) = self.slot_mut(slot)
            && let Some(reboot) = &mut attempt.reboot
        {
            reboot.back_from = Some(observed.boot_id.clone());
            reboot.back_asked = asked + 1;
        }
        if self.save().is_err() {
            // Without the note it could be booted back for ever.
            return Ok(BootBack::None);
        }
        failpoint("boot-back-written");
        let bound = attempt.plan.as_ref().map_or(0, |plan| plan.reboot_seconds);
        tracing::warn!(attempt_id = %attempt.id, %prior, "rebooting into the prior");
        match self.ask_to_go_down(&observed.boot_id, bound.max(1)).await {
            Ok(()) => Ok(BootBack::Waits),
            Err(why) => {
                tracing::warn!(attempt_id = %attempt.id, %why, "the prior is switched to as the host runs");
                Ok(BootBack::None)
            }
        }
    }

    /// Takes back what the boot loader was told, and what was written for the one boot.
    pub(super) async fn clear_boot(&self, attempt: &Attempt, default: &Runnable) -> Result<(), String> {
        if !attempt.takes_boot_entry() {
            return Ok(());
        }
        let ended = match self
            .run_job(JobKind::BootClear, attempt, default, Duration::ZERO)
            .await
        {
            Ok(exit) if exit.is_success() => return Ok(()),
            Ok(exit) => exit.to_string(),
            Err(why) => why,
        };
        Err(format!("taking the boot entry back {ended}"))
    }
}
