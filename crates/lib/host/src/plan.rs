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
//! | `files`, `sides` | reading files of closures, and two of anything side by side |

mod accounts;
mod files;
mod firewall;
mod mounts;
mod packages;
mod reboot;
mod sides;
mod slipway;
mod unit_file;
mod units;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use slipway_domain::host_plan::section;
use slipway_domain::{HostPlan, PlanReport, StorePath};
use tokio::time::Instant;

use self::files::StoreFiles;
use crate::config::HostConfig;
use crate::nix::{self, NixQueryError};
use crate::text::one_line;

/// Names of what needs a reboot, which a closure gives: so many are told,
const MAX_NAMES: usize = 20;
/// of so many characters each.
const MAX_NAME: usize = 80;

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
    /// It has more than is read before an approval.
    #[error("{file} is too large to be compared: a plan reads files of up to {} MiB, and {} MiB in all", files::MAX_BYTES >> 20, files::MAX_TOTAL >> 20)]
    TooLarge {
        /// Where it became too much.
        file: String,
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
        compare_files(&mut plan, &compared, &closure)?;
        plan.bound_texts();
        let report = PlanReport {
            digest: plan.digest(),
            from: compared.live.clone(),
            bytes_before: sizes.before,
            bytes_after: sizes.after,
            bytes_new: sizes.new,
        };
        Ok(ComputedPlan {
            plan: plan.cut(),
            report,
        })
    });
    match tokio::time::timeout_at(until, comparing).await {
        Ok(Ok(computed)) => computed,
        Ok(Err(_)) | Err(_) => Err(timed_out()),
    }
}

fn compare_files(plan: &mut HostPlan, compared: &Compared, closure: &StorePath) -> Result<(), PlanError> {
    let files = StoreFiles::new(PathBuf::from(closure.store_dir()));
    let (live, new) = (compared.live.as_path(), closure.as_path());
    let booted = compared.booted.as_ref().unwrap_or(&compared.live).as_path();
    units::compare(plan, &files, live, new);
    reboot::compare(plan, &files, booted, live, new);
    accounts::compare(plan, &files, live, new);
    mounts::compare(plan, &files, live, new);
    firewall::compare(plan, &files, live, new);
    slipway::compare(plan, &files, live, new);
    // What was left out is not shown as if it did not change.
    files.too_large().map_or(Ok(()), |file| {
        Err(PlanError::TooLarge {
            file: file.display().to_string(),
        })
    })
}

/// What of the closure runs only after a reboot, or cannot be switched to without one.
pub(crate) fn reboot_needs(compared: &Compared, closure: &StorePath) -> Vec<String> {
    let files = StoreFiles::new(PathBuf::from(closure.store_dir()));
    let live = compared.live.as_path();
    let booted = compared.booted.as_ref().map_or(live, |booted| booted.as_path());
    let mut plan = HostPlan::default();
    reboot::compare(&mut plan, &files, booted, live, closure.as_path());
    let parts = [section::REBOOT, section::INHIBITORS]
        .into_iter()
        .flat_map(|section| plan.entries(section));
    let names: BTreeSet<String> = parts.map(|part| one_line(&part.name, MAX_NAME)).collect();
    names.into_iter().take(MAX_NAMES).collect()
}

#[cfg(test)]
mod tests;
