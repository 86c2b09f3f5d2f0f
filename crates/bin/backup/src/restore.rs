//! Restores. A restore overwrites nothing that runs without an explicit option, and deletes nothing.

mod draft;
pub(crate) mod dump;
mod members;
mod same;
pub(crate) mod time;

use std::path::{Path, PathBuf};

use crate::clock::Time;
use crate::config::Config;
use crate::failure::{BackupFailure, Result};
use crate::{files, lock, offsite, wal};

pub(crate) use members::unfinished;

/// What to bring back, and where to.
#[derive(Debug)]
pub(crate) enum RestoreRequest {
    /// A dump into a database of this name, or one named after the dump; `swap` puts it in the live one's place.
    Dump {
        id: String,
        into: Option<String>,
        swap: bool,
    },
    /// The whole cluster as it was, into a folder, or in place of the server's own data folder.
    Time {
        target: time::Target,
        into: Option<PathBuf>,
        replace: bool,
        timeline: Option<String>,
        pause: bool,
    },
    /// What is left of a restore of a cluster that was cut short.
    Resume,
    /// The files of an off-site copy, into a folder.
    Offsite { snapshot: String, into: PathBuf },
}

/// The lock of restores in place of live data.
const LOCK: &str = "restore";

/// Restores, and says what was done and what comes next.
pub(crate) async fn run(config: &Config, wanted: RestoreRequest) -> Result<String> {
    let replaces = matches!(
        wanted,
        RestoreRequest::Resume | RestoreRequest::Time { replace: true, .. }
    );
    // A second one would remove the data that the first is about to put in place, or end its pause. It does not wait: it was
    // asked for before anybody knew how the first ends.
    let _only = if replaces {
        Some(lock::take(&config.state_dir, LOCK, std::time::Duration::ZERO).await?)
    } else {
        None
    };
    let live = matches!(
        wanted,
        RestoreRequest::Dump { .. } | RestoreRequest::Time { replace: true, .. }
    );
    if let Some(failure) = unfinished(config).filter(|_| live) {
        return Err(failure);
    }
    match wanted {
        RestoreRequest::Dump { id, into, swap } => {
            crate::members::need_leader(config, "a restore of a dump").await?;
            dump::run(config, &id, into, swap).await
        }
        RestoreRequest::Resume => members::resume(config).await,
        RestoreRequest::Time {
            target,
            into,
            replace: false,
            timeline,
            pause,
        } => {
            let into = into.unwrap_or_else(|| default_folder(config));
            time::beside(config, &target, &into, timeline.as_deref(), pause).await
        }
        RestoreRequest::Time {
            target,
            replace: true,
            timeline,
            pause,
            ..
        } => match &config.cluster {
            Some(_) if pause => Err(BackupFailure::new(
                "--pause leaves a server read-only, and a cluster has no leader then",
            )
            .cure("look at the moment beside the live cluster: slipway-backup restore --to TIME --pause")),
            Some(cluster) => members::replace(config, cluster, &target, timeline.as_deref()).await,
            None => time::replace(config, &target, timeline.as_deref(), pause).await,
        },
        RestoreRequest::Offsite { snapshot, into } => {
            need_empty(&into)?;
            files::folder(&into)?;
            offsite::restore(config, &snapshot, &into).await?;
            Ok(format!(
                "The off-site copy {snapshot} is below {}, each file under the path it had.\n\
                 Next, on a new host: docs/backup-and-restore.md, `A lost host`.",
                into.display()
            ))
        }
    }
}

/// A folder named by the time. One that failed in the same second has left its own.
fn default_folder(config: &Config) -> PathBuf {
    let name = crate::clock::now().format("%Y%m%dT%H%M%SZ").to_string();
    let folder = config.state_dir.join("restored");
    let mut path = folder.join(&name);
    let mut number = 1;
    while path.exists() {
        number += 1;
        path = folder.join(format!("{name}-{number}"));
    }
    path
}

/// Fails unless `path` is absent or an empty folder.
pub(crate) fn need_empty(path: &Path) -> Result<()> {
    let taken =
        std::fs::read_dir(path).map_or_else(|_| path.exists(), |mut entries| entries.next().is_some());
    if !taken {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "{} is not empty, and nothing is written over",
        path.display()
    ))
    .cure("name a new folder with --into"))
}

/// Keeps base backups and copies away from the repository while it is read.
pub(crate) async fn hold_repository(config: &Config) -> Result<slipway_process::FileLock> {
    lock::take(&config.state_dir, wal::LOCK, std::time::Duration::from_mins(30)).await
}

/// A moment as people write it: RFC 3339, or without a zone, which then is UTC.
pub(crate) fn parse_time(text: &str) -> Result<Time> {
    let spaced = text.trim().replacen(' ', "T", 1);
    let utc = format!("{spaced}Z");
    [spaced.as_str(), utc.as_str()]
        .iter()
        .find_map(|candidate| candidate.parse::<Time>().ok())
        .ok_or_else(|| {
            BackupFailure::new(format!("`{text}` is no moment in time"))
                .cure("write it as 2026-11-22T23:45:33Z or \"2026-11-22 23:45:33.5+01:00\", or `latest`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let expected = parse_time("2026-11-22T23:45:33Z").unwrap();
        assert_eq!(parse_time("2026-11-22 23:45:33").unwrap(), expected);
        assert_eq!(parse_time("2026-11-23 00:45:33+01:00").unwrap(), expected);
        assert!(parse_time("2026-11-22 23:45:33.25Z").unwrap() > expected);
        assert!(
            parse_time("yesterday")
                .unwrap_err()
                .remedy()
                .unwrap()
                .contains("latest")
        );
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        need_empty(folder.path()).unwrap();
        need_empty(&folder.path().join("new")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(need_empty(folder.path()).is_err());
        assert!(need_empty(&folder.path().join("file")).is_err());
    }
}
