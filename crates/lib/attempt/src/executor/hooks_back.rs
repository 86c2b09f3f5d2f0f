//! The prior's hooks before the switch back to it. They get a part of the time that going back has, and nothing that
//! they do keeps the prior away.

use std::time::Duration;

use slipway_host::clock::{BootMs, Clock};
use slipway_host::door::Runnable;
use slipway_host::failpoint::failpoint;
use slipway_host::job::JobKind;
use slipway_host::operations::HostOperations;

use crate::journal::{Attempt, HooksDue};

use super::hook_list::{HookDuty, next_hook};
use super::hooks::HookList;
use super::{JournalSlot, LockedExecutor, chain};

/// What the hooks get where nobody said how long going back may take: no more than the control plane waits beyond its
/// own limit.
const DEFAULT_BUDGET: u32 = 60;

/// The time for hooks out of that for going back. The prior's own limit for a switch to it stays whole.
fn budget(whole: Option<u32>, switch: Option<u32>) -> Duration {
    let seconds = whole.map_or(DEFAULT_BUDGET, |whole| {
        let beside_switch = whole.saturating_sub(switch.unwrap_or(0));
        beside_switch.min(whole / 2)
    });
    Duration::from_secs(seconds.into())
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Runs them once an attempt, and gives the time that was spent.
    pub(super) async fn run_hooks_back(
        &mut self,
        slot: JournalSlot,
        attempt: &Attempt,
        prior: &Runnable,
    ) -> Duration {
        let hooks = match self.host.hooks(prior.path()) {
            Ok(manifest) if manifest.before_activate.is_empty() => return Duration::ZERO,
            Ok(manifest) => manifest.before_activate,
            Err(error) => {
                self.note_back(
                    slot,
                    &format!("the prior's hooks were not run: {}", chain(&error)),
                );
                return Duration::ZERO;
            }
        };
        let began = self.clock.boot();
        let whole = attempt.whole_revert_seconds();
        let until = began.after(budget(whole, self.host.switch_seconds(prior.path())));
        let list = HookList {
            kind: JobKind::BeforeRevert,
            due: HooksDue::AfterRevert,
            of: prior.clone(),
            hooks,
            prior: Some(attempt.closure.clone()),
        };
        self.work_off(slot, attempt, &list, until).await;
        if let Some(current) = self.slot_mut(slot) {
            current.hooks = None;
        }
        Duration::from_millis(self.clock.boot().0.saturating_sub(began.0))
    }

    async fn work_off(&mut self, slot: JournalSlot, attempt: &Attempt, list: &HookList, until: BootMs) {
        loop {
            let duty = next_hook(HooksDue::BeforeActivate.point(), &list.hooks, 1, |serial| {
                self.host.job_state(list.id(attempt.id, serial))
            });
            let (index, serial) = match duty {
                HookDuty::Over(end) => {
                    if let Some(trouble) = end.trouble() {
                        self.note_back(slot, &trouble);
                    }
                    return;
                }
                HookDuty::Start { index, serial } => {
                    let left = until.left(self.clock.boot());
                    let Some(mut job) = list.job(attempt.id, index, serial) else {
                        return;
                    };
                    if left < Duration::from_secs(1) {
                        self.note_back(slot, "no time was left for more hooks of the prior");
                        return;
                    }
                    job.timeout = job.timeout.min(left);
                    job.traceparent = self.phase.place();
                    let mut progress = list.running(index);
                    if let Some(hook) = &mut progress.running {
                        hook.when = HooksDue::BeforeActivate.point();
                    }
                    self.enter_hook(slot, progress);
                    self.try_save();
                    if let Err(end) = self.start_hook(&job).await {
                        self.note_back(slot, &end.trouble().unwrap_or_default());
                        return;
                    }
                    failpoint("hook-back-started");
                    (index, serial)
                }
                HookDuty::Wait { index, serial, .. } => (index, serial),
            };
            let limit = list.hooks.get(index).map_or(0, |hook| hook.timeout_seconds);
            let limit = Duration::from_secs(limit.into()).min(until.left(self.clock.boot()));
            // How it ended is in its record.
            let _ = self.wait_for_job(list.id(attempt.id, serial), limit).await;
        }
    }

    fn note_back(&mut self, slot: JournalSlot, trouble: &str) {
        if let Some(current) = self.slot_mut(slot) {
            tracing::warn!(attempt_id = %current.id, %trouble, "going back all the same");
            current.note_hook_trouble(trouble);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_leave_the_switch_its_time() {
        for (whole, switch, seconds) in [
            (None, Some(1280), 60),
            (Some(1500), Some(1280), 220),
            (Some(1500), None, 750),
            (Some(600), Some(1280), 0),
        ] {
            assert_eq!(budget(whole, switch), Duration::from_secs(seconds));
        }
    }
}
