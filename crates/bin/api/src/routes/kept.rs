//! Releases that are kept, and what a cache must keep.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use slipway_wire::kept::{KeepRelease, KeptRelease, MAX_DAYS, MAX_LAST, MAX_ROOTS, ReleaseRoots, RootsQuery};
use slipway_wire::route;

use super::Answer;
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, QueryParams};
use crate::reference::ReleaseParam;
use crate::state::App;
use crate::text;

endpoints! {
    keep: Role(Deployer) of Release as Release,
    unkeep: Role(Deployer) of Release as Release,
    roots: Role(Viewer),
}

/// Keep a release
///
/// Its closures are in use for the cache's collector, whether or not anything runs them. A second time changes until when.
#[utoipa::path(
    post, path = route::RELEASE_KEEP, operation_id = "keep_release", tag = "releases", request_body = KeepRelease,
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "How it is kept", body = KeptRelease))
)]
async fn keep(
    context: RequestContext,
    ReleaseParam(id): ReleaseParam,
    JsonBody(request): JsonBody<KeepRelease>,
) -> Answer<KeptRelease> {
    text::check_opt("reason", request.reason.as_deref(), text::MESSAGE)?;
    Ok(Json(
        context.store.keep_release(id, &request, &context.by()).await?,
    ))
}

/// Keep a release no longer
#[utoipa::path(
    delete, path = route::RELEASE_KEEP, operation_id = "unkeep_release", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 204, description = "It is kept no longer"), (status = 404, description = "It is not kept"))
)]
async fn unkeep(context: RequestContext, ReleaseParam(id): ReleaseParam) -> Result<StatusCode> {
    context.store.unkeep_release(id, &context.by()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the closures in use
///
/// For the cache's collector: what runs, boots or is expected on hosts, their priors, and open rollouts. New releases, the
/// last that succeeded in each environment and kept ones count too. The answer is whole or an error, never a part.
#[utoipa::path(
    get, path = route::RELEASE_ROOTS, operation_id = "list_roots", tag = "releases", params(RootsQuery),
    responses(
        (status = 200, description = "Each closure once, with the reasons", body = ReleaseRoots),
        (status = 409, description = "There are more than 200,000"),
    )
)]
async fn roots(State(app): State<App>, QueryParams(query): QueryParams<RootsQuery>) -> Answer<ReleaseRoots> {
    for (field, value, most) in [("last", query.last, MAX_LAST), ("days", query.days, MAX_DAYS)] {
        if let Some(value) = value.filter(|value| !(1..=most).contains(value)) {
            return Err(ApiError::field(
                field,
                format!("{value} is not between 1 and {most}"),
            ));
        }
    }
    Ok(Json(app.store.list_roots(&query, MAX_ROOTS).await?))
}
