//! The proof of whom a request is from. It is made for every request of a person, so it is one statement.

use serde::de::DeserializeOwned;
use slipway_domain::{EnvironmentRoles, TokenLimits};
use sqlx::PgConnection;

use super::AuditKey;
use super::access::AccessRecord;
use super::digests::{PrincipalRow, TokenRow};
use super::read::EventRow;
use super::sealed;
use crate::{AuthenticatedPrincipal, StoreError, TokenHash};

/// Fails unless this token was given to this principal, which was given this role, and neither was taken out of use.
///
/// What was found before is held against the rows once more: they may have been put there for that moment only.
pub(crate) async fn prove(
    connection: &mut PgConnection,
    key: &AuditKey,
    found: &AuthenticatedPrincipal,
    hash: &TokenHash,
) -> Result<(), StoreError> {
    let (token, name, role) = (found.token, found.name.as_str(), found.role.as_str());
    let causes = AccessRecord::causes_of_principal(name)
        .into_iter()
        .chain(AccessRecord::causes_of_token(token.as_uuid(), name));
    let (kinds, causes): (Vec<&str>, Vec<String>) = causes.unzip();
    // One statement sees one moment.
    let rows = sqlx::query!(
        r#"SELECT p.id AS principal_id, p.name, p.role, p.made_by AS principal_made_by, p.disabled_at,
                  nullif(p.environment_roles, '{}')::text AS environment_roles, nullif(t.limits, '{}')::text AS limits,
                  t.host_id AS token_host_id, t.sha256, t.expires_at, t.parent_id, t.made_by, t.revoked_at,
                  e.number, e.at, e.actor_kind, e.actor_name, e.kind, e.environment_id, e.rollout_id, e.step_id,
                  e.host_id, e.from_state, e.to_state, e.cause, e.hash, e.seal, e.seal_key, b.hash AS "before?"
           FROM tokens t
           JOIN principals p ON p.id = t.principal_id
           CROSS JOIN unnest($2::text[], $3::text[]) AS w (kind, cause)
           CROSS JOIN LATERAL (
               SELECT * FROM events
               WHERE rollout_id IS NULL AND kind = w.kind AND left(cause, 16) = left(w.cause, 16)
                 AND starts_with(cause, w.cause)
               ORDER BY number DESC LIMIT 1
           ) e
           LEFT JOIN events b ON b.number = e.number - 1
           WHERE t.id = $1"#,
        token.as_uuid(),
        &kinds as _,
        &causes
    )
    .fetch_all(connection)
    .await?;
    let mut now = None;
    let mut events = Vec::with_capacity(causes.len());
    for row in rows {
        let principal = PrincipalRow {
            id: row.principal_id,
            name: row.name.clone(),
            role: row.role,
            made_by: row.principal_made_by,
            environment_roles: row.environment_roles,
            disabled_at: row.disabled_at,
        };
        let shown = TokenRow {
            id: token.as_uuid(),
            principal_id: Some(row.principal_id),
            host_id: row.token_host_id,
            owner: row.name,
            sha256: row.sha256,
            expires_at: row.expires_at,
            parent_id: row.parent_id,
            made_by: row.made_by,
            limits: row.limits,
            revoked_at: row.revoked_at,
        };
        now = Some((principal, shown));
        let event = EventRow {
            number: row.number,
            at: row.at,
            actor_kind: row.actor_kind,
            actor_name: row.actor_name,
            kind: row.kind,
            environment_id: row.environment_id,
            rollout_id: row.rollout_id,
            step_id: row.step_id,
            host_id: row.host_id,
            host_name: None,
            rollout_seq: None,
            from_state: row.from_state,
            to_state: row.to_state,
            cause: row.cause,
            hash: row.hash,
            seal: row.seal,
            seal_key: row.seal_key,
            before: row.before,
        };
        events.push(sealed::prove(key, event)?);
    }
    let Some((principal, shown)) = now else {
        return Err(StoreError::Tampered(format!(
            "no event says how token {token} came to be"
        )));
    };
    let roles: EnvironmentRoles = stored("roles", principal.environment_roles.as_deref())?;
    let limits: TokenLimits = stored("limits", shown.limits.as_deref())?;
    if principal.id != found.id.as_uuid()
        || principal.role != role
        || roles != found.environment_roles
        || limits != found.limits
        || !hash.is(&shown.sha256)
    {
        return Err(StoreError::Tampered(format!(
            "token {token} changed while it was looked at"
        )));
    }
    AccessRecord::principal(&principal).check(&events)?;
    AccessRecord::token(&shown).check(&events)
}

/// What a column holds; nothing where it has its default.
fn stored<T: Default + DeserializeOwned>(what: &'static str, text: Option<&str>) -> Result<T, StoreError> {
    let read = text.map_or_else(|| Ok(T::default()), serde_json::from_str);
    read.map_err(|error| StoreError::Corrupt {
        what,
        detail: error.to_string(),
    })
}
