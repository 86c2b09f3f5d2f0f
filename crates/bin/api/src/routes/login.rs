//! The admin's password for a token, and who a token is.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use secrecy::ExposeSecret;
use slipway_domain::TokenLimits;
use slipway_domain::event::Actor;
use slipway_store::{AuthenticatedPrincipal, Caller, EventAuthor};
use slipway_wire::access::{CreateToken, LoginRequest, TokenCreated, Whoami};
use slipway_wire::route;

use super::{created, tokens};
use crate::auth;
use crate::client_addr::ClientAddr;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::JsonBody;
use crate::failures;
use crate::state::App;
use crate::text;

endpoints! {
    login: Open,
    whoami: Token,
}

/// The one principal with a password.
pub(crate) const ADMIN: &str = "admin";
/// How long the token of a login is good.
const LOGIN_DAYS: u32 = 30;

/// Log in
///
/// Exchanges the admin's password for a token that is good for 30 days, or for the token that is asked for. After 10
/// failed authentications within a minute an address gets 429 until the minute is over, even with the right password. So
/// do more than 10 tries at the same moment.
#[utoipa::path(
    post, path = route::LOGIN, operation_id = "login", tag = "access", request_body = LoginRequest,
    responses(
        (status = 201, description = "The token, shown now and never again", body = TokenCreated),
        (status = 401, description = "The name or the password is wrong"),
    )
)]
async fn login(
    State(app): State<App>,
    client: ClientAddr,
    JsonBody(request): JsonBody<LoginRequest>,
) -> Result<(StatusCode, Json<TokenCreated>)> {
    app.phase.require_checked()?;
    text::check_opt("label", request.label.as_deref(), text::LABEL)?;
    if let Some(wish) = &request.token {
        tokens::check(wish)?;
    }
    // Unlike a token, a password can be guessed: beyond the limit even the right one is refused.
    app.failures.attempt(&client).await?;
    let right = auth::same_secret(&request.password, app.admin_password.expose_secret());
    if request.name.as_str() != ADMIN || !right {
        failures::show();
        return Err(ApiError::WrongPassword);
    }
    app.failures.succeeded(&client).await;
    let admin = app.store.get_principal_by_name(&request.name).await?;
    if admin.disabled_at.is_some() {
        return Err(ApiError::Forbidden(
            "the principal `admin` is disabled".to_owned(),
        ));
    }
    let by = EventAuthor::new(Actor::Principal(admin.value.name), &app.audit_key);
    let wish = request.token.unwrap_or_else(|| CreateToken {
        principal: None,
        label: request.label.unwrap_or_else(|| "login".to_owned()),
        expires_in_days: Some(LOGIN_DAYS),
        limits: TokenLimits::default(),
        session: false,
    });
    let owner = match &wish.principal {
        Some(name) => tokens::find_owner(&app, name).await?,
        None => admin.id,
    };
    tokens::check_limits(&app, &wish.limits).await?;
    let made = tokens::make(&app, owner, wish, &by).await?;
    Ok(created(made))
}

/// Who the token is
#[utoipa::path(
    get, path = route::WHOAMI, operation_id = "whoami", tag = "access",
    responses((status = 200, description = "The principal or the host that the token belongs to", body = Whoami))
)]
async fn whoami(Extension(caller): Extension<Caller>) -> Json<Whoami> {
    Json(match caller {
        Caller::Principal(AuthenticatedPrincipal {
            name,
            role,
            environment_roles,
            limits,
            token,
            ..
        }) => Whoami::Principal {
            name,
            role,
            environment_roles,
            limits,
            token: Some(token),
        },
        Caller::Host { name, .. } => Whoami::Host { name },
    })
}
