//! Tokens of principals. Hosts' tokens are made with their hosts.

use axum::Json;
use http::StatusCode;
use slipway_domain::{PrincipalId, PrincipalName, Role, Timestamp, TokenId};
use slipway_store::{EventAuthor, NewToken, TokenHash, TokenOwner};
use slipway_wire::access::{CreateToken, Token, TokenCreated, TokenSecret};
use slipway_wire::page::{Page, PageQuery};
use slipway_wire::route;

use super::{Answer, Created, page, requested_page, token_created};
use crate::auth::{self, RequestContext};
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam, QueryParams};
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer),
    create: Role(Viewer),
    revoke: Role(Viewer),
}

/// Days that a token may be good.
pub(crate) const MAX_DAYS: u32 = 3650;
const DAY_SECONDS: u32 = 24 * 3600;

/// List tokens
///
/// An admin sees all of them, anybody else their own. No secrets.
#[utoipa::path(
    get, path = route::TOKENS, operation_id = "list_tokens", tag = "access", params(PageQuery),
    responses((status = 200, description = "A page, the newest first, revoked ones too", body = Page<Token>))
)]
async fn list(context: RequestContext, QueryParams(query): QueryParams<PageQuery>) -> Answer<Page<Token>> {
    let (limit, after) = requested_page(query.limit, query.after.as_deref())?;
    let of = (context.caller.role < Role::Admin).then_some(context.caller.id);
    let found = context.store.list_tokens(of, after, limit + 1).await?;
    Ok(Json(page(found, limit, |token| token.id.to_string())))
}

/// Make a token
///
/// For oneself, or with the role `admin` for any principal. It ends with the token that asks for it and is revoked with
/// it; `POST /login` makes one that is not bound to another.
#[utoipa::path(
    post, path = route::TOKENS, operation_id = "create_token", tag = "access", request_body = CreateToken,
    responses((status = 201, description = "The token, shown now and never again", body = TokenCreated))
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreateToken>) -> Created<TokenCreated> {
    check(&request)?;
    require_within(&request, context.caller.token_ends_at, context.store.now().await?)?;
    let owner = match &request.principal {
        Some(name) if *name != context.caller.name => {
            if context.caller.role < Role::Admin {
                return Err(ApiError::Forbidden(format!(
                    "a token for somebody else takes the role admin; `{}` is {}. Ask an admin",
                    context.caller.name, context.caller.role
                )));
            }
            find_owner(&context.app, name).await?
        }
        _ => context.caller.id,
    };
    let once = context.once(&request)?;
    let (token, hash) = once.token()?;
    let by = context.by().making(once.made());
    let new = NewToken {
        owner: TokenOwner::Principal(owner),
        label: request.label,
        hash,
        expires_in_seconds: request.expires_in_days.map(|days| days * DAY_SECONDS),
        parent: Some(context.caller.token),
    };
    let make = async {
        let made = context.store.create_token(&new, &by).await?;
        Ok(token_created(&made, token.clone()))
    };
    let find = |_| found(&context, &token, &hash);
    once.answer(find, make).await
}

/// The token that an earlier request made.
pub(super) async fn found(
    context: &RequestContext,
    token: &TokenSecret,
    hash: &TokenHash,
) -> Result<Option<TokenCreated>> {
    let Some(made) = context.store.find_token(hash).await? else {
        return Ok(None);
    };
    if made.revoked_at.is_some() {
        return Err(ApiError::Conflict(format!(
            "token {} of this Idempotency-Key was revoked; take another key for another token",
            made.id
        )));
    }
    Ok(Some(token_created(&made, token.clone())))
}

/// What can be said of a wish for a token by itself.
pub(super) fn check(request: &CreateToken) -> Result<()> {
    text::check("label", &request.label, text::LABEL)?;
    if let Some(days) = request
        .expires_in_days
        .filter(|days| !(1..=MAX_DAYS).contains(days))
    {
        let detail =
            format!("{days} is out of range; use 1 to {MAX_DAYS}, or leave it out for a token without end");
        return Err(ApiError::field("expires_in_days", detail));
    }
    Ok(())
}

/// A token that ends makes none that outlives it.
fn require_within(request: &CreateToken, end: Option<Timestamp>, now: Timestamp) -> Result<()> {
    let (Some(days), Some(end)) = (request.expires_in_days, end) else {
        return Ok(());
    };
    let left = (end - now).num_days();
    if i64::from(days) <= left {
        return Ok(());
    }
    Err(ApiError::field(
        "expires_in_days",
        format!(
            "{days} days are more than the {left} that are left of the token that asks, and a token ends with the one that \
             it was made with; leave it out to end with it, or make one that is bound to none with the admin's password: \
             slipway token create --with-password"
        ),
    ))
}

/// Somebody who can have a token.
pub(super) async fn find_owner(app: &App, name: &PrincipalName) -> Result<PrincipalId> {
    let principal = app.store.get_principal_by_name(name).await?;
    if principal.disabled_at.is_some() {
        return Err(ApiError::field(
            "principal",
            format!("`{name}` is disabled; make another principal"),
        ));
    }
    Ok(principal.id)
}

/// Makes a token that is bound to no other.
pub(super) async fn make(
    app: &App,
    owner: PrincipalId,
    label: String,
    expires_in_days: Option<u32>,
    by: &EventAuthor<'_>,
) -> Result<TokenCreated> {
    let (token, hash) = auth::new_token()?;
    let new = NewToken {
        owner: TokenOwner::Principal(owner),
        label,
        hash,
        expires_in_seconds: expires_in_days.map(|days| days * DAY_SECONDS),
        parent: None,
    };
    let made = app.store.create_token(&new, by).await?;
    Ok(token_created(&made, token))
}

/// Revoke a token
///
/// One's own, or with the role `admin` any. It is refused from the next request on, and with it every token that was made
/// with it.
#[utoipa::path(
    delete, path = route::TOKEN, operation_id = "revoke_token", tag = "access", params(("id" = TokenId, Path, description = "Its id, not its secret")),
    responses((status = 204, description = "It is revoked, or was already"))
)]
async fn revoke(context: RequestContext, PathParam(id): PathParam<TokenId>) -> Result<StatusCode> {
    // Somebody else's token is not there for whoever may not see it.
    if context.caller.role < Role::Admin && !context.store.is_token_of(id, context.caller.id).await? {
        return Err(ApiError::no_such("token", id, "`slipway token list` shows yours"));
    }
    context.store.revoke_token(id, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
