//! Observations that are no plain news: old ones, new boots, and second machines.

use slipway_domain::event::{Actor, NewEvent};
use slipway_domain::lives::{self, Doubt, Life, ObservationKind};
use slipway_domain::{EnvironmentId, HostId, HostName, Timestamp};
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, kind};
use crate::{AuditKey, Store, StoreError, row};

/// Boots of a host within an hour that are believed and remembered. With more of them it is not one machine that works,
/// and whoever has its token could fill the database.
const MOST_BOOTS_AN_HOUR: i64 = 60;

/// A host whose boots are compared, under its lock.
struct LockedBoots {
    id: Uuid,
    name: HostName,
    current: Life,
    now: Timestamp,
}

impl Store {
    /// Judges an observation that could not be recorded as plain news.
    ///
    /// `Ok` when the boot is the host's current one now, so that recording can be tried again; the errors are
    /// [`StoreError::OldObservation`] and [`StoreError::TwoLives`].
    pub(super) async fn judge_boot(
        &self,
        host: HostId,
        boot_id: &str,
        counter: Option<i64>,
    ) -> Result<(), StoreError> {
        let refused = self
            .transaction(async |tx| {
                // The lock first and alone: what is read after it has seen whatever the lock was waited for.
                let Some(locked) = lock(tx, host).await? else {
                    return Err(StoreError::not_found("host", &host));
                };
                let replaced = find_replaced(tx, &locked, boot_id).await?;
                let mut judged =
                    lives::judge(&locked.current, replaced.as_ref(), boot_id, counter, locked.now);
                if judged == ObservationKind::NewBoot
                    && count_recent_boots(tx, &locked).await? >= MOST_BOOTS_AN_HOUR
                {
                    judged = ObservationKind::SecondLife;
                }
                Ok(match judged {
                    ObservationKind::News => None,
                    ObservationKind::Old => return Err(StoreError::OldObservation { host: locked.name }),
                    ObservationKind::NewBoot | ObservationKind::Back => {
                        replace(tx, &locked, boot_id, replaced.as_ref()).await?;
                        None
                    }
                    ObservationKind::SecondLife => {
                        note(tx, &locked, boot_id, counter).await?;
                        Some(StoreError::TwoLives { host: locked.name })
                    }
                })
            })
            .await?;
        refused.map_or(Ok(()), Err)
    }

    /// Writes an event for every second life that has none yet. Gives the hosts.
    #[instrument(name = "db.agent.note_second_lives", level = "debug", skip_all)]
    pub async fn note_second_lives(&self, key: &AuditKey) -> Result<Vec<HostName>, StoreError> {
        self.transaction(async |tx| {
            let rows = sqlx::query!(
                "UPDATE hosts SET second_life_noted = true WHERE NOT second_life_noted
                 RETURNING id, name, environment_id"
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut names = Vec::with_capacity(rows.len());
            let mut events = Vec::with_capacity(rows.len());
            for row in rows {
                let name: HostName = row::parse("host name", &row.name)?;
                let cause = format!("{name}: {}", Doubt::TwoLives.words());
                events.push(NewEvent {
                    environment: Some(EnvironmentId::from_uuid(row.environment_id)),
                    host: Some(HostId::from_uuid(row.id)),
                    ..NewEvent::new(Actor::Host(name.to_string()), kind::HOST_TWO_LIVES, cause)
                });
                names.push(name);
            }
            if !events.is_empty() {
                append(tx, key, &events).await?;
            }
            Ok(names)
        })
        .await
    }
}

async fn lock(tx: &mut PgConnection, host: HostId) -> Result<Option<LockedBoots>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT id, name, counted_boot_id, boot_counter, booted_at, heard_at, now() AS "now!" FROM hosts
           WHERE id = $1 AND retired_at IS NULL FOR NO KEY UPDATE"#,
        host.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        Ok(LockedBoots {
            id: row.id,
            name: row::parse("host name", &row.name)?,
            current: Life {
                boot_id: row.counted_boot_id.unwrap_or_default(),
                counter: row.boot_counter,
                booted_at: row.booted_at,
                observed_at: row.heard_at,
            },
            now: row.now,
        })
    })
    .transpose()
}

async fn find_replaced(
    tx: &mut PgConnection,
    host: &LockedBoots,
    boot_id: &str,
) -> Result<Option<Life>, StoreError> {
    let row = sqlx::query!(
        "SELECT boot_id, counter, booted_at, heard_at FROM host_boots WHERE host_id = $1 AND boot_id = $2",
        host.id,
        boot_id
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Life {
        boot_id: row.boot_id,
        counter: row.counter,
        booted_at: row.booted_at,
        observed_at: row.heard_at,
    }))
}

async fn count_recent_boots(tx: &mut PgConnection, host: &LockedBoots) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM host_boots WHERE host_id = $1 AND heard_at > now() - interval '1 hour'"#,
        host.id
    )
    .fetch_one(tx)
    .await?;
    Ok(count)
}

/// Makes this the boot that is heard of, and remembers the one before.
async fn replace(
    tx: &mut PgConnection,
    host: &LockedBoots,
    boot_id: &str,
    known: Option<&Life>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO host_boots (host_id, boot_id, counter, booted_at, heard_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (host_id, boot_id) DO UPDATE
         SET counter = EXCLUDED.counter, booted_at = EXCLUDED.booted_at, heard_at = EXCLUDED.heard_at",
        host.id,
        host.current.boot_id,
        host.current.counter,
        host.current.booted_at,
        host.current.observed_at
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE hosts SET counted_boot_id = $2, boot_counter = $3, booted_at = $4, boot_replaced_at = now() WHERE id = $1",
        host.id,
        boot_id,
        known.and_then(|life| life.counter),
        known.and_then(|life| life.booted_at)
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes that a second life was heard, and how far it has counted.
async fn note(
    tx: &mut PgConnection,
    host: &LockedBoots,
    boot_id: &str,
    counter: Option<i64>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE host_boots SET counter = greatest(counter, $3), heard_at = now() WHERE host_id = $1 AND boot_id = $2",
        host.id,
        boot_id,
        counter
    )
    .execute(&mut *tx)
    .await?;
    // One event for as long as it lasts.
    sqlx::query!(
        "UPDATE hosts SET second_life_at = now(),
                second_life_noted = second_life_noted
                    AND coalesce(second_life_at > now() - make_interval(secs => $2), false)
         WHERE id = $1",
        host.id,
        quiet_after()
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// [`lives::QUIET_SECONDS`] as `make_interval` wants it.
#[expect(clippy::cast_precision_loss, reason = "a small constant")]
pub(crate) const fn quiet_after() -> f64 {
    lives::QUIET_SECONDS as f64
}
