//! The whole cluster as it was at a moment: a base backup, and the archive replayed up to there.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection as _;
use tokio::time::{Instant, sleep};

use crate::clock::{self, Time};
use crate::config::{Config, Wal};
use crate::database::{DatabaseLogin, query_failed};
use crate::failure::{BackupFailure, Result, io};
use crate::files;

use crate::restore::{hold_repository, need_empty};
use crate::scratch::{Scratch, Server};
use crate::wal::{self, Stanza, pgbackrest};

pub(super) const LIMIT: Duration = Duration::from_hours(24);
const SWITCH: Duration = Duration::from_mins(3);
/// Between two looks at how far the recovery is.
const PAUSE: Duration = Duration::from_millis(200);

/// Up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The end of the archive.
    Latest,
    /// The last commit at or before this moment.
    Time(Time),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the archive"),
            Self::Time(time) => write!(f, "{}", time.format("%Y-%m-%d %H:%M:%S%.6f UTC")),
        }
    }
}

/// Restores into a new folder and recovers there, without touching the live server's archive.
pub(crate) async fn beside(
    config: &Config,
    target: &Target,
    into: &Path,
    timeline: Option<&str>,
    pause: bool,
) -> Result<String> {
    let wal = config.wal()?;
    need_empty(into)?;
    // Before anything is written, this refuses a folder whose socket path would be too long.
    let user = config.database.admin.as_deref().unwrap_or("postgres");
    let scratch = Scratch::new(config, into, user)?;
    let start = std::time::Instant::now();
    flush(config, wal).await;
    {
        let _lock = hold_repository(config).await?;
        // Beside, nothing may reach the live server's archive.
        let more = options(target, timeline, if pause { "pause" } else { "promote" }, "off");
        restore(wal, &scratch.data(), target, more, &scratch.data(), LIMIT).await?;
    }
    scratch.configure(true).await?;
    let server = recover(&scratch, LIMIT).await?;
    let last = last_commit(&scratch).await;
    server.stop().await;
    let bin = config.database.bin_dir.display();
    // Root reads this more often than the server's account does.
    let run = config
        .postgres_user
        .as_ref()
        .map(|user| format!("runuser -u {user} -- "))
        .unwrap_or_default();
    let socket = scratch.socket();
    Ok(format!(
        "The cluster as of {target} is in {} (recovered in {}{}). Nothing live was touched.\n\
         Start it:  {run}{bin}/postgres {} &\n\
         Look:      {run}{bin}/psql -h {} -U {user} -d {}\n\
         Take rows: {run}{bin}/pg_dump -h {} -U {user} --data-only --table=TABLE {} | {run}psql -d {}\n\
         Stop it:   {run}{bin}/pg_ctl -D {} stop\n\
         To put the whole server back to this moment instead: stop it{}, then\n  \
         slipway-backup restore --to {} --replace",
        into.display(),
        crate::text::duration(start.elapsed()),
        last.map(|text| format!(", last transaction {text}"))
            .unwrap_or_default(),
        scratch.start_args().join(" "),
        socket.display(),
        config.database.name,
        socket.display(),
        config.database.name,
        config.database.name,
        scratch.data().display(),
        config
            .database
            .unit
            .as_ref()
            .map(|unit| format!(" (systemctl stop {unit})"))
            .unwrap_or_default(),
        word(target),
    ))
}

/// Restores in place of the server's data folder, which is kept under another name. The server recovers at its start.
pub(crate) async fn replace(
    config: &Config,
    target: &Target,
    timeline: Option<&str>,
    pause: bool,
) -> Result<String> {
    let wal = config.wal()?;
    let data = config.database.data_dir.as_ref().ok_or_else(|| {
        BackupFailure::new("the server's data folder is not known")
            .cure("set `database.data_dir` in the configuration")
    })?;
    need_stopped(config, data).await?;
    let _lock = hold_repository(config).await?;
    let stanza = window(wal, target).await?;
    let size = stanza.backup.last().map_or(0, wal::Backup::size);
    let parent = data.parent().unwrap_or(data);
    files::need_room(parent, size + size / 10, "the restored cluster")?;
    // Beside first: a killed restore leaves half a cluster under this name and no other.
    let fresh = sibling(data, "restoring");
    files::remove(&fresh)?;
    keep_what_a_killed_one_left(data)?;
    // In its place, the archive goes on.
    let more = options(
        target,
        timeline,
        if pause { "pause" } else { "promote" },
        "preserve",
    );
    let start = std::time::Instant::now();
    if let Err(failure) = restore(wal, &fresh, target, more, data, LIMIT).await {
        let _ = files::remove(&fresh);
        return Err(failure);
    }
    need_stopped(config, data).await?;
    let kept = put_in_place(&fresh, data)?;
    let unit = config.database.unit.as_deref().unwrap_or("postgresql.service");
    Ok(format!(
        "The base backup is in {} ({}); {}.\n\
         Next: systemctl start {unit}   It replays the archive up to {target} before it answers; `journalctl -fu {unit}`\n\
         shows how far it is.{}\n\
         Then: slipway-backup now --kind all   so that backups follow the new timeline at once.",
        data.display(),
        crate::text::duration(start.elapsed()),
        kept.map_or_else(
            || "nothing was there before".to_owned(),
            |kept| format!("what was there is kept as {}", kept.display())
        ),
        if pause {
            " It pauses there: SELECT pg_wal_replay_resume() lets it go on as the live server."
        } else {
            ""
        },
    ))
}

/// The name of the other cluster: the restored one before the exchange, the old one after it.
fn whole(data: &Path) -> PathBuf {
    sibling(data, "restored")
}

/// Exchanges the restored folder with the live one. The live name leads to a whole cluster at every moment, since without
/// one the next start would begin an empty cluster. Returns the old one's new name.
pub(super) fn put_in_place(fresh: &Path, data: &Path) -> Result<Option<PathBuf>> {
    if !data.exists() {
        files::commit(fresh, data)?;
        return Ok(None);
    }
    let whole = whole(data);
    files::commit(fresh, &whole)?;
    files::exchange(&whole, data)?;
    let kept = sibling(data, &clock::now().format("before-%Y%m%dT%H%M%SZ").to_string());
    files::commit(&whole, &kept)?;
    Ok(Some(kept))
}

/// A run that was killed between the exchange and its end has left the old cluster, or the restored one before it.
pub(super) fn keep_what_a_killed_one_left(data: &Path) -> Result<()> {
    let whole = whole(data);
    if whole.exists() {
        let kept = sibling(
            data,
            &clock::now().format("interrupted-%Y%m%dT%H%M%SZ").to_string(),
        );
        files::commit(&whole, &kept)?;
        tracing::warn!(
            "a restore that was cut short has left a cluster, which is kept as {}",
            kept.display()
        );
    }
    Ok(())
}

/// What brings a server whose data are in `home` a segment from the archive.
fn fetch(wal: &Wal, home: &Path) -> String {
    let program = slipway_process::find("pgbackrest").unwrap_or_else(|| PathBuf::from("pgbackrest"));
    format!(
        "{} --config={} --stanza={} --pg1-path={} --log-level-file=off archive-get %f \"%p\"",
        program.display(),
        wal.config.display(),
        wal.stanza,
        home.display()
    )
}

pub(super) fn sibling(data: &Path, suffix: &str) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn word(target: &Target) -> String {
    match target {
        Target::Latest => "latest".to_owned(),
        Target::Time(time) => time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
    }
}

pub(super) async fn need_stopped(config: &Config, data: &Path) -> Result<()> {
    let unit = config.database.unit.as_deref().unwrap_or("postgresql.service");
    let live = DatabaseLogin::admin(config, "postgres")?.answers().await;
    if !live && !has_postmaster(data) {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "the server of {} runs, and nothing is written over a running one",
        data.display()
    ))
    .cure(format!(
        "systemctl stop {unit}, then again; without --replace the restore goes beside it"
    )))
}

/// Whether the process that the folder's lock file names is there.
pub(super) fn has_postmaster(data: &Path) -> bool {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse::<u32>().ok());
    pid.is_some_and(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.contains("postgres"))
    })
}

/// The files of the newest base backup for the target, ready to recover without touching the live archive.
pub(crate) async fn files(
    config: &Config,
    wal: &Wal,
    data: &Path,
    target: &Target,
    limit: Duration,
) -> Result<()> {
    let _lock = hold_repository(config).await?;
    restore(
        wal,
        data,
        target,
        options(target, None, "promote", "off"),
        data,
        limit,
    )
    .await
}

pub(super) fn options(target: &Target, timeline: Option<&str>, action: &str, archive: &str) -> Vec<String> {
    let mut options = match target {
        Target::Latest => vec!["--type=default".to_owned()],
        Target::Time(time) => vec![
            "--type=time".to_owned(),
            format!("--target={}", time.format("%Y-%m-%d %H:%M:%S%.6f+00")),
            format!("--target-action={action}"),
        ],
    };
    options.extend(timeline.map(|timeline| format!("--target-timeline={timeline}")));
    options.push(format!("--archive-mode={archive}"));
    options
}

pub(super) async fn restore(
    wal: &Wal,
    data: &Path,
    target: &Target,
    options: Vec<String>,
    home: &Path,
    limit: Duration,
) -> Result<()> {
    let stanza = window(wal, target).await?;
    files::folder(data)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(io("protect", data))?;
    let size = stanza.backup.last().map_or(0, wal::Backup::size);
    files::need_room(data, size + size / 10, "the restored cluster")?;
    // Locks and spool of its own: the account may be another than the server's.
    let own = sibling(data, "pgbackrest");
    files::folder(&own)?;
    let restored = pgbackrest(wal, limit, "restore")
        .path_arg("--pg1-path=", data)
        .path_arg("--lock-path=", &own)
        .path_arg("--spool-path=", &own)
        .arg("--log-level-file=off")
        .args(options)
        // Its own command would name the folder and the spool of this run, which are not those of the recovery.
        .arg(format!("--recovery-option=restore_command={}", fetch(wal, home)))
        .run()
        .await;
    let _ = files::remove(&own);
    restored.map(drop).map_err(|failure| {
        failure
            .during(format!("cannot restore the cluster as of {target}"))
            .cure("`slipway-backup list` shows the base backups; `slipway-backup verify` says whether they are whole")
    })
}

/// Fails when no base backup was finished before the target: pgBackRest would take the latest one instead.
pub(super) async fn window(wal: &Wal, target: &Target) -> Result<Stanza> {
    let stanza = wal::info(wal).await?;
    let stanza = stanza.filter(|stanza| !stanza.backup.is_empty()).ok_or_else(|| {
        BackupFailure::new("there is no base backup to begin from")
            .cure("on a new host bring the repository back first: slipway-backup restore --offsite latest --into FOLDER")
    })?;
    let Target::Time(time) = target else {
        return Ok(stanza);
    };
    let first = stanza
        .backup
        .iter()
        .map(wal::Backup::finished)
        .min()
        .unwrap_or_default();
    if *time < first {
        return Err(
            BackupFailure::new(format!("{target} is before the oldest base backup")).cure(format!(
                "moments from {} on can be restored; before that there are the dumps: slipway-backup list",
                clock::text(first)
            )),
        );
    }
    if *time > clock::now() {
        return Err(BackupFailure::new(format!("{target} has not come yet")).cure("say `--to latest`"));
    }
    Ok(stanza)
}

/// Asks a live server for its newest WAL, behind a commit, so that a moment after the last change can be reached.
pub(super) async fn flush(config: &Config, wal: &Wal) {
    let query_failed = async {
        let mut connection = DatabaseLogin::admin(config, "postgres")?.connect().await?;
        sqlx::query("SELECT pg_logical_emit_message(true, 'slipway-backup', 'a restore begins')")
            .execute(&mut connection)
            .await
            .map_err(query_failed("write a mark into the WAL"))?;
        pgbackrest(wal, SWITCH, "check").run().await
    };
    if let Err(failure) = query_failed.await {
        tracing::warn!(
            "the live server's newest WAL is not in the archive: {}",
            failure.summary()
        );
    }
}

/// Starts the server and waits for the end of the recovery: promoted, or paused at the target.
pub(crate) async fn recover(scratch: &Scratch, limit: Duration) -> Result<Server> {
    let end = Instant::now() + limit;
    let explain = |failure: BackupFailure, scratch: &Scratch| {
        let log = scratch.log();
        let short = log
            .iter()
            .any(|line| line.contains("recovery ended before configured recovery target"));
        let failure = failure.printed(log).during("the recovery failed");
        if short {
            failure.cure("the archive ends before that moment; say an earlier one, or `--to latest`")
        } else {
            failure.cure(
                "the server's lines above say why; `slipway-backup verify` says whether the archive is whole",
            )
        }
    };
    let mut server = scratch
        .start(limit)
        .await
        .map_err(|failure| explain(failure, scratch))?;
    loop {
        let state = async {
            let mut connection = scratch.login("postgres").connect().await?;
            let state: (bool, bool) = sqlx::query_as(
                "SELECT pg_is_in_recovery(),
                        CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() = 'paused' ELSE false END",
            )
            .fetch_one(&mut connection)
            .await
            .map_err(query_failed("ask how far the recovery is"))?;
            let _ = connection.close().await;
            Ok::<_, BackupFailure>(state)
        };
        match state.await {
            Ok((false, _) | (_, true)) => return Ok(server),
            _ if server.ended() => return Err(explain(BackupFailure::new("the server ended"), scratch)),
            _ if Instant::now() > end => {
                return Err(explain(BackupFailure::new("it took too long"), scratch));
            }
            _ => sleep(PAUSE).await,
        }
    }
}

async fn last_commit(scratch: &Scratch) -> Option<String> {
    let mut connection = scratch.login("postgres").connect().await.ok()?;
    sqlx::query_scalar("SELECT pg_last_xact_replay_timestamp()::text")
        .fetch_one(&mut connection)
        .await
        .ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_fraction() {
        let time = Target::Time("2026-11-22T23:45:33.123456Z".parse().unwrap());
        assert_eq!(
            options(&time, Some("current"), "promote", "off"),
            [
                "--type=time",
                "--target=2026-11-22 23:45:33.123456+00",
                "--target-action=promote",
                "--target-timeline=current",
                "--archive-mode=off"
            ]
        );
        assert_eq!(word(&time), "2026-11-22T23:45:33.123456Z");
        assert_eq!(
            options(&Target::Latest, None, "promote", "preserve"),
            ["--type=default", "--archive-mode=preserve"]
        );
    }

    #[test]
    fn at_no_step_of_a_replacement_is_a_cluster_gone_or_the_live_name_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (data, fresh) = (folder.path().join("17"), folder.path().join("17.restoring"));
        let make = |path: &Path, content: &str| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("PG_VERSION"), content).unwrap();
        };
        let held = || -> Vec<String> {
            let mut all: Vec<String> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| fs::read_to_string(entry.unwrap().path().join("PG_VERSION")).unwrap())
                .collect();
            all.sort();
            all
        };
        let live = || fs::read_to_string(data.join("PG_VERSION")).unwrap();
        make(&data, "old");
        // Killed behind the exchange: the old one has the name of the restored one.
        make(&whole(&data), "new");
        files::exchange(&whole(&data), &data).unwrap();
        assert_eq!(live(), "new");
        keep_what_a_killed_one_left(&data).unwrap();
        assert_eq!(held(), ["new", "old"]);

        make(&fresh, "newest");
        let kept = put_in_place(&fresh, &data).unwrap().unwrap();
        assert_eq!(live(), "newest");
        assert_eq!(fs::read_to_string(kept.join("PG_VERSION")).unwrap(), "new");
        assert_eq!(held(), ["new", "newest", "old"]);

        fs::remove_dir_all(&data).unwrap();
        make(&fresh, "after a lost disk");
        assert!(put_in_place(&fresh, &data).unwrap().is_none());
        assert_eq!(live(), "after a lost disk");
    }

    #[test]
    fn a_lock_file_of_a_dead_server_does_not_count() {
        let data = tempfile::tempdir().unwrap();
        assert!(!has_postmaster(data.path()));
        fs::write(
            data.path().join("postmaster.pid"),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        assert!(!has_postmaster(data.path()), "this process is no postgres");
    }
}
