//! Whose token a request shows.

use slipway_domain::{
    EnvironmentRoles, HostId, HostName, PrincipalId, PrincipalName, Rights, Role, Timestamp, TokenId,
    TokenLimits,
};
use tracing::instrument;

use super::TokenHash;
use super::lookup::Row;
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
        // Not bounded as a whole: a request that goes away while it waits for a shared lookup has no connection to doubt.
        for _ in 0..2 {
            match Box::pin(self.find_proved(hash, key)).await {
                // Between the two looks a sign-in may have given the person another role.
                Err(StoreError::Tampered(_)) => {}
                found => return found,
            }
        }
        Box::pin(self.find_proved(hash, key)).await
    }

    async fn find_proved(&self, hash: &TokenHash, key: &AuditKey) -> Result<Option<Caller>, StoreError> {
        let Some(row) = self.lookups.find(&self.pool, *hash).await? else {
            return Ok(None);
        };
        match found(row)? {
            Found::Host { id, name } => Ok(Some(Caller::Host { id, name })),
            Found::Principal { shown, head } => {
                if !self.proofs.hold(&head, key, &shown) {
                    bounded(async {
                        let mut connection = self.pool.acquire().await?;
                        caller::prove(&mut connection, key, &self.proofs, &shown, head).await
                    })
                    .await?;
                }
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

fn found(row: Row) -> Result<Found, StoreError> {
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
            Ok(Found::Principal {
                shown: Box::new(shown),
                head: Head {
                    number: row.newest_number.unwrap_or_default(),
                    hash: row.newest_hash.unwrap_or_default(),
                },
            })
        }
        (None, None, None, Some(id), Some(name)) => Ok(Found::Host { id, name }),
        _ => Err(StoreError::Corrupt {
            what: "token",
            detail: "it belongs to nobody".to_owned(),
        }),
    }
}
