//! Collecting garbage: earlier generations by their age, and everything in the store that no root leads to.
//!
//! What runs, booted or would boot has a root of NixOS. Closures of attempts, their priors and the releases that are kept have
//! one of the agent. Nix itself decides what is garbage, so a program that dies in the middle leaves a store that is whole.

use std::io;
use std::path::Path;
use std::time::Duration;

use slipway_process::RunOutcome;

use super::PROFILE_WITHIN;
use crate::config::HostConfig;
use crate::text::{last_lines, problem_of};

/// The longest run. A store on a slow disk with many dead paths takes long; the next run goes on where this one ended.
const WITHIN: Duration = Duration::from_hours(2);

/// Which earlier generations of profiles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationAge {
    /// Those of more than so many days.
    OlderThan(u32),
    /// Of the system's profile all but the present one and the one before: the boot menu keeps a way back.
    AllButTwo,
}

/// Garbage could not be collected.
#[derive(Debug, thiserror::Error)]
#[error("garbage was not collected: {0}")]
pub struct CollectError(String);

/// Collects, and gives Nix's own words on how much.
pub(crate) async fn collect(config: &HostConfig, age: GenerationAge) -> Result<String, CollectError> {
    let mut garbage = config.command("nix-collect-garbage");
    match age {
        GenerationAge::OlderThan(days) => {
            garbage.args(["--delete-older-than", &format!("{days}d")]);
        }
        GenerationAge::AllButTwo => {
            let mut generations = config.command("nix-env");
            generations.arg("--profile").arg(&config.profile);
            generations.args(["--delete-generations", "+2"]);
            let (outcome, output) = slipway_process::run(generations, PROFILE_WITHIN).await;
            if let Some(problem) = problem_of("nix-env", &outcome, &output, PROFILE_WITHIN) {
                return Err(CollectError(problem));
            }
        }
    }
    let (outcome, output) = slipway_process::run(garbage, WITHIN).await;
    match problem_of("nix-collect-garbage", &outcome, &output, WITHIN) {
        None => Ok(last_lines(&output, 1)),
        // It freed what it could.
        Some(_) if matches!(outcome, RunOutcome::TimedOut) => Ok(format!(
            "stopped after {} s; the next run goes on",
            WITHIN.as_secs()
        )),
        Some(problem) => Err(CollectError(problem)),
    }
}

/// How much of the disk with this folder is free for root, in percent.
pub(crate) fn free_percent(folder: &Path) -> io::Result<f64> {
    let disk = rustix::fs::statvfs(folder)?;
    if disk.f_blocks == 0 {
        return Ok(100.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no exact numbers")]
    Ok(disk.f_bavail as f64 * 100.0 / disk.f_blocks as f64)
}
