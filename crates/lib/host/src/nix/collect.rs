//! Collecting garbage: earlier generations by their age, and everything in the store that no root leads to.
//!
//! What runs, booted or would boot has a root of NixOS. Closures of attempts, their priors and the releases that are kept have
//! one of the agent. Nix itself decides what is garbage, so a program that dies in the middle leaves a store that is whole.

use std::io;
use std::path::Path;
use std::time::Duration;

use slipway_process::RunOutcome;

use crate::config::HostConfig;
use crate::text::{last_lines, problem_of};

/// The longest run. A store on a slow disk with many dead paths takes long; the next run goes on where this one ended.
const WITHIN: Duration = Duration::from_hours(2);

/// Which earlier generations of profiles go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationAge {
    /// Those of more than so many days.
    OlderThan(u32),
    /// All that are not the profile's present one.
    Any,
}

/// Garbage could not be collected.
#[derive(Debug, thiserror::Error)]
#[error("garbage was not collected: {0}")]
pub struct CollectError(String);

/// Collects, and gives Nix's own words on how much.
pub(crate) async fn collect(config: &HostConfig, age: GenerationAge) -> Result<String, CollectError> {
    let mut command = config.command("nix-collect-garbage");
    match age {
        GenerationAge::OlderThan(days) => command.args(["--delete-older-than", &format!("{days}d")]),
        GenerationAge::Any => command.arg("--delete-old"),
    };
    let (outcome, output) = slipway_process::run(command, WITHIN).await;
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
