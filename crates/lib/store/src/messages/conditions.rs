//! What lasts and is no event: silent agents, late backups, and rollouts that still wait for approval.
//!
//! What is found is compared with what was told. What begins and what ends is queued in the transaction that notes it.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::{EnvironmentName, HostName, MessageKind, ReleaseId, ReleaseName, RolloutId, Timestamp};
use slipway_wire::message::{Message, MessageData};
use sqlx::PgConnection;
use tracing::instrument;

use super::Queued;
use super::events::add_host;
use super::queue::{lock, queue, readers};
use crate::releases::{label, number};
use crate::{Store, StoreError, row};

/// What counts as lasting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// After how many seconds an agent counts as silent. `None` leaves silence alone, as while it cannot be told.
    pub silent_seconds: Option<u32>,
    /// After how many seconds somebody is reminded of a rollout that waits for approval; 0 for never.
    pub remind_seconds: u32,
}

/// Something that lasts, on a host or of a rollout.
#[derive(Debug, Clone)]
struct Found {
    kind: MessageKind,
    subject: String,
    environment: EnvironmentName,
    since: Timestamp,
    host: Option<HostName>,
    detail: Option<String>,
}

/// Something that was told.
struct Noted {
    kind: String,
    subject: String,
    environment: EnvironmentName,
    since: Timestamp,
}

impl Store {
    /// Looks for what lasts, and queues messages of what begins, what ends, and what people are to be reminded of. Gives how
    /// many messages. Where another worker is at it, nothing is done.
    #[instrument(name = "db.message.queue_conditions", level = "debug", skip_all)]
    pub async fn queue_conditions(&self, lasting: Lasting) -> Result<usize, StoreError> {
        self.transaction(async |tx| {
            if lock(tx).await?.is_none() {
                return Ok(0);
            }
            let readers = readers(tx).await?;
            if readers.is_empty() {
                return Ok(0);
            }
            let now = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
                .fetch_one(&mut *tx)
                .await?;
            let mut found = late(tx).await?;
            let mut kinds = vec![MessageKind::BackupLate, MessageKind::DrillLate];
            if let Some(seconds) = lasting.silent_seconds {
                found.extend(silent(tx, seconds).await?);
                kinds.push(MessageKind::AgentSilent);
            }
            let noted = noted(tx, &kinds).await?;
            let lasts: BTreeSet<_> = found.iter().map(Found::key).collect();
            let known: BTreeSet<_> = noted.iter().map(Noted::key).collect();
            let begun = found.iter().filter(|found| !known.contains(&found.key()));
            let begun: Vec<&Found> = begun.collect();
            let ended = noted.iter().filter(|noted| !lasts.contains(&noted.key()));
            let ended: Vec<&Noted> = ended.collect();
            note(tx, &begun).await?;
            forget(tx, &ended).await?;
            let mut all = Vec::new();
            all.extend(together(now, begun.iter().map(|found| (*found).clone())));
            all.extend(together(now, ended.iter().filter_map(|noted| noted.end())));
            all.extend(reminders(tx, now, lasting.remind_seconds).await?);
            queue(tx, &readers, &all).await?;
            Ok(all.len())
        })
        .await
    }
}

impl Found {
    fn key(&self) -> (&str, &str) {
        (self.kind.as_str(), &self.subject)
    }
}

impl Noted {
    fn key(&self) -> (&str, &str) {
        (&self.kind, &self.subject)
    }

    /// That it is over. The subject begins with the host's name.
    fn end(&self) -> Option<Found> {
        let kind = match self.kind.parse().ok()? {
            MessageKind::AgentSilent => MessageKind::AgentHeard,
            MessageKind::BackupLate => MessageKind::BackupWell,
            MessageKind::DrillLate => MessageKind::DrillWell,
            _ => return None,
        };
        let (host, detail) = match self.subject.split_once(' ') {
            Some((host, what)) => (host, Some(what.to_owned())),
            None => (self.subject.as_str(), None),
        };
        Some(Found {
            kind,
            subject: self.subject.clone(),
            environment: self.environment.clone(),
            since: self.since,
            host: host.parse().ok(),
            detail,
        })
    }
}

/// One message for all hosts of an environment with which the same is so.
fn together(now: Timestamp, all: impl Iterator<Item = Found>) -> Vec<Queued> {
    let mut messages = BTreeMap::<(MessageKind, EnvironmentName), MessageData>::new();
    for found in all {
        let data = messages
            .entry((found.kind, found.environment.clone()))
            .or_default();
        data.environment = Some(found.environment);
        data.since = Some(data.since.map_or(found.since, |since| since.min(found.since)));
        add_host(data, found.host, found.detail);
    }
    let queued = messages.into_iter().map(|((kind, environment), data)| {
        let what = kind.as_str().split('.').next().unwrap_or_default();
        Queued {
            source: format!("{kind} of {environment} at {now}"),
            lane: format!("{what} of {environment}"),
            message: Message {
                kind,
                timestamp: now,
                data,
            },
        }
    });
    queued.collect()
}

/// Hosts that were heard of once, and not for so long.
async fn silent(tx: &mut PgConnection, seconds: u32) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName", h.last_seen_at AS "since!"
           FROM hosts h JOIN environments e ON e.id = h.environment_id
           WHERE h.retired_at IS NULL AND h.last_seen_at < now() - make_interval(secs => $1) ORDER BY h.name"#,
        f64::from(seconds)
    )
    .fetch_all(tx)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        kind: MessageKind::AgentSilent,
        subject: row.host.to_string(),
        environment: row.environment,
        since: row.since,
        host: Some(row.host),
        detail: None,
    });
    Ok(found.collect())
}

/// Backups and drills that are late or failed, as the hosts' agents say.
async fn late(tx: &mut PgConnection) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.name AS "host: HostName", e.name AS "environment: EnvironmentName", f.at,
                  left(b ->> 'stack', 64) AS "stack?", left(b ->> 'kind', 32) AS "kind?"
           FROM host_facts f
           JOIN hosts h ON h.id = f.host_id
           JOIN environments e ON e.id = h.environment_id,
                jsonb_path_query(f.facts, '$.backups[*] ? (@.ok == false)') AS b
           WHERE h.retired_at IS NULL ORDER BY h.name"#
    )
    .fetch_all(tx)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let (stack, kind) = (plain(&row.stack?)?, plain(&row.kind?)?);
        let message = if kind == "drill" {
            MessageKind::DrillLate
        } else {
            MessageKind::BackupLate
        };
        let what = format!("{kind} of {stack}");
        Some(Found {
            kind: message,
            subject: format!("{} {what}", row.host),
            environment: row.environment,
            since: row.at,
            host: Some(row.host),
            detail: Some(what),
        })
    });
    Ok(found.collect())
}

/// A name that a host gives, if it is no more than one.
fn plain(name: &str) -> Option<String> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_plain && !name.is_empty()).then(|| name.to_owned())
}

async fn noted(tx: &mut PgConnection, kinds: &[MessageKind]) -> Result<Vec<Noted>, StoreError> {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let noted = sqlx::query_as!(
        Noted,
        r#"SELECT kind, subject, environment AS "environment: EnvironmentName", since
           FROM conditions WHERE kind = ANY($1) ORDER BY kind, subject"#,
        &kinds as _
    );
    Ok(noted.fetch_all(tx).await?)
}

async fn note(tx: &mut PgConnection, begun: &[&Found]) -> Result<(), StoreError> {
    let (kinds, subjects): (Vec<&str>, Vec<&str>) = begun.iter().map(|found| found.key()).unzip();
    let (environments, since): (Vec<&str>, Vec<Timestamp>) = begun
        .iter()
        .map(|found| (found.environment.as_str(), found.since))
        .unzip();
    sqlx::query!(
        "INSERT INTO conditions (kind, subject, environment, since)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
         ON CONFLICT (kind, subject) DO NOTHING",
        &kinds as _,
        &subjects as _,
        &environments as _,
        &since
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn forget(tx: &mut PgConnection, ended: &[&Noted]) -> Result<(), StoreError> {
    let (kinds, subjects): (Vec<&str>, Vec<&str>) = ended.iter().map(|noted| noted.key()).unzip();
    sqlx::query!(
        "DELETE FROM conditions c USING unnest($1::text[], $2::text[]) AS n (kind, subject)
         WHERE c.kind = n.kind AND c.subject = n.subject",
        &kinds as _,
        &subjects as _
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Rollouts that have waited for approval for so long since somebody was last told. The event of each was the first word.
async fn reminders(tx: &mut PgConnection, now: Timestamp, seconds: u32) -> Result<Vec<Queued>, StoreError> {
    let kind = MessageKind::ApprovalWanted;
    sqlx::query!(
        "DELETE FROM conditions c WHERE kind = $1 AND NOT EXISTS (
             SELECT FROM rollouts r WHERE r.id::text = c.subject AND r.state = 'pending_approval'
         )",
        kind.as_str()
    )
    .execute(&mut *tx)
    .await?;
    if seconds == 0 {
        return Ok(Vec::new());
    }
    let due = sqlx::query!(
        r#"WITH due AS (
               INSERT INTO conditions AS c (kind, subject, environment, since)
               SELECT $1, r.id::text, e.name, r.since FROM rollouts r JOIN environments e ON e.id = r.environment_id
               WHERE r.state = 'pending_approval' AND r.since <= now() - make_interval(secs => $2)
               ON CONFLICT (kind, subject) DO UPDATE SET told_at = now(), times = c.times + 1
               WHERE c.told_at <= now() - make_interval(secs => $2)
               RETURNING subject, environment, since, times
           )
           SELECT r.id AS "rollout: RolloutId", r.seq AS rollout_seq, l.id AS "release: ReleaseId", l.seq,
                  l.name AS "name: ReleaseName", l.rev, due.since, due.times,
                  due.environment AS "environment: EnvironmentName"
           FROM due JOIN rollouts r ON r.id = due.subject::uuid JOIN releases l ON l.id = r.release_id
           ORDER BY r.seq"#,
        kind.as_str(),
        f64::from(seconds)
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut all = Vec::with_capacity(due.len());
    for row in due {
        let data = MessageData {
            environment: Some(row.environment),
            rollout: Some(row.rollout),
            release: Some(row.release),
            rev: row.rev.clone(),
            since: Some(row.since),
            reminder: row::count("reminders", row.times)?,
            rollout_number: Some(number(row.rollout_seq)),
            release_label: Some(label(row.release, row.seq, row.name, row.rev)),
            ..MessageData::default()
        };
        all.push(Queued {
            source: format!("reminder {} of {}", row.times, row.rollout),
            lane: row.rollout.to_string(),
            message: Message {
                kind,
                timestamp: now,
                data,
            },
        });
    }
    Ok(all)
}
