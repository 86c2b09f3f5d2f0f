//! Environments: named groups of hosts with a default strategy and an approval rule.

use slipway_domain::event::NewEvent;
use slipway_domain::{
    Calendar, EnvironmentId, EnvironmentName, Freeze, ReleaseId, ReleaseName, RolloutId, Strategy, Timestamp,
    Window,
};
use slipway_wire::fleet::{CreateEnvironment, Environment, UpdateEnvironment};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tracing::instrument;
use uuid::Uuid;

use crate::audit::{append, digests, kind};
use crate::releases::{label, number};
use crate::row::Count;
use crate::{EventAuthor, Store, StoreError, Stored, bounded};

impl Store {
    /// Makes an environment. One of this name that was deleted comes back, with its history.
    #[instrument(name = "db.environment.create", level = "debug", skip_all, fields(name = %new.name))]
    pub async fn create_environment(
        &self,
        new: &CreateEnvironment,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<EnvironmentId, Environment>, StoreError> {
        let calendar = Calendar {
            windows: new.windows.clone(),
            freezes: Vec::new(),
        };
        self.transaction(async |tx| {
            // A conflict with an environment that is not deleted changes nothing and returns no row.
            let id = sqlx::query_scalar!(
                "INSERT INTO environments AS e
                     (id, name, strategy, approval_required, own_strategy_allowed, related_approval_allowed, calendar)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (name) DO UPDATE SET strategy = excluded.strategy,
                     approval_required = excluded.approval_required,
                     own_strategy_allowed = excluded.own_strategy_allowed,
                     related_approval_allowed = excluded.related_approval_allowed,
                     calendar = excluded.calendar, deleted_at = NULL
                 WHERE e.deleted_at IS NOT NULL
                 RETURNING id",
                by.id(EnvironmentId::from_uuid, EnvironmentId::generate).as_uuid(),
                new.name.as_str(),
                Json(&new.strategy) as _,
                new.approval_required,
                new.own_strategy_allowed,
                new.related_approval_allowed,
                Json(&calendar) as _
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::NameTaken {
                what: "environment",
                name: new.name.to_string(),
            })?;
            let event = by.event(kind::ENVIRONMENT_CREATED, format!("{} is made", new.name));
            append_rules(tx, by, &new.name, id, event).await
        })
        .await
    }

    /// The environment of this name.
    #[instrument(name = "db.environment.find", level = "debug", skip_all, fields(%name))]
    pub async fn find_environment_by_name(
        &self,
        name: &EnvironmentName,
    ) -> Result<Option<Stored<EnvironmentId, Environment>>, StoreError> {
        Ok(bounded(select_environments(&self.pool, Some(name))).await?.pop())
    }

    /// The environment of this name.
    pub async fn get_environment_by_name(
        &self,
        name: &EnvironmentName,
    ) -> Result<Stored<EnvironmentId, Environment>, StoreError> {
        self.find_environment_by_name(name)
            .await?
            .ok_or_else(|| StoreError::not_found("environment", name))
    }

    /// Every environment, by name.
    #[instrument(name = "db.environment.list", level = "debug", skip_all)]
    pub async fn list_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let found = bounded(select_environments(&self.pool, None)).await?;
        Ok(found.into_iter().map(|environment| environment.value).collect())
    }

    /// Changes an environment and gives it as it is then. Rollouts under way keep what they began with, but for an approval
    /// that is not permitted any more.
    #[instrument(name = "db.environment.update", level = "debug", skip_all, fields(%name))]
    pub async fn update_environment(
        &self,
        name: &EnvironmentName,
        change: &UpdateEnvironment,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<EnvironmentId, Environment>, StoreError> {
        self.transaction(async |tx| {
            let id = sqlx::query_scalar!(
                "UPDATE environments SET strategy = coalesce($2, strategy),
                        approval_required = coalesce($3, approval_required),
                        own_strategy_allowed = coalesce($4, own_strategy_allowed),
                        related_approval_allowed = coalesce($5, related_approval_allowed),
                        calendar = CASE WHEN $6::jsonb IS NULL THEN calendar
                                        WHEN $6 = '[]' THEN calendar - 'windows'
                                        ELSE calendar || jsonb_build_object('windows', $6::jsonb) END
                 WHERE name = $1 AND deleted_at IS NULL RETURNING id",
                name.as_str(),
                change.strategy.as_ref().map(Json) as _,
                change.approval_required,
                change.own_strategy_allowed,
                change.related_approval_allowed,
                change.windows.as_ref().map(Json) as _
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("environment", name))?;
            let event = by.event(kind::ENVIRONMENT_CHANGED, describe(change));
            append_rules(tx, by, name, id, event).await
        })
        .await
    }

    /// Deletes an environment that has no hosts. Its rollouts and events stay.
    #[instrument(name = "db.environment.delete", level = "debug", skip_all, fields(%name))]
    pub async fn delete_environment(
        &self,
        name: &EnvironmentName,
        by: &EventAuthor<'_>,
    ) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            // The full lock, so that no host can join it meanwhile.
            let id = sqlx::query_scalar!(
                "SELECT id FROM environments WHERE name = $1 AND deleted_at IS NULL FOR UPDATE",
                name.as_str()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("environment", name))?;
            let hosts = sqlx::query_scalar!(
                r#"SELECT count(*) AS "hosts!" FROM hosts WHERE environment_id = $1 AND retired_at IS NULL"#,
                id
            )
            .fetch_one(&mut *tx)
            .await?;
            if hosts > 0 {
                return Err(StoreError::EnvironmentInUse {
                    environment: name.clone(),
                    hosts,
                });
            }
            sqlx::query!("UPDATE environments SET deleted_at = now() WHERE id = $1", id)
                .execute(&mut *tx)
                .await?;
            let mut event = by.event(kind::ENVIRONMENT_DELETED, format!("{name} is deleted"));
            event.environment = Some(EnvironmentId::from_uuid(id));
            append(tx, by.key, &[event]).await?;
            Ok(())
        })
        .await
    }
}

async fn select_environments(
    executor: impl PgExecutor<'_>,
    name: Option<&EnvironmentName>,
) -> Result<Vec<Stored<EnvironmentId, Environment>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT e.id AS "id: EnvironmentId", e.name AS "name: EnvironmentName", e.strategy AS "strategy: Strategy",
                  e.approval_required, e.own_strategy_allowed, e.related_approval_allowed, e.calendar AS "calendar: Calendar", e.created_at, now() AS "now!",
                  (SELECT count(*) FROM hosts h
                   WHERE h.environment_id = e.id AND h.retired_at IS NULL) AS "hosts!: Count",
                  open.id AS "open_rollout?: RolloutId", open.seq AS "open_seq?", l.id AS "release?: ReleaseId",
                  l.seq AS "release_seq?", l.name AS "release_name?: ReleaseName", l.rev AS "release_rev?"
           FROM environments e
           LEFT JOIN rollouts open ON open.environment_id = e.id AND open.finished_at IS NULL
           LEFT JOIN LATERAL (
               SELECT release_id FROM rollouts r
               WHERE r.environment_id = e.id AND r.state = 'succeeded' AND r.narrowed IS NOT TRUE
               ORDER BY r.seq DESC LIMIT 1
           ) ran ON true
           LEFT JOIN releases l ON l.id = ran.release_id
           WHERE ($1::text IS NULL OR e.name = $1) AND e.deleted_at IS NULL ORDER BY e.name"#,
        name.map(EnvironmentName::as_str)
    )
    .fetch_all(executor)
    .await?;
    let environments = rows.into_iter().map(|row| Stored {
        id: row.id,
        value: Environment {
            name: row.name,
            strategy: row.strategy,
            approval_required: row.approval_required,
            own_strategy_allowed: row.own_strategy_allowed,
            related_approval_allowed: row.related_approval_allowed,
            hold: row.calendar.hold(row.now),
            windows: row.calendar.windows,
            freezes: lasting(row.calendar.freezes, row.now),
            hosts: row.hosts.into(),
            open_rollout: row.open_rollout,
            created_at: row.created_at,
            open_rollout_number: row.open_seq.map(number),
            release: row
                .release
                .zip(row.release_seq)
                .map(|(id, seq)| label(id, seq, row.release_name, row.release_rev)),
        },
    });
    Ok(environments.collect())
}

/// The id of an environment that cannot be deleted until the transaction is over.
pub(super) async fn hold_environment(
    tx: &mut PgConnection,
    name: &EnvironmentName,
) -> Result<Uuid, StoreError> {
    sqlx::query_scalar!(
        "SELECT id FROM environments WHERE name = $1 AND deleted_at IS NULL FOR KEY SHARE",
        name.as_str()
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| StoreError::not_found("environment", name))
}

/// The freezes that are not over.
fn lasting(mut freezes: Vec<Freeze>, now: Timestamp) -> Vec<Freeze> {
    freezes.retain(|freeze| freeze.until > now);
    freezes
}

/// Writes an event with the digest of the environment's rules as they are now, and gives the environment.
pub(super) async fn append_rules(
    tx: &mut PgConnection,
    by: &EventAuthor<'_>,
    name: &EnvironmentName,
    id: Uuid,
    mut event: NewEvent,
) -> Result<Stored<EnvironmentId, Environment>, StoreError> {
    let id = EnvironmentId::from_uuid(id);
    let now = select_environments(&mut *tx, Some(name)).await?.pop();
    let rules = digests::environments(tx, Some(id)).await?.pop();
    let (now, rules) = now
        .zip(rules)
        .ok_or_else(|| StoreError::not_found("environment", name))?;
    event.environment = Some(id);
    append(tx, by.key, &[event.deciding(&rules.digest)]).await?;
    Ok(now)
}

fn describe(change: &UpdateEnvironment) -> String {
    let strategy = change
        .strategy
        .is_some()
        .then(|| "a new default strategy".to_owned());
    let approval = change.approval_required.map(|required| {
        let needed = if required { "needs" } else { "needs no" };
        format!("a rollout {needed} approval")
    });
    let permit = |allowed: Option<bool>, what: &str| {
        allowed.map(|allowed| format!("{what} {}", if allowed { "is allowed" } else { "is not allowed" }))
    };
    let own = permit(change.own_strategy_allowed, "a strategy of a rollout's own");
    let related = permit(
        change.related_approval_allowed,
        "an approval by a related principal",
    );
    let windows = change.windows.as_ref().map(|windows| {
        let all: Vec<&str> = windows.iter().map(Window::as_str).collect();
        match all.as_slice() {
            [] => "no maintenance windows".to_owned(),
            _ => format!("the maintenance windows {}", all.join("; ")),
        }
    });
    let parts = [strategy, approval, own, related, windows];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}
