//! Making, showing, changing and deleting destinations.

use secrecy::{ExposeSecret as _, SecretString};
use slipway_domain::{DestinationId, DestinationKind, DestinationName, EnvironmentName, MessageKind};
use slipway_wire::message::{Destination, MAX_DESTINATIONS, UpdateDestination};
use sqlx::{PgConnection, PgExecutor};
use tracing::instrument;
use uuid::Uuid;

use super::deliveries::bury;
use super::sealed::{self, Secrets};
use super::{Access, Bound, not_found};
use crate::audit::{append, kind};
use crate::error::OnConstraint;
use crate::row::Count;
use crate::{EventAuthor, Store, StoreError, Stored, bounded};

/// Only one destination is made at a time, so that there are never too many.
const LOCK: i64 = 0x736c_6970_7761_7904;

/// A destination to be made. The caller has checked its address.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// Its name.
    pub name: DestinationName,
    /// What gives access to it.
    pub access: Access,
    /// What of its address may be shown.
    pub shown: String,
    /// Only messages about these environments; about all when empty.
    pub environments: Vec<EnvironmentName>,
    /// Only messages of these kinds; all when empty.
    pub messages: Vec<MessageKind>,
}

impl Store {
    /// Makes a destination.
    #[instrument(name = "db.destination.create", level = "debug", skip_all, fields(name = %new.name))]
    pub async fn create_destination(
        &self,
        new: &NewDestination,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<DestinationId, Destination>, StoreError> {
        let id = by.id(DestinationId::from_uuid, DestinationId::generate);
        let kind = new.access.kind();
        let (secrets, room, recipients) = new.access.parts();
        let bound = Bound {
            id,
            kind,
            shown: &new.shown,
            room,
        };
        let sealed = secrets
            .map(|secrets| sealed::seal(by.key, bound, &secrets))
            .transpose()?;
        let sealed = sealed.map(|sealed| (sealed.bytes, sealed.key)).unzip();
        self.transaction(async |tx| {
            sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
            let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM destinations"#);
            if count.fetch_one(&mut *tx).await? >= MAX_DESTINATIONS {
                return Err(StoreError::TooManyDestinations { most: MAX_DESTINATIONS });
            }
            sqlx::query!(
                "INSERT INTO destinations (id, name, kind, shown, room, recipients, sealed, sealed_key, environments,
                                           messages, created_by)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                id.as_uuid(),
                new.name.as_str(),
                kind.as_str(),
                new.shown,
                room,
                recipients,
                sealed.0,
                sealed.1,
                &texts(&new.environments),
                &kinds(&new.messages),
                by.actor.name()
            )
            .execute(&mut *tx)
            .await
            .on_constraint("destinations_name_key", || StoreError::NameTaken {
                what: "destination",
                name: new.name.to_string(),
            })?;
            let made = get(tx, &new.name).await?;
            let cause = format!("{} ({kind}) gets {}", new.name, rules(&made.value));
            append(tx, by.key, &[by.event(kind::DESTINATION_CREATED, cause)]).await?;
            Ok(made)
        })
        .await
    }

    /// Every destination, by name.
    #[instrument(name = "db.destination.list", level = "debug", skip_all)]
    pub async fn list_destinations(&self) -> Result<Vec<Destination>, StoreError> {
        let all = bounded(select(&self.pool, None)).await?;
        Ok(all.into_iter().map(|stored| stored.value).collect())
    }

    /// The destination of this name.
    #[instrument(name = "db.destination.get", level = "debug", skip_all, fields(%name))]
    pub async fn get_destination(
        &self,
        name: &DestinationName,
    ) -> Result<Stored<DestinationId, Destination>, StoreError> {
        bounded(async { get(&mut *self.pool.acquire().await?, name).await }).await
    }

    /// Changes a destination and gives it as it is then. What waits for one that is disabled now is dead.
    #[instrument(name = "db.destination.update", level = "debug", skip_all, fields(%name))]
    pub async fn update_destination(
        &self,
        name: &DestinationName,
        change: &UpdateDestination,
        by: &EventAuthor<'_>,
    ) -> Result<Destination, StoreError> {
        self.transaction(async |tx| {
            let disables = change.enabled == Some(false);
            let (environments, messages) = (
                change.environments.as_deref().map(texts),
                change.messages.as_deref().map(kinds),
            );
            let because = format!("{} disabled it", by.actor.name());
            let id = sqlx::query_scalar!(
                "UPDATE destinations SET recipients = coalesce($2, recipients), environments = coalesce($3, environments),
                        messages = coalesce($4, messages),
                        disabled_at = CASE $5::boolean WHEN true THEN NULL WHEN false THEN coalesce(disabled_at, now())
                                                       ELSE disabled_at END,
                        disabled_because = CASE $5 WHEN true THEN NULL WHEN false THEN coalesce(disabled_because, $6)
                                                   ELSE disabled_because END
                 WHERE name = $1 RETURNING id",
                name.as_str(),
                change.recipients.as_deref(),
                environments.as_deref(),
                messages.as_deref(),
                change.enabled,
                because
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| not_found(name))?;
            if disables {
                bury(tx, DestinationId::from_uuid(id), "the destination was disabled").await?;
            }
            let now = get(tx, name).await?.value;
            let event = if disables {
                by.event(kind::DESTINATION_DISABLED, format!("{name} gets no messages"))
            } else {
                by.event(kind::DESTINATION_CHANGED, format!("{name} gets {}", rules(&now)))
            };
            append(tx, by.key, &[event]).await?;
            Ok(now)
        })
        .await
    }

    /// Deletes a destination with its deliveries.
    #[instrument(name = "db.destination.delete", level = "debug", skip_all, fields(%name))]
    pub async fn delete_destination(
        &self,
        name: &DestinationName,
        by: &EventAuthor<'_>,
    ) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let gone = sqlx::query!("DELETE FROM destinations WHERE name = $1", name.as_str());
            if gone.execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(not_found(name));
            }
            let event = by.event(kind::DESTINATION_DELETED, format!("{name} is deleted"));
            append(tx, by.key, &[event]).await
        })
        .await
    }
}

impl Access {
    /// The kind of destination that it is for.
    #[must_use]
    pub const fn kind(&self) -> DestinationKind {
        match self {
            Self::Standard { .. } => DestinationKind::Standard,
            Self::Slack { .. } => DestinationKind::Slack,
            Self::Matrix { .. } => DestinationKind::Matrix,
            Self::Email { .. } => DestinationKind::Email,
        }
    }

    /// What is encrypted of it, the room, and the recipients.
    fn parts(&self) -> (Option<Secrets>, Option<&str>, &[String]) {
        let secrets = |url: &SecretString, secret: Option<&SecretString>| Secrets {
            url: url.expose_secret().to_owned(),
            secret: secret.map(|secret| secret.expose_secret().to_owned()),
        };
        match self {
            Self::Standard { url, secret } => (Some(secrets(url, Some(secret))), None, &[]),
            Self::Slack { url } => (Some(secrets(url, None)), None, &[]),
            Self::Matrix { url, room, token } => (Some(secrets(url, Some(token))), Some(room), &[]),
            Self::Email { recipients } => (None, None, recipients),
        }
    }
}

/// What a destination gets, in words.
fn rules(destination: &Destination) -> String {
    let list = |texts: Vec<String>, all: &str| {
        if texts.is_empty() {
            all.to_owned()
        } else {
            texts.join(", ")
        }
    };
    format!(
        "{} about {}",
        list(kinds(&destination.messages), "all messages"),
        list(texts(&destination.environments), "all environments")
    )
}

fn texts(names: &[EnvironmentName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn kinds(kinds: &[MessageKind]) -> Vec<String> {
    kinds.iter().map(ToString::to_string).collect()
}

pub(super) async fn get(
    tx: &mut PgConnection,
    name: &DestinationName,
) -> Result<Stored<DestinationId, Destination>, StoreError> {
    select(tx, Some(name)).await?.pop().ok_or_else(|| not_found(name))
}

async fn select(
    executor: impl PgExecutor<'_>,
    name: Option<&DestinationName>,
) -> Result<Vec<Stored<DestinationId, Destination>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT d.id AS "id!: Uuid", d.name AS "name!: DestinationName", d.kind AS "kind!: DestinationKind",
                  d.shown AS "shown!", d.room, d.recipients AS "recipients!",
                  d.environments AS "environments!: Vec<EnvironmentName>", d.messages AS "messages!: Vec<String>",
                  d.created_at AS "created_at!", d.created_by AS "created_by!", d.disabled_at, d.disabled_because,
                  (SELECT count(*) FROM deliveries y WHERE y.destination_id = d.id AND y.state = 'waiting') AS "waiting!: Count",
                  (SELECT count(*) FROM deliveries y WHERE y.destination_id = d.id AND y.state = 'dead') AS "dead!: Count",
                  (SELECT max(y.finished_at) FROM deliveries y
                   WHERE y.destination_id = d.id AND y.state = 'delivered') AS delivered_at,
                  (SELECT y.last_error FROM deliveries y
                   WHERE y.destination_id = d.id AND y.state = 'waiting' AND y.attempts > 0 AND y.last_error IS NOT NULL
                   ORDER BY y.seq LIMIT 1) AS failing
           FROM destinations d WHERE ($1::text IS NULL OR d.name = $1) ORDER BY d.name"#,
        name.map(DestinationName::as_str)
    )
    .fetch_all(executor)
    .await?;
    let all = rows.into_iter().map(|row| Stored {
        id: DestinationId::from_uuid(row.id),
        value: Destination {
            name: row.name,
            kind: row.kind,
            address: Some(row.shown).filter(|shown| !shown.is_empty()),
            room: row.room,
            recipients: row.recipients,
            environments: row.environments,
            // A newer program may know more kinds.
            messages: row.messages.iter().filter_map(|kind| kind.parse().ok()).collect(),
            enabled: row.disabled_at.is_none(),
            disabled_because: row.disabled_because,
            waiting: row.waiting.into(),
            dead: row.dead.into(),
            delivered_at: row.delivered_at,
            created_at: row.created_at,
            created_by: row.created_by,
            failing: row.failing,
        },
    });
    Ok(all.collect())
}
