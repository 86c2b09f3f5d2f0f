//! Rollouts and the commands to them.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{Role, RolloutId, TraceParent, plan};
use slipway_store::{NewRollout, StoreError};
use slipway_telemetry::propagation;
use slipway_wire::page::{EnvironmentPageQuery, Page};
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout, RolloutSummary};
use slipway_wire::route;
use tracing::Span;

use super::{Answer, Created, created, find_environment, page, requested_page, strategy_problems};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam, QueryParams};
use crate::observe::CallerSpan;
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer),
    create: Role(Deployer),
    get: Role(Viewer),
    // Approving takes more, which the handler sees to.
    command: Role(Deployer),
}

/// List rollouts
#[utoipa::path(
    get, path = route::ROLLOUTS, operation_id = "list_rollouts", tag = "rollouts", params(EnvironmentPageQuery),
    responses((status = 200, description = "A page, the newest first", body = Page<RolloutSummary>))
)]
async fn list(
    State(app): State<App>,
    QueryParams(query): QueryParams<EnvironmentPageQuery>,
) -> Answer<Page<RolloutSummary>> {
    let (limit, after) = requested_page(query.limit, query.after.as_deref())?;
    let environment = find_environment(&app, query.environment.as_ref()).await?;
    let found = app.store.list_rollouts(environment, after, limit + 1).await?;
    Ok(Json(page(found, limit, |rollout: &RolloutSummary| {
        rollout.id.to_string()
    })))
}

/// Start a rollout
///
/// To the hosts of the environment that the release has a closure for. It begins by itself, or once somebody other than
/// its author approved it where the environment asks for that. Another strategy than the environment's takes the role
/// `admin`, unless the environment allows it.
#[utoipa::path(
    post, path = route::ROLLOUTS, operation_id = "create_rollout", tag = "rollouts", request_body = CreateRollout,
    responses(
        (status = 201, description = "The rollout", body = Rollout),
        (status = 409, description = "Another rollout of the environment is under way"),
    )
)]
async fn create(
    context: RequestContext,
    Extension(CallerSpan(caller)): Extension<CallerSpan>,
    JsonBody(request): JsonBody<CreateRollout>,
) -> Created<Rollout> {
    let environment = context
        .store
        .get_environment_by_name(&request.environment)
        .await?;
    // Told first, as it makes everything else moot; the store makes sure.
    if let Some(rollout) = environment.open_rollout {
        return Err(StoreError::EnvironmentBusy {
            environment: environment.value.name,
            rollout,
        }
        .into());
    }
    let release = context.store.get_release(request.release).await?;
    let fleet = context
        .store
        .list_release_hosts(release.id, environment.id)
        .await?;
    if fleet.is_empty() {
        return Err(StoreError::NoHosts {
            environment: environment.value.name,
        }
        .into());
    }
    let strategy = match request.strategy {
        Some(own) if own != environment.strategy => {
            if context.caller.role < Role::Admin && !environment.own_strategy_allowed {
                return Err(ApiError::Forbidden(format!(
                    "another strategy than that of environment `{name}` takes the role admin; `{}` is {}. Leave it out, or \
                     let an admin allow it: slipway env set {name} --own-strategy-allowed true",
                    context.caller.name,
                    context.caller.role,
                    name = environment.name
                )));
            }
            own
        }
        _ => environment.value.strategy,
    };
    strategy.check(&fleet).map_err(strategy_problems)?;
    let online = context.store.list_online_hosts(environment.id).await?;
    let new = NewRollout {
        environment: environment.id,
        release: release.id,
        waves: plan::waves(&strategy, &fleet, &online),
        strategy,
        author: context.caller.id,
        // This request's span; without traces here, the ids of other processes still join.
        traceparent: propagation::place_of(&Span::current())
            .or(caller)
            .or_else(|| Some(TraceParent::begin())),
    };
    let id = context.store.create_rollout(&new, &context.audit_key).await?;
    tracing::info!(rollout_id = %id, environment = %environment.value.name, "a rollout begins");
    context.wake.publish_rollout(id).await;
    Ok(created(context.store.get_rollout(id).await?))
}

/// Show a rollout
#[utoipa::path(
    get, path = route::ROLLOUT, operation_id = "get_rollout", tag = "rollouts", params(("id" = RolloutId, Path, description = "Its id")),
    responses((status = 200, description = "The rollout with all its steps", body = Rollout))
)]
async fn get(State(app): State<App>, PathParam(id): PathParam<RolloutId>) -> Answer<Rollout> {
    Ok(Json(app.store.get_rollout(id).await?))
}

/// Approve, pause, resume, revert or abort a rollout
///
/// The worker carries it out; events tell when, and what came of it. Approving takes the role `approver`, and somebody
/// other than the author. Unless the environment allows it, author and approver must not be related: neither created
/// the other or gave it a token.
#[utoipa::path(
    post, path = route::ROLLOUT_COMMANDS, operation_id = "command_rollout", tag = "rollouts", request_body = CreateCommand,
    params(("id" = RolloutId, Path, description = "Its id")),
    responses(
        (status = 202, description = "The rollout as it stands, with the command among those waiting", body = Rollout),
        (status = 409, description = "The rollout's state does not take the command"),
    )
)]
async fn command(
    context: RequestContext,
    PathParam(id): PathParam<RolloutId>,
    JsonBody(request): JsonBody<CreateCommand>,
) -> Result<(StatusCode, Json<Rollout>)> {
    text::check_opt("reason", request.reason.as_deref(), text::MESSAGE)?;
    if request.command == CommandKind::Approve && context.caller.role < Role::Approver {
        return Err(ApiError::Forbidden(format!(
            "approving takes the role approver; the token is of `{}`, who is {}. Ask somebody with that role",
            context.caller.name, context.caller.role
        )));
    }
    context
        .store
        .request_command(
            id,
            request.command,
            context.caller.id,
            request.reason.as_deref(),
            &context.audit_key,
        )
        .await?;
    tracing::info!(rollout_id = %id, command = request.command.as_str(), "a command was given");
    context.wake.publish_rollout(id).await;
    Ok((StatusCode::ACCEPTED, Json(context.store.get_rollout(id).await?)))
}
