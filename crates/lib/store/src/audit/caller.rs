//! The proof of whom a request is from. It takes one statement, and none while there is no new event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use slipway_domain::digest::Digest;
use slipway_domain::{PrincipalId, TokenId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::AuditKey;
use super::access::AccessRecord;
use super::digests::{PrincipalRow, TokenRow};
use super::read::EventRow;
use super::sealed::{self, Sealed};
use crate::{AuthenticatedPrincipal, StoreError, row};

/// More tokens than people and machines show at once.
const MOST_PROOFS: usize = 4096;

/// A principal and its token, as their rows are.
pub(crate) struct Shown {
    pub(crate) principal: PrincipalRow,
    pub(crate) token: TokenRow,
}

impl Shown {
    /// Of all that was decided of both.
    fn digests(&self) -> [Digest; 2] {
        [self.principal.decided().digest, self.token.decided().digest]
    }

    fn is_over(&self) -> bool {
        self.principal.disabled_at.is_some() || self.token.revoked_at.is_some()
    }

    /// Who it is by these rows.
    pub(crate) fn caller(&self) -> Result<AuthenticatedPrincipal, StoreError> {
        let Self { principal, token } = self;
        Ok(AuthenticatedPrincipal {
            id: PrincipalId::from_uuid(principal.id),
            name: row::parse("principal name", &principal.name)?,
            role: row::parse("role", &principal.role)?,
            environment_roles: stored("roles", principal.environment_roles.as_deref())?,
            limits: stored("limits", token.limits.as_deref())?,
            token: TokenId::from_uuid(token.id),
            token_ends_at: token.expires_at,
        })
    }
}

/// The newest event in the moment in which a token was found. Somebody with the database may have put it there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: i64,
    pub(crate) hash: Vec<u8>,
}

/// Whose rows the audit log proved since its newest event. Without a newer event the same rows need no second proof.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proofs(Arc<Mutex<Proved>>);

#[derive(Debug, Default)]
struct Proved {
    /// The newest event, which was itself proved: a forged one would hide real events after it.
    head: Head,
    /// The key that proved it.
    key: String,
    /// The digests of the rows, by token. Changed rows have others.
    rows: HashMap<Uuid, [Digest; 2]>,
}

impl Proved {
    fn is_at(&self, head: &Head, key: &AuditKey) -> bool {
        self.head == *head && self.key == key.fingerprint()
    }
}

impl Proofs {
    /// Whether these rows were proved since the newest event.
    pub(crate) fn hold(&self, head: &Head, key: &AuditKey, found: &Shown) -> bool {
        let digests = found.digests();
        let proved = self.proved();
        proved.is_at(head, key) && proved.rows.get(&found.token.id) == Some(&digests)
    }

    /// Whether the newest event is one that was itself proved.
    fn are_at(&self, head: &Head, key: &AuditKey) -> bool {
        self.proved().is_at(head, key)
    }

    fn keep(&self, head: Head, key: &AuditKey, token: Uuid, rows: [Digest; 2]) {
        let mut proved = self.proved();
        if !proved.is_at(&head, key) || proved.rows.len() >= MOST_PROOFS {
            *proved = Proved {
                head,
                key: key.fingerprint().to_owned(),
                rows: HashMap::new(),
            };
        }
        proved.rows.insert(token, rows);
    }

    fn proved(&self) -> MutexGuard<'_, Proved> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails unless this token was given to this principal, which was given this role, and neither was taken out of use.
///
/// `head` is the newest event in the moment in which both were found.
pub(crate) async fn prove(
    connection: &mut PgConnection,
    key: &AuditKey,
    proofs: &Proofs,
    found: &Shown,
    head: Head,
) -> Result<(), StoreError> {
    let token = found.token.id;
    let rows = found.digests();
    let (now, events) = read(connection, key, token, &found.principal.name).await?;
    // What was found before is held against the rows once more: they may have been put there for that moment only.
    if now.digests() != rows || now.is_over() {
        return Err(StoreError::Tampered(format!(
            "token {token} changed while it was looked at"
        )));
    }
    AccessRecord::principal(&now.principal).check(&events)?;
    AccessRecord::token(&now.token).check(&events)?;
    if proofs.are_at(&head, key) || sealed::is_real(connection, key, head.number, &head.hash).await? {
        proofs.keep(head, key, token, rows);
    }
    Ok(())
}

/// The rows and the events that they must fit, of one moment.
async fn read(
    connection: &mut PgConnection,
    key: &AuditKey,
    token: Uuid,
    name: &str,
) -> Result<(Shown, Vec<Sealed>), StoreError> {
    let causes = AccessRecord::causes_of_principal(name)
        .into_iter()
        .chain(AccessRecord::causes_of_token(token, name));
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
        token,
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
        let token = TokenRow {
            id: token,
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
        now = Some(Shown { principal, token });
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
    let now =
        now.ok_or_else(|| StoreError::Tampered(format!("no event says how token {token} came to be")))?;
    Ok((now, events))
}

/// What a column holds; nothing where it has its default.
fn stored<T: Default + DeserializeOwned>(what: &'static str, text: Option<&str>) -> Result<T, StoreError> {
    let read = text.map_or_else(|| Ok(T::default()), serde_json::from_str);
    read.map_err(|error| StoreError::Corrupt {
        what,
        detail: error.to_string(),
    })
}
