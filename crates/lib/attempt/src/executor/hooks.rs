//! Hooks before the switch to a release, and how hooks are run at all. docs/decisions/0101 says whose hooks run and when.
//!
//! A hook runs as a job, which outlives the agent. Those once the host has settled are in
//! [`hooks_after`](super::hooks_after), those before the way back in [`hooks_back`](super::hooks_back).

use std::time::Duration;

use slipway_domain::{AttemptId, StorePath};
use slipway_host::clock::Clock;
use slipway_host::door::Runnable;
use slipway_host::failpoint::failpoint;
use slipway_host::hooks::Hook;
use slipway_host::job::{HookRun, Job, JobId, JobKind, JobState};
use slipway_host::operations::HostOperations;

use crate::journal::{Attempt, HooksDue, HooksProgress};

use super::hook_list::{HookDuty, HooksEnd, next_hook};
use super::{JournalSlot, LockedExecutor, NextStep, WATCH_EVERY, chain};

/// Runs of a hook that a kill or a power cut ended; after so many it has failed.
const MOST_RUNS: u32 = 3;
/// A job's supervisor keeps its time limit; this much later the job is stopped from here.
pub(super) const SLACK: Duration = Duration::from_mins(1);

/// Hooks that run now.
pub(super) struct HookList {
    pub(super) kind: JobKind,
    pub(super) due: HooksDue,
    pub(super) of: Runnable,
    pub(super) hooks: Vec<Hook>,
    /// What the closure takes the place of.
    pub(super) prior: Option<StorePath>,
}

impl HookList {
    pub(super) fn job(&self, attempt: AttemptId, index: usize, serial: u32) -> Option<Job> {
        let hook = self.hooks.get(index)?;
        Some(Job {
            id: self.id(attempt, serial),
            closure: self.of.clone(),
            timeout: Duration::from_secs(hook.timeout_seconds.into()),
            traceparent: None,
            hook: Some(HookRun {
                name: hook.name.clone(),
                command: hook.command.clone(),
                prior: self.prior.clone(),
            }),
            once: None,
        })
    }

    pub(super) const fn id(&self, attempt: AttemptId, serial: u32) -> JobId {
        JobId {
            kind: self.kind,
            attempt,
            serial,
        }
    }

    /// The hook as it is reported while it runs.
    pub(super) fn running(&self, index: usize) -> HooksProgress {
        let left = self.hooks.get(index..).unwrap_or_default();
        HooksProgress::at(self.due, self.of.path(), left)
    }
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Runs the hooks before the switch, then starts the switch. Whatever ends them ends the attempt, and nothing was
    /// switched.
    pub(super) async fn run_hooks_before(&mut self, attempt: &Attempt) -> NextStep {
        let short = attempt.closure.short();
        let observed = self.host.observe();
        // Over a stuck attempt the prior is that one's, which is not live: a release with hooks must mend such a host too.
        let over_stuck = self.journal.unsettled.is_some();
        let prior_lives = attempt.prior.as_ref().is_some_and(|prior| observed.runs(prior));
        let arming = attempt
            .hooks
            .as_ref()
            .is_some_and(|hooks| hooks.due == HooksDue::Arming);
        let trouble = if observed.boot_id != attempt.boot_id {
            Some(format!("the host was rebooted before the switch to {short}"))
        } else if arming {
            Some(format!("the agent was stopped before the hooks of {short} ran"))
        } else if attempt.is_overdue(self.clock.boot()) {
            Some(format!(
                "the hooks before the switch to {short} did not end before the dead-man's deadline"
            ))
        } else if prior_lives || over_stuck {
            None
        } else {
            let live = observed.live_text();
            Some(format!(
                "something else switched the host while the hooks of {short} ran: {live} is live"
            ))
        };
        if let Some(trouble) = trouble {
            return self.end_before_switch(&trouble).await;
        }
        let list = match self.list_before(attempt).await {
            Ok(list) => list,
            Err(why) => return self.end_before_switch(&why).await,
        };
        let end = match self.advance_hooks(attempt.id, &list).await {
            Ok(next) => return next,
            Err(end) => end,
        };
        if let Some(failed) = end.failed {
            self.note_hooks(end.noted);
            return self.end_before_switch(&failed).await;
        }
        self.note_hooks(end.noted);
        if let Some(current) = &mut self.journal.current {
            current.hooks = None;
            current.message = None;
        }
        // From here on the host counts as touched, so this must be on the disk first.
        if let Err(error) = self.save() {
            let why = format!("the switch was not begun: {}", chain(&error));
            if let Some(current) = &mut self.journal.current {
                current.hooks = Some(list.running(list.hooks.len()));
            }
            return self.end_before_switch(&why).await;
        }
        failpoint("hooks-done");
        self.start_switch(list.of).await;
        NextStep::Now
    }

    async fn list_before(&mut self, attempt: &Attempt) -> Result<HookList, String> {
        let of = self.admit_begun(&attempt.closure).await;
        let of = of.map_err(|error| chain(&error))?;
        let manifest = self.host.hooks(of.path());
        let manifest = manifest.map_err(|error| chain(&error))?;
        Ok(HookList {
            kind: JobKind::BeforeActivate,
            due: HooksDue::BeforeActivate,
            of,
            hooks: manifest.before_activate,
            prior: attempt.prior.clone(),
        })
    }

    /// Ends an attempt whose switch was not begun, and with it the hook that runs.
    pub(super) async fn end_before_switch(&mut self, why: &str) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        let begun = self
            .host
            .newest_job(JobKind::BeforeActivate, attempt.id)
            .is_some();
        self.stop_hooks(JobKind::BeforeActivate, attempt.id).await;
        self.host.disarm(attempt.id).await;
        if let Some(current) = &mut self.journal.current {
            current.prior = None;
            current.hooks = None;
            current.reboot = None;
        }
        // What the hooks took from the prior it gets back by its own.
        if begun && let Some(prior) = &attempt.prior {
            self.owe_hooks(HooksDue::AfterRevert, prior);
        }
        self.fail_unbegun(&format!("{why}; nothing was activated"));
        failpoint("hooks-ended");
        NextStep::Now
    }

    /// Ends the newest hook of a kind; none is started under its number or the next.
    pub(super) async fn stop_hooks(&self, kind: JobKind, attempt: AttemptId) {
        let newest = self.host.newest_job(kind, attempt);
        let id = newest.unwrap_or(JobId::first(kind, attempt));
        self.host.stop(id).await;
        self.host.stop(id.next()).await;
    }

    pub(super) fn note_hooks(&mut self, noted: Vec<String>) {
        for trouble in noted {
            if let Some(current) = &mut self.journal.current {
                tracing::warn!(attempt_id = %current.id, %trouble, "a hook failed");
                current.note_hook_trouble(&trouble);
            }
        }
    }

    /// One look at a list: starts what is next. `Err` when there is nothing left to run.
    pub(super) async fn advance_hooks(
        &mut self,
        attempt: AttemptId,
        list: &HookList,
    ) -> Result<NextStep, HooksEnd> {
        let duty = next_hook(list.due.point(), &list.hooks, MOST_RUNS, |serial| {
            self.host.job_state(list.id(attempt, serial))
        });
        match duty {
            HookDuty::Over(end) => Err(end),
            HookDuty::Start { index, serial } => {
                let Some(mut job) = list.job(attempt, index, serial) else {
                    return Err(HooksEnd::default());
                };
                job.traceparent = self.phase.place();
                self.enter_hook(JournalSlot::Current, list.running(index));
                self.try_save();
                failpoint("hook-written");
                self.start_hook(&job).await?;
                failpoint("hook-started");
                Ok(NextStep::After(WATCH_EVERY))
            }
            HookDuty::Wait { index, serial, state } => {
                let id = list.id(attempt, serial);
                let limit = list.hooks.get(index).map_or(0, |hook| hook.timeout_seconds);
                self.bound_hook(id, Duration::from_secs(limit.into()), &state)
                    .await;
                Ok(NextStep::After(WATCH_EVERY))
            }
        }
    }

    pub(super) async fn start_hook(&mut self, job: &Job) -> Result<(), HooksEnd> {
        let name = job.hook.as_ref().map_or("", |hook| hook.name.as_str());
        tracing::info!(attempt_id = %job.id.attempt, hook = name, when = job.id.kind.action(), "running a hook");
        let started = self.host.start(job).await;
        started.map_err(|error| HooksEnd {
            failed: Some(format!(
                "the hook `{name}` ({}) could not be started: {}",
                job.id.kind.action(),
                chain(&error)
            )),
            noted: Vec::new(),
        })
    }

    /// Notes which hook runs, where people and the control plane see it.
    pub(super) fn enter_hook(&mut self, slot: JournalSlot, progress: HooksProgress) {
        let Some(attempt) = self.slot_mut(slot) else {
            return;
        };
        if let (Some(hook), true) = (&progress.running, progress.due.before_switch()) {
            attempt.message = Some(format!("runs the hook `{}` before the switch", hook.name));
        }
        attempt.hooks = Some(progress);
    }

    /// Stops a hook that outlived its limit because its supervisor is gone or hangs.
    async fn bound_hook(&mut self, id: JobId, limit: Duration, state: &JobState) {
        let now = self.clock.boot();
        let until = match self.hook_until {
            Some((watched, until)) if watched == id => until,
            _ => now.after(limit + SLACK),
        };
        self.hook_until = Some((id, until));
        if now >= state.ends(limit).unwrap_or(until) {
            self.host.stop(id).await;
        }
    }
}
