//! The routes of agents.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use slipway_domain::drift::{MAX_OVERRIDE_CHARS, MAX_REPORTED};
use slipway_domain::facts::MAX_FACT_TEXT;
use slipway_domain::{HostId, HostName, Instruction, Observation, ReleaseId};
use slipway_text::scrub;
use slipway_wire::release::ReleaseManifest;
use slipway_wire::route;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::auth::CallingHost;
use crate::drift;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, PathParam, Wait};
use crate::parking::SyncOutcome;
use crate::state::App;
use crate::text::cut;

endpoints! {
    sync: Host,
    manifest: Host,
}

/// Characters of an agent's words that are kept.
const MAX_MESSAGE: usize = 4000;
/// Characters of its version and of the kernel's boot id that are kept.
const MAX_ID: usize = 100;
/// The most parts of a system that wait for a reboot.
const MAX_PARTS: usize = 20;

/// Post what the host looks like, get the next instruction
///
/// With `Prefer: wait=N` (at most 30) the answer comes as soon as there is something to do, or `idle` after N seconds.
/// A newer sync of the same host ends an older one that waits, with `idle`.
#[utoipa::path(
    post, path = route::AGENT_SYNC, operation_id = "sync", tag = "agent", request_body = Observation,
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for an instruction", example = "wait=30")),
    responses(
        (status = 200, description = "What to do", body = Instruction, headers(("Preference-Applied" = String, description = "The wait that was granted"))),
        (status = 409, description = "Something newer of the host is known, or another machine uses its token"),
        (status = 503, description = "The database is away, or too many requests wait already"),
    )
)]
async fn sync(
    State(app): State<App>,
    host: CallingHost,
    wait: Wait,
    // In the heap: each async function that it passes through keeps places for it, and thousands of requests wait.
    JsonBody(observation): JsonBody<Box<Observation>>,
) -> Result<Response> {
    require_own(&host.name, &observation)?;
    let wait = wait.within(app.request_timeout);
    let instruction = exchange(&app, host.id, trimmed(observation), wait).await?;
    Ok((
        wait.applied().map(axum::response::AppendHeaders),
        Json(instruction),
    )
        .into_response())
}

/// An agent with another host's token is set up wrong, and must not report for it.
fn require_own(name: &HostName, observation: &Observation) -> Result<()> {
    if observation.host == *name {
        return Ok(());
    }
    Err(ApiError::Forbidden(format!(
        "the token is of host `{name}` and the observation of host `{}`; give this agent its own token \
         (`slipway host token {}`) or set AGENT_HOST={name}",
        observation.host, observation.host
    )))
}

/// Agents report what scripts printed; a page of that is enough.
fn trimmed(mut observation: Box<Observation>) -> Box<Observation> {
    let keep = |text: &mut String, most: usize| {
        cut(text, most);
        // A report is never refused over a word in it.
        *text = scrub(text);
    };
    keep(&mut observation.agent_version, MAX_ID);
    keep(&mut observation.boot_id, MAX_ID);
    if let Some(report) = &mut observation.report {
        if let Some(message) = &mut report.message {
            keep(message, MAX_MESSAGE);
        }
        if let Some(hooks) = &mut report.hooks {
            if let Some(hook) = &mut hooks.running {
                keep(&mut hook.name, MAX_ID);
            }
            if let Some(trouble) = &mut hooks.trouble {
                keep(trouble, MAX_MESSAGE);
            }
        }
    }
    if let Some(trouble) = &mut observation.journal_trouble {
        keep(trouble, MAX_MESSAGE);
    }
    if let Some(overrides) = &mut observation.overrides {
        overrides.truncate(MAX_REPORTED);
        for seen in overrides {
            keep(&mut seen.expected, MAX_OVERRIDE_CHARS);
            keep(&mut seen.found, MAX_OVERRIDE_CHARS);
        }
    }
    if let Some(facts) = &mut observation.facts {
        facts.cut(|text| keep(text, MAX_FACT_TEXT));
    }
    let reboot = observation
        .report
        .as_mut()
        .and_then(|report| report.reboot.as_mut());
    let (needed, obstacle) = reboot.map_or((None, None), |reboot| {
        (Some(&mut reboot.needed), reboot.obstacle.as_mut())
    });
    for parts in needed.into_iter().chain(&mut observation.pending_reboot) {
        parts.truncate(MAX_PARTS);
        for part in parts {
            keep(part, MAX_ID);
        }
    }
    if let Some(obstacle) = obstacle {
        keep(obstacle, MAX_MESSAGE);
    }
    observation
}

async fn exchange(app: &App, host: HostId, observation: Box<Observation>, wait: Wait) -> Result<Instruction> {
    // Parked before the assignment is read: whoever is woken after that read is looked up.
    let parked = wait
        .duration()
        .map(|wait| (Instant::now() + wait, app.parking.park(host)));
    let turn = app.agent_turns.take().await;
    // Thousands of requests wait below, so what came before has a place of its own, which is free by then.
    if let Some(instruction) = Box::pin(report(app, host, observation, turn)).await? {
        return Ok(instruction);
    }
    let Some((deadline, mut parked)) = parked else {
        return Ok(Instruction::Idle);
    };
    match timeout_at(deadline, parked.outcome()).await {
        Ok(SyncOutcome::Instruct(instruction)) => Ok(instruction),
        // The observation is kept, and there is nothing to do: the agent loses nothing by coming back later.
        Ok(SyncOutcome::Full) => Err(ApiError::crowded()),
        Ok(SyncOutcome::Replaced | SyncOutcome::Draining) | Err(_) => Ok(Instruction::Idle),
    }
}

/// Keeps what the agent sees, and gives what is to be done already.
async fn report(
    app: &App,
    host: HostId,
    observation: Box<Observation>,
    turn: Option<SemaphorePermit<'_>>,
) -> Result<Option<Instruction>> {
    // Before the report that names it wakes a worker.
    app.store.keep_plan(host, &observation).await?;
    let recorded = app.store.record_observation(host, &observation).await?;
    let turn = if recorded.news {
        // Many wait for one transaction here, and none of them needs a turn for it.
        drop(turn);
        drift::note(app, host).await;
        app.agent_turns.take().await
    } else {
        turn
    };
    // Only now: what another machine with this token says must not count.
    let awaited = app.store.keep_facts(host, &observation).await?;
    let instructions = app.store.instruct(recorded.assigned, &app.audit_key).await;
    drop(turn);
    if let Some(rollout) = recorded.rollout.filter(|_| recorded.news).or(awaited) {
        app.wake.publish_rollout(rollout).await;
    }
    Ok(instructions?.into_values().next())
}

/// Fetch the signed manifest of a release that names this host
///
/// An agent with release keys fetches it once for a release, and keeps it.
#[utoipa::path(
    get, path = route::AGENT_MANIFEST, operation_id = "get_agent_manifest", tag = "agent",
    params(("id" = ReleaseId, Path, description = "The release's id")),
    responses((status = 200, description = "The manifest with its signatures", body = ReleaseManifest))
)]
async fn manifest(
    State(app): State<App>,
    host: CallingHost,
    PathParam(release): PathParam<ReleaseId>,
) -> Result<Json<ReleaseManifest>> {
    let _turn = app.agent_turns.take().await;
    Ok(Json(app.store.get_manifest_for_host(release, host.id).await?))
}
