//! The plan of an attempt: computed once the closure is there, and again right before the activation if one was approved.

use std::sync::Arc;
use std::time::Duration;

use slipway_domain::agent::{AttemptReport, RebootReport};
use slipway_domain::digest::Digest;
use slipway_domain::{HostPlan, StorePath};
use slipway_host::clock::Clock;
use slipway_host::operations::HostOperations;
use slipway_host::plan::ComputedPlan;

use super::{Executor, LockedExecutor, chain};

/// Two looks into Nix's database, and thousands of small files.
const PLAN_WITHIN: Duration = Duration::from_mins(2);

/// The plan, or why there is none.
pub(super) async fn compute<H: HostOperations>(
    host: &H,
    closure: &StorePath,
) -> Result<ComputedPlan, String> {
    let computed = host.plan(closure, PLAN_WITHIN).await;
    computed.map_err(|error| format!("what the switch would change is not known: {}", chain(&error)))
}

/// What the closure means for reboots of this host.
pub(super) async fn reboots<H: HostOperations>(host: &H, closure: &StorePath) -> RebootReport {
    RebootReport {
        needed: host.reboot_needs(closure),
        obstacle: host.boot_obstacle(closure).await,
    }
}

impl<H: HostOperations, C: Clock> LockedExecutor<'_, H, C> {
    /// Keeps the current attempt's plan for the control plane. A host whose plan is not known can be rolled out to all the
    /// same, unless people approve plans.
    pub(super) fn note_plan(&mut self, computed: Result<ComputedPlan, String>) {
        let Some(current) = &mut self.journal.current else {
            return;
        };
        match computed {
            Ok(ComputedPlan { plan, report }) => {
                current.planned = Some(report);
                let attempt = current.id;
                if let Err(error) = self.store.keep_plan(attempt, &plan) {
                    // It is in memory; only a start before it was sent loses it.
                    tracing::debug!(%attempt, error = %chain(&error), "the plan cannot be kept");
                }
                self.planned = Some((attempt, Arc::new(plan)));
            }
            Err(why) => {
                tracing::warn!(attempt_id = %current.id, %why, "no plan");
                current.message = Some(why);
            }
        }
    }

    /// `Err` when the switch would change something else than what was approved.
    pub(super) async fn check_plan(&self, closure: &StorePath, approved: Digest) -> Result<(), String> {
        let now = compute(&*self.host, closure).await?.report.digest;
        if now == approved {
            return Ok(());
        }
        Err(format!(
            "the approved plan is {approved}, and what the switch would change now is {now}: something else changed this host meanwhile; nothing was touched, so look at the plan and roll out again"
        ))
    }
}

impl<H, C> Executor<H, C> {
    /// The plan that the report names, if this agent has it.
    pub(super) fn plan_of(&mut self, report: &AttemptReport) -> Option<Arc<HostPlan>> {
        report.plan.as_ref()?;
        if self
            .planned
            .as_ref()
            .is_none_or(|(attempt, _)| *attempt != report.attempt)
        {
            // After a start.
            let kept = self.store.kept_plan(report.attempt)?;
            self.planned = Some((report.attempt, Arc::new(kept)));
        }
        self.planned.as_ref().map(|(_, plan)| plan.clone())
    }
}
