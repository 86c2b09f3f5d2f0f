//! Everything that is kept can be read.

use crate::config::Config;
use crate::dump;
use crate::dumps::{Dumps, Manifest};
use crate::failure::{Failure, Result};
use crate::files;
use crate::lock;
use crate::state::Done;
use crate::{offsite, wal};

const WAIT: std::time::Duration = std::time::Duration::from_mins(30);

/// Looks at every dump, at the repository of pgBackRest and at the off-site repository; names all that is wrong.
pub(crate) async fn run(config: &Config) -> Result<Done> {
    let limit = config
        .verify
        .map_or(std::time::Duration::from_hours(6), |times| times.timeout);
    let mut fine = Vec::new();
    let mut wrong: Vec<Failure> = Vec::new();
    if config.dump.is_some() {
        match all_dumps(config).await {
            Ok((count, failures)) => {
                fine.push(format!("{count} dumps"));
                wrong.extend(failures);
            }
            Err(failure) => wrong.push(failure),
        }
    }
    if let Some(wal) = &config.wal {
        let verified = async {
            let _lock = lock::take(&config.state_dir, wal::LOCK, WAIT).await?;
            wal::verify(wal, limit).await
        };
        verified
            .await
            .map_or_else(|failure| wrong.push(failure), |text| fine.push(text));
    }
    if config.offsite.is_some() {
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
            let lines = wrong.iter().map(Failure::summary).collect();
            Err(
                Failure::new(format!("{} of what is kept cannot be relied on", wrong.len()))
                    .said(lines)
                    .cure(cure),
            )
        }
    }
}

async fn all_dumps(config: &Config) -> Result<(usize, Vec<Failure>)> {
    let section = config.need(config.dump.as_ref(), "dump", "dump.enable")?;
    // No dump is deleted while it is read.
    let _lock = lock::take(&config.state_dir, dump::LOCK, WAIT).await?;
    let dumps = Dumps::new(&section.directory);
    let (kept, mut wrong) = dumps.list()?;
    let mut good = 0;
    for manifest in &kept {
        match (dump(config, &dumps, manifest).await, &manifest.bad) {
            (Err(failure), _) => wrong.push(failure),
            (Ok(()), Some(why)) => wrong.push(
                Failure::new(format!("the dump {} is marked bad: {why}", manifest.id))
                    .cure("once a newer one has passed a drill, delete its two files in the folder of dumps"),
            ),
            (Ok(()), None) => good += 1,
        }
    }
    Ok((good, wrong))
}

/// One dump: its size and checksum, and its table of contents. What is found wrong is noted in its manifest.
pub(crate) async fn dump(config: &Config, dumps: &Dumps, manifest: &Manifest) -> Result<()> {
    let limit = config.dump.as_ref().map_or(WAIT, |dump| dump.times.timeout);
    let file = dumps.file(&manifest.id);
    let found = if file.exists() {
        let (sha256, size) = files::digest(&file)?;
        if size != manifest.size {
            Err(Failure::new(format!(
                "{} has {size} bytes instead of {}",
                file.display(),
                manifest.size
            )))
        } else if sha256 != manifest.sha256 {
            Err(Failure::new(format!(
                "{} is not what was written: its SHA-256 has changed",
                file.display()
            )))
        } else {
            dump::read_back(config, &file, limit, manifest.tables.len()).await
        }
    } else {
        Err(Failure::new(format!(
            "{} is gone, and its manifest is there",
            file.display()
        )))
    };
    found.map_err(|failure| {
        let _ = dumps.condemn(manifest, &failure.summary());
        failure.cure(
            "make a new dump at once (slipway-backup now --kind dump); the off-site copy has the file as it was: \
             slipway-backup restore --offsite latest --into FOLDER",
        )
    })
}
