//! pgBackRest: the archive of the server's WAL and base backups of its files, for recovery to any moment between.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use slipway_wire::backup::ArchiveProgress;

use crate::clock::{self, Time};
use crate::config::{Config, Wal};
use crate::database::{DatabaseLogin, MAINTENANCE, query_failed};
use crate::failure::{BackupFailure, Result};
use crate::kind::BackupKind;
use crate::lock;
use crate::program::Program;
use crate::state::{self, Done};

/// Held while the repository is changed or copied.
pub(crate) const LOCK: &str = "repository";
const WAIT: Duration = Duration::from_hours(1);
/// Commands that only look.
const QUICK: Duration = Duration::from_mins(2);
/// What to do about a repository of another cluster.
const FOREIGN: &str = "the repository holds the backups of another database cluster. To get that one back, stop the server \
                       (of a cluster: docs/runbooks.md, `The whole cluster from off-site`) and: slipway-backup restore --to \
                       latest --replace. To go on with the new one and keep the old \
                       backups: `pgbackrest --stanza=main stanza-upgrade` as the server's user, then slipway-backup now";
/// A daily timer is not exact to the second, so a backup slightly younger than a day counts as a day old.
const SLACK: TimeDelta = TimeDelta::hours(2);

/// What pgBackRest knows of one stanza.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Stanza {
    pub(crate) name: String,
    status: Status,
    #[serde(default)]
    pub(crate) backup: Vec<Backup>,
    #[serde(default)]
    pub(crate) archive: Vec<Archive>,
    #[serde(default)]
    db: Vec<System>,
}

/// A database cluster that the stanza has had; the last one is the current one.
#[derive(Debug, Clone, Deserialize)]
struct System {
    #[serde(rename = "system-id")]
    id: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Status {
    code: u32,
    message: String,
}

/// A base backup.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Backup {
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    timestamp: Span,
    info: Info,
    archive: Option<Segments>,
    pub(crate) error: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Span {
    stop: i64,
}

/// The WAL that a base backup needs.
#[derive(Debug, Clone, Deserialize)]
struct Segments {
    stop: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Info {
    size: u64,
    repository: RepositorySize,
}

#[derive(Debug, Clone, Deserialize)]
struct RepositorySize {
    #[serde(default)]
    delta: u64,
}

/// The segments that are there, of one system.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Archive {
    pub(crate) id: String,
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
}

impl Backup {
    /// From here on every moment can be restored.
    pub(crate) fn finished(&self) -> Time {
        Time::from_timestamp(self.timestamp.stop, 0).unwrap_or_default()
    }

    /// The timeline on which it was made.
    fn timeline(&self) -> Option<u64> {
        let stop = self.archive.as_ref()?.stop.as_ref()?;
        u64::from_str_radix(stop.get(..8)?, 16).ok()
    }

    /// Bytes of the restored files.
    pub(crate) fn size(&self) -> u64 {
        self.info.size
    }

    /// Bytes that it added to the repository.
    pub(crate) fn added(&self) -> u64 {
        self.info.repository.delta
    }
}

/// pgBackRest with its configuration, ready for a command.
pub(crate) fn pgbackrest(wal: &Wal, limit: Duration, command: &str) -> Program {
    Program::new("pgbackrest", limit)
        .path_arg("--config=", &wal.config)
        .arg(format!("--stanza={}", wal.stanza))
        .args([
            "--log-level-console=off",
            "--log-level-stderr=warn",
            "--log-timestamp=n",
        ])
        .arg(command)
}

/// The stanza, with its base backups oldest first. Nothing while it does not exist.
pub(crate) async fn info(wal: &Wal) -> Result<Option<Stanza>> {
    let printed = pgbackrest(wal, QUICK, "info")
        .args(["--output=json", "--log-level-file=off"])
        .run()
        .await
        .map_err(|failure| failure.during("cannot read the repository of pgBackRest"))?;
    let stanzas: Vec<Stanza> = serde_json::from_str(&printed).map_err(|error| {
        BackupFailure::new(format!("pgbackrest info printed what is not understood: {error}"))
    })?;
    let Some(mut stanza) = stanzas.into_iter().find(|stanza| stanza.name == wal.stanza) else {
        return Ok(None);
    };
    // 0: fine, 1: no such stanza, 2: no base backup yet. Others are damage.
    match stanza.status.code {
        0 | 2 => {
            stanza.backup.sort_by_key(|backup| backup.timestamp.stop);
            Ok(Some(stanza))
        }
        1 => Ok(None),
        code => Err(BackupFailure::new(format!(
            "pgBackRest says of stanza {}: {} ({code})",
            wal.stanza, stanza.status.message
        ))
        .cure("`pgbackrest info` and `pgbackrest check` say more; docs/backup-and-restore.md has the usual causes")),
    }
}

/// Makes the stanza unless it is there, and says whether it has a base backup. A repository that does not fit is recorded
/// as a failed base backup, since nobody reads the log of a unit that keeps trying.
pub(crate) async fn prepare(config: &Config) -> Result<bool> {
    let wal = config.wal()?;
    if let Err(failure) = create_stanza(wal).await {
        // A server that is not up yet is tried again, and is no failure.
        return Err(if failure.remedy() == Some(FOREIGN) {
            state::refused(&config.state_dir, BackupKind::WalBase, failure).await
        } else {
            failure
        });
    }
    let stanza = info(wal).await?;
    let Some(newest) = stanza.as_ref().and_then(|stanza| stanza.backup.last()) else {
        return Ok(false);
    };
    if config.cluster.is_none() {
        return Ok(true);
    }
    // What the last leader had not archived when it died is in no archive. From a new base backup on, every moment can be
    // reached again.
    Ok(newest.timeline() == Some(timeline(config).await?))
}

async fn timeline(config: &Config) -> Result<u64> {
    let mut connection = DatabaseLogin::admin(config, MAINTENANCE)?.connect().await?;
    let timeline: i64 = sqlx::query_scalar(
        "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(query_failed("ask for the server's timeline"))?;
    Ok(u64::try_from(timeline).unwrap_or_default())
}

/// Fails on a standby that follows nobody and whose next WAL the archive no longer has: it can never catch up.
pub(crate) async fn need_reachable(config: &Config, wal: &Wal, leader: &str) -> Result<()> {
    type Row = (bool, Option<String>, i64);
    // A standby that does not answer has alerts of its own.
    let Ok(mut connection) = DatabaseLogin::of_server(config)?.connect().await else {
        return Ok(());
    };
    let (streams, replayed, segment): Row = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver), pg_last_wal_replay_lsn()::text,
                (SELECT pg_size_bytes(current_setting('wal_segment_size')))",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(query_failed("ask how far this standby is"))?;
    let (false, Some(replayed)) = (streams, replayed) else {
        return Ok(());
    };
    let Some(needed) = segment_of(&replayed, segment) else {
        return Ok(());
    };
    let stanza = info(wal).await?;
    let oldest = stanza
        .iter()
        .filter_map(|stanza| stanza.archive.last())
        .find_map(|archive| archive.min.clone());
    let Some(oldest) = oldest.filter(|oldest| oldest.get(8..).is_some_and(|oldest| *needed < *oldest)) else {
        return Ok(());
    };
    let member = config
        .cluster
        .as_ref()
        .map_or("", |cluster| cluster.member.as_str());
    let name = config
        .cluster
        .as_ref()
        .map_or("", |cluster| cluster.name.as_str());
    Err(BackupFailure::new(format!(
        "{member} is older than the archive: it follows nobody, has replayed up to {replayed}, and the oldest WAL that is kept is {oldest}"
    ))
    .cure(format!(
        "it has to copy {leader} anew: slipway-cluster-patronictl reinit {name} {member}"
    )))
}

/// The name of the segment with a position, without its timeline.
fn segment_of(position: &str, size: i64) -> Option<String> {
    let (high, low) = position.split_once('/')?;
    let high = u64::from_str_radix(high, 16).ok()?;
    let low = u64::from_str_radix(low, 16).ok()?;
    let size = u64::try_from(size).ok().filter(|size| *size > 0)?;
    let number = ((high << 32) + low) / size;
    let each = (1_u64 << 32) / size;
    Some(format!("{:08X}{:08X}", number / each, number % each))
}

async fn create_stanza(wal: &Wal) -> Result<()> {
    pgbackrest(wal, QUICK, "stanza-create").run().await.map(drop).map_err(|failure| {
        // 28 and 51: the repository belongs to another system or version.
        let other = matches!(failure.exit_status(), Some(28 | 51)) || failure.mentions("stanza-upgrade");
        let failure = failure.during("cannot make the stanza");
        if other {
            failure.cure(FOREIGN)
        } else {
            failure.cure("see that the server runs with archive_mode on and that its user may write the repository")
        }
    })
}

/// Fails when the archive is another cluster's than the server's. One that cannot be asked has that said elsewhere.
pub(crate) async fn need_own(config: &Config, wal: &Wal) -> Result<()> {
    match archiving(config).await {
        Ok(server) => foreign(wal, &server).await.map_or(Ok(()), Err),
        Err(_) => Ok(()),
    }
}

/// The same where the repository may be elsewhere. It is asked there only when the archive fails: that may cost money.
pub(crate) async fn foreign(wal: &Wal, server: &Server) -> Option<BackupFailure> {
    if wal.repository.is_some() || !server.progress.failing {
        return is_foreign(wal, &server.system);
    }
    let stanza = info(wal).await.ok()??;
    let archive = stanza.db.last()?.id.to_string();
    is_another(&archive, &server.system)
}

/// The error if the archive belongs to another cluster than the server's. An empty cluster that started in place of a lost
/// one finds the old archive.
fn is_foreign(wal: &Wal, server: &str) -> Option<BackupFailure> {
    is_another(&archived_system(wal)?, server)
}

fn is_another(archive: &str, server: &str) -> Option<BackupFailure> {
    (archive != server).then(|| {
        BackupFailure::new(format!(
            "the archive is of another database cluster ({archive}) than the server's ({server}): nothing of this server is kept"
        ))
        .cure(FOREIGN)
    })
}

/// The cluster that the archive is of, as its own file says. Nothing where that is elsewhere or encrypted.
fn archived_system(wal: &Wal) -> Option<String> {
    let file = wal
        .repository
        .as_ref()?
        .join("archive")
        .join(&wal.stanza)
        .join("archive.info");
    let text = std::fs::read_to_string(file).ok()?;
    let system = text.lines().find_map(|line| line.strip_prefix("db-system-id="))?;
    Some(system.trim().to_owned())
}

/// Makes a base backup of the type that is due.
pub(crate) async fn base(config: &Config) -> Result<Done> {
    let wal = config.wal()?;
    let _lock = lock::take(&config.state_dir, LOCK, WAIT).await?;
    create_stanza(wal).await?;
    // Forces a segment out and waits for it: a base backup without an archive behind it restores nothing.
    pgbackrest(wal, QUICK, "check").run().await.map_err(|failure| {
        failure.during("the archive does not receive WAL").cure(format!(
            "the server's log says why archive_command fails: journalctl -u {}",
            config.database.unit()
        ))
    })?;
    let before = info(wal).await?.map(|stanza| stanza.backup).unwrap_or_default();
    let kind = due(wal, &before, clock::now());
    pgbackrest(wal, wal.times.timeout, "backup")
        .arg(format!("--type={kind}"))
        .run()
        .await
        .map_err(|failure| failure.during(format!("cannot make a {kind} base backup")))?;
    let newest = info(wal)
        .await?
        .and_then(|stanza| stanza.backup.into_iter().next_back());
    let newest =
        newest.ok_or_else(|| BackupFailure::new("pgBackRest made a base backup and does not list it"))?;
    Ok(Done {
        detail: format!(
            "{} ({}): {} of {}",
            newest.label,
            newest.kind,
            crate::text::size(newest.added()),
            crate::text::size(newest.size())
        ),
        size: Some(newest.added()),
        subject: Some(newest.label),
    })
}

fn due(wal: &Wal, backups: &[Backup], now: Time) -> &'static str {
    let young = |backup: &&Backup, days: u32| {
        backup.error != Some(true) && now - backup.finished() < TimeDelta::days(days.into()) - SLACK
    };
    if !backups
        .iter()
        .any(|b| b.kind == "full" && young(&b, wal.full_every_days))
    {
        "full"
    } else if backups
        .iter()
        .any(|b| b.kind != "incr" && young(&b, wal.diff_every_days))
    {
        "incr"
    } else {
        "diff"
    }
}

/// What the server says of its archive.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) progress: ArchiveProgress,
    /// Which database cluster the server's is.
    pub(crate) system: String,
}

/// Asks the server.
pub(crate) async fn archiving(config: &Config) -> Result<Server> {
    type Row = (bool, Option<String>, Option<Time>, bool, i64, f64, String);
    let mut connection = DatabaseLogin::of_server(config)?.connect().await?;
    let (enabled, last_archived, last_archived_at, failing, waiting, lag, system): Row = sqlx::query_as(
        "SELECT current_setting('archive_mode') <> 'off', a.last_archived_wal, a.last_archived_time,
                coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false),
                r.waiting, r.lag, (SELECT system_identifier::text FROM pg_control_system())
         FROM pg_stat_archiver a,
              (SELECT count(*) AS waiting,
                      coalesce(extract(epoch FROM clock_timestamp() - min(modification)), 0)::float8 AS lag
               FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') r",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(query_failed("ask the server about its archive"))?;
    let progress = ArchiveProgress {
        lag_seconds: lag.max(0.0),
        waiting_segments: u64::try_from(waiting).unwrap_or_default(),
        last_archived,
        last_archived_at,
        failing,
        enabled,
    };
    Ok(Server { progress, system })
}

const DAMAGED: &str = "pgBackRest found damage in its repository";
const AGAIN: &str = "make a new full base backup, and restore the repository's files from the off-site copy";

/// Checks every file of the repository against its checksum.
pub(crate) async fn verify(wal: &Wal, limit: Duration) -> Result<String> {
    let printed = pgbackrest(wal, limit, "verify")
        .args(["--log-level-file=off", "--output=text"])
        .run()
        .await
        .map_err(|failure| {
            if failure.is_verdict() {
                failure.during(DAMAGED).cure(AGAIN)
            } else {
                failure.during("the repository of pgBackRest could not be verified")
            }
        })?;
    // An older pgBackRest ends with status 0 and says it in words.
    let errors = |line: &&str| line.contains("status: error") || line.contains("invalid");
    let bad: Vec<String> = printed
        .lines()
        .filter(errors)
        .map(|line| line.trim().to_owned())
        .collect();
    if bad.is_empty() {
        return Ok(format!("the repository of stanza {}", wal.stanza));
    }
    Err(BackupFailure::new(DAMAGED).printed(bad).cure(AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wal() -> Wal {
        serde_json::from_value(serde_json::json!({
            "config": "/etc/pgbackrest.conf", "stanza": "main", "full_every_days": 7, "diff_every_days": 1,
            "archive_late_after_seconds": 300, "times": { "timeout_seconds": 60, "late_after_seconds": 90000 }
        }))
        .unwrap()
    }

    fn backup(kind: &str, hours_ago: i64) -> Backup {
        serde_json::from_value(serde_json::json!({
            "label": "x", "type": kind, "error": false,
            "timestamp": { "start": 0, "stop": 1_800_000_000 - hours_ago * 3600 },
            "info": { "size": 1, "delta": 1, "repository": { "delta": 1 } }
        }))
        .unwrap()
    }

    #[test]
    fn a_position_names_its_segment() {
        let mib = 1 << 20;
        assert_eq!(segment_of("0/805AD98", 16 * mib).unwrap(), "0000000000000008");
        assert_eq!(segment_of("1/FF000000", 16 * mib).unwrap(), "00000001000000FF");
        assert_eq!(segment_of("2/40000000", 64 * mib).unwrap(), "0000000200000010");
        assert!(segment_of("nonsense", 16 * mib).is_none());
    }

    #[test]
    fn the_type_that_is_due_follows_from_what_is_there() {
        let now = Time::from_timestamp(1_800_000_000, 0).unwrap();
        let due = |backups: &[Backup]| due(&wal(), backups, now);
        assert_eq!(due(&[]), "full");
        assert_eq!(due(&[backup("full", 24)]), "diff");
        assert_eq!(due(&[backup("full", 23)]), "diff", "a timer is never punctual");
        assert_eq!(due(&[backup("full", 6)]), "incr");
        assert_eq!(due(&[backup("full", 60), backup("diff", 6)]), "incr");
        assert_eq!(
            due(&[backup("full", 60), backup("diff", 30), backup("incr", 6)]),
            "diff"
        );
        assert_eq!(due(&[backup("full", 24 * 7), backup("diff", 6)]), "full");
    }
}
