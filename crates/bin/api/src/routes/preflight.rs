//! What stands in the way of rolling a release out.

use std::collections::HashSet;
use std::time::Duration;

use axum::Json;
use slipway_domain::preflight::{Outcome, judge};
use slipway_domain::{EnvironmentName, HostId};
use slipway_store::PreflightOf;
use slipway_wire::preflight::{PreflightQuery, PreflightReport};
use slipway_wire::route;
use tokio::time::{Instant, sleep};

use super::Answer;
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{PathParam, QueryParams};
use crate::parking::Full;

endpoints! {
    run: Role(Viewer) of Fleet,
}

/// How long agents may take to answer. A person waits, for ten seconds in all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(8);
/// How often it is looked who has answered.
const LOOK: Duration = Duration::from_millis(250);
/// How often those are woken again that have not.
const WAKE_EVERY: u32 = 4;
/// Hosts that are named as silent.
const MAX_SILENT: usize = 100;

/// Check what stands in the way of a rollout
///
/// Asks the agents of the release's hosts how things are there, waits for them for up to 8 s, and runs every check.
/// Nothing is fetched or changed. A rollout runs those of the checks that concern its hosts itself, before its first
/// activation.
#[utoipa::path(
    get, path = route::PREFLIGHT, operation_id = "preflight", tag = "environments",
    params(("name" = EnvironmentName, Path, description = "The environment's name"), PreflightQuery),
    responses((status = 200, description = "What was found; `blocked` is the verdict", body = PreflightReport))
)]
async fn run(
    context: RequestContext,
    PathParam(name): PathParam<EnvironmentName>,
    QueryParams(query): QueryParams<PreflightQuery>,
) -> Answer<PreflightReport> {
    let app = &context.app;
    let environment = app.store.get_environment_by_name(&name).await?;
    let release = context.release_in(&name, &query.release).await?;
    // One that is not there is told of before anybody waits.
    let label = app.store.get_release_label(release).await?;
    // It waits, as for news: nobody may keep all places.
    let _place = app
        .parking
        .reserve(context.caller.id)
        .map_err(|Full| ApiError::crowded())?;
    let of = PreflightOf {
        environment: environment.id,
        hold: environment.value.hold,
        release,
        by: context.caller.id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (_, closures) = app.store.load_preflight(&of, &app.audit_key).await?;
    let silent = ask(&context, &app.store.ask_facts(&closures).await?).await?;
    let (mut subject, hosts) = app.store.load_preflight(&of, &app.audit_key).await?;
    // Who there is, is about no environment.
    if context.caller.limits.hides() {
        subject.environment.related.clear();
    }
    let unanswered = app.store.names_of(&silent, MAX_SILENT).await?;
    let findings = judge(&subject);
    Ok(Json(PreflightReport {
        environment: name,
        release,
        at: subject.now,
        hosts: hosts.len() as u64,
        unanswered,
        blocked: findings
            .iter()
            .any(|finding| finding.outcome == Outcome::Blocking),
        findings,
        release_label: Some(label),
    }))
}

/// Wakes the agents of these hosts until they have answered, or the time is up. Gives those that have not.
async fn ask(context: &RequestContext, asked: &[HostId]) -> Result<Vec<HostId>> {
    let app = &context.app;
    let until = Instant::now() + ANSWERS_WITHIN;
    let mut silent = asked.to_vec();
    let mut looks = 0;
    while !silent.is_empty() && Instant::now() < until {
        if looks % WAKE_EVERY == 0 {
            app.wake.publish_hosts(&silent).await;
            // Redis may be away, and most hosts wait here.
            app.parking.wake(&silent.iter().copied().collect::<HashSet<_>>());
        }
        looks += 1;
        sleep(LOOK).await;
        let pending = app.store.find_probes(&silent).await?;
        silent.retain(|host| pending.contains_key(host));
    }
    Ok(silent)
}
