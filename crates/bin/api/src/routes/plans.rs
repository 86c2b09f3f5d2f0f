//! What releases change on hosts.

use axum::Json;
use axum::extract::State;
use slipway_domain::digest::Digest;
use slipway_domain::{HostPlan, Role, RolloutState};
use slipway_wire::plan::{ReleaseHostPlans, RolloutHostPlans};
use slipway_wire::route;

use super::Answer;
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::extract::PathParam;
use crate::reference::{ReleaseParam, RolloutParam};
use crate::state::App;

endpoints! {
    of_rollout: Role(Viewer) of Rollout,
    of_release: Role(Viewer) of Release,
    get: Role(Viewer),
}

/// Show what a rollout changes on its hosts
///
/// As their agents computed it in staging. Hosts with the same plan are shown as one. An approval names the digest.
#[utoipa::path(
    get, path = route::ROLLOUT_HOST_PLANS, operation_id = "get_rollout_host_plans", tag = "rollouts",
    params(("id" = String, Path, description = "Its number, id or the beginning of its id; `latest`, `previous`, also with `@ENV`")),
    responses((status = 200, description = "The plans, and the hosts without one", body = RolloutHostPlans))
)]
async fn of_rollout(context: RequestContext, RolloutParam(id): RolloutParam) -> Answer<RolloutHostPlans> {
    let mut plans = context.store.get_rollout_plans(id).await?;
    let has_role = || context.require_in(Role::Approver, &plans.environment).is_ok();
    if plans.state == RolloutState::PendingApproval && has_role() {
        let (by, key) = (context.caller.id, &context.audit_key);
        let refused = context.store.why_not_approve(id, by, key).await?;
        plans.approval_refused = refused.map(|refused| refused.to_string());
    }
    Ok(Json(plans))
}

/// Show what a release changes on its hosts
///
/// By the newest staging of the same closure on each host, in whichever rollout.
#[utoipa::path(
    get, path = route::RELEASE_HOST_PLANS, operation_id = "get_release_host_plans", tag = "releases",
    params(("id" = String, Path, description = "Its number, name, id or the beginning of its id; `latest`, `latest@ENV` or `previous@ENV`")),
    responses((status = 200, description = "The plans, and the hosts without one", body = ReleaseHostPlans))
)]
async fn of_release(State(app): State<App>, ReleaseParam(id): ReleaseParam) -> Answer<ReleaseHostPlans> {
    Ok(Json(app.store.get_release_plans(id).await?))
}

/// Show a plan
#[utoipa::path(
    get, path = route::HOST_PLAN, operation_id = "get_host_plan", tag = "rollouts",
    params(("digest" = String, Path, description = "Its digest", example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
    responses((status = 200, description = "The plan", body = HostPlan))
)]
async fn get(State(app): State<App>, PathParam(digest): PathParam<Digest>) -> Answer<HostPlan> {
    Ok(Json(app.store.get_plan(digest).await?))
}
