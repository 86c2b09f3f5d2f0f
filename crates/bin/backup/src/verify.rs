//! Everything that is kept can be read.

use std::path::Path;

use crate::config::Config;
use crate::dump;
use crate::dumps::{self, Dumps, Manifest};
use crate::failure::{BackupFailure, Result, io};
use crate::files;
use crate::lock;
use crate::state::Done;
use crate::{offsite, turn, wal};

const WAIT: std::time::Duration = std::time::Duration::from_mins(30);

/// Looks at every dump, at the repository of pgBackRest and at the off-site repository; names all that is wrong.
pub(crate) async fn run(config: &Config) -> Result<Done> {
    let limit = config
        .verify
        .map_or(std::time::Duration::from_hours(6), |times| times.timeout);
    let mut fine = Vec::new();
    let mut wrong: Vec<BackupFailure> = Vec::new();
    if config.dump.is_some() {
        match all_dumps(config).await {
            Ok((count, failures)) => {
                fine.push(format!("{count} dumps"));
                wrong.extend(failures);
            }
            Err(failure) => wrong.push(failure),
        }
    }
    // The archive and the copies are one for all members, and one of them reads them.
    let shared = turn::verifies_shared(config).await?;
    if !shared {
        fine.push("the archive and the copies are read by the member that leads".to_owned());
    }
    if let Some(wal) = config.wal.as_ref().filter(|_| shared) {
        let verified = async {
            let _lock = lock::take(&config.state_dir, wal::LOCK, WAIT).await?;
            wal::need_own(config, wal).await?;
            wal::verify(wal, limit).await
        };
        verified
            .await
            .map_or_else(|failure| wrong.push(failure), |text| fine.push(text));
    }
    if config.offsite.is_some() && shared {
        offsite::check(config, limit)
            .await
            .map_or_else(|failure| wrong.push(failure), |text| fine.push(text));
    }
    match wrong.first() {
        None => Ok(Done {
            detail: format!("read: {}", fine.join(", ")),
            ..Done::default()
        }),
        Some(first) => {
            let cure = first.remedy().unwrap_or("see the lines above").to_owned();
            let lines = wrong.iter().map(BackupFailure::summary).collect();
            Err(
                BackupFailure::new(format!("{} of what is kept cannot be relied on", wrong.len()))
                    .printed(lines)
                    .cure(cure),
            )
        }
    }
}

async fn all_dumps(config: &Config) -> Result<(usize, Vec<BackupFailure>)> {
    let section = config.need(config.dump.as_ref(), "dump", "dump.enable")?;
    // No dump is deleted while it is read.
    let _lock = lock::take(&config.state_dir, dump::LOCK, WAIT).await?;
    let dumps = Dumps::new(&section.directory);
    let (kept, mut wrong) = dumps.list()?;
    let mut good = 0;
    for manifest in &kept {
        match dump(config, &dumps, manifest).await {
            Err(failure) => wrong.push(failure),
            Ok(None) => good += 1,
            Ok(Some(why)) => wrong.push(
                BackupFailure::new(format!("the dump {} is marked bad: {why}", manifest.id))
                    .cure("once a newer one has passed a drill, delete its two files in the folder of dumps"),
            ),
        }
    }
    Ok((good, wrong))
}

/// One dump: its file, and its table of contents. Returns what a drill has found against it.
///
/// Only what the file itself shows is noted in its manifest. A program that is missing or was killed proves nothing about
/// a dump. A file that is whole again, as after a restore of the copy, counts again.
pub(crate) async fn dump(config: &Config, dumps: &Dumps, manifest: &Manifest) -> Result<Option<String>> {
    let limit = config.dump.as_ref().map_or(WAIT, |dump| dump.times.timeout);
    let file = dumps.file(&manifest.id);
    if let Some(why) = damage(&file, manifest)? {
        if let Err(failure) = dumps.condemn(manifest, &why) {
            tracing::warn!(id = manifest.id, "cannot mark the dump: {}", failure.summary());
        }
        return Err(BackupFailure::new(why).cure(
            "make a new dump at once (slipway-backup now --kind dump); the off-site copy has the file as it was: \
             slipway-backup restore --offsite latest --into FOLDER",
        ));
    }
    dump::read_back(config, &file, limit, manifest.tables.len())
        .await
        .map_err(|failure| {
            failure
                .during(format!(
                    "the dump {} has the checksum that it was written with, and could not be listed",
                    manifest.id
                ))
                .cure("mend what keeps pg_restore from its work, then: slipway-backup verify")
        })?;
    match &manifest.bad {
        Some(why) if dumps::is_of_a_drill(why) => Ok(Some(why.clone())),
        Some(_) => {
            // An account that can only read the dumps goes on.
            if let Err(failure) = dumps.acquit(manifest) {
                tracing::warn!(
                    id = manifest.id,
                    "cannot take the mark off the dump: {}",
                    failure.summary()
                );
            }
            Ok(None)
        }
        None => Ok(None),
    }
}

/// What is wrong with the file of a dump, if it can be read at all.
fn damage(file: &Path, manifest: &Manifest) -> Result<Option<String>> {
    match file.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(format!(
                "{} is gone, and its manifest is there",
                file.display()
            )));
        }
        other => other.map_err(io("look at", file))?,
    };
    let (sha256, size) = files::digest(file)?;
    Ok(if size != manifest.size {
        Some(format!(
            "{} has {size} bytes instead of {}",
            file.display(),
            manifest.size
        ))
    } else if sha256 != manifest.sha256 {
        Some(format!(
            "{} is not what was written: its SHA-256 has changed",
            file.display()
        ))
    } else {
        None
    })
}
