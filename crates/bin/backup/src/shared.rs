//! The records of a cluster's backups. Only the member that leads makes them and writes them down, in a table that all members
//! have. So each member can say how they are. Without a cluster the records are files: see [`state`](crate::state).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{Executor as _, postgres::PgConnection};

use crate::config::Config;
use crate::database::{DatabaseLogin, query_failed};
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::kind::BackupKind;
use crate::state::Record;

/// What one member wrote about a kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SharedRecord {
    /// Who ran last.
    pub(crate) member: String,
    /// Who made the last good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maker: Option<String>,
    pub(crate) record: Record,
}

/// Whether one member makes it for all.
pub(crate) const fn is_shared(kind: BackupKind) -> bool {
    matches!(kind, BackupKind::Dump | BackupKind::WalBase | BackupKind::Offsite)
}

/// Where a member keeps what it has read, for when its server does not answer.
fn kept(config: &Config, kind: BackupKind) -> PathBuf {
    config.state_dir.join("runs").join(format!("cluster-{kind}.json"))
}

/// What the cluster has of a kind. When the server does not answer: what was there at the last look, with the failure.
pub(crate) async fn read(config: &Config, kind: BackupKind) -> (Option<SharedRecord>, Option<BackupFailure>) {
    let read = async {
        let mut connection = DatabaseLogin::of_server_as_self(config)?.connect().await?;
        select(&mut connection, config, kind).await
    };
    let path = kept(config, kind);
    match read.await {
        Ok(found) => {
            if let Some(found) = &found
                && let Ok(json) = serde_json::to_vec(found)
                && std::fs::read(&path).ok().as_ref() != Some(&json)
            {
                let _ =
                    files::folder(&config.state_dir.join("runs")).and_then(|()| files::write(&path, &json));
            }
            (found, None)
        }
        Err(failure) => {
            let text = std::fs::read(&path).unwrap_or_default();
            (serde_json::from_slice(&text).ok(), Some(failure))
        }
    }
}

async fn select(
    connection: &mut PgConnection,
    config: &Config,
    kind: BackupKind,
) -> Result<Option<SharedRecord>> {
    sqlx::query_scalar::<_, Json<SharedRecord>>(
        "SELECT record FROM slipway_backup.runs WHERE stack = $1 AND kind = $2",
    )
    .bind(&config.stack)
    .bind(kind.name())
    .fetch_optional(connection)
    .await
    .map(|found| found.map(|Json(record)| record))
    .map_err(query_failed("read the cluster's records of backups"))
}

/// Writes down how a run of this member is or ended. What an earlier leader made stays the last good one until it is older.
pub(crate) async fn write(config: &Config, kind: BackupKind, member: &str, own: Record) -> Result<()> {
    let mut connection = DatabaseLogin::of_server_as_self(config)?.connect().await?;
    // A leader without a standby goes on, and a record that is lost with it is made anew by the next run.
    connection
        .execute("SET synchronous_commit = local")
        .await
        .map_err(query_failed("write a record"))?;
    let before = select(&mut connection, config, kind).await?;
    let record = merge(before, member, own);
    sqlx::query(
        "INSERT INTO slipway_backup.runs (stack, kind, record) VALUES ($1, $2, $3)
         ON CONFLICT (stack, kind) DO UPDATE SET record = excluded.record",
    )
    .bind(&config.stack)
    .bind(kind.name())
    .bind(Json(record))
    .execute(&mut connection)
    .await
    .map(drop)
    .map_err(query_failed("write down how the backup ended"))
}

fn merge(before: Option<SharedRecord>, member: &str, own: Record) -> SharedRecord {
    let finished = |record: &Record| record.last_success.as_ref().map(|success| success.finished);
    let earlier = before.filter(|before| finished(&before.record) > finished(&own));
    let maker = match &earlier {
        Some(before) => before.maker.clone(),
        None => own.last_success.as_ref().map(|_| member.to_owned()),
    };
    SharedRecord {
        member: member.to_owned(),
        maker,
        record: Record {
            last_success: earlier
                .map_or_else(|| own.last_success.clone(), |before| before.record.last_success),
            ..own
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Run, Success};

    fn record(good: Option<&str>, error: Option<&str>) -> Record {
        let run = Run {
            started: "2026-11-22T12:00:00Z".parse().unwrap(),
            finished: Some("2026-11-22T12:01:00Z".parse().unwrap()),
            error: error.map(ToOwned::to_owned),
            cure: None,
        };
        let success = good.map(|at| Success {
            finished: at.parse().unwrap(),
            seconds: 1.0,
            detail: at.to_owned(),
            size: None,
            subject: None,
        });
        Record {
            last_run: Some(run),
            last_success: success,
            skipped: None,
        }
    }

    #[test]
    fn a_new_leader_that_fails_does_not_take_back_what_the_last_one_made() {
        let first = merge(None, "ha-1", record(Some("2026-11-22T02:00:00Z"), None));
        assert_eq!(first.maker.as_deref(), Some("ha-1"));
        // It led once, long ago.
        let own = record(Some("2026-11-01T02:00:00Z"), Some("no room"));
        let second = merge(Some(first), "ha-2", own);
        assert_eq!(
            (second.member.as_str(), second.maker.as_deref()),
            ("ha-2", Some("ha-1"))
        );
        assert_eq!(
            second.record.last_success.as_ref().unwrap().detail,
            "2026-11-22T02:00:00Z"
        );
        assert_eq!(
            second.record.last_run.as_ref().unwrap().error.as_deref(),
            Some("no room")
        );
        let third = merge(Some(second), "ha-2", record(Some("2026-11-22T03:00:00Z"), None));
        assert_eq!(third.maker.as_deref(), Some("ha-2"));
    }
}
