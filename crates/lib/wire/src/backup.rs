//! How backups are: what `slipway-backup exporter` serves on `/status`, and `slipway-backup status --json` prints.
//!
//! Readers pass over fields they do not know, so a newer exporter can say more.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The page of one host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupPage {
    /// Whether all stacks are well.
    pub ok: bool,
    /// Each stack that has backups.
    pub stacks: Vec<BackupStatus>,
}

/// How the backups of a stack are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupStatus {
    /// The stack's name.
    pub stack: String,
    /// Whether every kind and the archive are well.
    pub ok: bool,
    /// When this was found out.
    pub checked_at: DateTime<Utc>,
    /// Each kind of backup that the stack has.
    pub kinds: Vec<BackupKindStatus>,
    /// The archive of WAL, if the stack's backups have the server's.
    pub archive: Option<ArchiveStatus>,
    /// The cluster whose member the server is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<BackupCluster>,
}

/// The cluster whose backups these are, as one member sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupCluster {
    /// The cluster's name.
    pub name: String,
    /// The member that says this.
    pub member: String,
    /// Who leads, and so makes dumps, base backups and copies.
    pub leader: Option<String>,
    /// Whether Patroni leaves the servers alone, so that nobody takes over.
    pub paused: bool,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

/// How one kind of backup is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupKindStatus {
    /// `dump`, `wal-base`, `offsite`, `verify` or `drill`; a newer exporter may know more.
    pub kind: String,
    /// Neither failed nor late.
    pub ok: bool,
    /// The last run failed, or was killed.
    pub failed: bool,
    /// The last success is older than it may be, or there is none though it was due.
    pub late: bool,
    /// When the last good run ended.
    pub last_success: Option<DateTime<Utc>>,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// The age from which it counts as late, in seconds.
    pub late_after_seconds: f64,
    /// How long the last good run took, in seconds.
    pub duration_seconds: Option<f64>,
    /// What the last good run wrote, in bytes.
    pub size_bytes: Option<u64>,
    /// What the last good run said of itself.
    pub detail: Option<String>,
    /// What is wrong.
    pub error: Option<String>,
    /// What to do about it.
    pub cure: Option<String>,
    /// The member of the cluster that made the last good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// The member whose metrics speak of it, if that is another one than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched_by: Option<String>,
}

/// How the archive of WAL is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// Whether finished segments reach the archive in time.
    pub ok: bool,
    /// What the server said; nothing when it could not be asked.
    #[serde(flatten)]
    pub progress: Option<ArchiveProgress>,
    /// What is wrong.
    pub error: Option<String>,
    /// What to do about it.
    pub cure: Option<String>,
}

/// How the archive keeps up with the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArchiveProgress {
    /// Seconds that the oldest finished segment has been waiting for the archive.
    pub lag_seconds: f64,
    /// Finished segments that are not in the archive.
    pub waiting_segments: u64,
    /// The name of the last segment that was archived.
    pub last_archived: Option<String>,
    /// When that was.
    pub last_archived_at: Option<DateTime<Utc>>,
    /// Whether a try failed since the last success.
    pub failing: bool,
    /// Whether the server archives at all.
    pub enabled: bool,
}
