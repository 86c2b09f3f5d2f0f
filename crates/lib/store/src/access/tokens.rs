//! Tokens, which prove who sends a request. Only their hashes are here.

use std::fmt;

use sha2::{Digest, Sha256};
use slipway_domain::event::NewEvent;
use slipway_domain::{HostId, PrincipalId, PrincipalName, Timestamp, TokenId, TokenLimits};
use slipway_wire::access::Token;
use sqlx::PgConnection;
use sqlx::types::Json;
use tracing::instrument;

use crate::audit::{append, digests, kind};
use crate::{EventAuthor, Store, StoreError, bounded, page_limit};

/// The SHA-256 of a token, which is all that is kept of it.
///
/// Tokens have 256 random bits, so a plain hash gives nothing away. The timing of a lookup only reveals how much of
/// a guess's hash equals a stored one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub(super) [u8; 32]);

impl TokenHash {
    /// The hash of a whole token, with its `slw_` prefix.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(<redacted>)")
    }
}

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOwner {
    /// A principal's: may do what its role may.
    Principal(PrincipalId),
    /// A host's: may only sync that host.
    Host(HostId),
}

/// Which tokens are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokensOf {
    /// Only this principal's.
    pub principal: Option<PrincipalId>,
    /// Only this one and those that were made with it, directly or not.
    pub under: Option<TokenId>,
    /// Only those of browsers, or only all others.
    pub session: Option<bool>,
    /// Only those that still work.
    pub good: bool,
}

/// A token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whose.
    pub owner: TokenOwner,
    /// What it is for, for people.
    pub label: String,
    /// Its hash.
    pub hash: TokenHash,
    /// Refused after this long; `None` is never, or with its parent.
    pub expires_in_seconds: Option<u32>,
    /// The token that it is made with: it ends and is revoked with that one, and can do no more.
    pub parent: Option<TokenId>,
    /// What it may be used for at most.
    pub limits: TokenLimits,
    /// Refused after so long without a request; a token made with it ends so too.
    pub idle_seconds: Option<u32>,
}

/// Stores a host's token within a transaction, and gives the event that says so.
pub(crate) async fn insert_host_token(
    tx: &mut PgConnection,
    host: HostId,
    label: &str,
    hash: TokenHash,
    by: &EventAuthor<'_>,
) -> Result<(Token, NewEvent), StoreError> {
    let new = NewToken {
        owner: TokenOwner::Host(host),
        label: label.to_owned(),
        hash,
        expires_in_seconds: None,
        parent: None,
        limits: TokenLimits::default(),
        idle_seconds: None,
    };
    let token = insert_token(tx, &new, by).await?;
    let event = token_event(tx, by, &token, new.owner).await?;
    Ok((token, event))
}

/// Stores a token within a transaction; the event is the caller's.
pub(super) async fn insert_token(
    tx: &mut PgConnection,
    new: &NewToken,
    by: &EventAuthor<'_>,
) -> Result<Token, StoreError> {
    if let Some(maker) = by.principal() {
        lock_maker(&mut *tx, maker).await?;
    }
    let (end, idle) = match new.parent {
        Some(parent) => lock_parent(&mut *tx, parent, &new.limits).await?,
        None => (None, None),
    };
    let own = new
        .idle_seconds
        .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    let (principal, host) = match new.owner {
        TokenOwner::Principal(id) => (Some(id.as_uuid()), None),
        TokenOwner::Host(id) => (None, Some(id.as_uuid())),
    };
    Ok(sqlx::query_as!(
        Token,
        r#"WITH t AS (
               INSERT INTO tokens (id, principal_id, host_id, label, sha256, expires_at, parent_id, made_by, limits,
                                   idle_seconds)
               VALUES ($1, $2, $3, $4, $5, least(now() + make_interval(secs => $6), $7), $8,
                       (SELECT id FROM principals WHERE name = $9), $10, least($11::integer, $12))
               RETURNING *)
           SELECT t.id AS "id: _", p.name AS "principal: _", h.name AS "host: _", t.label, t.created_at, t.expires_at,
                  t.last_used_at, t.revoked_at, t.limits AS "limits: _", t.idle_seconds IS NOT NULL AS "session!"
           FROM t LEFT JOIN principals p ON p.id = t.principal_id LEFT JOIN hosts h ON h.id = t.host_id"#,
        by.id(TokenId::from_uuid, TokenId::generate).as_uuid(),
        principal,
        host,
        new.label,
        new.hash.0.as_slice(),
        new.expires_in_seconds.map(f64::from),
        end,
        new.parent.map(TokenId::as_uuid),
        by.principal().map(PrincipalName::as_str),
        Json(&new.limits) as _,
        own,
        idle
    )
    .fetch_one(tx)
    .await?)
}

/// Prevents disabling a principal until the transaction is over: a token that it creates meanwhile would not be revoked
/// with it. Taken before the locks on tokens, in the same order as disabling takes them.
async fn lock_maker(tx: &mut PgConnection, maker: &PrincipalName) -> Result<(), StoreError> {
    let disabled = sqlx::query_scalar!(
        "SELECT disabled_at FROM principals WHERE name = $1 FOR SHARE",
        maker.as_str()
    )
    .fetch_optional(tx)
    .await?
    .flatten();
    if disabled.is_some() {
        return Err(StoreError::ActorDisabled { name: maker.clone() });
    }
    Ok(())
}

/// Keeps a token from being revoked until the transaction is over, and gives its end and its idle time.
///
/// Fails unless it may itself do all that one with these limits may.
async fn lock_parent(
    tx: &mut PgConnection,
    parent: TokenId,
    limits: &TokenLimits,
) -> Result<(Option<Timestamp>, Option<i32>), StoreError> {
    let row = sqlx::query!(
        r#"SELECT expires_at, idle_seconds, limits AS "limits: TokenLimits" FROM tokens
         WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR SHARE"#,
        parent.as_uuid()
    )
    .fetch_optional(tx)
    .await?
    .ok_or(StoreError::TokenEnded)?;
    match limits.beyond(&row.limits) {
        Some(wider) => Err(StoreError::TokenWider(wider)),
        None => Ok((row.expires_at, row.idle_seconds)),
    }
}

impl Store {
    /// Stores a token's hash.
    #[instrument(name = "db.token.create", level = "debug", skip_all)]
    pub async fn create_token(&self, new: &NewToken, by: &EventAuthor<'_>) -> Result<Token, StoreError> {
        self.transaction(async |tx| {
            let token = insert_token(tx, new, by).await?;
            let made = token_event(tx, by, &token, new.owner).await?;
            append(tx, by.key, &[made]).await?;
            Ok(token)
        })
        .await
    }

    /// A page of these tokens, the newest first, and those after this one.
    ///
    /// Somebody else's token is not found, like one that never existed.
    #[instrument(name = "db.token.list", level = "debug", skip_all)]
    pub async fn list_tokens(
        &self,
        of: TokensOf,
        after: Option<TokenId>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        bounded(async {
            let before = match after {
                None => None,
                Some(id) => Some(
                    sqlx::query_scalar!(
                        "SELECT created_at FROM tokens
                         WHERE id = $1 AND ($2::uuid IS NULL OR principal_id = $2)",
                        id.as_uuid(),
                        of.principal.map(PrincipalId::as_uuid)
                    )
                    .fetch_optional(&self.pool)
                    .await?
                    .ok_or_else(|| StoreError::not_found("token", &id))?,
                ),
            };
            Ok(sqlx::query_as!(
                Token,
                r#"SELECT t.id AS "id: _", p.name AS "principal: _", h.name AS "host: _", t.label, t.created_at,
                          t.expires_at, t.last_used_at, t.revoked_at, t.limits AS "limits: _",
                          t.idle_seconds IS NOT NULL AS "session!"
                   FROM tokens t
                   LEFT JOIN principals p ON p.id = t.principal_id
                   LEFT JOIN hosts h ON h.id = t.host_id
                   WHERE ($1::uuid IS NULL OR t.principal_id = $1)
                     AND ($2::timestamptz IS NULL OR (t.created_at, t.id) < ($2, $3))
                     AND ($7::uuid IS NULL OR t.id IN (
                         WITH RECURSIVE under AS (
                             SELECT id FROM tokens WHERE id = $7
                             UNION SELECT t.id FROM tokens t JOIN under u ON t.parent_id = u.id)
                         SELECT id FROM under))
                     AND ($5::boolean IS NULL OR (t.idle_seconds IS NOT NULL) = $5)
                     AND (NOT $6 OR (t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
                          AND (t.idle_seconds IS NULL
                               OR coalesce(t.last_used_at, t.created_at) > now() - make_interval(secs => t.idle_seconds))))
                   ORDER BY t.created_at DESC, t.id DESC LIMIT $4"#,
                of.principal.map(PrincipalId::as_uuid),
                before,
                after.map(TokenId::as_uuid),
                page_limit(limit),
                of.session,
                of.good,
                of.under.map(TokenId::as_uuid)
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await
    }

    /// The token of this hash, whatever became of it.
    #[instrument(name = "db.token.find", level = "debug", skip_all)]
    pub async fn find_token(&self, hash: &TokenHash) -> Result<Option<Token>, StoreError> {
        bounded(async {
            Ok(sqlx::query_as!(
                Token,
                r#"SELECT t.id AS "id: _", p.name AS "principal?: _", h.name AS "host?: _", t.label, t.created_at,
                          t.expires_at, t.last_used_at, t.revoked_at, t.limits AS "limits: _",
                          t.idle_seconds IS NOT NULL AS "session!"
                   FROM tokens t
                   LEFT JOIN principals p ON p.id = t.principal_id
                   LEFT JOIN hosts h ON h.id = t.host_id
                   WHERE t.sha256 = $1"#,
                hash.0.as_slice()
            )
            .fetch_optional(&self.pool)
            .await?)
        })
        .await
    }

    /// Whether a token is this one, or was made with it, directly or not.
    #[instrument(name = "db.token.is_under", level = "debug", skip_all, fields(%id))]
    pub async fn is_token_under(&self, id: TokenId, under: TokenId) -> Result<bool, StoreError> {
        bounded(async {
            let found = sqlx::query_scalar!(
                r#"WITH RECURSIVE makers AS (
                       SELECT id, parent_id FROM tokens WHERE id = $1
                       UNION SELECT t.id, t.parent_id FROM tokens t JOIN makers m ON t.id = m.parent_id)
                   SELECT EXISTS (SELECT 1 FROM makers WHERE id = $2) AS "found!""#,
                id.as_uuid(),
                under.as_uuid()
            )
            .fetch_one(&self.pool)
            .await?;
            Ok(found)
        })
        .await
    }

    /// Whether the token is this principal's.
    #[instrument(name = "db.token.is_of", level = "debug", skip_all, fields(%id))]
    pub async fn is_token_of(&self, id: TokenId, principal: PrincipalId) -> Result<bool, StoreError> {
        bounded(async {
            let found = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM tokens WHERE id = $1 AND principal_id = $2) AS "found!""#,
                id.as_uuid(),
                principal.as_uuid()
            )
            .fetch_one(&self.pool)
            .await?;
            Ok(found)
        })
        .await
    }
}

/// The event of a new token, with the digest of whose it is.
pub(super) async fn token_event(
    tx: &mut PgConnection,
    by: &EventAuthor<'_>,
    token: &Token,
    owner: TokenOwner,
) -> Result<NewEvent, StoreError> {
    let limited = match token.limits.words() {
        words if words.is_empty() => String::new(),
        words => format!(", limited to the {words}"),
    };
    let made = digests::tokens(tx, digests::Tokens::One(token.id)).await?.pop();
    let made = made
        .ok_or_else(|| StoreError::not_found("token", &token.id))?
        .decided();
    let cause = format!("{}{}){limited}", made.cause, token.label);
    let mut event = by.event(kind::TOKEN_CREATED, cause).deciding(&made.digest);
    if let TokenOwner::Host(host) = owner {
        event.host = Some(host);
    }
    Ok(event)
}
