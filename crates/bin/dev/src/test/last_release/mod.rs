//! The programs of the last release on the schema of this checkout, with rows that the programs of this checkout wrote.
//!
//! A NixOS rollback runs exactly that. The release is the commit that `crates/bin/dev/last-release` names; a release
//! writes its own commit there.

mod agent;
mod build;
mod plane;
mod scene;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::postgres::DevPostgres;
use crate::run::Run;
use crate::say::say;
use plane::Programs;

/// Builds the last release where it is not built yet, and has it take over from the programs in `target`, and them from
/// it.
pub async fn check(run: &Run, postgres: &DevPostgres, checkout: &Path, target: &Path) -> Result<()> {
    let old = build::programs(run, checkout, target).await?;
    let new = Programs::in_folder(&target.join("debug"));
    say(&format!("    the last release is {}", build::commit(checkout)?));
    scene::play(run, postgres, &new, &old)
        .await
        .context("the programs of the last release do not work on what this checkout writes")
}
