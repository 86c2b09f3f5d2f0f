//! What switch scripts and hooks print: taken from agents, and shown.

use axum::Json;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use slipway_domain::RolloutId;
use slipway_store::OutputSearch;
use slipway_text::printed;
use slipway_wire::output::{
    MAX_JOB_CHARS, MAX_PIECE_BYTES, MAX_PIECE_TEXT, MAX_POSITION, Output, OutputKnown, OutputPiece,
    OutputQuery,
};
use slipway_wire::page::Page;
use slipway_wire::route;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Answer;
use crate::auth::{CallingHost, RequestContext};
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, QueryParams, Wait, page_limit};
use crate::parking::Full;
use crate::reference::RolloutParam;
use crate::state::App;
use crate::text;

endpoints! {
    take: Host,
    show: Role(Viewer) of Rollout,
}

/// Post the next piece of what an attempt prints
///
/// A piece that does not begin where the control plane's knowledge of the job ends changes nothing. The answer says where to
/// go on, so an agent that has begun again asks with its first piece.
#[utoipa::path(
    post, path = route::AGENT_OUTPUT, operation_id = "post_output", tag = "agent", request_body = OutputPiece,
    responses(
        (status = 200, description = "How far the job's output is known", body = OutputKnown),
        (status = 404, description = "The host has no such attempt that may still print"),
        (status = 503, description = "The database is away, or too much is printed at once"),
    )
)]
async fn take(
    State(app): State<App>,
    host: CallingHost,
    JsonBody(mut piece): JsonBody<OutputPiece>,
) -> Answer<OutputKnown> {
    check(&piece)?;
    // Whatever the host says of it: nothing else than plain text is kept.
    piece.text = printed(piece.text.as_bytes());
    let longest = MAX_PIECE_TEXT;
    if piece.text.len() > longest {
        let detail = format!("the text has {} bytes; send at most {longest}", piece.text.len());
        return Err(ApiError::field("text", detail));
    }
    let room = app.printed.room.place().await?;
    let kept = app.store.keep_output(host.id, &piece).await?;
    drop(room);
    if let Some(number) = kept.number {
        app.printed.tell(kept.rollout, number);
    }
    Ok(Json(OutputKnown {
        next: kept.known,
        full: kept.full,
    }))
}

fn check(piece: &OutputPiece) -> Result<()> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if piece.job.is_empty() || piece.job.len() > MAX_JOB_CHARS || !piece.job.chars().all(is_name) {
        return Err(ApiError::field("job", "name it as in `activate-1`"));
    }
    let length = piece.end.checked_sub(piece.start);
    if !length.is_some_and(|length| (1..=MAX_PIECE_BYTES).contains(&length)) || piece.end > MAX_POSITION {
        let detail = format!("it must be 1 to {MAX_PIECE_BYTES} bytes after `start`");
        return Err(ApiError::field("end", detail));
    }
    if piece.skipped > piece.start {
        return Err(ApiError::field(
            "skipped",
            "no more bytes than come before `start`",
        ));
    }
    Ok(())
}

/// List what the hosts of a rollout printed
///
/// The output of switch scripts and hooks, as their agents send it. It is kept in bounded pieces for 30 days after the
/// rollout's end. With `Prefer: wait=N` (at most 30) and nothing new yet, the answer comes with the next piece, or empty
/// after N seconds.
#[utoipa::path(
    get, path = route::ROLLOUT_OUTPUT, operation_id = "list_rollout_output", tag = "rollouts",
    params(
        ("id" = String, Path, description = "Its number, id or the beginning of its id; `latest`, `previous`, also with `@ENV`"), OutputQuery,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for output", example = "wait=30"),
    ),
    responses((status = 200, description = "A page, the oldest first", body = Page<Output>))
)]
async fn show(
    context: RequestContext,
    RolloutParam(id): RolloutParam,
    QueryParams(query): QueryParams<OutputQuery>,
    wait: Wait,
) -> Result<Response> {
    let limit = page_limit(query.limit)?;
    let search = search(&context, id, &query).await?;
    let wait = if search.newest_first {
        Wait(None)
    } else {
        wait.within(context.app.request_timeout)
    };
    // Before the first read, so that no piece falls between.
    let news = wait.duration().map(|_| context.app.printed.subscribe(id));
    let (mut items, mut next) = context.store.search_output(&search, limit).await?;
    if items.is_empty() && next.is_none() {
        // An unknown one is told, and not waited for.
        context.store.require_rollout(id).await?;
    }
    if let (Some(wait), Some(news), true, None) = (wait.duration(), news, items.is_empty(), next) {
        let _place = context
            .app
            .parking
            .reserve(context.caller.id)
            .map_err(|Full| ApiError::crowded())?;
        (items, next) = wait_and_read(&context.app, &search, limit, news, Instant::now() + wait).await?;
    }
    let next = next.map(|number| number.to_string());
    Ok((wait.applied().map(AppendHeaders), Json(Page { items, next })).into_response())
}

async fn search(context: &RequestContext, rollout: RolloutId, query: &OutputQuery) -> Result<OutputSearch> {
    let after = query.after.unwrap_or_default();
    if after < 0 {
        let detail = format!("{after} is no number of a piece; use 0 or more");
        return Err(ApiError::field("after", detail));
    }
    text::check_opt("search", query.search.as_deref(), text::SEARCH)?;
    let host = match &query.host {
        Some(name) => Some(context.store.get_host_by_name(name).await?.id),
        None => None,
    };
    Ok(OutputSearch {
        rollout,
        host,
        text: query.search.clone(),
        after,
        newest_first: query.newest_first,
    })
}

async fn wait_and_read(
    app: &App,
    search: &OutputSearch,
    limit: u32,
    mut news: watch::Receiver<i64>,
    deadline: Instant,
) -> Result<(Vec<Output>, Option<i64>)> {
    let draining = app.phase.draining();
    loop {
        let more = tokio::select! {
            () = draining.cancelled() => false,
            changed = timeout_at(deadline, news.changed()) => matches!(changed, Ok(Ok(()))),
        };
        if !more {
            return Ok((Vec::new(), None));
        }
        let (items, next) = app.store.search_output(search, limit).await?;
        if !items.is_empty() || next.is_some() {
            return Ok((items, next));
        }
    }
}
