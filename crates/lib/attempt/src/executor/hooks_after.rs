//! Hooks once the host has settled, by a commit or by going back. They undo nothing.

use slipway_domain::StorePath;
use slipway_host::clock::Clock;
use slipway_host::failpoint::failpoint;
use slipway_host::job::JobKind;
use slipway_host::operations::HostOperations;

use crate::journal::{Attempt, HooksDue, HooksProgress};

use super::hook_list::HooksEnd;
use super::hooks::HookList;
use super::{LockedExecutor, NextStep, chain};

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Notes that the closure's hooks after a commit are to be run, if it has any. The first one is reported at once:
    /// without it the control plane would take the host for one that is done.
    pub(super) fn owe_hooks(&mut self, due: HooksDue, of: &StorePath) {
        let manifest = self.host.hooks(of);
        let Some(current) = &mut self.journal.current else {
            return;
        };
        match manifest {
            Ok(manifest) if manifest.list(due.point()).is_empty() => current.hooks = None,
            Ok(manifest) => {
                current.hooks = Some(HooksProgress::at(due, of, manifest.list(due.point())));
            }
            Err(error) => {
                current.hooks = None;
                current.note_hook_trouble(&format!("its hooks were not run: {}", chain(&error)));
            }
        }
    }

    /// Runs the hooks of the closure on which the host has settled. They undo nothing.
    pub(super) async fn run_hooks_after(&mut self) -> NextStep {
        let Some(attempt) = self.journal.current.clone() else {
            return NextStep::Now;
        };
        let Some(progress) = attempt.hooks_after().cloned() else {
            return NextStep::Now;
        };
        let end = match self.list_after(&attempt, &progress).await {
            Err(why) => HooksEnd {
                failed: Some(format!(
                    "the hooks of {} were not run: {why}",
                    progress.of.short()
                )),
                noted: Vec::new(),
            },
            Ok(list) => match self.advance_hooks(attempt.id, &list).await {
                Ok(next) => return next,
                Err(end) => end,
            },
        };
        self.note_hooks(end.noted.into_iter().chain(end.failed).collect());
        if let Some(current) = &mut self.journal.current {
            current.hooks = None;
        }
        // When this is not written, the next start finds the jobs' records and comes here again.
        self.try_save();
        failpoint("hooks-over");
        NextStep::Now
    }

    async fn list_after(&self, attempt: &Attempt, progress: &HooksProgress) -> Result<HookList, String> {
        let observed = self.host.observe();
        if !observed.runs(&progress.of) {
            return Err(format!("{} is live", observed.live_text()));
        }
        let of = self.admit_known(&progress.of).await;
        let of = of.map_err(|error| chain(&error))?;
        let manifest = self.host.hooks(of.path());
        let manifest = manifest.map_err(|error| chain(&error))?;
        let (kind, prior) = match progress.due {
            HooksDue::AfterRevert => (JobKind::AfterRevert, Some(attempt.closure.clone())),
            _ => (JobKind::AfterCommit, attempt.prior.clone()),
        };
        Ok(HookList {
            kind,
            due: progress.due,
            of,
            hooks: manifest.after_commit,
            prior,
        })
    }
}
