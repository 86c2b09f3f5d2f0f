//! The state of the backups, from the records and the server, with a cure for every problem.

mod known;

use std::fmt::Write as _;
use std::time::Duration;

use slipway_wire::backup::{ArchiveProgress, ArchiveStatus, BackupKindStatus, BackupStatus};

use crate::clock::{self, Time};
use crate::config::{Config, Timed};
use crate::failure::BackupFailure;
use crate::kind::BackupKind;
use crate::state;
use crate::wal;
use known::{Known, cluster, elsewhere};

/// A server that takes longer to say how its archive is counts as away.
const ASKING: Duration = Duration::from_secs(30);

/// Collects the whole state. It only asks the server about its archive, within a time limit.
pub(crate) async fn collect(config: &Config, now: Time) -> BackupStatus {
    let since = state::watched_since(&config.state_dir, now);
    let cluster = match &config.cluster {
        Some(members) => Some(cluster(config, members).await),
        None => None,
    };
    let mut kinds = Vec::new();
    for kind in BackupKind::ALL {
        if let Some(expected) = config.times(kind) {
            let known = Known::read(config, kind, cluster.as_ref(), now).await;
            kinds.push(one(config, kind, expected, known, since, now));
        }
    }
    let leader = cluster.as_ref().and_then(elsewhere);
    let archive = match (&config.wal, leader) {
        (Some(wal), None) => Some(archive(config, wal).await),
        (Some(wal), Some(leader)) => Some(standby(config, wal, &leader).await),
        (None, _) => None,
    };
    BackupStatus {
        stack: config.stack.clone(),
        ok: kinds.iter().all(|kind| kind.ok)
            && archive.as_ref().is_none_or(|archive| archive.ok)
            && cluster.as_ref().is_none_or(|cluster| cluster.error.is_none()),
        checked_at: now,
        kinds,
        archive,
        cluster,
    }
}

fn one(
    config: &Config,
    kind: BackupKind,
    expected: Timed,
    known: Known,
    since: Time,
    now: Time,
) -> BackupKindStatus {
    let Known {
        record,
        unreadable,
        running,
        maker,
        watched_by,
    } = known;
    let run = record.last_run.as_ref();
    let killed = run.is_some_and(|run| run.finished.is_none()) && !running;
    let error = unreadable
        .as_ref()
        .map(BackupFailure::summary)
        .or_else(|| run.and_then(|run| run.error.clone()))
        .or_else(|| {
            killed.then(|| "the last run was cut short: it was killed, or the host went down".to_owned())
        });
    let age = state::age(&record, now);
    let skipped = record.skipped.map(|at| clock::age(at, now));
    let newest = age.into_iter().chain(skipped).min();
    let late = newest.unwrap_or_else(|| clock::age(since, now)) > expected.late_after;
    let failed = error.is_some();
    let mut again = config.units.get(&kind).map_or_else(
        || format!("slipway-backup now --kind {kind}"),
        |unit| format!("systemctl start {unit}"),
    );
    if let Some(leader) = &watched_by {
        again = format!("on {leader}: {again}");
    }
    let schedule = config
        .units
        .get(&kind)
        .map(|unit| unit.replace(".service", ".timer"));
    let cure = if failed {
        let known_cure = unreadable
            .as_ref()
            .and_then(|failure| failure.remedy().map(ToOwned::to_owned))
            .or_else(|| run.and_then(|run| run.cure.clone()));
        Some(known_cure.map_or_else(
            || format!("run it again: {again}"),
            |cure| format!("{cure}; then: {again}"),
        ))
    } else if late {
        let hint = schedule.map(|timer| format!("; see that its timer is on: systemctl list-timers {timer}"));
        Some(format!("run it now: {again}{}", hint.unwrap_or_default()))
    } else {
        None
    };
    let success = record.last_success;
    BackupKindStatus {
        kind: kind.name().to_owned(),
        ok: !failed && !late,
        failed,
        late,
        last_success: success.as_ref().map(|success| success.finished),
        age_seconds: age.map(|age| age.as_secs_f64()),
        late_after_seconds: expected.late_after.as_secs_f64(),
        duration_seconds: success.as_ref().map(|success| success.seconds),
        size_bytes: success.as_ref().and_then(|success| success.size),
        detail: success.map(|success| success.detail),
        error,
        cure,
        maker,
        watched_by,
    }
}

async fn archive(config: &Config, wal: &crate::config::Wal) -> ArchiveStatus {
    let query_failed = tokio::time::timeout(ASKING, wal::archiving(config));
    let vanished = || {
        Err(BackupFailure::new(format!(
            "the server did not say how its archive is within {}",
            crate::text::duration(ASKING)
        ))
        .cure(format!(
            "see what the server is busy with: systemctl status {}",
            config.database.unit()
        )))
    };
    match query_failed.await.unwrap_or_else(|_| vanished()) {
        Ok(server) => {
            if let Some(failure) = wal::foreign(wal, &server).await {
                return broken(Some(server.progress), &failure);
            }
            let progress = server.progress;
            let late = progress.lag_seconds > wal.archive_late_after.as_secs_f64();
            let error = if !progress.enabled {
                Some("the server does not archive: archive_mode is off".to_owned())
            } else if late {
                Some(format!(
                    "{} finished segments of WAL wait for the archive, the oldest for {}",
                    progress.waiting_segments,
                    crate::text::duration(Duration::from_secs_f64(progress.lag_seconds))
                ))
            } else if progress.failing {
                Some("the last try to archive a segment failed".to_owned())
            } else {
                None
            };
            ArchiveStatus {
                // One failed try is repeated by the server; it is trouble once it lasts.
                ok: progress.enabled && !late,
                cure: error.is_some().then(|| {
                    format!(
                        "the server's log says why: journalctl -u {}; usual causes are a full repository and a stanza \
                         that does not fit (pgbackrest check)",
                        config.database.unit()
                    )
                }),
                progress: Some(progress),
                error,
            }
        }
        Err(failure) => broken(None, &failure),
    }
}

/// The archive as a standby sees it: the leader fills it, and the standby may need it to catch up.
async fn standby(config: &Config, wal: &crate::config::Wal, leader: &str) -> ArchiveStatus {
    let asked = tokio::time::timeout(ASKING, wal::need_reachable(config, wal, leader)).await;
    if let Ok(Err(failure)) = asked {
        return broken(None, &failure);
    }
    ArchiveStatus {
        ok: true,
        progress: Some(ArchiveProgress {
            lag_seconds: 0.0,
            waiting_segments: 0,
            last_archived: None,
            last_archived_at: None,
            failing: false,
            enabled: true,
        }),
        error: None,
        cure: None,
    }
}

fn broken(progress: Option<ArchiveProgress>, failure: &BackupFailure) -> ArchiveStatus {
    ArchiveStatus {
        ok: false,
        progress,
        error: Some(failure.summary()),
        cure: failure.remedy().map(ToOwned::to_owned),
    }
}

/// For people.
pub(crate) fn text(status: &BackupStatus) -> String {
    let mut out = format!(
        "stack {}: {}\n",
        status.stack,
        if status.ok { "all is well" } else { "NOT WELL" }
    );
    if let Some(cluster) = &status.cluster {
        let leader = match &cluster.leader {
            Some(leader) if *leader == cluster.member => "this member leads".to_owned(),
            Some(leader) => format!("{leader} leads"),
            None => "no member leads".to_owned(),
        };
        let paused = if cluster.paused {
            "; Patroni is paused, so nobody takes over (slipway-cluster-patronictl resume)"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "  cluster {}, member {}: {leader}{paused}",
            cluster.name, cluster.member
        );
        for (label, text) in [("error", &cluster.error), ("cure", &cluster.cure)] {
            if let Some(text) = text {
                let _ = writeln!(out, "            {label}: {text}");
            }
        }
    }
    for kind in &status.kinds {
        let word = match (kind.failed, kind.late, kind.last_success) {
            (true, ..) => "FAILED",
            (_, true, _) => "LATE",
            (_, _, None) => "none yet",
            _ => "ok",
        };
        let age = kind.age_seconds.map(|seconds| {
            format!(
                "last good {} ago",
                crate::text::duration(Duration::from_secs_f64(seconds))
            )
        });
        let _ = writeln!(
            out,
            "  {:9} {word:9} {}",
            kind.kind,
            [
                age,
                kind.maker.as_ref().map(|maker| format!("by {maker}")),
                kind.detail.clone(),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
        );
        for (label, text) in [("error", &kind.error), ("cure", &kind.cure)] {
            if let Some(text) = text {
                let _ = writeln!(out, "            {label}: {text}");
            }
        }
    }
    if let Some(archive) = &status.archive {
        let leader = status.cluster.as_ref().and_then(elsewhere);
        let detail = leader.map(|leader| format!("{leader} archives"));
        let detail = detail.unwrap_or_else(|| {
            archive.progress.as_ref().map_or_else(String::new, |progress| {
                format!(
                    "{} segments wait, last archived {}",
                    progress.waiting_segments,
                    progress.last_archived.as_deref().unwrap_or("none")
                )
            })
        });
        let _ = writeln!(
            out,
            "  {:9} {:9} {detail}",
            "archive",
            if archive.ok { "ok" } else { "FAILED" }
        );
        for (label, text) in [("error", &archive.error), ("cure", &archive.cure)] {
            if let Some(text) = text {
                let _ = writeln!(out, "            {label}: {text}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;
    use crate::state::{Record, Run, Success};

    fn config(state: &std::path::Path) -> Config {
        let times = json!({ "timeout_seconds": 60, "late_after_seconds": 90000 });
        let config = json!({
            "stack": "shop", "state_dir": state,
            "database": { "name": "shop", "host": "/run/postgresql", "user": "u", "bin_dir": "/usr/bin" },
            "dump": { "directory": "/d", "keep_days": 30, "times": times },
            "units": { "dump": "shop-backup-dump.service" }
        });
        Config::parse(&config.to_string()).unwrap()
    }

    fn now() -> Time {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn record(state: &std::path::Path, record: &Record) {
        std::fs::create_dir_all(state.join("runs")).unwrap();
        std::fs::write(state.join("runs/dump.json"), serde_json::to_vec(record).unwrap()).unwrap();
    }

    fn success(hours_ago: i64) -> Success {
        Success {
            finished: now() - TimeDelta::hours(hours_ago),
            seconds: 2.0,
            detail: "fine".to_owned(),
            size: Some(1),
            subject: None,
        }
    }

    async fn dump_status(state: &std::path::Path, at: Time) -> BackupKindStatus {
        collect(&config(state), at).await.kinds.remove(0)
    }

    #[tokio::test]
    async fn a_dead_timer_shows_by_age_alone() {
        let state = tempfile::tempdir().unwrap();
        record(
            state.path(),
            &Record {
                last_run: None,
                last_success: Some(success(24)),
                skipped: None,
            },
        );
        assert!(dump_status(state.path(), now()).await.ok);
        let later = dump_status(state.path(), now() + TimeDelta::hours(2)).await;
        assert!(later.late && !later.ok);
        let cure = later.cure.unwrap();
        assert!(
            cure.contains("systemctl start shop-backup-dump.service") && cure.contains("list-timers"),
            "{cure}"
        );
    }

    #[tokio::test]
    async fn what_never_ran_is_late_once_it_was_due() {
        let state = tempfile::tempdir().unwrap();
        assert!(
            dump_status(state.path(), now()).await.ok,
            "a new host is given its time"
        );
        assert!(dump_status(state.path(), now() + TimeDelta::hours(26)).await.late);
    }

    #[tokio::test]
    async fn a_run_that_was_killed_is_a_failure() {
        let state = tempfile::tempdir().unwrap();
        let run = Run {
            started: now(),
            finished: None,
            error: None,
            cure: None,
        };
        record(
            state.path(),
            &Record {
                last_run: Some(run),
                last_success: Some(success(1)),
                skipped: None,
            },
        );
        let status = dump_status(state.path(), now()).await;
        assert!(status.failed && status.error.unwrap().contains("cut short"));
        let _lock = crate::lock::take(state.path(), "run-dump", Duration::ZERO)
            .await
            .unwrap();
        assert!(
            dump_status(state.path(), now()).await.ok,
            "while it holds its lock it runs"
        );
    }

    #[tokio::test]
    async fn the_text_names_error_and_cure() {
        let state = tempfile::tempdir().unwrap();
        let run = Run {
            started: now(),
            finished: Some(now()),
            error: Some("no room".to_owned()),
            cure: Some("free space".to_owned()),
        };
        record(
            state.path(),
            &Record {
                last_run: Some(run),
                last_success: None,
                skipped: None,
            },
        );
        let text = text(&collect(&config(state.path()), now()).await);
        assert!(
            text.starts_with("stack shop: NOT WELL\n  dump      FAILED"),
            "{text}"
        );
        assert!(
            text.contains("error: no room") && text.contains("cure: free space; then: systemctl start"),
            "{text}"
        );
    }
}
