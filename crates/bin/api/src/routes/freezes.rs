//! Freezes: times in which the rollouts of an environment begin nothing.

use http::StatusCode;
use slipway_domain::calendar::MAX_AHEAD_DAYS;
use slipway_domain::{EnvironmentName, Freeze, FreezeId, Timestamp};
use slipway_store::NewFreeze;
use slipway_wire::fleet::CreateFreeze;
use slipway_wire::route;

use super::Created;
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam};
use crate::text;

endpoints! {
    create: Role(Approver) of Environment as Freeze,
    delete: Role(Approver) of Freeze as Freeze,
}

/// What is wrong with the times of a freeze, if anything is.
fn check(request: &CreateFreeze, now: Timestamp) -> Result<()> {
    let from = request.from.unwrap_or(now);
    let problem = if request.until <= from {
        format!(
            "{} is not after its beginning, {from}; give a later end",
            request.until
        )
    } else if request.until <= now {
        format!(
            "{} is in the past, so it would freeze nothing; give a later end",
            request.until
        )
    } else if (request.until - from).num_days() >= MAX_AHEAD_DAYS {
        format!("it would last more than {MAX_AHEAD_DAYS} days; give an earlier end, and freeze again then")
    } else if (from - now).num_days() >= MAX_AHEAD_DAYS {
        let detail = format!("{from} is more than {MAX_AHEAD_DAYS} days ahead; freeze when it is nearer");
        return Err(ApiError::field("from", detail));
    } else {
        return Ok(());
    };
    Err(ApiError::field("until", problem))
}

/// Freeze an environment
///
/// Its rollouts begin nothing on a host from `from` to `until`. Hosts that are under way finish, and going back never
/// waits.
#[utoipa::path(
    post, path = route::ENVIRONMENT_FREEZES, operation_id = "create_freeze", tag = "fleet", request_body = CreateFreeze,
    params(("name" = EnvironmentName, Path, description = "The environment's name")),
    responses(
        (status = 201, description = "The freeze", body = Freeze),
        (status = 409, description = "The environment has as many freezes as it may have"),
    )
)]
async fn create(
    context: RequestContext,
    PathParam(name): PathParam<EnvironmentName>,
    JsonBody(request): JsonBody<CreateFreeze>,
) -> Created<Freeze> {
    text::check("reason", &request.reason, text::REFERENCE)?;
    let once = context.once(&request)?;
    let by = context.by().making(once.made());
    let (context, name, by) = (&context, &name, &by);
    let find = |id| async move {
        let found = context.store.find_freeze(FreezeId::from_uuid(id)).await?;
        Ok(found.filter(|(of, _)| of == name).map(|(_, freeze)| freeze))
    };
    let make = async {
        check(&request, context.store.now().await?)?;
        let new = NewFreeze {
            from: request.from,
            until: request.until,
            reason: request.reason.clone(),
            by: context.caller.name.clone(),
        };
        let freeze = context.store.create_freeze(name, &new, by).await?;
        wake(context, name).await?;
        Ok(freeze)
    };
    once.answer(find, make).await
}

/// End a freeze
///
/// Rollouts that wait for its end go on, if nothing else keeps them.
#[utoipa::path(
    delete, path = route::FREEZE, operation_id = "delete_freeze", tag = "fleet", params(("id" = FreezeId, Path, description = "Its id")),
    responses((status = 204, description = "It is over"))
)]
async fn delete(context: RequestContext, PathParam(id): PathParam<FreezeId>) -> Result<StatusCode> {
    let environment = context.store.delete_freeze(id, &context.by()).await?;
    wake(&context, &environment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The rollout under way hears of it at once.
async fn wake(context: &RequestContext, environment: &EnvironmentName) -> Result<()> {
    let environment = context.store.find_environment_by_name(environment).await?;
    if let Some(rollout) = environment.and_then(|environment| environment.value.open_rollout) {
        context.wake.publish_rollout(rollout).await;
    }
    Ok(())
}
