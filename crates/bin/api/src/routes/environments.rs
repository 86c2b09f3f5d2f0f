//! Environments.

use axum::Json;
use http::StatusCode;
use slipway_domain::calendar::MAX_WINDOWS;
use slipway_domain::{EnvironmentName, Strategy, Timestamp, Window};
use slipway_wire::fleet::{CreateEnvironment, Environment, UpdateEnvironment};
use slipway_wire::page::Page;
use slipway_wire::problem::FieldProblem;
use slipway_wire::route;

use super::{Answer, Created, strategy_problems, value, whole};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam};
use crate::once;

endpoints! {
    list: Role(Viewer) of Own,
    create: Role(Admin) as Environment,
    get: Role(Viewer) of Environment,
    update: Role(Admin) of Environment as Environment,
    delete: Role(Admin) of Environment as Environment,
}

/// Checks what can be said of a strategy without a fleet; the rest is checked when a rollout begins.
fn check(strategy: &Strategy) -> Result<()> {
    strategy.check_alone().map_err(strategy_problems)
}

/// Every window must open, and not in years only.
fn check_windows(windows: &[Window], now: Timestamp) -> Result<()> {
    if windows.len() > MAX_WINDOWS {
        let detail = format!("there are {}; use at most {MAX_WINDOWS}", windows.len());
        return Err(ApiError::field("windows", detail));
    }
    let never = |window: &Window| !window.is_open(now) && window.next_start(now).is_none();
    let fields = windows.iter().enumerate().filter(|(_, window)| never(window));
    let fields: Vec<FieldProblem> = fields
        .map(|(place, window)| FieldProblem {
            field: format!("windows[{place}]"),
            detail: format!(
                "`{window}` never opens within two years; give days that come, at times that its clocks do not skip"
            ),
        })
        .collect();
    match fields.first() {
        None => Ok(()),
        Some(first) => Err(ApiError::Invalid(first.detail.clone(), fields)),
    }
}

/// List environments
#[utoipa::path(
    get, path = route::ENVIRONMENTS, operation_id = "list_environments", tag = "fleet",
    responses((status = 200, description = "All that the token may see, by name", body = Page<Environment>))
)]
async fn list(context: RequestContext) -> Answer<Page<Environment>> {
    let mut all = context.store.list_environments().await?;
    if let Some(may) = &context.caller.limits.environments {
        all.retain(|environment| may.contains(&environment.name));
    }
    for environment in &mut all {
        context.hide_rollout(environment).await?;
    }
    Ok(whole(all))
}

/// Make an environment
#[utoipa::path(
    post, path = route::ENVIRONMENTS, operation_id = "create_environment", tag = "fleet", request_body = CreateEnvironment,
    responses(
        (status = 201, description = "The environment", body = Environment),
        (status = 409, description = "The name is taken"),
    )
)]
async fn create(
    context: RequestContext,
    JsonBody(request): JsonBody<CreateEnvironment>,
) -> Created<Environment> {
    check(&request.strategy)?;
    check_windows(&request.windows, context.store.now().await?)?;
    let once = context.once(&request)?;
    let by = context.by().making(once.made());
    let (context, request, by) = (&context, &request, &by);
    let find = |id| async move {
        let found = once::found(context.store.get_environment_by_name(&request.name).await)?;
        Ok(found.filter(|found| found.id.as_uuid() == id))
    };
    let make = async { Ok(context.store.create_environment(request, by).await?) };
    once.answer(find, make).await.map(value)
}

/// Show an environment
#[utoipa::path(
    get, path = route::ENVIRONMENT, operation_id = "get_environment", tag = "fleet",
    params(("name" = EnvironmentName, Path, description = "Its name")),
    responses((status = 200, description = "The environment", body = Environment))
)]
async fn get(context: RequestContext, PathParam(name): PathParam<EnvironmentName>) -> Answer<Environment> {
    let mut environment = context.store.get_environment_by_name(&name).await?.value;
    context.hide_rollout(&mut environment).await?;
    Ok(Json(environment))
}

/// Delete an environment
///
/// Deletes an environment without hosts. Its rollouts and events stay; a new environment of this name gets
/// them back.
#[utoipa::path(
    delete, path = route::ENVIRONMENT, operation_id = "delete_environment", tag = "fleet",
    params(("name" = EnvironmentName, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 409, description = "It has hosts"),
    )
)]
async fn delete(context: RequestContext, PathParam(name): PathParam<EnvironmentName>) -> Result<StatusCode> {
    context.store.delete_environment(&name, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change an environment
///
/// What is left out stays as it is. A strategy is taken whole: what it leaves out gets the defaults. Rollouts under way
/// keep the strategy that they began with; windows count for them at once.
#[utoipa::path(
    patch, path = route::ENVIRONMENT, operation_id = "update_environment", tag = "fleet", request_body = UpdateEnvironment,
    params(("name" = EnvironmentName, Path, description = "Its name")),
    responses((status = 200, description = "The environment as it is now", body = Environment))
)]
async fn update(
    context: RequestContext,
    PathParam(name): PathParam<EnvironmentName>,
    JsonBody(request): JsonBody<UpdateEnvironment>,
) -> Answer<Environment> {
    request.strategy.as_ref().map_or(Ok(()), check)?;
    if let Some(windows) = &request.windows {
        check_windows(windows, context.store.now().await?)?;
    }
    let environment = if request == UpdateEnvironment::default() {
        context.store.get_environment_by_name(&name).await?
    } else {
        let by = context.by();
        context.store.update_environment(&name, &request, &by).await?
    };
    if let Some(rollout) = environment.open_rollout {
        context.wake.publish_rollout(rollout).await;
    }
    Ok(Json(environment.value))
}
