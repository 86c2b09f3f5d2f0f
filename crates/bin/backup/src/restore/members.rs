//! Back in time with all members of a cluster. The restored cluster is recovered beside the live one, while that goes on. Then
//! Patroni is paused, the leader's data are exchanged in one step, and the other members copy them.
//!
//! A file says that this is under way. Killed at any moment, `restore --resume` brings the old data back to life before the
//! exchange, and finishes after it. Paused members elect nobody, so no standby with the old data takes over meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::hold_repository;
use super::time::{self, Target};
use crate::cli::say;
use crate::clock::{self, Time};
use crate::config::{Config, Wal};
use crate::failure::{BackupFailure, Result, io};
use crate::files;
use crate::members::{self, Members, Place, View};
use crate::program::Program;
use crate::scratch::Scratch;
use crate::wal;

/// Members look at what they are to do every few seconds.
const HEAR: Duration = Duration::from_mins(1);
/// The last checkpoint of a busy server.
const STOP: Duration = Duration::from_mins(10);
const LEAD: Duration = Duration::from_mins(5);
/// A standby copies the whole database.
const COPY: Duration = Duration::from_hours(24);
const QUICK: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_secs(1);
const WORD: &str = "restore";

/// What is under way, from before the pause to its end.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    started: Time,
    target: String,
    /// Of the restored cluster: the live folder has it once the exchange is done.
    timeline: u64,
}

fn journal(config: &Config) -> PathBuf {
    config.state_dir.join("restore-in-cluster.json")
}

/// What a restore that was cut short has left to do.
pub(crate) fn unfinished(config: &Config) -> Option<BackupFailure> {
    let path = journal(config);
    let text = fs::read(&path).ok()?;
    let what = serde_json::from_slice::<Journal>(&text).map_or_else(
        |_| format!("{} is there", path.display()),
        |journal| {
            format!(
                "a restore of the cluster to {}, begun at {}, is not finished, and Patroni may be paused",
                journal.target,
                clock::text(journal.started)
            )
        },
    );
    Some(BackupFailure::new(what).cure("as root on this member: slipway-backup restore --resume"))
}

/// Restores the whole cluster: all members if it runs, this member's data if nothing of it does.
pub(crate) async fn replace(
    config: &Config,
    members: &Members,
    target: &Target,
    timeline: Option<&str>,
) -> Result<String> {
    let wal = config.wal()?;
    let data = data(config)?;
    let runs = runs(config, members).await?;
    if runs {
        members::need_leader(config, "a restore of the whole cluster").await?;
        // Later, and the work would be done in vain.
        members.password()?;
        time::flush(config, wal).await;
    } else {
        time::need_stopped(config, data).await?;
    }
    let start = std::time::Instant::now();
    let scratch = recovered(config, wal, data, target, timeline).await?;
    let restored = timeline_of(config, &scratch.data()).await?;
    say(
        WORD,
        &format!(
            "the cluster as of {target} is recovered beside the live one ({}), on timeline {restored}",
            crate::text::duration(start.elapsed())
        ),
    );
    if !runs {
        let kept = time::put_in_place(&scratch.data(), data)?;
        files::remove(scratch.folder())?;
        return Ok(format!(
            "The data of {} are those of {target}; {}.\n\
             Next, in this order:\n  \
             1. If etcd knows another cluster's data (`system ID mismatch`): slipway-cluster-patronictl remove {}\n  \
             2. Here: systemctl start {}   It leads.\n  \
             3. On each other member: move {} away if it has other data, then systemctl start {}\n  \
             4. Here: slipway-backup now --kind all",
            members.member,
            keeps(kept.as_deref()),
            members.name,
            config.database.unit(),
            data.display(),
            config.database.unit(),
        ));
    }
    members::need_leader(config, "a restore of the whole cluster").await?;
    need_same_system(config, &scratch.data(), data).await?;
    let live = members.look().await?;
    let own = live.seen(&members.member).and_then(|seen| seen.timeline);
    if own.is_none_or(|own| own >= restored) {
        return Err(BackupFailure::new(format!(
            "the restored cluster is on timeline {restored}, and the live one on {own:?}: another member took over meanwhile"
        ))
        .cure("begin again: the archive has the new timeline by then"));
    }
    let note = Journal {
        started: clock::now(),
        target: target.to_string(),
        timeline: restored,
    };
    pause(config, members, &note, &live).await?;
    stop(config, data).await?;
    let kept = time::put_in_place(&scratch.data(), data)?;
    files::remove(scratch.folder())?;
    let finished = finish(config, members, restored).await?;
    Ok(format!(
        "The cluster is as of {target}; {}.\n{finished}\n\
         Then: slipway-backup now --kind all   so that backups follow the new timeline at once.",
        keeps(kept.as_deref())
    ))
}

/// Goes on with what was cut short: back before the exchange, forward after it.
pub(crate) async fn resume(config: &Config) -> Result<String> {
    let members = config.cluster.as_ref().ok_or_else(|| {
        BackupFailure::new("this server is no member of a cluster, so no restore of one is unfinished")
            .cure("slipway-backup restore --to TIME --replace begins again")
    })?;
    let path = journal(config);
    let Ok(text) = fs::read(&path) else {
        return Err(BackupFailure::new(format!(
            "no restore of the cluster {} is unfinished on {}",
            members.name, members.member
        ))
        .cure("run it on the member where the restore was begun; `slipway-backup status` there says so"));
    };
    let note: Journal = serde_json::from_slice(&text)
        .map_err(|error| BackupFailure::new(format!("{} is not understood: {error}", path.display())))
        .map_err(|failure| failure.cure("see slipway-cluster status; if all is well, delete the file"))?;
    let data = data(config)?;
    if timeline_of(config, data).await? >= note.timeline {
        time::keep_what_a_killed_one_left(data)?;
        let finished = finish(config, members, note.timeline).await?;
        return Ok(format!("The restore to {} is finished.\n{finished}", note.target));
    }
    if !time::has_postmaster(data) {
        members.restart().await?;
    }
    lead(config, members).await?;
    members.pause(false).await?;
    files::remove(&path)?;
    Ok(format!(
        "Nothing was restored: the run ended before the data were exchanged, and the cluster goes on with its old data.\n\
         To restore: slipway-backup restore --to … --replace ({})",
        note.target
    ))
}

fn data(config: &Config) -> Result<&PathBuf> {
    config.database.data_dir.as_ref().ok_or_else(|| {
        BackupFailure::new("the server's data folder is not known")
            .cure("set `database.data_dir` in the configuration")
    })
}

fn keeps(kept: Option<&Path>) -> String {
    kept.map_or_else(
        || "nothing was there before".to_owned(),
        |kept| format!("what was there is kept as {}", kept.display()),
    )
}

/// Whether the cluster runs and has a leader. One that runs without is neither restored nor written over.
async fn runs(config: &Config, members: &Members) -> Result<bool> {
    let answering = members.answering().await?;
    if answering.is_empty() {
        return Ok(false);
    }
    match members::place(config).await? {
        Place::Leads | Place::Follows(Some(_)) => Ok(true),
        Place::Follows(None) => Err(BackupFailure::new(format!(
            "Patroni runs on {}, and no member leads the cluster {}",
            answering.join(", "),
            members.name
        ))
        .cure(format!(
            "see docs/runbooks.md about a cluster without a leader; to restore it in any case, stop {} on all members first",
            config.database.unit()
        ))),
    }
}

/// The cluster as of the target, recovered and stopped cleanly beside the data folder.
async fn recovered(
    config: &Config,
    wal: &Wal,
    data: &Path,
    target: &Target,
    timeline: Option<&str>,
) -> Result<Scratch> {
    let _lock = hold_repository(config).await?;
    let stanza = time::window(wal, target).await?;
    let size = stanza.backup.last().map_or(0, wal::Backup::size);
    let parent = data.parent().unwrap_or(data);
    files::need_room(parent, size + size / 5, "the restored cluster")?;
    let folder = time::sibling(data, "restoring");
    files::remove(&folder)?;
    time::keep_what_a_killed_one_left(data)?;
    files::folder(&folder)?;
    let user = config.database.admin.as_deref().unwrap_or("postgres");
    let scratch = Scratch::new(config, &folder, user)?;
    let made = async {
        // In its place it archives as the live one did.
        let options = time::options(target, timeline, "promote", "preserve");
        let home = scratch.data();
        time::restore(wal, &home, target, options, &home, time::LIMIT).await?;
        scratch.configure(true).await?;
        time::recover(&scratch, time::LIMIT).await?.stop().await;
        archive_history(&scratch.data())
    };
    match made.await {
        Ok(()) => Ok(scratch),
        Err(failure) => {
            let _ = files::remove(&folder);
            Err(failure)
        }
    }
}

/// Nothing was archived beside. The history of the new timeline belongs into the archive, for later restores.
fn archive_history(data: &Path) -> Result<()> {
    let folder = data.join("pg_wal");
    let status = folder.join("archive_status");
    let entries = fs::read_dir(&folder).map_err(io("look into", &folder))?;
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let name = name.to_string_lossy();
        let known = |end: &str| status.join(format!("{name}.{end}")).exists();
        if name.ends_with(".history") && !known("ready") && !known("done") {
            files::write(&status.join(format!("{name}.ready")), b"")?;
        }
    }
    Ok(())
}

/// The timeline of a stopped or running cluster's last checkpoint.
async fn timeline_of(config: &Config, data: &Path) -> Result<u64> {
    controlled(config, data, "Latest checkpoint's TimeLineID:").await
}

/// A number that `pg_controldata` says.
async fn controlled(config: &Config, data: &Path, label: &str) -> Result<u64> {
    let printed = Program::new(config.database.bin_dir.join("pg_controldata"), QUICK)
        .arg(data)
        .run()
        .await?;
    let line = printed.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| {
        BackupFailure::new(format!(
            "pg_controldata of {} does not say: {label}",
            data.display()
        ))
    })
}

/// Patroni takes only the data that it knows. Another cluster's, such as those of a lost one, need its steps.
async fn need_same_system(config: &Config, restored: &Path, live: &Path) -> Result<()> {
    let label = "Database system identifier:";
    let (theirs, ours) = (
        controlled(config, restored, label).await?,
        controlled(config, live, label).await?,
    );
    if theirs == ours {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "the archive is of another database cluster ({theirs}) than the members' ({ours}); nothing was changed"
    ))
    .cure(
        "if the members began an empty one in place of a lost one: docs/runbooks.md, `The whole cluster from off-site`; to look \
         into the archive: slipway-backup restore --to latest --into FOLDER",
    ))
}

/// Pauses Patroni on all members, with a note of it.
async fn pause(config: &Config, members: &Members, note: &Journal, live: &View) -> Result<()> {
    let note = serde_json::to_vec_pretty(note).map_err(|error| BackupFailure::new(error.to_string()))?;
    files::write(&journal(config), &note)?;
    let paused = async {
        members.pause(true).await?;
        hear(members, live).await
    };
    let Err(failure) = paused.await else {
        return Ok(());
    };
    // Perhaps only the answer was lost. Nobody would elect a leader in a pause that nobody knows of.
    let over = members.pause(false).await.is_ok() || members.look().await.is_ok_and(|view| !view.paused);
    if over {
        files::remove(&journal(config))?;
        return Err(failure);
    }
    Err(failure.during(
        "nothing was changed, but Patroni may be paused; slipway-backup restore --resume, as root on this member, ends that",
    ))
}

/// Waits until every member whose server runs acts on the pause.
async fn hear(members: &Members, live: &View) -> Result<()> {
    let end = Instant::now() + HEAR;
    for seen in live.members.iter().filter(|seen| seen.runs()) {
        while !members.obeys_pause(&seen.name).await {
            if Instant::now() > end {
                return Err(BackupFailure::new(format!(
                    "{} does not act on the pause within {}; nothing was changed",
                    seen.name,
                    crate::text::duration(HEAR)
                ))
                .cure(format!("see that Patroni runs on {}, then try again", seen.name)));
            }
            sleep(PAUSE).await;
        }
    }
    say(WORD, "Patroni is paused on all members");
    Ok(())
}

/// Stops this member's server, which Patroni leaves stopped while it is paused.
async fn stop(config: &Config, data: &Path) -> Result<()> {
    Program::new(config.database.bin_dir.join("pg_ctl"), STOP + QUICK)
        .args(["stop", "--mode=fast", "--wait"])
        .arg(format!("--timeout={}", STOP.as_secs()))
        .path_arg("--pgdata=", data)
        .run()
        .await
        .map(drop)
        .map_err(|failure| {
            failure
                .during("the leader's server does not stop")
                .cure("slipway-backup restore --resume goes on with the old data")
        })
}

/// Waits until this member leads and takes writes.
async fn lead(config: &Config, members: &Members) -> Result<()> {
    let own = members.member.as_str();
    let waited = members
        .until(LEAD, |view| match view.leader() {
            Some(leader) if leader == own => Ok(()),
            other => Err(format!("{} leads and not {own}", other.unwrap_or("nobody"))),
        })
        .await;
    waited.map_err(|failure| failure.during("this member does not lead with its data"))?;
    members::need_leader(config, "a restore of the whole cluster").await
}

/// The server starts with the restored data and leads; the others copy it, one after another; Patroni goes on.
async fn finish(config: &Config, members: &Members, timeline: u64) -> Result<String> {
    let data = data(config)?;
    members.pause(true).await?;
    if !time::has_postmaster(data) {
        members.restart().await?;
    }
    lead(config, members).await?;
    say(WORD, &format!("{} leads with the restored data", members.member));
    let follows = |view: &View, name: &str| {
        view.seen(name)
            .is_some_and(|seen| seen.runs() && seen.timeline >= Some(timeline))
    };
    let others: Vec<&String> = members
        .patroni
        .keys()
        .filter(|name| **name != members.member)
        .collect();
    let (mut following, mut absent, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for other in others {
        let view = members.look().await?;
        if follows(&view, other) {
            following.push(other.as_str());
            continue;
        }
        // One that is down finds the new leader when it is back.
        if view.seen(other).is_none() {
            absent.push(other.as_str());
            continue;
        }
        say(WORD, &format!("{other} copies the restored data"));
        let copied = async {
            members.copy_anew(other).await?;
            members
                .until(COPY, |view| {
                    let state = view.seen(other).map_or("not there", |seen| seen.state.as_str());
                    follows(view, other)
                        .then_some(())
                        .ok_or_else(|| format!("{other} is {state}"))
                })
                .await
        };
        match copied.await {
            Ok(()) => following.push(other.as_str()),
            Err(failure) => failed.push(failure.during(format!("{other} did not copy the restored data"))),
        }
    }
    if let (true, Some(failure)) = (following.is_empty(), failed.pop()) {
        // Its data are the old ones, and it must not lead with them.
        return Err(failure.cure("mend it, then: slipway-backup restore --resume"));
    }
    members.pause(false).await?;
    files::remove(&journal(config))?;
    if let Some(failure) = failed.pop() {
        return Err(failure.cure(format!(
            "the cluster goes on without it; on any member: slipway-cluster-patronictl reinit {} MEMBER",
            members.name
        )));
    }
    let mut said = format!("{} leads", members.member);
    if !following.is_empty() {
        let _ = write!(said, ", and {} follow it", following.join(" and "));
    }
    if !absent.is_empty() {
        let _ = write!(
            said,
            ". {} did not answer: when it is back, see slipway-cluster status, and if it does not follow: \
             slipway-cluster-patronictl reinit {} MEMBER",
            absent.join(" and "),
            members.name
        );
    }
    Ok(said + ".")
}

#[cfg(test)]
mod tests;
