//! Postgres and Redis for the stages, started by the first one that needs them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cleanup;
use crate::postgres::{DevPostgres, Durability};
use crate::redis::DevRedis;
use crate::run::Run;

/// A folder in memory, on every Linux. In a container it may be small.
const MEMORY: &str = "/dev/shm";
/// The tests take less than half of it.
const ROOM: u64 = 2 << 30;

/// The servers, and the run in memory that they belong to.
#[derive(Debug, Default)]
pub(super) struct Servers {
    started: Option<(DevPostgres, DevRedis)>,
    /// Some 500 databases come and go, each of hundreds of files, and nobody wants to find one again.
    in_memory: Option<Run>,
}

impl Servers {
    /// Both, which nothing they hold outlives.
    pub(super) async fn start(&mut self, run: &Run) -> Result<(&DevPostgres, &DevRedis)> {
        if self.started.is_none() {
            if let Some(base) = folder_in_memory(Path::new(MEMORY), ROOM) {
                cleanup::dead_runs(&base)?;
                self.in_memory = Some(Run::create(&base)?);
            }
            let run = self.in_memory.as_ref().unwrap_or(run);
            let postgres = DevPostgres::start(run, Durability::Fast).await?;
            self.started = Some((postgres, DevRedis::start(run).await?));
        }
        let (postgres, redis) = self.started.as_ref().context("the servers were just started")?;
        Ok((postgres, redis))
    }

    /// Stops what does not belong to the caller's run; that is dropped where a stage fails.
    pub(super) async fn stop(self) -> Result<()> {
        match self.in_memory {
            Some(run) => run.close().await,
            None => Ok(()),
        }
    }
}

fn folder_in_memory(memory: &Path, room: u64) -> Option<PathBuf> {
    let found = rustix::fs::statvfs(memory).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let user = rustix::process::geteuid().as_raw();
    (free >= room).then(|| memory.join(format!("slipway-dev-{user}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_room_or_that_is_not_there_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder_in_memory(folder.path(), 1).unwrap();
        assert_eq!(taken.parent(), Some(folder.path()));
        assert_eq!(folder_in_memory(folder.path(), u64::MAX), None);
        assert_eq!(folder_in_memory(&folder.path().join("none"), 1), None);
    }
}
