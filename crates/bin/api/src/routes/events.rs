//! Events: of a rollout, of everything, and the check of their chain.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use slipway_domain::rights::Subject;
use slipway_domain::{Role, RolloutId};
use slipway_store::{EventSearch, EventsOf};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::page::Page;
use slipway_wire::route;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{QueryParams, Wait, page_limit};
use crate::parking::Full;
use crate::reference::RolloutParam;
use crate::state::{App, Shared};
use crate::text;

endpoints! {
    of_rollout: Role(Viewer) of Rollout,
    all: Role(Viewer) of Named,
    verify: Role(Viewer),
}

/// List the events of a rollout
///
/// With `Prefer: wait=N` (at most 30) and no event yet, the answer comes with the next one, or empty after N seconds.
#[utoipa::path(
    get, path = route::ROLLOUT_EVENTS, operation_id = "list_rollout_events", tag = "events",
    params(
        ("id" = String, Path, description = "Its number, id or the beginning of its id; `latest`, `previous`, also with `@ENV`"), EventQuery,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for an event", example = "wait=30"),
    ),
    responses((status = 200, description = "A page, the oldest first", body = Page<Event>))
)]
async fn of_rollout(
    context: RequestContext,
    RolloutParam(id): RolloutParam,
    QueryParams(query): QueryParams<EventQuery>,
    wait: Wait,
) -> Result<Response> {
    answer(&context, Some(id), &query, wait).await
}

/// List all events
///
/// With `Prefer: wait=N` (at most 30) and no event yet, the answer comes with the next one, or empty after N seconds.
#[utoipa::path(
    get, path = route::EVENTS, operation_id = "list_events", tag = "events",
    params(
        EventQuery,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for an event", example = "wait=30"),
    ),
    responses((status = 200, description = "A page, the oldest first", body = Page<Event>))
)]
async fn all(
    context: RequestContext,
    QueryParams(query): QueryParams<EventQuery>,
    wait: Wait,
) -> Result<Response> {
    let rollout = if let Some(given) = &query.rollout {
        Some(context.rollout_to_see(given).await?)
    } else {
        context.require(Role::Viewer, &Subject::default())?;
        None
    };
    answer(&context, rollout, &query, wait).await
}

async fn answer(
    context: &RequestContext,
    rollout: Option<RolloutId>,
    query: &EventQuery,
    wait: Wait,
) -> Result<Response> {
    let app = &context.app;
    let limit = page_limit(query.limit)?;
    let search = search(context, rollout, query).await?;
    let wait = if search.newest_first {
        Wait(None)
    } else {
        wait.within(app.request_timeout)
    };
    // Before the first read, so that no event falls between.
    let news = app.feed.subscribe();
    let mut items = app.store.search_events(&search, limit).await?;
    if items.is_empty() {
        if let EventsOf::Rollout(rollout) = search.of {
            // An unknown one is told, and not waited for.
            app.store.require_rollout(rollout).await?;
        }
        if let Some(wait) = wait.duration() {
            let _place = app
                .parking
                .reserve(context.caller.id)
                .map_err(|Full| ApiError::crowded())?;
            items = wait_and_read(app, &search, limit, news, Instant::now() + wait).await?;
        }
    }
    let full = items.len() == limit as usize;
    let next = if full {
        items.last().map(|event| event.number.to_string())
    } else {
        None
    };
    Ok((wait.applied().map(AppendHeaders), Json(Page { items, next })).into_response())
}

/// Which events are asked for.
async fn search(app: &Shared, rollout: Option<RolloutId>, query: &EventQuery) -> Result<EventSearch> {
    let after = query.after.unwrap_or_default();
    if after < 0 {
        return Err(ApiError::field(
            "after",
            format!("{after} is no event's number; use 0 or more"),
        ));
    }
    if query.before.is_some_and(|before| before < 1) {
        return Err(ApiError::field("before", "use a number from 1"));
    }
    text::check_opt("kind", query.kind.as_deref(), text::LABEL)?;
    text::check_opt("actor", query.actor.as_deref(), text::LABEL)?;
    if query.host.is_some() && rollout.is_some() {
        let detail = "events are searched by host or by rollout; name one of them";
        return Err(ApiError::field("host", detail));
    }
    let of = match (rollout, &query.host) {
        (Some(rollout), _) => EventsOf::Rollout(rollout),
        (None, Some(host)) => EventsOf::Host(app.store.get_host_by_name(host).await?.id),
        (None, None) => EventsOf::Everything,
    };
    Ok(EventSearch {
        of,
        kind: query.kind.clone(),
        actor: query.actor.clone(),
        after,
        before: query.before,
        newest_first: query.newest_first,
    })
}

async fn wait_and_read(
    app: &App,
    search: &EventSearch,
    limit: u32,
    mut news: watch::Receiver<i64>,
    deadline: Instant,
) -> Result<Vec<Event>> {
    let draining = app.phase.draining();
    app.feed.hurry();
    loop {
        let more = tokio::select! {
            () = draining.cancelled() => false,
            changed = timeout_at(deadline, news.changed()) => matches!(changed, Ok(Ok(()))),
        };
        if !more {
            return Ok(Vec::new());
        }
        let items = app.store.search_events(search, limit).await?;
        if !items.is_empty() {
            return Ok(items);
        }
    }
}

/// Check the log
///
/// Computes every hash again, checks every seal, and compares the decisions of the events with the database:
/// closures, strategies, approvals, roles, owners of tokens. It reads the whole log, so one check runs at a time.
/// Requests during a check get the answer of the next one, and beyond 16 of one principal 503.
#[utoipa::path(
    get, path = route::AUDIT_VERIFY, operation_id = "verify_events", tag = "events",
    responses((status = 200, description = "What was found; `whole` is the verdict", body = AuditReport))
)]
async fn verify(context: RequestContext) -> Result<Json<AuditReport>> {
    let check = async { Ok(context.store.verify_chain(&context.audit_key).await?) };
    Ok(Json(
        context
            .checks
            .run(&context.parking, context.caller.id, check)
            .await?,
    ))
}
