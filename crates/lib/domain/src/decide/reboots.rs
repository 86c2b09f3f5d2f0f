//! Reboots: which hosts may not go on that have fetched, since they could not reboot as the strategy says.

use super::Round;
use crate::agent::RebootReport;
use crate::snapshot::StepSnapshot;
use crate::strategy::Reboot;

/// The cures of a reboot that the strategy does not make.
const CURES: &str = "use reboot: when_needed, or allow_pending_reboot: true and reboot the host later";

impl Round<'_> {
    /// Why a host may not go on that has fetched: what its agent says of reboots does not fit the strategy. Nothing was
    /// touched there.
    pub(super) fn refused_reboot(&self, step: &StepSnapshot) -> Option<String> {
        let strategy = &self.snapshot.rollout.strategy;
        let reported = step.report().and_then(|report| report.reboot.as_ref());
        match (strategy.reboot, reported) {
            // An agent from before reboots says nothing of them, and is treated as it was then.
            (Reboot::Never, None) => None,
            (Reboot::Never, Some(RebootReport { needed, .. })) => {
                (!needed.is_empty() && !strategy.allow_pending_reboot).then(|| {
                    format!(
                        "it must reboot for {}, and the strategy says never; {CURES}; nothing was touched",
                        needed.join(", ")
                    )
                })
            }
            (_, None) => Some(
                "its agent knows no reboots, so it would make the release the boot default at once; roll out a newer agent with reboot: never first; nothing was touched"
                    .to_owned(),
            ),
            (reboot, Some(RebootReport { needed, obstacle })) => {
                let obstacle = obstacle.as_ref().filter(|_| reboot.applies(!needed.is_empty()))?;
                Some(format!("it cannot boot the release once: {obstacle}; nothing was touched"))
            }
        }
    }
}
