//! Whose token a request shows.

use slipway_domain::{
    EnvironmentRoles, HostId, HostName, PrincipalId, PrincipalName, Rights, Role, Timestamp, TokenId,
    TokenLimits,
};
use sqlx::PgConnection;
use tracing::instrument;

use super::TokenHash;
use crate::audit::caller::{self, Head, Shown};
use crate::audit::digests::{PrincipalRow, TokenRow};
use crate::{AuditKey, Store, StoreError, bounded};

/// Who a request is from, by a token that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person or a machine.
    Principal(AuthenticatedPrincipal),
    /// A host's agent.
    Host {
        /// The host.
        id: HostId,
        /// Its name.
        name: HostName,
    },
}

/// A principal behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedPrincipal {
    /// Its id.
    pub id: PrincipalId,
    /// Its name.
    pub name: PrincipalName,
    /// What it may do.
    pub role: Role,
    /// What it may do in single environments, in place of that.
    pub environment_roles: EnvironmentRoles,
    /// What the token may be used for at most.
    pub limits: TokenLimits,
    /// The token that it shows.
    pub token: TokenId,
    /// When that token ends.
    pub token_ends_at: Option<Timestamp>,
}

impl AuthenticatedPrincipal {
    /// What it may do with its token.
    #[must_use]
    pub const fn rights(&self) -> Rights<'_> {
        Rights {
            role: self.role,
            environment_roles: &self.environment_roles,
            limits: &self.limits,
        }
    }
}

impl Store {
    /// Whose token this is, if the audit log says the same. `None` unless it is known, not revoked and not expired, and
    /// its principal is not disabled or its host not retired.
    ///
    /// Fails with [`StoreError::Tampered`] unless the audit log gave this token to this principal with this role. Neither
    /// may have been taken out of use.
    ///
    /// Somebody with the database could otherwise insert a token for a moment, make a decision with it that is then
    /// sealed, and restore the rows.
    #[instrument(name = "db.token.authenticate", level = "debug", skip_all)]
    pub async fn authenticate(&self, hash: &TokenHash, key: &AuditKey) -> Result<Option<Caller>, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?;
            // Between the two looks a sign-in may have given the person another role.
            for _ in 0..2 {
                match self.find_proved(&mut connection, hash, key).await {
                    Err(StoreError::Tampered(_)) => {}
                    found => return found,
                }
            }
            self.find_proved(&mut connection, hash, key).await
        })
        .await
    }

    async fn find_proved(
        &self,
        connection: &mut PgConnection,
        hash: &TokenHash,
        key: &AuditKey,
    ) -> Result<Option<Caller>, StoreError> {
        match find(connection, hash).await? {
            None => Ok(None),
            Some(Found::Host { id, name }) => Ok(Some(Caller::Host { id, name })),
            Some(Found::Principal { shown, head }) => {
                caller::prove(connection, key, &self.proofs, &shown, head).await?;
                Ok(Some(Caller::Principal(shown.caller()?)))
            }
        }
    }
}

/// Whose token it is by the rows.
enum Found {
    Principal { shown: Box<Shown>, head: Head },
    Host { id: HostId, name: HostName },
}

async fn find(connection: &mut PgConnection, hash: &TokenHash) -> Result<Option<Found>, StoreError> {
    let row = sqlx::query!(
        r#"WITH t AS (
               SELECT t.id, t.sha256, t.expires_at, nullif(t.limits, '{}')::text AS limits, t.parent_id, t.made_by,
                      p.id AS principal_id, p.name AS principal, p.role, p.made_by AS principal_made_by,
                      nullif(p.environment_roles, '{}')::text AS environment_roles, h.id AS host_id, h.name AS host
               FROM tokens t
               LEFT JOIN principals p ON p.id = t.principal_id
               LEFT JOIN hosts h ON h.id = t.host_id
               WHERE t.sha256 = $1 AND t.revoked_at IS NULL
                 AND (t.expires_at IS NULL OR t.expires_at > now())
                 AND (t.idle_seconds IS NULL
                      OR coalesce(t.last_used_at, t.created_at) > now() - make_interval(secs => t.idle_seconds))
                 AND p.disabled_at IS NULL AND h.retired_at IS NULL),
           touched AS (
               UPDATE tokens SET last_used_at = now() FROM t
               WHERE tokens.id = t.id
                 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute'))
           SELECT id AS "id!", sha256 AS "sha256!", expires_at, limits, parent_id, made_by, principal_id AS "principal_id?",
                  principal AS "principal?", role AS "role?", principal_made_by, environment_roles,
                  host_id AS "host_id?: HostId", host AS "host?: HostName",
                  newest.number AS "newest_number?", newest.hash AS "newest_hash?"
           FROM t LEFT JOIN LATERAL (
               SELECT number, hash FROM events ORDER BY number DESC LIMIT 1
           ) newest ON t.host_id IS NULL"#,
        hash.0.as_slice()
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    match (row.principal_id, row.principal, row.role, row.host_id, row.host) {
        (Some(id), Some(name), Some(role), None, None) => {
            let shown = Shown {
                principal: PrincipalRow {
                    id,
                    name: name.clone(),
                    role,
                    made_by: row.principal_made_by,
                    environment_roles: row.environment_roles,
                    disabled_at: None,
                },
                token: TokenRow {
                    id: row.id,
                    principal_id: Some(id),
                    host_id: None,
                    owner: name,
                    sha256: row.sha256,
                    expires_at: row.expires_at,
                    parent_id: row.parent_id,
                    made_by: row.made_by,
                    limits: row.limits,
                    revoked_at: None,
                },
            };
            Ok(Some(Found::Principal {
                shown: Box::new(shown),
                head: Head {
                    number: row.newest_number.unwrap_or_default(),
                    hash: row.newest_hash.unwrap_or_default(),
                },
            }))
        }
        (None, None, None, Some(id), Some(name)) => Ok(Some(Found::Host { id, name })),
        _ => Err(StoreError::Corrupt {
            what: "token",
            detail: "it belongs to nobody".to_owned(),
        }),
    }
}
