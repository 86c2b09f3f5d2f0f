//! Tokens that end before their time: revoked, or replaced.

use slipway_domain::event::NewEvent;
use slipway_domain::{HostId, TokenId};
use slipway_wire::access::Token;
use sqlx::PgConnection;
use tracing::instrument;
use uuid::Uuid;

use super::tokens::insert_host_token;
use crate::audit::{append, kind};
use crate::{EventAuthor, Store, StoreError, TokenHash};

impl Store {
    /// Refuses a token from now on, with all that was made with it. Doing it again changes nothing.
    #[instrument(name = "db.token.revoke", level = "debug", skip_all, fields(%id))]
    pub async fn revoke_token(&self, id: TokenId, by: &EventAuthor<'_>) -> Result<(), StoreError> {
        self.transaction(async |tx| {
            sqlx::query_scalar!("SELECT id FROM tokens WHERE id = $1", id.as_uuid())
                .fetch_optional(&mut *tx)
                .await?
                .ok_or_else(|| StoreError::not_found("token", &id))?;
            let events = revoke(tx, &[id.as_uuid()], by).await?;
            append(tx, by.key, &events).await?;
            Ok(())
        })
        .await
    }

    /// Stores a new token for a host and refuses every other one of it from now on.
    #[instrument(name = "db.token.replace", level = "debug", skip_all, fields(%host))]
    pub async fn replace_host_token(
        &self,
        host: HostId,
        label: &str,
        hash: TokenHash,
        by: &EventAuthor<'_>,
    ) -> Result<Token, StoreError> {
        self.transaction(async |tx| {
            // Two at once would not see each other's token, and both would stay good.
            sqlx::query_scalar!(
                "SELECT id FROM hosts WHERE id = $1 AND retired_at IS NULL FOR NO KEY UPDATE",
                host.as_uuid()
            )
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| StoreError::not_found("host", &host))?;
            let (token, made) = insert_host_token(tx, host, label, hash, by).await?;
            let mut events = vec![made];
            let why = format!("replaced by {}", token.id);
            events.extend(revoke_host_tokens(tx, host, Some(token.id), &why, by).await?);
            append(tx, by.key, &events).await?;
            Ok(token)
        })
        .await
    }
}

/// Refuses these tokens and all that were made with them, directly or not. Gives an event for each.
pub(crate) async fn revoke(
    tx: &mut PgConnection,
    tokens: &[Uuid],
    by: &EventAuthor<'_>,
) -> Result<Vec<NewEvent>, StoreError> {
    let mut events = Vec::new();
    loop {
        let revoked = sqlx::query!(
            r#"WITH RECURSIVE doomed AS (
                   SELECT id FROM tokens WHERE id = ANY($1)
                   UNION SELECT t.id FROM tokens t JOIN doomed d ON t.parent_id = d.id),
               locked AS (
                   SELECT id FROM tokens WHERE id IN (SELECT id FROM doomed) AND revoked_at IS NULL
                   ORDER BY id FOR NO KEY UPDATE)
               UPDATE tokens SET revoked_at = now() FROM locked WHERE tokens.id = locked.id
               RETURNING tokens.id, label, host_id, parent_id"#,
            tokens
        )
        .fetch_all(&mut *tx)
        .await?;
        // Again: while it waited for a token, another may have been made with it. Not after that.
        if revoked.is_empty() {
            return Ok(events);
        }
        events.extend(revoked.into_iter().map(|token| {
            let with = match token.parent_id.filter(|_| !tokens.contains(&token.id)) {
                Some(parent) => format!(", made with {}", TokenId::from_uuid(parent)),
                None => String::new(),
            };
            let cause = format!("token {} ({}){with}", TokenId::from_uuid(token.id), token.label);
            NewEvent {
                host: token.host_id.map(HostId::from_uuid),
                ..by.event(kind::TOKEN_REVOKED, cause)
            }
        }));
    }
}

/// Refuses every token of a host from now on, but for one; gives the events that say so.
pub(crate) async fn revoke_host_tokens(
    tx: &mut PgConnection,
    host: HostId,
    but: Option<TokenId>,
    why: &str,
    by: &EventAuthor<'_>,
) -> Result<Vec<NewEvent>, StoreError> {
    let revoked = sqlx::query_scalar!(
        "UPDATE tokens SET revoked_at = now()
         WHERE host_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL RETURNING id",
        host.as_uuid(),
        but.map(TokenId::as_uuid)
    )
    .fetch_all(tx)
    .await?;
    let event = |id: &Uuid| {
        let mut event = by.event(kind::TOKEN_REVOKED, format!("token {id}: {why}"));
        event.host = Some(host);
        event
    };
    Ok(revoked.iter().map(event).collect())
}
