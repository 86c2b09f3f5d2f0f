//! What there is to restore from.

use std::fmt::Write as _;

use serde::Serialize;

use crate::clock::{self, Time};
use crate::config::Config;
use crate::dumps::Dumps;
use crate::failure::{BackupFailure, Result};
use crate::offsite::{self, Snapshot};
use crate::wal::{self, Archive};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) stack: String,
    pub(crate) dumps: Vec<Dump>,
    pub(crate) base_backups: Vec<Base>,
    pub(crate) archive: Vec<Archive>,
    pub(crate) offsite: Vec<Snapshot>,
    /// What could not be looked at.
    pub(crate) problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Dump {
    pub(crate) id: String,
    pub(crate) finished: Time,
    pub(crate) size: u64,
    pub(crate) tables: usize,
    pub(crate) rows: u64,
    pub(crate) server_version: String,
    pub(crate) bad: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Base {
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) finished: Time,
    pub(crate) size: u64,
    pub(crate) added: u64,
}

/// Lists all places; an unreadable place is a problem beside the other lists.
pub(crate) async fn collect(config: &Config) -> Listing {
    let mut listing = Listing {
        stack: config.stack.clone(),
        dumps: Vec::new(),
        base_backups: Vec::new(),
        archive: Vec::new(),
        offsite: Vec::new(),
        problems: Vec::new(),
    };
    if let Err(failure) = dumps(config, &mut listing) {
        listing.problems.push(failure.to_string());
    }
    if let Some(section) = &config.wal {
        match wal::info(section).await {
            Ok(stanza) => {
                for backup in stanza.iter().flat_map(|stanza| &stanza.backup) {
                    listing.base_backups.push(Base {
                        label: backup.label.clone(),
                        kind: backup.kind.clone(),
                        finished: backup.finished(),
                        size: backup.size(),
                        added: backup.added(),
                    });
                }
                listing.archive = stanza.map(|stanza| stanza.archive).unwrap_or_default();
            }
            Err(failure) => listing.problems.push(failure.to_string()),
        }
    }
    if config.offsite.is_some() {
        match offsite::snapshots(config).await {
            Ok(snapshots) => listing.offsite = snapshots,
            Err(failure) => listing.problems.push(failure.to_string()),
        }
    }
    listing
}

fn dumps(config: &Config, listing: &mut Listing) -> Result<()> {
    let Some(section) = &config.dump else {
        return Ok(());
    };
    let (kept, unreadable) = Dumps::new(&section.directory).list()?;
    listing
        .problems
        .extend(unreadable.iter().map(BackupFailure::to_string));
    listing.dumps = kept
        .into_iter()
        .map(|dump| Dump {
            finished: dump.finished,
            size: dump.size,
            tables: dump.tables.len(),
            rows: dump.tables.iter().map(|table| table.rows).sum(),
            server_version: dump.server_version,
            bad: dump.bad,
            id: dump.id,
        })
        .collect();
    Ok(())
}

/// For people.
pub(crate) fn text(listing: &Listing) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "dumps ({})", listing.dumps.len());
    for dump in &listing.dumps {
        let bad = dump
            .bad
            .as_ref()
            .map(|why| format!("  BAD: {why}"))
            .unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:20}  {:>9}  {} tables, {} rows, Postgres {}{bad}",
            dump.id,
            crate::text::size(dump.size),
            dump.tables,
            dump.rows,
            dump.server_version
        );
    }
    let _ = writeln!(out, "base backups ({})", listing.base_backups.len());
    for base in &listing.base_backups {
        let _ = writeln!(
            out,
            "  {:35}  {}  {} of {}",
            base.label,
            clock::text(base.finished),
            crate::text::size(base.added),
            crate::text::size(base.size)
        );
    }
    for archive in &listing.archive {
        if let (Some(min), Some(max)) = (&archive.min, &archive.max) {
            let _ = writeln!(out, "  archive {}: {min} to {max}", archive.id);
        }
    }
    if let Some(first) = listing.base_backups.first() {
        let _ = writeln!(
            out,
            "  every moment from {} on can be restored",
            clock::text(first.finished)
        );
    }
    let _ = writeln!(out, "off-site copies ({})", listing.offsite.len());
    for snapshot in &listing.offsite {
        let _ = writeln!(
            out,
            "  {}  {}  of {}",
            snapshot.short_id,
            clock::text(snapshot.time),
            snapshot.hostname
        );
    }
    for problem in &listing.problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    out
}
