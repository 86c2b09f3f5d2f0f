//! Hosts that join the fleet, leave it, come back, or change their environment.

use std::collections::BTreeMap;

use slipway_domain::event::NewEvent;
use slipway_domain::labels::{MAX_LABELS, in_words};
use slipway_domain::{EnvironmentId, EnvironmentName, HostId, HostName, Labels};
use slipway_wire::access::Token;
use slipway_wire::fleet::{CreateHost, Host, UpdateHost};
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;
use uuid::Uuid;

use super::environments::hold_environment;
use super::hosts::host_within;
use crate::access::{insert_host_token, revoke_host_tokens};
use crate::audit::{append, digests, kind};
use crate::error::OnConstraint;
use crate::releases::number;
use crate::{EventAuthor, Store, StoreError, Stored, TokenHash, row};

/// What a host's first token is called.
const FIRST_LABEL: &str = "agent";

/// A host whose row is locked: nobody can add a step for it meanwhile.
struct LockedHost {
    id: HostId,
    environment: Uuid,
    environment_name: String,
    labels: Labels,
    is_retired: bool,
}

impl Store {
    /// Makes a host together with its agent's first token.
    #[instrument(name = "db.host.create", level = "debug", skip_all, fields(name = %new.name))]
    pub async fn create_host(
        &self,
        new: &CreateHost,
        token: TokenHash,
        by: &EventAuthor<'_>,
    ) -> Result<(Stored<HostId, Host>, Token), StoreError> {
        self.transaction(async |tx| {
            let environment = hold_environment(tx, &new.environment).await?;
            refuse_retired_name(tx, &new.name).await?;
            let id = by.id(HostId::from_uuid, HostId::generate);
            sqlx::query!(
                "INSERT INTO hosts (id, environment_id, name, labels) VALUES ($1, $2, $3, $4)",
                id.as_uuid(),
                environment,
                new.name.as_str(),
                Json(&new.labels) as _
            )
            .execute(&mut *tx)
            .await
            .on_constraint("hosts_name_key", || StoreError::NameTaken {
                what: "host",
                name: new.name.to_string(),
            })?;
            let (token, made) = insert_host_token(tx, id, FIRST_LABEL, token, by).await?;
            let cause = format!("{} joins {}", new.name, new.environment);
            let event = about(tx, by, kind::HOST_CREATED, id, environment, cause).await?;
            let host = host_within(tx, &new.name).await?;
            append(tx, by.key, &[event, made]).await?;
            Ok((host, token))
        })
        .await
    }

    /// Takes a host out of the fleet: its tokens are refused from now on. Its name stays taken, so that the history of
    /// one host is never another's; [`restore_host`](Self::restore_host) takes it back.
    ///
    /// Refused while it is part of an open rollout. Doing it again changes nothing.
    #[instrument(name = "db.host.retire", level = "debug", skip_all, fields(%name))]
    pub async fn retire_host(&self, name: &HostName, by: &EventAuthor<'_>) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            let host = lock(tx, name).await?;
            if host.is_retired {
                return Ok(());
            }
            require_idle(tx, name, host.id).await?;
            sqlx::query!(
                "UPDATE hosts SET retired_at = now() WHERE id = $1",
                host.id.as_uuid()
            )
            .execute(&mut *tx)
            .await?;
            let cause = format!("{name} leaves the fleet");
            let event = about(tx, by, kind::HOST_RETIRED, host.id, host.environment, cause).await?;
            append(tx, by.key, &[event]).await?;
            Ok(())
        })
        .await
    }

    /// Takes a retired host back, into this environment or else its old one, with a new token.
    ///
    /// Earlier observations say nothing about the returning machine, so they are deleted.
    #[instrument(name = "db.host.restore", level = "debug", skip_all, fields(%name))]
    pub async fn restore_host(
        &self,
        name: &HostName,
        environment: Option<&EnvironmentName>,
        token: TokenHash,
        by: &EventAuthor<'_>,
    ) -> Result<(Stored<HostId, Host>, Token), StoreError> {
        self.transaction(async |tx| {
            let host = lock(tx, name).await?;
            if !host.is_retired {
                return Err(StoreError::NotRetired { host: name.clone() });
            }
            let into = match environment {
                Some(environment) => environment.clone(),
                None => row::parse("environment name", &host.environment_name)?,
            };
            let environment = hold_environment(tx, &into).await?;
            sqlx::query!(
                "UPDATE hosts SET retired_at = NULL, environment_id = $2, last_seen_at = NULL, agent_version = NULL,
                        clock_skew_seconds = NULL, boot_id = NULL, live = NULL, boot_default = NULL, report = NULL,
                        unsettled = NULL, journal_trouble = NULL, observed_at = NULL, audited_live = NULL,
                        heard_at = NULL, counted_boot_id = NULL, boot_counter = NULL, booted_at = NULL,
                        boot_replaced_at = NULL, second_life_at = NULL, overrides = NULL, baseline = NULL,
                        baseline_boot_default = NULL, baseline_at = now(), accepted_overrides = NULL,
                        accepted_release = NULL, drift = NULL, drift_told = NULL, drift_noted_at = NULL,
                        drift_rest_seconds = NULL, live_noted_at = NULL, live_rest_seconds = NULL,
                        pending_reboot = NULL
                 WHERE id = $1",
                host.id.as_uuid(),
                environment
            )
            .execute(&mut *tx)
            .await?;
            // An attempt of the old machine, such as a stuck one, does not belong to the returning machine.
            sqlx::query!(
                "UPDATE steps SET attempt = NULL WHERE id = (
                     SELECT id FROM steps WHERE host_id = $1 ORDER BY seq DESC LIMIT 1)",
                host.id.as_uuid()
            )
            .execute(&mut *tx)
            .await?;
            let cause = format!("{name} comes back into {into}");
            let mut events = vec![about(tx, by, kind::HOST_RESTORED, host.id, environment, cause).await?];
            events.extend(revoke_host_tokens(tx, host.id, None, "the host comes back", by).await?);
            let (token, made) = insert_host_token(tx, host.id, FIRST_LABEL, token, by).await?;
            events.push(made);
            let restored = host_within(tx, name).await?;
            append(tx, by.key, &events).await?;
            Ok((restored, token))
        })
        .await
    }

    /// Moves a host to another environment, gives it labels, or both. Its token and its history stay.
    ///
    /// Moving is refused while the host is part of an open rollout. Labels are not: a rollout keeps to those that it began
    /// with. Both are refused for a retired host. What is so already stays.
    #[instrument(name = "db.host.update", level = "debug", skip_all, fields(%name))]
    pub async fn update_host(
        &self,
        name: &HostName,
        change: &UpdateHost,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<HostId, Host>, StoreError> {
        self.transaction(async |tx| {
            let host = lock(tx, name).await?;
            let environment = match &change.environment {
                Some(to) => hold_environment(tx, to).await?,
                None => host.environment,
            };
            if host.is_retired {
                return Err(StoreError::Retired { host: name.clone() });
            }
            let labels = with_changes(&host.labels, &change.labels);
            if labels.len() > MAX_LABELS {
                let count = labels.len();
                return Err(StoreError::TooManyLabels {
                    host: name.clone(),
                    count,
                });
            }
            let mut causes = Vec::new();
            if let Some(to) = change
                .environment
                .as_ref()
                .filter(|_| environment != host.environment)
            {
                require_idle(tx, name, host.id).await?;
                causes.push(format!("moves from {} to {to}", host.environment_name));
            }
            if labels != host.labels {
                let now = if labels.is_empty() {
                    "none".to_owned()
                } else {
                    in_words(&labels)
                };
                causes.push(format!("has other labels: {now}"));
            }
            if causes.is_empty() {
                return host_within(tx, name).await;
            }
            sqlx::query!(
                "UPDATE hosts SET environment_id = $2, labels = $3 WHERE id = $1",
                host.id.as_uuid(),
                environment,
                Json(&labels) as _
            )
            .execute(&mut *tx)
            .await?;
            // Labels too have the event that says where a host is: the release before compares labels with that one.
            let cause = format!("{name} {}", causes.join(" and "));
            let event = about(tx, by, kind::HOST_MOVED, host.id, environment, cause).await?;
            let updated = host_within(tx, name).await?;
            append(tx, by.key, &[event]).await?;
            Ok(updated)
        })
        .await
    }
}

/// The labels after a change: a value sets one, and nothing takes it away.
fn with_changes(labels: &Labels, changes: &BTreeMap<String, Option<String>>) -> Labels {
    let mut labels = labels.clone();
    for (name, value) in changes {
        match value {
            Some(value) => labels.insert(name.clone(), value.clone()),
            None => labels.remove(name),
        };
    }
    labels
}

/// A retired host keeps its name for ever, although no list shows it.
async fn refuse_retired_name(tx: &mut PgConnection, name: &HostName) -> Result<(), StoreError> {
    let retired = sqlx::query_scalar!(
        r#"SELECT retired_at AS "retired_at!" FROM hosts WHERE name = $1 AND retired_at IS NOT NULL"#,
        name.as_str()
    )
    .fetch_optional(tx)
    .await?;
    match retired {
        Some(retired_at) => Err(StoreError::NameOfRetired {
            host: name.clone(),
            retired_at,
        }),
        None => Ok(()),
    }
}

async fn lock(tx: &mut PgConnection, name: &HostName) -> Result<LockedHost, StoreError> {
    let host = sqlx::query!(
        r#"SELECT h.id, h.environment_id, e.name AS environment, h.labels AS "labels: Json<Labels>",
                  h.retired_at IS NOT NULL AS "is_retired!"
           FROM hosts h JOIN environments e ON e.id = h.environment_id WHERE h.name = $1 FOR UPDATE OF h"#,
        name.as_str()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("host", name))?;
    Ok(LockedHost {
        id: HostId::from_uuid(host.id),
        environment: host.environment_id,
        environment_name: host.environment,
        labels: host.labels.0,
        is_retired: host.is_retired,
    })
}

/// The host of this name, locked and not retired.
pub(super) async fn lock_active(tx: &mut PgConnection, name: &HostName) -> Result<HostId, StoreError> {
    let host = lock(tx, name).await?;
    if host.is_retired {
        return Err(StoreError::Retired { host: name.clone() });
    }
    Ok(host.id)
}

async fn require_idle(tx: &mut PgConnection, name: &HostName, host: HostId) -> Result<(), StoreError> {
    let busy = sqlx::query_scalar!(
        "SELECT r.seq FROM rollouts r JOIN steps s ON s.rollout_id = r.id
         WHERE s.host_id = $1 AND r.finished_at IS NULL",
        host.as_uuid()
    )
    .fetch_optional(tx)
    .await?;
    match busy {
        Some(seq) => Err(StoreError::HostBusy {
            host: name.clone(),
            number: number(seq),
        }),
        None => Ok(()),
    }
}

/// The event of a host's place in the fleet, with the digest of what the host is called.
async fn about(
    tx: &mut PgConnection,
    by: &EventAuthor<'_>,
    kind: &str,
    host: HostId,
    environment: Uuid,
    cause: String,
) -> Result<NewEvent, StoreError> {
    let now = digests::hosts(tx, Some(&[host.as_uuid()])).await?.pop();
    let now = now.ok_or_else(|| StoreError::not_found("host", &host))?;
    let mut event = by.event(kind, cause).deciding(&now.digest);
    event.environment = Some(EnvironmentId::from_uuid(environment));
    event.host = Some(host);
    Ok(event)
}
