//! Sign-in through a provider of `OpenID` Connect.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use slipway_store::{SignIn, StoreError};
use slipway_wire::access::{SESSION_IDLE_SECONDS, TokenCreated};
use slipway_wire::oidc::{FinishOidc, OidcBegun, OidcOffer};
use slipway_wire::route;

use super::{Answer, created, token_created};
use crate::auth;
use crate::client_addr::ClientAddr;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::JsonBody;
use crate::failures;
use crate::oidc::{self, Oidc};
use crate::state::App;
use crate::text;

endpoints! {
    offer: Open,
    begin: Open,
    finish: Open,
}

/// Whether people sign in through a provider
#[utoipa::path(
    get, path = route::OIDC, operation_id = "show_oidc", tag = "access",
    responses((status = 200, description = "The provider, if there is one", body = OidcOffer))
)]
async fn offer(State(app): State<App>) -> Answer<OidcOffer> {
    let issuer = app
        .oidc
        .as_ref()
        .map(|oidc| oidc.provider.issuer().as_str().to_owned());
    Ok(Json(OidcOffer { issuer }))
}

/// Begin a sign-in through the provider
///
/// The browser goes to `url`, and comes back to the console with a code. It must keep `attempt`, which no other browser gets.
#[utoipa::path(
    post, path = route::OIDC, operation_id = "begin_oidc", tag = "access",
    responses(
        (status = 201, description = "Where the browser goes", body = OidcBegun),
        (status = 404, description = "Nobody signs in this way here"),
        (status = 503, description = "The provider does not answer"),
    )
)]
async fn begin(State(app): State<App>) -> Result<(StatusCode, Json<OidcBegun>)> {
    app.phase.require_checked()?;
    let oidc = offered(&app)?;
    let attempt = oidc::begin(app.store.now().await?)?;
    let secrets = oidc::secrets(&app.audit_key, &attempt);
    let url = oidc.provider.address(&secrets).await?;
    Ok(created(OidcBegun {
        url: url.into(),
        attempt: attempt.into(),
        state: secrets.state,
    }))
}

/// Finish a sign-in through the provider
///
/// Makes a session of the person whom the provider names, with the roles of their groups. These roles then hold for all
/// sessions of the person. Without a role, sessions of before end, and other tokens may only look. After 10 failures within a minute an address gets 429, as at the login.
#[utoipa::path(
    post, path = route::OIDC_FINISH, operation_id = "finish_oidc", tag = "access", request_body = FinishOidc,
    responses(
        (status = 201, description = "The session's token, shown now and never again", body = TokenCreated),
        (status = 401, description = "The provider refused, its token cannot be trusted, or the sign-in was used before"),
        (status = 403, description = "None of the person's groups has a role"),
        (status = 404, description = "Nobody signs in this way here"),
        (status = 503, description = "The provider does not answer"),
    )
)]
async fn finish(
    State(app): State<App>,
    client: ClientAddr,
    JsonBody(request): JsonBody<FinishOidc>,
) -> Result<(StatusCode, Json<TokenCreated>)> {
    app.phase.require_checked()?;
    text::check("label", &request.label, text::LABEL)?;
    for (field, sent) in [
        ("attempt", &request.attempt),
        ("state", &request.state),
        ("code", &request.code),
    ] {
        text::check(field, sent, text::OIDC)?;
    }
    text::check_opt("iss", request.iss.as_deref(), text::OIDC)?;
    let oidc = offered(&app)?;
    app.failures.attempt(&client).await?;
    let made = make(&app, oidc, &request).await;
    match &made {
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => failures::show(),
        _ => app.failures.succeeded(&client).await,
    }
    made.map(created)
}

async fn make(app: &App, oidc: &Oidc, request: &FinishOidc) -> Result<TokenCreated> {
    let (key, attempt) = (&app.audit_key, request.attempt.as_str());
    let now = app.store.now().await?;
    let secrets = oidc::resume(key, attempt, &request.state, now)?;
    let (code, issuer) = (&request.code, request.iss.as_deref());
    let person = oidc.provider.person(code, issuer, &secrets, now).await?;
    let mut environments = Vec::new();
    for name in oidc.environments() {
        if app.store.find_environment_by_name(name).await?.is_some() {
            environments.push(name.clone());
        } else {
            tracing::warn!(environment = %name, "OIDC_ROLES names an environment that is not there");
        }
    }
    let id = oidc::person_id(&person);
    let granted = match oidc.grant(&person, &environments) {
        Ok(granted) => granted,
        Err(why) => {
            // The person must not keep the roles of an earlier sign-in.
            if oidc.is_sure_of(&person) {
                let about = oidc::about_refused(&person, &why);
                if let Some(name) = app.store.take_roles(id, &about, key).await? {
                    tracing::warn!(principal = %name, why, "a sign-in without a role removed the roles of earlier ones");
                }
            }
            return Err(ApiError::Forbidden(why));
        }
    };
    let (token, hash) = auth::new_token()?;
    let sign_in = SignIn {
        id,
        names: oidc::names(&person, id),
        about: oidc::about(&person, &granted),
        role: granted.role,
        environment_roles: granted.environment_roles,
        token: oidc::token_id(key, attempt),
        hash,
        label: request.label.clone(),
        expires_in_seconds: oidc.session_seconds,
        idle_seconds: SESSION_IDLE_SECONDS,
    };
    let (name, made) = app
        .store
        .sign_in(&sign_in, key)
        .await
        .map_err(|error| match error {
            StoreError::ActorDisabled { name } => {
                ApiError::Forbidden(format!("`{name}` is disabled here; ask an administrator"))
            }
            error => error.into(),
        })?;
    tracing::info!(principal = %name, "signed in through the provider");
    Ok(token_created(&made, token))
}

fn offered(app: &App) -> Result<&Oidc> {
    app.oidc.as_ref().ok_or_else(|| {
        ApiError::NotFound(
            "no provider is set up here: OIDC_ISSUER is not set; sign in with a token".to_owned(),
        )
    })
}
