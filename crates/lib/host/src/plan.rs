//! What a switch to a closure would change here, from the files of two closures. Nothing is run or touched.
//!
//! The plan is a function of the two closures, so that the same agent computes the same plan right before the
//! activation. So it says what the switch does to units *that run*. A closure that is no NixOS has empty sections.
//!
//! | module | what it compares |
//! |---|---|
//! | `packages` | versions by the names of store paths, and sizes |
//! | `units`, `unit_file` | units of systemd by the rules of NixOS' switch script |
//! | `reboot` | what only a boot changes |
//! | `accounts`, `mounts`, `firewall` | users and groups, `fstab`, the firewall's rules |
//! | `slipway` | checks, hooks and schemas of databases |

mod accounts;
mod files;
mod firewall;
mod mounts;
mod packages;
mod reboot;
mod slipway;
mod unit_file;
mod units;

use std::time::Duration;

use slipway_domain::{HostPlan, PlanReport, StorePath};
use tokio::time::Instant;

use crate::config::HostConfig;
use crate::nix::{self, NixQueryError};

/// A plan, and what is reported of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedPlan {
    /// The plan, short enough to be sent.
    pub plan: HostPlan,
    /// Its digest, which covers what was cut off too, and the sizes.
    pub report: PlanReport,
}

/// A plan cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to compare with.
    #[error("there is no live system to compare with: activate one by hand first")]
    NoLive,
    /// Nix does not tell what the closures consist of.
    #[error("Nix cannot be asked what {closure} consists of: {problem}")]
    Nix {
        /// The closure.
        closure: StorePath,
        /// Its words.
        problem: String,
    },
    /// It took too long.
    #[error("the plan was not computed within {seconds} s")]
    TimedOut {
        /// The bound.
        seconds: u64,
    },
}

/// The systems that a new closure is compared with.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What runs.
    pub live: StorePath,
    /// What this boot began with, where the machine says so.
    pub booted: Option<StorePath>,
}

/// Computes the plan of a switch from what runs to the closure.
pub(crate) async fn compute(
    config: &HostConfig,
    compared: Compared,
    closure: &StorePath,
    within: Duration,
) -> Result<ComputedPlan, PlanError> {
    let until = Instant::now() + within;
    let timed_out = || PlanError::TimedOut {
        seconds: within.as_secs(),
    };
    let mut parts = Vec::new();
    for path in [&compared.live, closure] {
        let left = until.saturating_duration_since(Instant::now());
        let found = nix::closure(config, path.as_str(), left).await;
        parts.push(found.map_err(|error| match error {
            NixQueryError::TimedOut => timed_out(),
            NixQueryError::NotStarted(error) => PlanError::Nix {
                closure: path.clone(),
                problem: error.to_string(),
            },
            NixQueryError::Failed(problem) => PlanError::Nix {
                closure: path.clone(),
                problem,
            },
        })?);
    }
    let (new, live) = (parts.pop().unwrap_or_default(), parts.pop().unwrap_or_default());
    let closure = closure.clone();
    // Thousands of small files on a slow disk.
    let comparing = tokio::task::spawn_blocking(move || {
        let mut plan = HostPlan::default();
        let sizes = packages::compare(&mut plan, &live, &new, &[&compared.live, &closure]);
        compare_files(&mut plan, &compared, &closure);
        plan.bound_texts();
        let report = PlanReport {
            digest: plan.digest(),
            from: compared.live.clone(),
            bytes_before: sizes.before,
            bytes_after: sizes.after,
            bytes_new: sizes.new,
        };
        ComputedPlan {
            plan: plan.cut(),
            report,
        }
    });
    match tokio::time::timeout_at(until, comparing).await {
        Ok(Ok(computed)) => Ok(computed),
        Ok(Err(_)) | Err(_) => Err(timed_out()),
    }
}

fn compare_files(plan: &mut HostPlan, compared: &Compared, closure: &StorePath) {
    let (live, new) = (compared.live.as_path(), closure.as_path());
    let booted = compared.booted.as_ref().unwrap_or(&compared.live).as_path();
    units::compare(plan, live, new);
    reboot::compare(plan, booted, live, new);
    accounts::compare(plan, live, new);
    mounts::compare(plan, live, new);
    firewall::compare(plan, live, new);
    slipway::compare(plan, live, new);
}

#[cfg(test)]
mod tests;
