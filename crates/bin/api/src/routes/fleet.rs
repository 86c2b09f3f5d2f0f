//! The fleet at a glance: how its hosts stand.

use axum::Json;
use slipway_domain::{EnvironmentId, EnvironmentName, HostName, Standing};
use slipway_store::HostsOf;
use slipway_wire::page::{EnvironmentPageQuery, Page};
use slipway_wire::route;
use slipway_wire::standing::{Fleet, FleetHosts, FleetHostsQuery, HostStanding};

use super::hosts::brief;
use super::{Answer, find_environment, page, requested_page};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::Result;
use crate::extract::{QueryParams, page_limit};
use crate::text;

endpoints! {
    count: Role(Viewer) of Own,
    hosts: Role(Viewer) of Named,
    standings: Role(Viewer) of Named,
}

/// The environment that is asked for, if the token may see all hosts of it.
async fn environment(
    context: &RequestContext,
    name: Option<&EnvironmentName>,
) -> Result<Option<EnvironmentId>> {
    if name.is_some() {
        context.require_list(name)?;
    }
    find_environment(&context.app, name).await
}

/// Count hosts
///
/// By environment, standing and release. A token with limits counts the hosts that it may see.
#[utoipa::path(
    get, path = route::FLEET, operation_id = "count_hosts", tag = "fleet",
    responses((status = 200, description = "How many hosts stand how", body = Fleet))
)]
async fn count(context: RequestContext) -> Answer<Fleet> {
    Ok(Json(context.store.count_fleet(&context.caller.limits).await?))
}

/// List the worst hosts first
///
/// For pages that people look at. A token with limits sees the hosts that it may. Long words of agents are cut short, and what
/// somebody accepted of a host is left out.
#[utoipa::path(
    get, path = route::FLEET_HOSTS, operation_id = "list_worst_hosts", tag = "fleet", params(FleetHostsQuery),
    responses((status = 200, description = "Some of them, and how many there are", body = FleetHosts))
)]
async fn hosts(
    context: RequestContext,
    QueryParams(query): QueryParams<FleetHostsQuery>,
) -> Answer<FleetHosts> {
    let mut standings: Vec<Standing> = Standing::ALL.to_vec();
    standings.retain(|standing| query.standing.is_none_or(|one| one == *standing));
    standings.retain(|standing| !query.attention || standing.asks_for_attention());
    let of = HostsOf {
        limits: &context.caller.limits,
        environment: environment(&context, query.environment.as_ref()).await?,
        standings,
        words: text::words("text", query.text.as_deref())?,
    };
    let (skip, limit) = (query.skip.unwrap_or_default(), page_limit(query.limit)?);
    let found = context.store.list_worst_hosts(&of, skip, limit).await?;
    Ok(Json(FleetHosts {
        items: found.items.into_iter().map(brief).collect(),
        ..found
    }))
}

/// List how hosts stand
///
/// Their names and one word of each. A token with limits sees the hosts that it may.
#[utoipa::path(
    get, path = route::FLEET_STANDINGS, operation_id = "list_standings", tag = "fleet", params(EnvironmentPageQuery),
    responses((status = 200, description = "A page of those that are not retired, by name", body = Page<HostStanding>))
)]
async fn standings(
    context: RequestContext,
    QueryParams(query): QueryParams<EnvironmentPageQuery>,
) -> Answer<Page<HostStanding>> {
    let environment = environment(&context, query.environment.as_ref()).await?;
    let (limit, after) = requested_page::<HostName>(query.limit, query.after.as_deref())?;
    let limits = &context.caller.limits;
    let found = context
        .store
        .list_standings(limits, environment, after.as_ref(), limit + 1)
        .await?;
    Ok(Json(page(found, limit, |host| host.name.to_string())))
}
