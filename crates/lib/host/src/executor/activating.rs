//! Activating: from here on the machine is touched, and there is always a way back.

use std::time::Duration;

use slipway_domain::agent::ActivationPlan;

use crate::clock::Clock;
use crate::failpoint::failpoint;
use crate::host::Host;
use crate::job::{Job, JobId, JobKind, JobState};

use super::{Executor, JournalPhase, Ledger, Pace, Slot, WATCH_EVERY, chain};

/// How long the switch script gets: what the strategy allows, or what the closure says that its parts may take. Ended
/// before, it would leave a migration at work while the prior comes back. `Err` when the dead-man would come in between.
fn time_for_switch(plan: &ActivationPlan, said: Option<u32>) -> Result<u32, String> {
    let allowed = plan.activate_seconds;
    let Some(said) = said.filter(|said| *said > allowed) else {
        return Ok(allowed);
    };
    let needed = u64::from(said) + u64::from(plan.verify.timeout_seconds) + u64::from(plan.bake_seconds);
    if needed < u64::from(plan.deadman_seconds) {
        return Ok(said);
    }
    Err(format!(
        "the switch may take {said} s as the closure says, and with its checks {needed} s, but the dead-man comes after {} s: give the strategy limits.deadman_seconds of more than {needed}, or the stack less time for its migrations",
        plan.deadman_seconds
    ))
}

impl<H: Host, C: Clock> Executor<H, C> {
    /// Records the prior, arms the dead-man, starts the switch script; in that order, each made sure of before the next.
    pub(super) async fn activate(&mut self, plan: ActivationPlan, ledger: &Ledger) -> Pace {
        if let Err(why) = self.begin_activation(plan, ledger).await {
            if let Some(current) = &mut self.journal.current {
                current.prior = None;
                let attempt = current.id;
                self.host.disarm(attempt).await;
            }
            self.fail_unbegun(&why, ledger);
        }
        Pace::Now
    }

    /// `Err` when nothing was touched.
    async fn begin_activation(&mut self, plan: ActivationPlan, ledger: &Ledger) -> Result<(), String> {
        let seen = self.host.observe();
        let now = self.clock.boot();
        let inherited = self
            .journal
            .unsettled
            .as_ref()
            .and_then(|stuck| stuck.prior.clone());
        let Some(current) = &mut self.journal.current else {
            return Ok(());
        };
        let (attempt, closure) = (current.id, current.closure.clone());
        // What is live while a stuck attempt is about may be half of one thing and half of another.
        let Some(prior) = inherited.or(seen.live) else {
            let trouble = seen
                .trouble
                .unwrap_or_else(|| "the live link does not exist".to_owned());
            return Err(format!(
                "no live system to go back to ({trouble}): activate one by hand first, so that AGENT_LIVE_LINK names it"
            ));
        };
        self.host
            .check_switch(&prior)
            .map_err(|error| format!("there is no way back to the prior: {}", chain(&error)))?;
        self.host.check_fit(&closure).map_err(|error| chain(&error))?;
        let seconds = time_for_switch(&plan, self.host.switch_seconds(&closure))?;
        self.host.protect_prior(attempt, &prior).map_err(|error| {
            format!("cannot protect the prior {prior} from the garbage collector: {error}")
        })?;

        // The journal names the prior before anything is done that would need it.
        current.phase = JournalPhase::Activating;
        current.prior = Some(prior.clone());
        current.boot_id = seen.boot_id;
        current.deadline = Some(now.after_seconds(plan.deadman_seconds));
        let deadman_seconds = plan.deadman_seconds;
        current.plan = Some(plan);
        tracing::info!(%attempt, %closure, %prior, "activating");
        let written = self.store.reserve().and_then(|()| self.save(ledger));
        if let Err(error) = written {
            return Err(format!("the activation was not begun: {}", chain(&error)));
        }
        failpoint("activating-written");

        self.host
            .arm(attempt, &prior, deadman_seconds)
            .await
            .map_err(|error| format!("the dead-man could not be armed: {}", chain(&error)))?;
        failpoint("deadman-armed");

        // From here on the stuck attempt's way back is this one's.
        if let Some(stuck) = self.journal.unsettled.take() {
            self.host.disarm(stuck.id).await;
            self.journal.archive(stuck);
            self.keep(ledger);
        }
        let job = Job {
            id: JobId {
                kind: JobKind::Activate,
                attempt,
                serial: 1,
            },
            closure,
            timeout: Duration::from_secs(seconds.into()),
        };
        if let Err(error) = self.host.start(&job).await {
            // It may have been started all the same.
            let reason = format!("the switch script could not be started: {}", chain(&error));
            self.begin_revert(Slot::Current, &reason, ledger);
        }
        failpoint("switch-started");
        Ok(())
    }

    /// Looks whether the switch script has ended, whoever started it.
    pub(super) fn watch_activation(&mut self, ledger: &Ledger) -> Pace {
        let Some(attempt) = self.journal.current.clone() else {
            return Pace::Now;
        };
        let seen = self.host.observe();
        let now = self.clock.boot();
        let job = self.host.newest_job(JobKind::Activate, attempt.id);
        let state = job.map_or(JobState::Absent, |id| self.host.job_state(id));
        let short = attempt.closure.short();
        let trouble = match state {
            _ if seen.boot_id != attempt.boot_id => {
                format!("the host was rebooted while {short} was activated")
            }
            _ if attempt.deadline.is_none_or(|deadline| deadline <= now) => {
                format!("{short} was not activated before the dead-man's deadline")
            }
            JobState::Running => return Pace::After(WATCH_EVERY),
            JobState::Absent => format!("the agent was stopped before it could activate {short}"),
            JobState::Lost => format!("the activation of {short} was cut short"),
            JobState::Ended(exit) if !exit.is_success() => {
                format!("switch-to-configuration test of {short} {exit}")
            }
            JobState::Ended(exit) if seen.live.as_ref() != Some(&attempt.closure) => {
                let live = seen
                    .live
                    .map_or_else(|| "nothing".to_owned(), |live| live.to_string());
                format!("switch-to-configuration test of {short} {exit}, but the live link names {live}")
            }
            JobState::Ended(exit) => {
                failpoint("activated");
                if let Some(current) = &mut self.journal.current {
                    tracing::info!(attempt = %current.id, closure = %current.closure, "activated, checking");
                    current.phase = JournalPhase::Verifying;
                    current.verify_from = Some(now);
                    current.activation = Some(exit.to_string());
                }
                self.next_round = now;
                // When this is not written, the next start finds the exit record and the live link, and comes here again.
                self.keep(ledger);
                failpoint("verifying-written");
                return Pace::Now;
            }
        };
        if let Some(current) = &mut self.journal.current {
            current.activation = Some(trouble.clone());
        }
        self.begin_revert(Slot::Current, &trouble, ledger);
        Pace::Now
    }
}
