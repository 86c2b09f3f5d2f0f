//! Tokens of principals. Hosts' tokens are made with their hosts.

use std::collections::BTreeSet;

use axum::Json;
use http::StatusCode;
use slipway_domain::rights::MAX_LIMIT_NAMES;
use slipway_domain::{
    HostName, PrincipalId, PrincipalName, Role, Timestamp, TokenCommand, TokenId, TokenLimits,
};
use slipway_store::{EventAuthor, NewToken, StoreError, TokenHash, TokenOwner, TokensOf};
use slipway_wire::access::{
    CreateToken, SESSION_IDLE_SECONDS, SESSION_SECONDS, Token, TokenCreated, TokenSecret,
};
use slipway_wire::page::{Page, TokenPageQuery};
use slipway_wire::problem::FieldProblem;
use slipway_wire::route;

use super::{Answer, Created, page, requested_page, token_created};
use crate::auth::{self, RequestContext};
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam, QueryParams};
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer) of Own,
    create: Role(Viewer) of Own as Asked,
    revoke: Role(Viewer) of Own as Asked,
}

/// Days that a token may be good.
pub(crate) const MAX_DAYS: u32 = 3650;
const DAY_SECONDS: u32 = 24 * 3600;

/// List tokens
///
/// An admin sees all of them, anybody else their own. A token with limits sees itself and those that were made with it.
/// No secrets.
#[utoipa::path(
    get, path = route::TOKENS, operation_id = "list_tokens", tag = "access", params(TokenPageQuery),
    responses((status = 200, description = "A page, the newest first, revoked ones too", body = Page<Token>))
)]
async fn list(
    context: RequestContext,
    QueryParams(query): QueryParams<TokenPageQuery>,
) -> Answer<Page<Token>> {
    let (limit, after) = requested_page(query.limit, query.after.as_deref())?;
    let of = TokensOf {
        principal: (context.caller.role < Role::Admin).then_some(context.caller.id),
        under: (!context.caller.limits.is_none()).then_some(context.caller.token),
        session: query.session,
        good: query.good,
    };
    let found = context.store.list_tokens(of, after, limit + 1).await?;
    Ok(Json(page(found, limit, |token| token.id.to_string())))
}

/// Make a token
///
/// For oneself, or with the role `admin` for any principal. It ends with the token that asks for it and is revoked with
/// it; `POST /login` makes one that is not bound to another. It can do no more than the token that asks for it.
#[utoipa::path(
    post, path = route::TOKENS, operation_id = "create_token", tag = "access", request_body = CreateToken,
    responses((status = 201, description = "The token, shown now and never again", body = TokenCreated))
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreateToken>) -> Created<TokenCreated> {
    // A session can do no more than the token that it was made with, for a shorter time.
    if !request.session {
        context.require_command(TokenCommand::Token)?;
    }
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
    let limits = request.limits.clone().or(&context.caller.limits);
    if let Some(wider) = limits.beyond(&context.caller.limits) {
        return Err(StoreError::TokenWider(wider).into());
    }
    check_limits(&context.app, &request.limits).await?;
    let once = context.once(&request)?;
    let (token, hash) = once.token()?;
    let by = context.by().making(once.made());
    let new = NewToken {
        owner: TokenOwner::Principal(owner),
        expires_in_seconds: lifetime(&request),
        label: request.label,
        hash,
        idle_seconds: request.session.then_some(SESSION_IDLE_SECONDS),
        parent: Some(context.caller.token),
        limits,
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
    if request.session && request.expires_in_days.is_some() {
        return Err(ApiError::field(
            "expires_in_days",
            "a session ends after 12 hours; leave it out, or make a token that is no session",
        ));
    }
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

/// Seconds that a token is good for, whatever it was made with.
pub(super) fn lifetime(request: &CreateToken) -> Option<u32> {
    if request.session {
        return Some(SESSION_SECONDS);
    }
    request.expires_in_days.map(|days| days * DAY_SECONDS)
}

/// Every name in the limits must be one of something that exists, and no limit may be empty.
pub(super) async fn check_limits(app: &App, limits: &TokenLimits) -> Result<()> {
    let mut fields = Vec::new();
    let mut say = |field: &str, detail: String| {
        fields.push(FieldProblem {
            field: format!("limits.{field}"),
            detail,
        });
    };
    let sizes = [
        ("environments", limits.environments.as_ref().map(BTreeSet::len)),
        ("commands", limits.commands.as_ref().map(BTreeSet::len)),
        ("hosts", limits.hosts.as_ref().map(BTreeSet::len)),
    ];
    for (field, size) in sizes {
        match size {
            Some(0) => say(
                field,
                "it is empty; name at least one, or leave it out".to_owned(),
            ),
            Some(size) if size > MAX_LIMIT_NAMES => {
                say(
                    field,
                    format!("it has {size} names; use at most {MAX_LIMIT_NAMES}"),
                );
            }
            _ => {}
        }
    }
    for name in limits.environments.iter().flatten().take(MAX_LIMIT_NAMES) {
        if app.store.find_environment_by_name(name).await?.is_none() {
            let detail =
                format!("there is no environment `{name}`; `slipway env list` shows those that there are");
            say("environments", detail);
        }
    }
    if let Some(hosts) = &limits.hosts {
        let names: Vec<HostName> = hosts.iter().take(MAX_LIMIT_NAMES).cloned().collect();
        let known = app.store.find_known_hosts(&names).await?;
        for name in names.iter().filter(|name| !known.contains(name)) {
            let detail = format!("there is no host `{name}`; `slipway host list` shows those that there are");
            say("hosts", detail);
        }
    }
    if fields.is_empty() {
        return Ok(());
    }
    Err(ApiError::Invalid("the limits cannot be used".to_owned(), fields))
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
    wish: CreateToken,
    by: &EventAuthor<'_>,
) -> Result<TokenCreated> {
    let (token, hash) = auth::new_token()?;
    let new = NewToken {
        owner: TokenOwner::Principal(owner),
        hash,
        expires_in_seconds: lifetime(&wish),
        idle_seconds: wish.session.then_some(SESSION_IDLE_SECONDS),
        label: wish.label,
        parent: None,
        limits: wish.limits,
    };
    let made = app.store.create_token(&new, by).await?;
    Ok(token_created(&made, token))
}

/// Revoke a token
///
/// One's own, or with the role `admin` any. It is refused from the next request on, and with it every token that was made
/// with it. A token with limits can revoke itself and those that were made with it, and no other.
#[utoipa::path(
    delete, path = route::TOKEN, operation_id = "revoke_token", tag = "access", params(("id" = TokenId, Path, description = "Its id, not its secret")),
    responses((status = 204, description = "It is revoked, or was already"))
)]
async fn revoke(context: RequestContext, PathParam(id): PathParam<TokenId>) -> Result<StatusCode> {
    // Whoever has a token may always give it up: a session of any of them can be ended.
    if id != context.caller.token {
        context.require_command(TokenCommand::Token)?;
    }
    // Somebody else's token is not there for whoever may not see it.
    let may = if context.caller.limits.is_none() {
        context.caller.role >= Role::Admin || context.store.is_token_of(id, context.caller.id).await?
    } else {
        context.store.is_token_under(id, context.caller.token).await?
    };
    if !may {
        return Err(ApiError::no_such("token", id, "`slipway token list` shows yours"));
    }
    context.store.revoke_token(id, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
