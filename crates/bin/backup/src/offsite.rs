//! restic: encrypted copies at another place.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::clock::Time;
use crate::config::{Config, Offsite};
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::lock;
use crate::program::Program;
use crate::state::Done;
use crate::wal;

/// A base backup may be under way.
const WAIT: Duration = Duration::from_hours(1);
/// Held by whoever needs the off-site repository for itself: a check keeps copies out for as long as it reads.
const LOCK: &str = "offsite";
/// Copies and checks wait so long for one another.
const LOCK_WAIT: Duration = Duration::from_hours(4);
/// Commands that only look, over a slow line.
const QUICK: Duration = Duration::from_mins(5);
/// Between two tries for a repository that is locked.
const LOCKED: Duration = Duration::from_secs(10);
const TRIES: u32 = 6;
/// restic's own status for "some files could not be read".
const INCOMPLETE: i32 = 3;
/// restic's own status for "the repository is locked", since 0.17; before that only words.
const IS_LOCKED: i32 = 11;

/// A copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) short_id: String,
    pub(crate) time: Time,
    pub(crate) hostname: String,
    pub(crate) paths: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    message_type: String,
    #[serde(default)]
    data_added: u64,
    #[serde(default)]
    total_bytes_processed: u64,
    #[serde(default)]
    snapshot_id: String,
}

/// restic with its repository and its secrets, ready for a command.
pub(crate) fn restic(config: &Config, limit: Duration) -> Result<(Program, &Offsite)> {
    let offsite = config.need(config.offsite.as_ref(), "offsite", "offsite.enable")?;
    let mut program =
        Program::new("restic", limit).secret_env("RESTIC_PASSWORD", &offsite.password_file.read()?);
    if let Some(repository) = &offsite.repository {
        program = program.env("RESTIC_REPOSITORY", repository);
    }
    if let Some(secret) = &offsite.repository_file {
        program = program.secret_env("RESTIC_REPOSITORY", &secret.read()?);
    }
    if let Some(secret) = &offsite.environment_file {
        for (name, value) in secret.read_environment()? {
            program = program.secret_env(&name, &value);
        }
    }
    for option in &offsite.options {
        program = program.arg("-o").arg(option);
    }
    // The unit's own cache; by hand none, since root's files in it would shut the unit out.
    program = match std::env::var_os("CACHE_DIRECTORY") {
        Some(folder) => program.env("RESTIC_CACHE_DIR", folder),
        None => program.arg("--no-cache"),
    };
    Ok((program, offsite))
}

fn tag(config: &Config) -> String {
    format!("slipway-{}", config.stack)
}

/// Copies, then forgets what is too old.
pub(crate) async fn copy(config: &Config) -> Result<Done> {
    let _check = lock::take(&config.state_dir, LOCK, LOCK_WAIT).await?;
    // A base backup copied while it changes could be listed without its files.
    let _lock = lock::take(&config.state_dir, wal::LOCK, WAIT).await?;
    initialise(config).await?;
    let summary = match backup(config).await {
        // A dump expired, or a segment was renamed, between the listing and the reading. The second look is whole.
        Err(failure) if failure.exit_status() == Some(INCOMPLETE) => {
            tracing::warn!("some files changed while they were copied; once more");
            backup(config).await?
        }
        other => other?,
    };
    let forgotten = forget(config).await?;
    Ok(Done {
        detail: format!(
            "snapshot {}: {} new of {}{}",
            summary.snapshot_id.get(..8).unwrap_or(&summary.snapshot_id),
            crate::text::size(summary.data_added),
            crate::text::size(summary.total_bytes_processed),
            if forgotten {
                ""
            } else {
                "; old ones stay until the repository's lock is gone"
            }
        ),
        size: Some(summary.data_added),
        subject: Some(summary.snapshot_id),
    })
}

async fn initialise(config: &Config) -> Result<()> {
    let looked = restic(config, QUICK)?
        .0
        .args(["cat", "config", "--no-lock"])
        .run()
        .await;
    let Err(failure) = looked else {
        return Ok(());
    };
    // Status 10 since restic 0.17; before that only words.
    let absent = failure.exit_status() == Some(10)
        || failure.mentions("Is there a repository at the following location");
    if !absent || failure.mentions("wrong password") {
        return Err(explain(failure, "cannot open the off-site repository"));
    }
    restic(config, QUICK)?
        .0
        .arg("init")
        .run()
        .await
        .map(drop)
        .map_err(|failure| explain(failure, "cannot make the off-site repository"))
}

async fn backup(config: &Config) -> Result<Summary> {
    let offsite = config.need(config.offsite.as_ref(), "offsite", "offsite.enable")?;
    let missing: Vec<String> = offsite
        .paths
        .iter()
        .filter(|path| !path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if !missing.is_empty() {
        return Err(BackupFailure::new(format!(
            "not there, so it cannot be copied: {}",
            missing.join(", ")
        ))
        .cure(
            "make a first backup (slipway-backup now --kind all), or take the path out of backup.offsite",
        ));
    }
    let make = || {
        let program = restic(config, offsite.times.timeout)?.0;
        Ok(program
            .args([
                "backup",
                "--json",
                "--quiet",
                "--exclude-caches",
                "--tag",
                &tag(config),
            ])
            .arg(format!("--exclude=*{}", files::PARTIAL))
            .arg("--")
            .args(&offsite.paths))
    };
    let printed = unlocked(config, make)
        .await
        .map_err(|failure| explain(failure, "cannot copy to the off-site repository"))?;
    printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Summary>(line).ok())
        .find(|line| line.message_type == "summary")
        .ok_or_else(|| BackupFailure::new("restic ended well and printed no summary"))
}

/// Forgets what is too old. False when another restic holds the repository: the copy is made, and the next run forgets.
async fn forget(config: &Config) -> Result<bool> {
    let make = || {
        let (program, offsite) = restic(config, config.offsite.as_ref().map_or(QUICK, |o| o.times.timeout))?;
        let keep = offsite.keep;
        let program = program.args([
            "forget",
            "--prune",
            "--group-by",
            "host,tags",
            "--tag",
            &tag(config),
        ]);
        let kept = [
            ("--keep-hourly", keep.hourly),
            ("--keep-daily", keep.daily),
            ("--keep-weekly", keep.weekly),
            ("--keep-monthly", keep.monthly),
        ];
        Ok(kept
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .fold(program, |program, (option, count)| {
                program.args([option, &count.to_string()])
            }))
    };
    match unlocked(config, make).await {
        Ok(_) => Ok(true),
        Err(failure) if is_locked(&failure) => {
            tracing::warn!("old copies are not forgotten: {}", failure.summary());
            Ok(false)
        }
        Err(failure) => Err(explain(
            failure,
            "the copy is made, and old ones cannot be forgotten",
        )),
    }
}

fn is_locked(failure: &BackupFailure) -> bool {
    failure.exit_status() == Some(IS_LOCKED) || failure.mentions("already locked")
}

/// Runs a command that takes a lock in the repository, as all do that are not told `--no-lock`. A killed restic leaves a
/// lock, which counts until restic sees that its process is gone. So stale locks are removed first. If the repository is
/// still locked, this tries again for a while.
async fn unlocked(config: &Config, make: impl Fn() -> Result<Program>) -> Result<String> {
    let mut tries = 0;
    loop {
        // Never those of a restic that lives, here or elsewhere.
        restic(config, QUICK)?.0.arg("unlock").run().await?;
        tries += 1;
        match make()?.run().await {
            Err(failure) if is_locked(&failure) && tries < TRIES => sleep(LOCKED).await,
            other => return other,
        }
    }
}

/// The stack's copies, oldest first.
pub(crate) async fn snapshots(config: &Config) -> Result<Vec<Snapshot>> {
    let printed = restic(config, QUICK)?
        .0
        .args(["snapshots", "--json", "--no-lock", "--tag", &tag(config)])
        .run()
        .await
        .map_err(|failure| explain(failure, "cannot list the off-site copies"))?;
    let mut snapshots: Vec<Snapshot> = serde_json::from_str(printed.trim())
        .map_err(|error| BackupFailure::new(format!("restic printed what is not understood: {error}")))?;
    snapshots.sort_by_key(|snapshot| snapshot.time);
    Ok(snapshots)
}

/// Checks the repository's structure, and reads a part of its data.
pub(crate) async fn check(config: &Config, limit: Duration) -> Result<String> {
    let _lock = lock::take(&config.state_dir, LOCK, LOCK_WAIT).await?;
    let percent = restic(config, limit)?.1.read_percent;
    let make = || {
        let program = restic(config, limit)?.0.arg("check");
        Ok(if percent > 0 {
            program.arg(format!("--read-data-subset={percent}%"))
        } else {
            program
        })
    };
    unlocked(config, make).await.map_err(|failure| {
        let what = if failure.is_verdict() {
            "the off-site repository is damaged or cannot be read"
        } else {
            "the off-site repository could not be checked"
        };
        explain(failure, what)
    })?;
    Ok(format!("the off-site repository, {percent} % of its data"))
}

/// Brings a copy back below `into`, with the paths it had.
pub(crate) async fn restore(config: &Config, snapshot: &str, into: &Path) -> Result<()> {
    let limit = config
        .offsite
        .as_ref()
        .map_or(QUICK, |offsite| offsite.times.timeout);
    let program = restic(config, limit)?.0.args(["restore", snapshot, "--no-lock"]);
    // `latest` alone could be another stack's.
    let program = if snapshot == "latest" {
        program.args(["--tag", &tag(config)])
    } else {
        program
    };
    program
        .arg("--target")
        .arg(into)
        .run()
        .await
        .map(drop)
        .map_err(|failure| explain(failure, "cannot bring the off-site copy back"))
}

fn explain(failure: BackupFailure, what: &str) -> BackupFailure {
    let cure = if failure.mentions("wrong password") || failure.mentions("no key found") {
        "offsite.passwordFile holds another password than the repository was made with"
    } else if is_locked(&failure) {
        "another restic works in the repository; `restic unlock` removes the lock of one that is dead"
    } else if failure.mentions("no matching ID found") || failure.mentions("no snapshot") {
        "`slipway-backup list` shows the snapshots that are there"
    } else if failure.exit_status() == Some(INCOMPLETE) {
        "the account of the unit cannot read some of backup.paths; the lines above name them"
    } else {
        "see that the repository's address is right, that its server answers and that the keys are valid"
    };
    failure.during(what).cure(cure)
}
