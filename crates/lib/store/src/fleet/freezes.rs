//! Freezes: times in which the rollouts of an environment begin nothing.

use slipway_domain::calendar::MAX_FREEZES;
use slipway_domain::event::NewEvent;
use slipway_domain::{Calendar, EnvironmentName, Freeze, FreezeId, PrincipalName, Timestamp};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::environments::append_rules;
use crate::audit::kind;
use crate::{EventAuthor, Store, StoreError, bounded};

/// A freeze to be made. The caller has checked its times.
#[derive(Debug, Clone)]
pub struct NewFreeze {
    /// Its first instant; now when left out.
    pub from: Option<Timestamp>,
    /// The first instant after it.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: PrincipalName,
}

impl Store {
    /// Freezes an environment. Freezes that are over are forgotten; their events stay.
    #[instrument(name = "db.freeze.create", level = "debug", skip_all, fields(%environment))]
    pub async fn create_freeze(
        &self,
        environment: &EnvironmentName,
        new: &NewFreeze,
        by: &EventAuthor<'_>,
    ) -> Result<Freeze, StoreError> {
        self.transaction(async |tx| {
            let row = sqlx::query!(
                r#"SELECT id, calendar AS "calendar: Calendar", now() AS "now!" FROM environments
                   WHERE name = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
                environment.as_str()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("environment", environment))?;
            let mut calendar = row.calendar;
            calendar.freezes.retain(|freeze| freeze.until > row.now);
            if calendar.freezes.len() >= MAX_FREEZES {
                return Err(StoreError::TooManyFreezes {
                    environment: environment.clone(),
                });
            }
            let freeze = Freeze {
                id: by.id(FreezeId::from_uuid, FreezeId::generate),
                from: new.from.unwrap_or(row.now),
                until: new.until,
                reason: new.reason.clone(),
                by: new.by.clone(),
            };
            let words = |at: Timestamp| at.format("%Y-%m-%d %H:%M:%SZ");
            let cause = format!(
                "frozen from {} until {}: {} (freeze {})",
                words(freeze.from),
                words(freeze.until),
                freeze.reason,
                freeze.id
            );
            calendar.freezes.push(freeze.clone());
            write(tx, row.id, &calendar).await?;
            append_rules(tx, by, environment, row.id, changed(by, cause)).await?;
            Ok(freeze)
        })
        .await
    }

    /// Ends a freeze, and gives the environment that it was of.
    #[instrument(name = "db.freeze.delete", level = "debug", skip_all, fields(%id))]
    pub async fn delete_freeze(
        &self,
        id: FreezeId,
        by: &EventAuthor<'_>,
    ) -> Result<EnvironmentName, StoreError> {
        self.transaction(async |tx| {
            let row = sqlx::query!(
                r#"SELECT id, name AS "name: EnvironmentName", calendar AS "calendar: Calendar" FROM environments
                   WHERE calendar->'freezes' @> $1 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
                has(id)
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("freeze", &id))?;
            let mut calendar = row.calendar;
            calendar.freezes.retain(|freeze| freeze.id != id);
            write(tx, row.id, &calendar).await?;
            let event = changed(by, format!("the freeze {id} is over"));
            append_rules(tx, by, &row.name, row.id, event).await?;
            Ok(row.name)
        })
        .await
    }

    /// The freeze with this id and the environment that it is of, unless it was ended.
    #[instrument(name = "db.freeze.find", level = "debug", skip_all, fields(%id))]
    pub async fn find_freeze(&self, id: FreezeId) -> Result<Option<(EnvironmentName, Freeze)>, StoreError> {
        bounded(async {
            let found = sqlx::query!(
                r#"SELECT name AS "name: EnvironmentName", calendar AS "calendar: Calendar" FROM environments
                   WHERE calendar->'freezes' @> $1 AND deleted_at IS NULL"#,
                has(id)
            )
            .fetch_optional(&self.pool)
            .await?;
            Ok(found.and_then(|row| {
                let mut freezes = row.calendar.freezes.into_iter();
                Some((row.name, freezes.find(|freeze| freeze.id == id)?))
            }))
        })
        .await
    }
}

/// What a list of freezes contains that has this one.
fn has(id: FreezeId) -> serde_json::Value {
    serde_json::json!([{ "id": id }])
}

fn changed(by: &EventAuthor<'_>, cause: String) -> NewEvent {
    by.event(kind::ENVIRONMENT_CHANGED, cause)
}

async fn write(tx: &mut PgConnection, environment: Uuid, calendar: &Calendar) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE environments SET calendar = $2 WHERE id = $1",
        environment,
        Json(calendar) as _
    )
    .execute(tx)
    .await?;
    Ok(())
}
