//! Activating: this changes the machine, and there is always a way back.

use std::time::Duration;

use slipway_domain::agent::ActivationPlan;
use slipway_domain::digest::Digest;
use slipway_host::clock::Clock;
use slipway_host::door::Runnable;
use slipway_host::failpoint::failpoint;
use slipway_host::hooks::seconds_of;
use slipway_host::job::{Job, JobExit, JobId, JobKind, JobState};
use slipway_host::operations::{HostOperations, MachineObservation};
use tracing::Instrument as _;

use crate::journal::{HooksDue, HooksProgress};

use super::phases::enter;
use super::{Attempt, JournalPhase, JournalSlot, LockedExecutor, NextStep, WATCH_EVERY, chain};

/// Checking the signatures of a closure that was fetched before, with a look into the caches for what is missing.
const ADMIT_WITHIN: Duration = Duration::from_mins(2);

/// How long the switch script gets: what the strategy allows, or what the closure says that its parts may take. Ended
/// before, it would leave a migration at work while the prior comes back.
fn time_for_switch(plan: &ActivationPlan, closure_seconds: Option<u32>) -> u32 {
    plan.activate_seconds.max(closure_seconds.unwrap_or(0))
}

/// `Err` when the dead-man would come in the middle of hooks, switch and checks. One that boots its closure switches nothing,
/// and what its parts may take passes within the boot.
fn check_time(
    plan: &ActivationPlan,
    closure_seconds: Option<u32>,
    hooks: u32,
    reboots: bool,
) -> Result<(), String> {
    let (what, seconds, as_planned) = if reboots {
        ("reboot", plan.reboot_seconds, plan.reboot_seconds)
    } else {
        (
            "switch",
            time_for_switch(plan, closure_seconds),
            plan.activate_seconds,
        )
    };
    if hooks == 0 && seconds == as_planned {
        return Ok(());
    }
    let needed = u64::from(hooks)
        + u64::from(seconds)
        + u64::from(plan.verify.timeout_seconds)
        + u64::from(plan.bake_seconds);
    if needed < u64::from(plan.deadman_seconds) {
        return Ok(());
    }
    let parts = match hooks {
        0 => format!("the switch may take {seconds} s as the closure says, and with its checks {needed} s"),
        _ => format!(
            "the hooks before the {what} may take {hooks} s and the {what} {seconds} s, and with its checks {needed} s"
        ),
    };
    let or = if hooks == 0 {
        "the stack less time for its migrations"
    } else {
        "the hooks less time"
    };
    Err(format!(
        "{parts}, but the dead-man comes after {} s: give the strategy limits.deadman_seconds of more than {needed}, or {or}",
        plan.deadman_seconds
    ))
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Records the prior, arms the dead-man and starts the hooks or the switch script, in this order. Each is certain
    /// before the next.
    pub(super) async fn activate(&mut self, plan: ActivationPlan, approved: Option<Digest>) -> NextStep {
        if let Err(why) = self.begin_activation(plan, approved).await {
            if let Some(current) = &mut self.journal.current {
                current.prior = None;
                current.signed = None;
                current.hooks = None;
                current.reboot = None;
                let attempt = current.id;
                self.host.disarm(attempt).await;
            }
            self.fail_unbegun(&why);
        }
        NextStep::Now
    }

    /// `Err` when nothing was touched.
    async fn begin_activation(
        &mut self,
        plan: ActivationPlan,
        approved: Option<Digest>,
    ) -> Result<(), String> {
        let observed = self.host.observe();
        let now = self.clock.boot();
        let Some(current) = &self.journal.current else {
            return Ok(());
        };
        let (attempt, closure) = (current.id, current.closure.clone());
        let claim = self.claim_of(current);
        let prior = self.prior_of_next(&observed).await?;
        self.forget_stuck_boot(&prior).await?;
        let admitted = self.host.admit_release(&closure, &claim, ADMIT_WITHIN).await;
        let admitted = admitted.map_err(|error| chain(&error))?;
        let (release, signed) = (admitted.runnable, admitted.signed);
        if let Some(approved) = approved {
            self.check_plan(&closure, approved).await?;
        }
        let hooks = self.host.hooks(&closure).map_err(|error| chain(&error))?;
        let hooks_seconds = seconds_of(&hooks.before_activate);
        let reboot = self.plan_reboot(&plan, &closure, &observed).await?;
        let closure_seconds = self.host.switch_seconds(&closure);
        check_time(&plan, closure_seconds, hooks_seconds, reboot.is_some())?;
        let failed_before = self.host.failed_units().await;
        self.host.protect_prior(attempt, prior.path()).map_err(|error| {
            format!(
                "cannot protect the prior {} from the garbage collector: {error}",
                prior.path()
            )
        })?;

        let Some(current) = &mut self.journal.current else {
            return Ok(());
        };
        // The journal names the prior before any action that may need it.
        enter(current, JournalPhase::Activating);
        current.prior = Some(prior.path().clone());
        current.own_prior = true;
        current.signed = signed;
        current.failed_before = failed_before;
        current.boot_id = observed.boot_id;
        current.deadline = Some(now.after_seconds(plan.deadman_seconds));
        current.reboot = reboot;
        let deadman_seconds = plan.deadman_seconds;
        current.plan = Some(plan);
        let has_hooks = !hooks.before_activate.is_empty();
        current.hooks = has_hooks.then(|| HooksProgress {
            due: HooksDue::Arming,
            of: closure.clone(),
            running: None,
        });
        tracing::info!(attempt_id = %attempt, %closure, prior = %prior.path(), "activating");
        let written = self.store.reserve().and_then(|()| self.save());
        if let Err(error) = written {
            return Err(format!("the activation was not begun: {}", chain(&error)));
        }
        failpoint("activating-written");

        self.host
            .arm(attempt, &prior, deadman_seconds)
            .instrument(self.phase.part("arm dead-man"))
            .await
            .map_err(|error| format!("the dead-man could not be armed: {}", chain(&error)))?;
        failpoint("deadman-armed");
        if let Some(hooks) = self.journal.current.as_mut().and_then(|now| now.hooks.as_mut()) {
            // Written with the first hook.
            hooks.due = HooksDue::BeforeActivate;
            self.admitted = Some(release);
            return Ok(());
        }
        self.start_switch(release).await;
        Ok(())
    }

    /// Starts the switch script, or the one boot; from here on the machine changes.
    pub(super) async fn start_switch(&mut self, release: Runnable) {
        let Some(attempt) = self.journal.current.clone() else {
            return;
        };
        // From here on the stuck attempt's way back is this one's.
        if let Some(stuck) = self.journal.unsettled.take() {
            self.host.disarm(stuck.id).await;
            self.journal.archive(stuck);
            self.try_save();
        }
        if let Some(reboot) = &attempt.reboot {
            self.admitted = Some(release);
            return self.start_boot(&attempt, reboot).await;
        }
        let seconds = attempt.plan.as_ref().map_or(0, |plan| {
            time_for_switch(plan, self.host.switch_seconds(release.path()))
        });
        let job = Job {
            id: JobId::first(JobKind::Activate, attempt.id),
            closure: release.clone(),
            timeout: Duration::from_secs(seconds.into()),
            traceparent: self.phase.place(),
            hook: None,
            once: None,
        };
        self.admitted = Some(release);
        if let Err(error) = self.host.start(&job).await {
            // It may have been started all the same.
            let reason = format!("the switch script could not be started: {}", chain(&error));
            self.begin_revert(JournalSlot::Current, &reason);
        }
        failpoint("switch-started");
    }

    /// A stuck attempt's boot entry outlives it otherwise, and some later boot would bring its closure.
    async fn forget_stuck_boot(&self, prior: &Runnable) -> Result<(), String> {
        let Some(stuck) = &self.journal.unsettled else {
            return Ok(());
        };
        self.clear_boot(stuck, prior).await.map_err(|why| {
            format!(
                "the next boot would still bring {}, on which this host is stuck: {why}",
                stuck.closure.short()
            )
        })?;
        failpoint("stuck-boot-forgotten");
        Ok(())
    }

    /// What the next activation would go back to.
    async fn prior_of_next(&self, observed: &MachineObservation) -> Result<Runnable, String> {
        // During a stuck attempt the live system may be half of one closure and half of another. This is not so if the
        // door refused its prior, since then nothing of it ever ran.
        let stuck = self.journal.unsettled.as_ref();
        if let Some((stuck, prior)) = stuck.and_then(|stuck| Some((stuck, stuck.prior.as_ref()?))) {
            let refused = match self.check_way_back(stuck, prior, observed) {
                Ok(()) => match self.admit_known(prior).await {
                    Ok(prior) => return Ok(prior),
                    Err(error) => chain(&error),
                },
                Err(why) => why,
            };
            tracing::warn!(%prior, why = %refused, "not taken for the prior");
        }
        let Some(live) = &observed.live else {
            let trouble = observed
                .trouble
                .as_deref()
                .unwrap_or("the live link does not exist");
            return Err(format!(
                "no live system to go back to ({trouble}): activate one by hand first, so that AGENT_LIVE_LINK names it"
            ));
        };
        let prior = self.admit_known(live).await;
        prior.map_err(|error| format!("there is no way back to the prior: {}", chain(&error)))
    }

    /// Looks whether the hooks before it and the switch script have ended, whoever started them.
    pub(super) async fn watch_activation(&mut self) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        if attempt.awaits_hooks() {
            return self.run_hooks_before(&attempt).await;
        }
        if let Some(reboot) = &attempt.reboot {
            return self.watch_reboot(&attempt, reboot).await;
        }
        let job = self.host.newest_job(JobKind::Activate, attempt.id);
        let state = job.map_or(JobState::Absent, |id| self.host.job_state(id));
        // After the job's state: the script moves the live link and then ends, also between two looks.
        let observed = self.host.observe();
        let now = self.clock.boot();
        let short = attempt.closure.short();
        let own_bound = Duration::from_secs(self.host.switch_seconds(&attempt.closure).unwrap_or(0).into());
        let bound = attempt.activation_bound().max(own_bound);
        let trouble = match state {
            _ if observed.boot_id != attempt.boot_id => {
                format!("the host was rebooted while {short} was activated")
            }
            _ if attempt.is_overdue(now) => {
                format!("{short} was not activated before the dead-man's deadline")
            }
            state if state.ends(bound).is_some_and(|end| end <= now) => {
                format!(
                    "switch-to-configuration test of {short} lost its supervisor and did not end within {} s",
                    bound.as_secs()
                )
            }
            JobState::Running | JobState::Orphaned(_) => return NextStep::After(WATCH_EVERY),
            JobState::Absent => format!("the agent was stopped before it could activate {short}"),
            JobState::Lost => format!("the activation of {short} was cut short"),
            JobState::Ended(exit) if !self.activation_succeeded(&exit, &attempt, &observed).await => {
                format!("switch-to-configuration test of {short} {exit}")
            }
            JobState::Ended(exit) if !observed.runs(&attempt.closure) => {
                let live = observed.live_text();
                format!("switch-to-configuration test of {short} {exit}, but the live link names {live}")
            }
            JobState::Ended(exit) => {
                failpoint("activated");
                if let Some(current) = &mut self.journal.current {
                    tracing::info!(attempt_id = %current.id, closure = %current.closure, "activated, checking");
                    enter(current, JournalPhase::Verifying);
                    current.verify_from = Some(now);
                    current.activation = Some(exit.to_string());
                }
                self.next_round = now;
                // When this is not written, the next start finds the exit record and the live link, and comes here again.
                self.try_save();
                failpoint("verifying-written");
                return NextStep::Now;
            }
        };
        if let Some(current) = &mut self.journal.current {
            current.activation = Some(trouble.clone());
        }
        self.begin_revert(JournalSlot::Current, &trouble);
        NextStep::Now
    }

    /// Whether the switch script succeeded, or only complained about units that had failed before.
    async fn activation_succeeded(
        &self,
        exit: &JobExit,
        attempt: &Attempt,
        observed: &MachineObservation,
    ) -> bool {
        if exit.is_success() {
            return true;
        }
        if !exit.is_with_failed_units() || !observed.runs(&attempt.closure) {
            return false;
        }
        let (Some(before), Some(failed)) = (&attempt.failed_before, self.host.failed_units().await) else {
            return false;
        };
        let new: Vec<&String> = failed.difference(before).collect();
        tracing::warn!(attempt_id = %attempt.id, ?before, ?new, "the switch script found failed units");
        new.is_empty()
    }
}
