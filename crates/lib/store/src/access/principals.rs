//! Principals: people and machines with a role.

use slipway_domain::{PrincipalId, PrincipalName, Role, Timestamp};
use tracing::instrument;
use uuid::Uuid;

use crate::audit::append;
use crate::error::OnConstraint;
use crate::{By, Store, StoreError, bounded, row};

/// A person or a machine that may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: PrincipalId,
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Since when its tokens are refused.
    pub disabled_at: Option<Timestamp>,
}

struct PrincipalRow {
    id: Uuid,
    name: String,
    role: String,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
}

impl TryFrom<PrincipalRow> for Principal {
    type Error = StoreError;

    fn try_from(row: PrincipalRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: PrincipalId::from_uuid(row.id),
            name: row::parse("principal name", &row.name)?,
            role: row::parse("role", &row.role)?,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
        })
    }
}

impl Store {
    /// The principal `admin`, made if it is not there. Once disabled it stays so.
    #[instrument(name = "db.principal.ensure_admin", level = "debug", skip_all)]
    pub async fn ensure_admin(&self, by: &By<'_>) -> Result<Principal, StoreError> {
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

    /// Makes a principal.
    #[instrument(name = "db.principal.create", level = "debug", skip_all, fields(%name))]
    pub async fn create_principal(
        &self,
        name: &PrincipalName,
        role: Role,
        by: &By<'_>,
    ) -> Result<Principal, StoreError> {
        bounded(async {
            let mut tx = self.pool.begin().await?;
            let row = sqlx::query_as!(
                PrincipalRow,
                "INSERT INTO principals (id, name, role) VALUES ($1, $2, $3)
                 RETURNING id, name, role, created_at, disabled_at",
                PrincipalId::generate().as_uuid(),
                name.as_str(),
                role.as_str()
            )
            .fetch_one(&mut *tx)
            .await
            .on_constraint("principals_name_key", || StoreError::NameTaken {
                what: "principal",
                name: name.to_string(),
            })?;
            let event = by.event("principal.created", format!("{name} is a new {role}"));
            append(&mut tx, by.key, &[event]).await?;
            tx.commit().await?;
            row.try_into()
        })
        .await
    }

    /// Every principal, by name.
    #[instrument(name = "db.principal.list", level = "debug", skip_all)]
    pub async fn list_principals(&self) -> Result<Vec<Principal>, StoreError> {
        bounded(async {
            let rows = sqlx::query_as!(
                PrincipalRow,
                "SELECT id, name, role, created_at, disabled_at FROM principals ORDER BY name"
            )
            .fetch_all(&self.pool)
            .await?;
            rows.into_iter().map(Principal::try_from).collect()
        })
        .await
    }

    /// The principal of this name, disabled or not.
    #[instrument(name = "db.principal.find", level = "debug", skip_all, fields(%name))]
    pub async fn find_principal_by_name(
        &self,
        name: &PrincipalName,
    ) -> Result<Option<Principal>, StoreError> {
        bounded(async {
            sqlx::query_as!(
                PrincipalRow,
                "SELECT id, name, role, created_at, disabled_at FROM principals WHERE name = $1",
                name.as_str()
            )
            .fetch_optional(&self.pool)
            .await?
            .map(Principal::try_from)
            .transpose()
        })
        .await
    }

    /// The principal of this name, disabled or not.
    pub async fn get_principal_by_name(&self, name: &PrincipalName) -> Result<Principal, StoreError> {
        self.find_principal_by_name(name)
            .await?
            .ok_or_else(|| StoreError::not_found("principal", name))
    }

    /// Refuses all tokens of a principal from now on. Doing it again changes nothing.
    #[instrument(name = "db.principal.disable", level = "debug", skip_all, fields(%name))]
    pub async fn disable_principal(&self, name: &PrincipalName, by: &By<'_>) -> Result<(), StoreError> {
        bounded(async {
            let mut tx = self.pool.begin().await?;
            let was = sqlx::query_scalar!(
                "SELECT disabled_at FROM principals WHERE name = $1 FOR NO KEY UPDATE",
                name.as_str()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("principal", name))?;
            if was.is_some() {
                return Ok(());
            }
            sqlx::query!(
                "UPDATE principals SET disabled_at = now() WHERE name = $1",
                name.as_str()
            )
            .execute(&mut *tx)
            .await?;
            let event = by.event("principal.disabled", format!("{name} may no longer use the API"));
            append(&mut tx, by.key, &[event]).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}
