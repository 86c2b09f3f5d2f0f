//! Principals: people and machines with a role.

use slipway_domain::{EnvironmentRoles, PrincipalId, PrincipalName, Role};
use slipway_wire::access::Principal;
use sqlx::types::Json;
use tracing::instrument;

use super::revoke::revoke;
use crate::audit::{append, digests, kind};
use crate::error::OnConstraint;
use crate::{EventAuthor, Store, StoreError, Stored, bounded, row};

impl Store {
    /// The principal `admin`, made if it is not there. Once disabled it stays so.
    #[instrument(name = "db.principal.ensure_admin", level = "debug", skip_all)]
    pub async fn ensure_admin(
        &self,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<PrincipalId, Principal>, StoreError> {
        let name: PrincipalName = row::parse("principal name", "admin")?;
        if let Some(admin) = self.find_principal_by_name(&name).await? {
            return Ok(admin);
        }
        match self.create_principal(&name, Role::Admin, by).await {
            // Another replica was faster.
            Err(StoreError::NameTaken { .. }) => self.get_principal_by_name(&name).await,
            result => result,
        }
    }

    /// Makes a principal with the same role everywhere.
    pub async fn create_principal(
        &self,
        name: &PrincipalName,
        role: Role,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<PrincipalId, Principal>, StoreError> {
        self.create_principal_with_roles(name, role, &EnvironmentRoles::default(), by)
            .await
    }

    /// Makes a principal, with other roles in single environments.
    #[instrument(name = "db.principal.create", level = "debug", skip_all, fields(%name))]
    pub async fn create_principal_with_roles(
        &self,
        name: &PrincipalName,
        role: Role,
        roles: &EnvironmentRoles,
        by: &EventAuthor<'_>,
    ) -> Result<Stored<PrincipalId, Principal>, StoreError> {
        self.transaction(async |tx| {
            let id = by.id(PrincipalId::from_uuid, PrincipalId::generate);
            let value = sqlx::query_as!(
                Principal,
                r#"INSERT INTO principals (id, name, role, made_by, environment_roles)
                   VALUES ($1, $2, $3, (SELECT id FROM principals WHERE name = $4), $5)
                   RETURNING name AS "name: _", role AS "role: _", environment_roles AS "environment_roles: EnvironmentRoles",
                             created_at, disabled_at"#,
                id.as_uuid(),
                name.as_str(),
                role.as_str(),
                by.principal().map(PrincipalName::as_str),
                Json(roles) as _
            )
            .fetch_one(&mut *tx)
            .await
            .on_constraint("principals_name_key", || StoreError::NameTaken {
                what: "principal",
                name: name.to_string(),
            })?;
            let made = digests::principals(tx, Some(id)).await?.pop();
            let made = made
                .ok_or_else(|| StoreError::not_found("principal", name))?
                .decided();
            let elsewhere = roles.words();
            let event = by
                .event(kind::PRINCIPAL_CREATED, format!("{}{elsewhere}", made.cause))
                .deciding(&made.digest);
            append(tx, by.key, &[event]).await?;
            Ok(Stored { id, value })
        })
        .await
    }

    /// Every principal, by name.
    #[instrument(name = "db.principal.list", level = "debug", skip_all)]
    pub async fn list_principals(&self) -> Result<Vec<Principal>, StoreError> {
        bounded(async {
            Ok(sqlx::query_as!(
                Principal,
                r#"SELECT name AS "name: _", role AS "role: _", environment_roles AS "environment_roles: EnvironmentRoles",
                          created_at, disabled_at
                   FROM principals ORDER BY name"#
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await
    }

    /// The principal of this name, disabled or not.
    #[instrument(name = "db.principal.find", level = "debug", skip_all, fields(%name))]
    pub async fn find_principal_by_name(
        &self,
        name: &PrincipalName,
    ) -> Result<Option<Stored<PrincipalId, Principal>>, StoreError> {
        bounded(async {
            let found = sqlx::query!(
                r#"SELECT id AS "id: PrincipalId", name AS "name: PrincipalName", role AS "role: Role",
                          environment_roles AS "environment_roles: EnvironmentRoles", created_at, disabled_at
                   FROM principals WHERE name = $1"#,
                name.as_str()
            )
            .fetch_optional(&self.pool)
            .await?;
            Ok(found.map(|row| Stored {
                id: row.id,
                value: Principal {
                    name: row.name,
                    role: row.role,
                    environment_roles: row.environment_roles,
                    created_at: row.created_at,
                    disabled_at: row.disabled_at,
                },
            }))
        })
        .await
    }

    /// The principal of this name, disabled or not.
    pub async fn get_principal_by_name(
        &self,
        name: &PrincipalName,
    ) -> Result<Stored<PrincipalId, Principal>, StoreError> {
        self.find_principal_by_name(name)
            .await?
            .ok_or_else(|| StoreError::not_found("principal", name))
    }

    /// Refuses all tokens of a principal from now on, with all that was made with them. Doing it again changes nothing.
    ///
    /// Fails with [`StoreError::ActorDisabled`] when whoever asks is no admin any more: of two that disable each other at
    /// once, one stays.
    #[instrument(name = "db.principal.disable", level = "debug", skip_all, fields(%name))]
    pub async fn disable_principal(
        &self,
        name: &PrincipalName,
        by: &EventAuthor<'_>,
    ) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            // All of them and in one order, so that one waits for the other.
            let admins = sqlx::query_scalar!(
                "SELECT name FROM principals WHERE role = 'admin' AND disabled_at IS NULL
                 ORDER BY id FOR NO KEY UPDATE"
            )
            .fetch_all(&mut *tx)
            .await?;
            if let Some(actor) = by.principal()
                && !admins.iter().any(|admin| admin == actor.as_str())
            {
                return Err(StoreError::ActorDisabled { name: actor.clone() });
            }
            let principal = sqlx::query!(
                "SELECT id, disabled_at FROM principals WHERE name = $1 FOR NO KEY UPDATE",
                name.as_str()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("principal", name))?;
            if principal.disabled_at.is_some() {
                return Ok(());
            }
            sqlx::query!(
                "UPDATE principals SET disabled_at = now() WHERE id = $1",
                principal.id
            )
            .execute(&mut *tx)
            .await?;
            let own = sqlx::query_scalar!("SELECT id FROM tokens WHERE principal_id = $1", principal.id)
                .fetch_all(&mut *tx)
                .await?;
            let mut events = vec![by.event(
                kind::PRINCIPAL_DISABLED,
                format!("{name} may no longer use the API"),
            )];
            events.extend(revoke(tx, &own, by).await?);
            append(tx, by.key, &events).await?;
            Ok(())
        })
        .await
    }
}
