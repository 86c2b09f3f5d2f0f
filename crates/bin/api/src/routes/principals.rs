//! Principals: who may use the API.

use axum::extract::State;
use http::StatusCode;
use slipway_domain::{PrincipalName, Role};
use slipway_wire::access::{CreatePrincipal, Principal};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::{Answer, Created, value, whole};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam};
use crate::once;
use crate::state::App;

endpoints! {
    list: Role(Viewer),
    create: Role(Admin) as Principal,
    disable: Role(Admin) as Principal,
}

/// List principals
#[utoipa::path(
    get, path = route::PRINCIPALS, operation_id = "list_principals", tag = "access",
    responses((status = 200, description = "All of them by name, disabled ones too", body = Page<Principal>))
)]
async fn list(State(app): State<App>) -> Answer<Page<Principal>> {
    Ok(whole(app.store.list_principals().await?))
}

/// Make a principal
#[utoipa::path(
    post, path = route::PRINCIPALS, operation_id = "create_principal", tag = "access", request_body = CreatePrincipal,
    responses(
        (status = 201, description = "The principal; `POST /tokens` gives it a token", body = Principal),
        (status = 409, description = "The name is taken"),
    )
)]
async fn create(context: RequestContext, JsonBody(request): JsonBody<CreatePrincipal>) -> Created<Principal> {
    for (environment, role) in &request.environment_roles.0 {
        // It could make somebody with that role there, and would be held up by nothing.
        if request.role == Role::Admin && *role < Role::Admin {
            let detail = "an admin can give anybody any role, so no environment can have less of one; give another `role`";
            return Err(ApiError::field(
                format!("environment_roles.{environment}"),
                detail,
            ));
        }
        if context
            .store
            .find_environment_by_name(environment)
            .await?
            .is_none()
        {
            let detail = format!(
                "there is no environment `{environment}`; `slipway env list` shows those that there are"
            );
            return Err(ApiError::field(
                format!("environment_roles.{environment}"),
                detail,
            ));
        }
    }
    let once = context.once(&request)?;
    let by = context.by().making(once.made());
    let (context, request, by) = (&context, &request, &by);
    let find = |id| async move {
        let found = once::found(context.store.get_principal_by_name(&request.name).await)?;
        Ok(found.filter(|found| found.id.as_uuid() == id))
    };
    let make = async {
        Ok(context
            .store
            .create_principal_with_roles(&request.name, request.role, &request.environment_roles, by)
            .await?)
    };
    once.answer(find, make).await.map(value)
}

/// Disable a principal
///
/// All its tokens and all that were made with them are refused from now on, and it cannot be undone. Nobody can disable
/// themselves. If two admins disable each other at once, one stays, so one admin always remains.
#[utoipa::path(
    delete, path = route::PRINCIPAL, operation_id = "disable_principal", tag = "access", params(("name" = PrincipalName, Path, description = "Its name")),
    responses((status = 204, description = "It is disabled, or was already"))
)]
async fn disable(context: RequestContext, PathParam(name): PathParam<PrincipalName>) -> Result<StatusCode> {
    if context.caller.name == name {
        return Err(ApiError::Forbidden(
            "nobody can disable themselves; ask another admin, or revoke the token with `DELETE /tokens/{id}`".to_owned(),
        ));
    }
    context.store.disable_principal(&name, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}
