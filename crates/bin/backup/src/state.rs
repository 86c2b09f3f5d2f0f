//! How the last run of each kind ended, in one small file a kind. The age of the last run reveals a dead timer. Runs
//! of one kind come one after another, so that none writes over what another has recorded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{self, Time};
use crate::failure::{BackupFailure, Result, io};
use crate::files;
use crate::kind::BackupKind;
use crate::lock;

/// A second run waits so long for the first.
const WAIT: Duration = Duration::from_hours(1);

/// What a run did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    /// For people, in one line.
    pub(crate) detail: String,
    pub(crate) size: Option<u64>,
    /// The id of what was made or tried.
    pub(crate) subject: Option<String>,
}

/// The last run and the last good one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) last_run: Option<Run>,
    pub(crate) last_success: Option<Success>,
    /// When a run last had nothing to do here, since it is another member's work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<Time>,
}

impl Record {
    /// The record of a kind whose next run begins now.
    pub(crate) fn begun(state: &Path, kind: BackupKind) -> Self {
        Self {
            last_run: Some(Run {
                started: clock::now(),
                finished: None,
                error: None,
                cure: None,
            }),
            ..read(state, kind).unwrap_or_default()
        }
    }
}

/// A run, perhaps still under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) started: Time,
    /// Not there while it runs, and when it was killed.
    pub(crate) finished: Option<Time>,
    pub(crate) error: Option<String>,
    pub(crate) cure: Option<String>,
}

/// A run that did what it should.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Success {
    pub(crate) finished: Time,
    pub(crate) seconds: f64,
    pub(crate) detail: String,
    pub(crate) size: Option<u64>,
    pub(crate) subject: Option<String>,
}

fn path(state: &Path, kind: BackupKind) -> PathBuf {
    state.join("runs").join(format!("{kind}.json"))
}

/// Reads the record of a kind; an empty one when there is none yet.
pub(crate) fn read(state: &Path, kind: BackupKind) -> Result<Record> {
    let path = path(state, kind);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Record::default()),
        other => other.map_err(io("read the record", &path))?,
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        BackupFailure::new(format!("{} is no record: {error}", path.display()))
            .cure("delete the file; the next run writes it anew")
    })
}

fn write(state: &Path, kind: BackupKind, record: &Record) -> Result<()> {
    files::folder(&state.join("runs"))?;
    let json = serde_json::to_vec_pretty(record)
        .map_err(|error| BackupFailure::new(format!("cannot write the record: {error}")))?;
    files::write(&path(state, kind), &json)
}

/// What a run of the kind holds from its first record to its last: whether it runs is whether this is held.
fn run_lock(kind: BackupKind) -> String {
    format!("run-{kind}")
}

/// Whether a run of the kind is under way.
pub(crate) fn is_running(state: &Path, kind: BackupKind) -> bool {
    lock::is_held(state, &run_lock(kind))
}

/// Does the work of a kind, and records its beginning and its end. One that waits in vain for another run records nothing:
/// how that one ends is what counts.
pub(crate) async fn recorded(
    state: &Path,
    kind: BackupKind,
    work: impl Future<Output = Result<Done>>,
) -> Result<Done> {
    recorded_within(state, kind, WAIT, work).await
}

async fn recorded_within(
    state: &Path,
    kind: BackupKind,
    wait: Duration,
    work: impl Future<Output = Result<Done>>,
) -> Result<Done> {
    let _lock = lock::take(state, &run_lock(kind), wait).await?;
    let started = clock::now();
    let before = read(state, kind).unwrap_or_default();
    let run = Run {
        started,
        finished: None,
        error: None,
        cure: None,
    };
    // On a full disk the work itself may free space, so a record that cannot be written does not stop it.
    let begun = write(
        state,
        kind,
        &Record {
            last_run: Some(run.clone()),
            ..before.clone()
        },
    );
    if let Err(failure) = begun {
        tracing::warn!(
            kind = kind.name(),
            "cannot record the beginning: {}",
            failure.summary()
        );
    }
    let result = work.await;
    let finished = clock::now();
    let mut record = Record {
        last_run: Some(Run {
            finished: Some(finished),
            error: result.as_ref().err().map(BackupFailure::summary),
            cure: result
                .as_ref()
                .err()
                .and_then(BackupFailure::remedy)
                .map(ToOwned::to_owned),
            ..run
        }),
        ..before
    };
    if let Ok(done) = &result {
        record.last_success = Some(Success {
            finished,
            seconds: clock::age(started, finished).as_secs_f64(),
            detail: done.detail.clone(),
            size: done.size,
            subject: done.subject.clone(),
        });
    }
    match (result, write(state, kind, &record)) {
        (Ok(_), Err(failure)) => Err(failure.during("the work is done and cannot be recorded")),
        (result, _) => result,
    }
}

/// Records that a run of the kind had nothing to do on this member.
pub(crate) async fn skipped(state: &Path, kind: BackupKind) -> Result<()> {
    let _lock = lock::take(state, &run_lock(kind), WAIT).await?;
    let record = Record {
        skipped: Some(clock::now()),
        ..read(state, kind).unwrap_or_default()
    };
    write(state, kind, &record)
}

/// Records that a run of the kind could not even begin its work.
pub(crate) async fn refused(state: &Path, kind: BackupKind, failure: BackupFailure) -> BackupFailure {
    match recorded(state, kind, async { Err(failure) }).await {
        Ok(_) => BackupFailure::new("a failure was recorded as a success"),
        Err(failure) => failure,
    }
}

/// When this state began to be watched: until a kind has been due once, its absence is no failure.
pub(crate) fn watched_since(state: &Path, now: Time) -> Time {
    let path = state.join("watched-since");
    let read = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    read.unwrap_or_else(|| {
        let _ = files::folder(state).and_then(|()| files::write(&path, now.to_rfc3339().as_bytes()));
        now
    })
}

/// The age of a success.
pub(crate) fn age(record: &Record, now: Time) -> Option<Duration> {
    record
        .last_success
        .as_ref()
        .map(|success| clock::age(success.finished, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_is_recorded_beside_the_last_success() {
        let state = tempfile::tempdir().unwrap();
        let done = Done {
            detail: "fine".to_owned(),
            size: Some(3),
            subject: None,
        };
        recorded(state.path(), BackupKind::Dump, async { Ok(done) })
            .await
            .unwrap();
        let failing = async {
            Err(BackupFailure::new("no")
                .printed(vec!["why".to_owned()])
                .cure("do"))
        };
        recorded(state.path(), BackupKind::Dump, failing)
            .await
            .unwrap_err();
        let record = read(state.path(), BackupKind::Dump).unwrap();
        assert_eq!(record.last_success.unwrap().detail, "fine");
        let run = record.last_run.unwrap();
        assert_eq!(
            (run.error.as_deref(), run.cure.as_deref()),
            (Some("no: why"), Some("do"))
        );
        assert!(read(state.path(), BackupKind::Drill).unwrap().last_run.is_none());
    }

    #[tokio::test]
    async fn of_two_runs_at_once_neither_takes_back_what_the_other_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let (go, gone) = tokio::sync::oneshot::channel();
        let slow = recorded(state, BackupKind::Dump, async {
            gone.await.unwrap();
            Err(BackupFailure::new("the first fails late"))
        });
        let quick = async {
            let work = recorded(state, BackupKind::Dump, async {
                Ok(Done {
                    detail: "the second is good".to_owned(),
                    ..Done::default()
                })
            });
            tokio::pin!(work);
            // Both are under way before the first one ends.
            assert!(
                tokio::time::timeout(Duration::from_millis(300), &mut work)
                    .await
                    .is_err()
            );
            go.send(()).unwrap();
            work.await
        };
        let (slow, quick) = tokio::join!(slow, quick);
        slow.unwrap_err();
        quick.unwrap();
        let record = read(state, BackupKind::Dump).unwrap();
        assert_eq!(record.last_success.unwrap().detail, "the second is good");
        assert!(record.last_run.unwrap().error.is_none());
    }

    #[tokio::test]
    async fn a_run_that_waits_in_vain_says_nothing_of_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        let (go, gone) = tokio::sync::oneshot::channel();
        let first = recorded(state, BackupKind::Dump, async {
            gone.await.unwrap();
            Ok(Done::default())
        });
        let second = async {
            let failure = recorded_within(state, BackupKind::Dump, Duration::ZERO, async {
                Ok(Done::default())
            })
            .await
            .unwrap_err();
            assert!(
                failure.mentions("another run holds the lock `run-dump`"),
                "{failure}"
            );
            assert!(is_running(state, BackupKind::Dump) && !is_running(state, BackupKind::Verify));
            go.send(()).unwrap();
        };
        tokio::join!(first, second).0.unwrap();
        assert!(
            read(state, BackupKind::Dump)
                .unwrap()
                .last_run
                .unwrap()
                .error
                .is_none()
        );
        assert!(!is_running(state, BackupKind::Dump));
    }

    #[tokio::test]
    async fn a_run_that_was_killed_has_no_end() {
        let state = tempfile::tempdir().unwrap();
        let hang = recorded(state.path(), BackupKind::Drill, std::future::pending());
        let _ = tokio::time::timeout(Duration::from_millis(50), hang).await;
        let run = read(state.path(), BackupKind::Drill).unwrap().last_run.unwrap();
        assert!(run.finished.is_none());
    }

    #[test]
    fn the_first_look_begins_the_watch() {
        let state = tempfile::tempdir().unwrap();
        let first: Time = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(watched_since(state.path(), first), first);
        assert_eq!(
            watched_since(state.path(), first + chrono::TimeDelta::days(3)),
            first
        );
    }
}
