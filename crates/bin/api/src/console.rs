//! The API as the pages of the console use it: the same routes with the same guards, within the request of a page.

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use http::Method;
use slipway_console::Console;
use slipway_console::api::PageRequest;
use slipway_store::watch_commits;
use slipway_wire::route;

use crate::client_addr::ClientAddr;
use crate::error::ResponseCause;
use crate::observe::{RequestId, complete};
use crate::room::Turns;
use crate::state::App;

/// All pages, before these routes of the API.
pub(crate) fn pages(app: &App, api: Router) -> Router {
    let news = {
        let app = app.clone();
        move || {
            let news = app.feed.subscribe();
            app.feed.hurry();
            news
        }
    };
    let printed = {
        let app = app.clone();
        move |rollout| app.printed.subscribe(rollout)
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge: pages show ages, and decide nothing by them"
    )]
    let clock = chrono::Utc::now;
    let turns = Turns::new(app.store.most_connections() / 2);
    let api = api
        .layer(from_fn_with_state(turns, in_turn))
        .layer(from_fn(within));
    Console::new(
        api,
        Box::new(news),
        Box::new(printed),
        clock,
        app.phase.draining(),
    )
    .router()
}

/// These wait long for something else than a connection, such as the answers of agents, and have bounds of their own.
const OWN_BOUND: [&str; 5] = [
    route::AUDIT_VERIFY,
    route::PREFLIGHT,
    route::RELEASE_COMPONENTS,
    route::RELEASE_DOCUMENT,
    route::RELEASE_VULNERABILITIES,
];

/// Pages read with at most half of the connections. Hundreds of them load again with each event of a rollout, and hosts and
/// people that wait for a connection would be refused meanwhile.
async fn in_turn(State(turns): State<Turns>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_bounded = path.is_some_and(|path| OWN_BOUND.contains(&path.as_str()));
    let takes_turn = request.method() == Method::GET && !is_bounded;
    let _turn = if takes_turn { turns.take().await } else { None };
    next.run(request).await
}

/// What the outer layers do for a request from outside: it is of the page's client and has the page's id.
async fn within(mut request: Request, next: Next) -> Response {
    let page = request.extensions_mut().remove::<PageRequest>();
    let outer = page.as_ref().map(|PageRequest(outer)| outer);
    if let Some(client) = outer.and_then(|outer| outer.get::<ClientAddr>()) {
        request.extensions_mut().insert(*client);
    }
    let id = outer.and_then(|outer| outer.get::<RequestId>()).cloned();
    if let Some(id) = &id {
        request.extensions_mut().insert(id.clone());
    }
    let (mut response, committed) = watch_commits(next.run(request)).await;
    if let Some(ResponseCause(error)) = response.extensions_mut().remove::<ResponseCause>() {
        if let Some(cause) = error.cause() {
            tracing::warn!(error = cause, "a page's request failed");
        }
        complete(&mut response, &error, id.as_ref(), committed);
    }
    response.map(Body::new)
}
